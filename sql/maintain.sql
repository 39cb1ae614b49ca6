-- MAINTAIN, a privilege of PostgreSQL 17 and newer that GRANT ALL includes, does not let a role lock the tables of pg_rill.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers
SELECT current_setting('server_version_num')::int < 170000 AS too_old \gset
\if :too_old
\quit
\endif
CREATE ROLE regress_rill_maintain;
CREATE SCHEMA regress_rill_maintain AUTHORIZATION regress_rill_maintain;
GRANT MAINTAIN ON stream, stream_state, stream_chunk, stream_producer TO regress_rill_maintain;
SET ROLE regress_rill_maintain;
CREATE TABLE regress_rill_maintain.own (id int CONSTRAINT own_pkey PRIMARY KEY);
VACUUM stream;
VACUUM regress_rill_maintain.own, stream_chunk;
VACUUM (FULL) stream_state;
VACUUM (ANALYZE) stream_producer;
VACUUM (ONLY_DATABASE_STATS);  -- no tables
VACUUM (ONLY_DATABASE_STATS false);
VACUUM;
ANALYZE stream;
ANALYZE stream_chunk (data);
ANALYZE;
CLUSTER stream USING stream_pkey;
CLUSTER;
REINDEX TABLE stream;
REINDEX INDEX stream_pkey;
REINDEX TABLE CONCURRENTLY stream_chunk;
REINDEX INDEX CONCURRENTLY stream_chunk_pkey;
BEGIN;
LOCK TABLE stream;
ROLLBACK;
BEGIN;
LOCK TABLE stream_chunk IN SHARE UPDATE EXCLUSIVE MODE;
ROLLBACK;
-- Statistics are set by functions from PostgreSQL 18 on.
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 180000 THEN
    EXECUTE format('SELECT pg_clear_relation_stats(%L, %L)', (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_rill'), 'stream');
    RAISE 'not refused';
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  IF SQLERRM !~ '^must be owner of table "stream' THEN RAISE; END IF;
END $$;
-- Its own tables.
VACUUM ANALYZE regress_rill_maintain.own;
CLUSTER regress_rill_maintain.own USING own_pkey;
REINDEX SCHEMA regress_rill_maintain;
RESET ROLE;

-- The owner of the extension's schema does not own what is in it.
CREATE SCHEMA regress_rill_other AUTHORIZATION regress_rill_maintain;
SELECT extnamespace::regnamespace AS schema, nspowner::regrole AS owner
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_rill' \gset
ALTER SCHEMA :"schema" OWNER TO regress_rill_maintain;
SET ROLE regress_rill_maintain;
REINDEX SCHEMA :"schema";
REINDEX SCHEMA regress_rill_other;
RESET ROLE;
ALTER SCHEMA :"schema" OWNER TO :"owner";

-- Roles that may maintain every table may maintain these.
GRANT pg_maintain TO regress_rill_maintain;
SET ROLE regress_rill_maintain;
VACUUM stream;
ANALYZE stream_chunk;
REINDEX INDEX stream_pkey;
RESET ROLE;
DROP OWNED BY regress_rill_maintain CASCADE;
DROP ROLE regress_rill_maintain;
