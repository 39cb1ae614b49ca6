-- Plans: no call is folded, inlined, repeated or sent to a parallel worker.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('plan/s', '{a,b,c}');

-- Every function that accesses streams is volatile and parallel unsafe; none is strict, so nulls are reported.
SELECT p.proname, p.provolatile, p.proparallel, p.proisstrict
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill'
 WHERE p.provolatile <> 'v' OR p.proparallel <> 'u' OR p.proisstrict;

-- Not run while planning, not run by EXPLAIN.
EXPLAIN (COSTS OFF) SELECT stream_append('plan/explained', 'x');
EXPLAIN (COSTS OFF) SELECT * FROM stream_read_since('plan/s', 0) WHERE chunk_id > 1;
EXPLAIN (COSTS OFF) SELECT stream_wait('plan/s', 3, null);
SELECT count(*) FROM stream WHERE name = 'plan/explained';

-- Not moved, dropped or repeated.
SELECT count(*) FROM (SELECT stream_append('plan/each', 'x') FROM generate_series(1, 3) OFFSET 0) x;
SELECT stream_head('plan/each');
SELECT count(*) FROM generate_series(1, 3) WHERE stream_append('plan/where', 'x') > 0;
SELECT stream_head('plan/where');
PREPARE again AS SELECT stream_append('plan/again', 'x');
EXECUTE again; EXECUTE again; EXECUTE again; EXECUTE again; EXECUTE again; EXECUTE again;
DEALLOCATE again;

-- Forced parallelism leaves them in the leader.
CREATE TABLE plan_rows AS SELECT i FROM generate_series(1, 1000) i;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM plan_rows WHERE i > stream_head('plan/s');
SELECT count(*) FROM plan_rows WHERE i > stream_head('plan/s');
SELECT count(stream_append('plan/parallel', 'x')) FROM plan_rows;
SELECT count(*) FROM stream_read_since('plan/parallel', 0, null) r JOIN plan_rows ON i = chunk_id;
ROLLBACK;
DROP TABLE plan_rows;

-- A change while a page is being fetched does not affect the page.
BEGIN;
DECLARE c CURSOR FOR SELECT chunk_id, stream_append('plan/feedback', data) FROM stream_read_since('plan/s', 0);
FETCH ALL FROM c;
COMMIT;
SELECT count(stream_append('plan/s', data)) FROM stream_read_since('plan/s', 0);
SELECT stream_head('plan/s');

-- In views, materialised CTEs, lateral joins.
CREATE TEMP VIEW heads AS SELECT name, stream_head(name) AS head FROM stream WHERE name LIKE 'plan/%';
SELECT * FROM heads ORDER BY name;
WITH page AS MATERIALIZED (SELECT * FROM stream_read_since('plan/s', 4)) SELECT count(*) FROM page a, page b;
