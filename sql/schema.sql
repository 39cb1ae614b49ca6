-- Schemas and search_path: nothing the extension does depends on the caller's search_path.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT extnamespace::regnamespace AS ext FROM pg_extension WHERE extname = 'pg_rill' \gset
SELECT stream_append('path/s', 'before');

-- Objects of the same names earlier in the path, and operators and functions that raise errors.
CREATE SCHEMA regress_rill_evil;
CREATE FUNCTION regress_rill_evil.trap() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
SET client_min_messages = warning;
DO $$
DECLARE
  op text; a text; name text;
BEGIN
  FOREACH a IN ARRAY ARRAY['bigint', 'int', 'text', 'interval', 'timestamptz', 'name', 'oid'] LOOP
    EXECUTE format('CREATE FUNCTION regress_rill_evil.no(%1$s, %1$s) RETURNS boolean LANGUAGE sql AS ''SELECT regress_rill_evil.trap() IS NULL''', a);
    FOREACH op IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>='] LOOP
      EXECUTE format('CREATE OPERATOR regress_rill_evil.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = regress_rill_evil.no)', op, a);
    END LOOP;
  END LOOP;
  CREATE FUNCTION regress_rill_evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT regress_rill_evil.trap()::text::timestamptz';
  CREATE FUNCTION regress_rill_evil.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT regress_rill_evil.trap()::text::int';
  CREATE TABLE regress_rill_evil.stream (stream_id bigint, name text, owner name, created_at timestamptz);
  CREATE TABLE regress_rill_evil.stream_chunk (stream_id bigint, chunk_id bigint);
  CREATE TABLE regress_rill_evil.stream_producer (stream_id bigint, producer text);
  CREATE TABLE regress_rill_evil.stream_state (stream_id bigint);
  FOREACH name IN ARRAY ARRAY['stream_status(text)', 'stream_size(text)', 'stream_counters()'] LOOP
    EXECUTE format('CREATE FUNCTION regress_rill_evil.%s RETURNS void LANGUAGE sql AS ''SELECT regress_rill_evil.trap()''', name);
  END LOOP;
END $$;
RESET client_min_messages;
CREATE TEMP TABLE stream (trap int);
CREATE TEMP TABLE stream_chunk (trap int);
SET search_path = regress_rill_evil, pg_catalog;
SELECT 1::bigint = 1::bigint;  -- the traps work

CREATE PROCEDURE pg_temp.tour() LANGUAGE plpgsql AS $$
DECLARE
  ext text := (SELECT extnamespace::pg_catalog.regnamespace::text FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'pg_rill');
  call text; result text;
BEGIN
  FOREACH call IN ARRAY ARRAY[
    'stream_append(''path/s'', ''x'')',
    'stream_append(''path/new'', ''x'', expected => 0, producer => ''p'', producer_epoch => 1, producer_seq => 1)',
    'stream_append_many(''path/s'', ''{y,z}'')',
    'stream_append_text(''path/text'', ''x'')', '* FROM EXT.stream_producer_state(''path/new'', ''p'')',
    'stream_try_append(''path/try'', ''{x}'', false, 5)', 'stream_try_append(''path/try'', ''{x}'', writer_seq => ''a'')',
    'stream_try_append(''path/try'', ''{x}'', false, null, ''p'', 1, 1, ''a'')', 'stream_try_append(''path/none'', ''{}'', create_stream => false)',
    'stream_create(''path/created'', ''1 day'', 5, 100, ''1 hour'')',
    'stream_create(''path/created'', ''2 days'')', 'stream_set_limits(''path/created'', ''2 days'')',
    'stream_read_since(''path/s'', 3)',
    'pg_catalog.count(*) FROM EXT.stream_read_many(''{path/s,path/new}'', ''{3,0}'')',
    'stream_wait(''path/s'', 0)', 'stream_wait(''path/s'', 4, ''1 ms'')',
    'stream_wait_many(''{path/s,path/new}'', ''{4,0}'')',
    'stream_head(''path/s'')', 'stream_seek(''path/s'', -1)', 'stream_seek_time(''path/s'', ''infinity'')',
    'stream_verify(''path/s'', 0, 0)', 'stream_close(''path/s'')',
    'head_id FROM EXT.stream_status(''path/s'')', 'stream_size(''path/s'')', 'stream_set_limits(''path/s'', max_chunks => 100)',
    'stream_set_metadata(''path/s'', ''{}'')', 'stream_touch(''path/s'')',
    'count(*) FROM EXT.stream_fetch(''{path/s}'', ''{0}'')',
    'pg_catalog.sum(stream_append) FROM (SELECT EXT.stream_append(''path/prune'', ''x'', producer => ''p'', producer_epoch => 1, producer_seq => i) FROM pg_catalog.generate_series(1, 1280) i) x',
    'name || head_id FROM EXT.stream_info WHERE name OPERATOR(pg_catalog.=) ''path/s''',
    'count(*) FROM EXT.stream_stat'] LOOP
    call := pg_catalog.replace(call, 'EXT.', ext || '.');
    IF pg_catalog.starts_with(call, 'stream_') THEN
      call := ext || '.' || call;
    END IF;
    BEGIN
      FOR result IN EXECUTE 'SELECT x::text FROM (SELECT ' || call || ') x' LOOP
        RAISE NOTICE '%', pg_catalog.regexp_replace(result, ',"+\w+ \w+ \d+ [\d:.]+ \d+ \w+"+(,-?\d+)?', '', 'g');
      END LOOP;
    EXCEPTION WHEN OTHERS THEN
      RAISE NOTICE '%: % %', call, SQLSTATE, SQLERRM;
    END;
  END LOOP;
END $$;
CALL pg_temp.tour();
CALL :ext.stream_await('path/s', 0);
CALL :ext.stream_await_many('{path/s}', '{0}');
SELECT count(*) FROM regress_rill_evil.stream;

-- An empty search_path, and one with a schema that does not exist.
SET search_path = '';
SELECT :ext.stream_append('path/empty', 'x'), :ext.stream_head('path/s');
SET search_path = regress_no_such_schema;
SELECT :ext.stream_append('path/empty', 'y'), :ext.stream_head('path/s');
SELECT name, head_id FROM :ext.stream_info WHERE name = 'path/empty';
RESET search_path;
DROP TABLE pg_temp.stream, pg_temp.stream_chunk;
SET client_min_messages = warning;
DROP SCHEMA regress_rill_evil CASCADE;
RESET client_min_messages;

-- The extension in a schema of its own, in a database of its own.
\set home :DBNAME
CREATE DATABASE regression_rill_schema TEMPLATE template0;
\c regression_rill_schema
CREATE SCHEMA "Rill it";
CREATE EXTENSION pg_rill SCHEMA "Rill it";
SELECT extnamespace::regnamespace, extrelocatable FROM pg_extension WHERE extname = 'pg_rill';
SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace;
SELECT "Rill it".stream_append('s', 'x'), "Rill it".stream_append_many('s', '{y,z}');
SELECT "Rill it".stream_head('s');
SELECT chunk_id FROM "Rill it".stream_read_since('s', 1);
SELECT stream, chunk_id FROM "Rill it".stream_read_many('{s}', '{2}');
CALL "Rill it".stream_await('s', 0);
SELECT "Rill it".stream_set_limits('s', max_chunks => 5), "Rill it".stream_create('t');
SELECT name, head_id, max_chunks FROM "Rill it".stream_info ORDER BY name;
SELECT count(*) FROM "Rill it".stream_stat;
BEGIN;  -- so that no invalidation is received
SELECT "Rill it".stream_listen(), "Rill it".stream_unlisten();
COMMIT;

-- Dropped and created again in the same session: nothing of the old one stays cached.
DROP EXTENSION pg_rill;
SELECT count(*) FROM pg_class WHERE relnamespace = '"Rill it"'::regnamespace;
CREATE SCHEMA other;
CREATE EXTENSION pg_rill SCHEMA other;
SELECT other.stream_head('s');
SELECT other.stream_append('s', 'again');
SELECT convert_from(data, 'UTF8') AS data FROM other.stream_read_since('s', 0);

-- The schema itself may be renamed.
ALTER SCHEMA other RENAME TO renamed;
SELECT renamed.stream_append('s', 'x'), renamed.stream_append('t', 'x'), renamed.stream_set_limits('t', max_chunks => 2);
SELECT name, head_id, max_chunks FROM renamed.stream_info ORDER BY name;
\c :home
DROP DATABASE regression_rill_schema WITH (FORCE);
