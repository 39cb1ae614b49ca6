-- 10,000 idle streams in one call take one pass over the id cache: for streams that this session has appended to, read
-- or waited for, no index is searched.
-- A vacuum in between would cause new lookups.
ALTER TABLE stream SET (autovacuum_enabled = false);
ALTER TABLE stream_chunk SET (autovacuum_enabled = false);
CREATE TEMP TABLE idle AS SELECT 'idle/' || i AS stream, stream_append('idle/' || i, 'x') AS id FROM generate_series(1, 10000) i;
-- The counters restart when the session reports its statistics, so only differences within one transaction are valid.
CREATE FUNCTION pg_temp.index_scans() RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(pg_stat_get_xact_numscans(indexrelid)) FROM pg_index WHERE indrelid IN ('stream'::regclass, 'stream_chunk'::regclass)
$$;
SELECT array_agg(stream) AS streams, array_agg(id) AS ids FROM idle \gset

BEGIN;
SELECT pg_temp.index_scans() AS before \gset
SELECT count(*) FROM stream_wait_many(:'streams', :'ids', '0');
SELECT count(*) FROM stream_read_many(:'streams', :'ids');
SELECT count(*) FROM stream_fetch(:'streams', :'ids');
SELECT stream_wait('idle/1', 1, '0');
SELECT count(*) FROM stream_read_since('idle/1', 1);
SELECT pg_temp.index_scans() - :before AS "index scans";
COMMIT;

-- One that moves is found among them.
SELECT stream_append('idle/5000', 'y');
BEGIN;
SELECT pg_temp.index_scans() AS before \gset
SELECT * FROM stream_wait_many(:'streams', :'ids');
SELECT pg_temp.index_scans() - :before < 10 AS "for a few index scans";
COMMIT;

-- A change of privileges, names or policies causes new lookups.
ALTER TABLE stream RESET (autovacuum_enabled);
ALTER TABLE stream_chunk RESET (autovacuum_enabled);
BEGIN;
SELECT pg_temp.index_scans() AS before \gset
SELECT count(*) FROM stream_wait_many(:'streams', :'ids');
SELECT pg_temp.index_scans() - :before >= 10000 AS "looked up again";
COMMIT;
SELECT count(stream_delete(stream)) FROM idle;

-- A wait returns the head of a long backlog without reading all of it, even in a session that is new to the stream,
-- provided that another session has read it before.
SELECT stream_append_many('idle/backlog', array_fill('x'::bytea, ARRAY[5000])), stream_append('idle/other', 'x');
SELECT count(*) FROM stream_read_since('idle/backlog', 0, null);
\c -
CREATE FUNCTION pg_temp.fetched() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_stat_get_xact_tuples_fetched('stream_chunk_pkey'::regclass) $$;
BEGIN;
SELECT pg_temp.fetched() AS before \gset
SELECT stream_wait('idle/backlog', 0);
SELECT stream_wait('idle/backlog', 10);
SELECT pg_temp.fetched() - :before < 20 AS "a few rows read";
COMMIT;
\c -
CREATE FUNCTION pg_temp.fetched() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_stat_get_xact_tuples_fetched('stream_chunk_pkey'::regclass) $$;
BEGIN;
SELECT pg_temp.fetched() AS before \gset
SELECT * FROM stream_wait_many('{idle/backlog,idle/other}', '{0,0}');
SELECT pg_temp.fetched() - :before < 20 AS "a few rows read";
COMMIT;
-- Under REPEATABLE READ what others have read says nothing.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_temp.fetched() AS before \gset
SELECT stream_wait('idle/backlog', 0);
SELECT pg_temp.fetched() - :before >= 5000 AS "every row read";
COMMIT;
SELECT stream_delete('idle/backlog'), stream_delete('idle/other');
