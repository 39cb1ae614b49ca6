-- stream_read_since() in a FROM clause has its own plan node, without a tuplestore: where it is used, that it returns the
-- rows and errors of the function itself (which runs for WITH ORDINALITY), and what may happen between two fetches.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
    IF line ~ 'Custom Scan|Function Scan|Sort' THEN RETURN NEXT pg_catalog.regexp_replace(line, '^[ >-]*', ''); END IF;
  END LOOP;
END
$body$;
-- From 18 on "rows" has two decimals, and buffers are shown unless switched off.
CREATE FUNCTION pg_temp.analyzed(query text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || query LOOP
    RETURN NEXT pg_catalog.regexp_replace(line, 'rows=(\d+)\.00 ', 'rows=\1 ');
  END LOOP;
END
$body$;

SELECT stream_append_many('scan/s', array_agg(convert_to(repeat('x', i), 'UTF8') ORDER BY i)) FROM generate_series(1, 8) i;
SELECT stream_append_many('scan/long', array_fill('x'::bytea, ARRAY[3000]));

-- EXPLAIN, which reads nothing.
EXPLAIN (COSTS OFF) SELECT data FROM stream_read_since('scan/s', 0) r WHERE chunk_id > 1;
EXPLAIN (COSTS OFF, VERBOSE) SELECT x.data, x.chunk_id AS id FROM (VALUES (1), (2)) v(c), stream_read_since('scan/s', v.c) x;
EXPLAIN (COSTS OFF) SELECT chunk_id FROM stream_read_since('scan/none', 7);
SELECT pg_temp.analyzed($$SELECT * FROM stream_read_since('scan/s', 0) WHERE chunk_id <> 3$$);

-- The node is used wherever FROM has a single plain call,
SELECT pg_temp.plan($$SELECT chunk_id FROM stream_read_since('scan/s', 0)$$);
SELECT pg_temp.plan($$SELECT * FROM stream_read_since('scan/s', 0) AS r(a, b, c, d, e)$$);
SELECT pg_temp.plan($$SELECT count(*) FROM ROWS FROM (stream_read_since('scan/s', 0))$$);
SELECT pg_temp.plan($$SELECT (SELECT count(*) FROM stream_read_since('scan/s', i)) FROM generate_series(1, 3) i$$);
SELECT pg_temp.plan($$SELECT 1 FROM stream_read_since('scan/s', 0) UNION ALL SELECT 2 FROM stream_read_since('scan/s', 1)$$);
SELECT pg_temp.plan($$SELECT 1 FROM stream_read_since((SELECT 'scan/s'), 0)$$);
CREATE TEMP VIEW chunks AS SELECT * FROM stream_read_since('scan/s', 0);
SELECT pg_temp.plan('SELECT eof FROM chunks');
DROP VIEW chunks;
-- with chunks in order,
SELECT pg_temp.plan($$SELECT data FROM stream_read_since('scan/s', 0) ORDER BY chunk_id LIMIT 3$$);
SELECT pg_temp.plan($$SELECT data FROM stream_read_since('scan/s', 0) ORDER BY chunk_id DESC$$);
SELECT pg_temp.plan($$SELECT data FROM stream_read_since('scan/s', 0) ORDER BY epoch$$);
-- but not where it could not do the same as the function.
SELECT pg_temp.plan($$SELECT * FROM stream_read_since('scan/s', 0) WITH ORDINALITY$$);
SELECT pg_temp.plan($$SELECT * FROM ROWS FROM (stream_read_since('scan/s', 0), stream_read_since('scan/s', 1))$$);
SELECT pg_temp.plan($$SELECT r FROM stream_read_since('scan/s', 0) r$$);
SELECT pg_temp.plan($$SELECT 1 FROM stream_read_since('scan/s', 0) r WHERE r IS NOT NULL$$);
SELECT pg_temp.plan($$SELECT 1 FROM generate_series(1, 2) i, stream_read_since('scan/s', (SELECT count(*) FROM stream WHERE stream_id = i))$$);
SELECT pg_temp.plan($$SELECT 1 FROM stream_read_many('{scan/s}', '{0}')$$);
CREATE TEMP TABLE mine AS SELECT i AS id, 0 AS n FROM generate_series(1, 8) i;
SELECT pg_temp.plan($$UPDATE mine SET n = length(data) FROM stream_read_since('scan/s', 0) WHERE chunk_id = id$$);
SELECT pg_temp.plan($$SELECT 1 FROM mine, stream_read_since('scan/s', 0) WHERE chunk_id = id FOR UPDATE OF mine$$);
SELECT pg_temp.plan($$DELETE FROM mine USING (SELECT chunk_id FROM stream_read_since('scan/s', 0) UNION ALL SELECT chunk_id FROM stream_read_since('scan/s', 4)) u WHERE chunk_id = id$$);
UPDATE mine SET n = length(data) FROM stream_read_since('scan/s', 0) WHERE chunk_id = id;
SELECT sum(n) FROM mine;

-- Changes to the function invalidate cached plans.
PREPARE page AS SELECT chunk_id, data FROM stream_read_since($1, $2, 2);
EXECUTE page('scan/s', 3);
SELECT pg_temp.plan($$EXECUTE page('scan/s', 3)$$);
ALTER FUNCTION stream_read_since SECURITY DEFINER;
SELECT pg_temp.plan($$EXECUTE page('scan/s', 3)$$);
ALTER FUNCTION stream_read_since SECURITY INVOKER;
ALTER FUNCTION stream_read_since SET work_mem = '1MB';
SELECT pg_temp.plan($$EXECUTE page('scan/s', 3)$$);
EXECUTE page('scan/s', 3);
ALTER FUNCTION stream_read_since RESET ALL;
ALTER FUNCTION stream_read_since STRICT;
SELECT pg_temp.plan($$EXECUTE page('scan/s', 3)$$);
ALTER FUNCTION stream_read_since CALLED ON NULL INPUT;
ALTER FUNCTION stream_read_since RENAME TO read_since;
SELECT pg_temp.plan($$SELECT 1 FROM read_since('scan/s', 3)$$);
ALTER FUNCTION read_since RENAME TO stream_read_since;
SELECT pg_temp.plan($$EXECUTE page('scan/s', 3)$$);
SET plan_cache_mode = force_generic_plan;
EXECUTE page('scan/s', 3);
EXECUTE page('scan/s', 7);
EXECUTE page('scan/s', 8);
EXECUTE page('scan/none', 0);
CALL pg_temp.refused($$EXECUTE page('scan/s', 9)$$);
CALL pg_temp.refused($$EXECUTE page(null, 0)$$);
RESET plan_cache_mode;

-- EXECUTE is checked when the plan starts, as for any function; privileges on streams when it reads.
CREATE ROLE scan_reader;
GRANT EXECUTE ON FUNCTION stream_read_since TO scan_reader;
SET ROLE scan_reader;
CALL pg_temp.refused($$EXECUTE page('scan/s', 3)$$);
RESET ROLE;
GRANT SELECT ON stream TO scan_reader;
SET ROLE scan_reader;
EXECUTE page('scan/s', 3);
RESET ROLE;
REVOKE EXECUTE ON FUNCTION stream_read_since FROM scan_reader, PUBLIC;
SET ROLE scan_reader;
CALL pg_temp.refused($$EXECUTE page('scan/s', 3)$$);
EXPLAIN (COSTS OFF) EXECUTE page('scan/s', 3);
RESET ROLE;
GRANT EXECUTE ON FUNCTION stream_read_since TO PUBLIC;
REVOKE SELECT ON stream FROM scan_reader;
DROP ROLE scan_reader;

-- The same rows and errors as the function.
SELECT count(*) AS pages, sum(rows) AS rows, count(*) FILTER (WHERE streamed IS DISTINCT FROM materialised) AS differ
  FROM generate_series(0, 8) cursor, unnest('{1,2,3,100,null}'::int[]) chunks, unnest('{1,2,5,9,20,1000,null}'::bigint[]) bytes,
       LATERAL (SELECT array_agg(ROW(chunk_id, data, eof, appended_at, epoch)::text) AS streamed, count(*) AS rows
                  FROM stream_read_since('scan/s', cursor, chunks, bytes)) a,
       LATERAL (SELECT array_agg(ROW(chunk_id, data, eof, appended_at, epoch)::text) AS materialised
                  FROM stream_read_since('scan/s', cursor, chunks, bytes) WITH ORDINALITY) b;
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since(null, 0)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('', 0)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since(repeat('x', 513), 0)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', null)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', -1)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', 0, 0)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', 0, 1, 0)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', 0, timeout => '-1 s')$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/s', 9)$$);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/none', 1)$$);
SELECT stream_append_many('scan/trimmed', '{a,b,c,d}');
SELECT stream_trim('scan/trimmed', 3);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/trimmed', 1)$$);
SELECT chunk_id FROM stream_read_since('scan/trimmed', 0);
SELECT chunk_id FROM stream_read_since('scan/trimmed', 2);
SELECT stream_close('scan/trimmed');
SELECT chunk_id, eof FROM stream_read_since('scan/trimmed', 4, timeout => null);
SELECT chunk_id, eof FROM stream_read_since('scan/trimmed', 5, timeout => null);
SELECT chunk_id FROM stream_read_since('scan/none', 0, timeout => '1 ms');
-- A filter does not affect the caps; an argument may be anything but a row.
SELECT chunk_id FROM stream_read_since('scan/s', 0, 4) WHERE chunk_id % 2 = 0;
SELECT chunk_id FROM stream_read_since('scan/' || lower('S'), (SELECT max(id) - 2 FROM mine));

-- A session that knows the stream does not look it up again, but still notices every change.
SELECT stream_append_many('scan/known', '{a,b,c,d,e}');
SELECT count(*) FROM stream_read_since('scan/known', 0);
SELECT chunk_id FROM stream_read_since('scan/known', 1, 1);
SELECT stream_trim('scan/known', 4);
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/known', 2)$$);
SELECT chunk_id FROM stream_read_since('scan/known', 3);
BEGIN;
SELECT stream_delete('scan/known');
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/known', 3)$$);
ROLLBACK;
SELECT chunk_id FROM stream_read_since('scan/known', 3);
UPDATE stream SET name = 'scan/renamed' WHERE name = 'scan/known';
CALL pg_temp.refused($$SELECT 1 FROM stream_read_since('scan/known', 3)$$);
SELECT chunk_id FROM stream_read_since('scan/renamed', 3);

-- Rescans: the same rows again, unless an argument has changed.
SELECT c, array_agg(chunk_id) FROM (VALUES (1), (6), (8), (null), (7)) v(c), stream_read_since('scan/s', coalesce(c, 3)) GROUP BY c ORDER BY c;
SELECT i, (SELECT array_agg(chunk_id) FROM stream_read_since('scan/s', 0, 5) WHERE chunk_id <= i) FROM generate_series(0, 6, 2) i;
SELECT i, (SELECT array_agg(x) FROM (SELECT chunk_id FROM stream_read_since('scan/s', 0, 5) WHERE chunk_id >= i LIMIT 2) y(x)) FROM generate_series(1, 7, 2) i;
SELECT i, (SELECT count(*) FROM stream_read_since('scan/created', 0) WHERE chunk_id > i) FROM generate_series(1, 2) i;
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(a.chunk_id * b.chunk_id) FROM stream_read_since('scan/s', 0) a, stream_read_since('scan/s', 4) b;
-- An append from within the query does not affect it.
SELECT count(*), max(stream_append('scan/s', 'inside')) FROM stream_read_since('scan/s', 0) a, stream_read_since('scan/s', 6) b;
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT count(*) FROM stream_read_since('scan/s', 0);
SELECT a.chunk_id FROM stream_read_since('scan/s', 20) a FULL JOIN stream_read_since('scan/s', 22) b USING (chunk_id) ORDER BY chunk_id LIMIT 3;

-- Cursors: a later FETCH continues, whatever the session has done meanwhile.
BEGIN;
DECLARE c CURSOR FOR SELECT chunk_id, length(data) FROM stream_read_since('scan/s', 0);
SELECT stream_append('scan/s', 'before the first fetch') > 0 AS appended;
FETCH 2 FROM c;
SELECT stream_append('scan/s', 'after it') > 0 AS appended;
SELECT stream_trim('scan/s', 20);
FETCH 3 FROM c;
SAVEPOINT a;
FETCH 1 FROM c;
SELECT stream_delete('scan/s');
ROLLBACK TO a;
FETCH 1 FROM c;
MOVE FORWARD ALL IN c;
FETCH 1 FROM c;
-- The tables that it reads cannot be dropped.
SAVEPOINT b;
DROP EXTENSION pg_rill;
ROLLBACK TO b;
TRUNCATE stream_chunk;
ROLLBACK TO b;
CLOSE c;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
-- (Several index pages: the scan passes the place of the later row.)
DECLARE c CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/long', 0, null) WHERE chunk_id = 1 OR chunk_id >= 3000;
FETCH 1 FROM c;
SELECT stream_append('scan/long', 'later command');
SELECT chunk_id FROM stream_read_since('scan/long', 2999);
FETCH ALL FROM c;
ROLLBACK;
-- First fetched inside a savepoint that is rolled back together with a chunk.
BEGIN;
DECLARE c CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/s', 20);
SAVEPOINT a;
SELECT stream_append('scan/s', 'in the savepoint') > 0 AS appended;
FETCH 1 FROM c;
ROLLBACK TO a;
SELECT stream_append('scan/s', 'after the savepoint') > 0 AS appended;
FETCH ALL FROM c;
ROLLBACK;
-- A cursor that ends with a savepoint, one that is left open, and one whose query fails.
BEGIN;
SAVEPOINT a;
DECLARE c CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/s', 0);
FETCH 1 FROM c;
ROLLBACK TO a;
DECLARE d CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/s', 0);
FETCH 1 FROM d;
COMMIT;
SELECT 1 / (chunk_id - 3) FROM stream_read_since('scan/s', 0);
-- Backwards only with SCROLL; held past COMMIT, and scrolled there.
BEGIN;
DECLARE plain CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/s', 0, 5);
FETCH 2 FROM plain;
SAVEPOINT a;
FETCH BACKWARD 1 FROM plain;
ROLLBACK TO a;
DECLARE scroll SCROLL CURSOR FOR SELECT chunk_id FROM stream_read_since('scan/s', 0, 5);
FETCH LAST FROM scroll;
FETCH BACKWARD 2 FROM scroll;
FETCH FIRST FROM scroll;
DECLARE held CURSOR WITH HOLD FOR SELECT chunk_id, data FROM stream_read_since('scan/s', 0, 5);
FETCH 2 FROM held;
DECLARE two SCROLL CURSOR WITH HOLD FOR SELECT chunk_id FROM stream_read_since('scan/s', 0, 5);
FETCH 2 FROM two;
COMMIT;
SELECT stream_trim('scan/s', 3);
FETCH ALL FROM held;
FETCH FIRST FROM two;
FETCH ALL FROM two;
CLOSE ALL;

-- In functions: loops that append, that commit, and that continue when their stream is gone.
CREATE PROCEDURE pg_temp.loops(name text) LANGUAGE plpgsql AS $body$
DECLARE
  r record;
  ids bigint[] := '{}';
BEGIN
  FOR r IN SELECT * FROM stream_read_since(name, 0) LOOP
    PERFORM stream_append(name, r.data);
    ids := ids || r.chunk_id;
  END LOOP;
  RAISE NOTICE 'appending: %', ids;
  ids := '{}';
  FOR r IN SELECT * FROM stream_read_since(name, 0) LOOP
    PERFORM stream_append(name, r.data);
    ids := ids || r.chunk_id;
    COMMIT;
  END LOOP;
  RAISE NOTICE 'committing: % of % bytes', ids, length(r.data);
  ids := '{}';
  FOR r IN SELECT * FROM stream_read_since(name, 0) LOOP
    PERFORM stream_delete(name);
    ids := ids || r.chunk_id;
  END LOOP;
  RAISE NOTICE 'deleted: %', ids;
END
$body$;
SELECT stream_append_many('scan/loop', '{a,b}');
CALL pg_temp.loops('scan/loop');
CREATE FUNCTION pg_temp.sql_page(name text, cursor bigint) RETURNS SETOF bigint LANGUAGE sql AS 'SELECT chunk_id FROM stream_read_since($1, $2)';
SELECT pg_temp.sql_page('scan/s', 5) LIMIT 2;
SELECT * FROM pg_temp.sql_page('scan/s', 5), generate_series(1, 2) LIMIT 3;

-- Large chunks stay in the TOAST table until they are used.
SELECT stream_append('scan/large', decode(string_agg(md5(i::text), '' ORDER BY i), 'hex')) FROM generate_series(1, 10000) i;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT data, data AS again FROM stream_read_since('scan/large', 0);
SELECT length(data), md5(data) FROM stream_read_since('scan/large', 0);
COMMIT;
SELECT stream_delete('scan/large');
CREATE FUNCTION pg_temp.held() RETURNS text LANGUAGE plpgsql AS $body$
DECLARE
  c refcursor := 'c';
  r record;
BEGIN
  FETCH c INTO r;
  RETURN pg_catalog.md5(r.data) || ' ' || (r.data = r.again);
END
$body$;
SELECT pg_temp.held();
CLOSE c;

-- Memory does not grow with the page, nor with rescans.
CREATE FUNCTION pg_temp.used() RETURNS bigint LANGUAGE sql AS
  $$SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name IN ('ExecutorState', 'ExprContext', 'PortalContext')$$;
BEGIN;
DECLARE c CURSOR FOR SELECT chunk_id, data, eof FROM stream_read_since('scan/long', 0, null);
MOVE 100 IN c;
SELECT pg_temp.used() AS used \gset
MOVE 2800 IN c;
SELECT pg_temp.used() - :used < 1000 AS steady;
CLOSE c;
DECLARE c CURSOR FOR SELECT chunk_id FROM generate_series(0, 2500) i, stream_read_since('scan/long', i, 1);
MOVE 100 IN c;
SELECT pg_temp.used() AS used \gset
MOVE 2300 IN c;
SELECT pg_temp.used() - :used < 10000 AS steady;
COMMIT;

-- Calls are counted, even if the page is not read to its end.
SET track_functions = 'all';
SELECT count(*) FROM (SELECT 1 FROM stream_read_since('scan/long', 0) LIMIT 5) x;
SELECT count(*) FROM generate_series(0, 2) i, stream_read_since('scan/long', i, 1);
RESET track_functions;
SELECT pg_stat_force_next_flush();
SELECT calls FROM pg_stat_user_functions WHERE funcname = 'stream_read_since';

DEALLOCATE page;
