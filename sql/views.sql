-- The views: their columns and contents.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT attrelid::regclass::text AS view, attnum, attname, format_type(atttypid, atttypmod) AS type
  FROM pg_attribute WHERE attrelid IN ('stream_info'::regclass, 'stream_stat'::regclass) AND attnum > 0 ORDER BY 1, 2;

-- They run with the caller's privileges.
SELECT relname, reloptions FROM pg_class WHERE oid IN ('stream_info'::regclass, 'stream_stat'::regclass) ORDER BY relname;

SELECT stream_append_many('view/s', '{a,bb,"",dddd}');
SELECT stream_create('view/empty');
SELECT stream_append('view/closed', 'a'), stream_close('view/closed');
BEGIN;
SELECT stream_append('view/gap', 'a');
ROLLBACK;
SELECT stream_create('view/gap');
BEGIN;
SELECT stream_append('view/gap', 'a');
ROLLBACK;
SELECT stream_append('view/gap', 'b') AS gap \gset

SELECT name, first_id, head_id, last_data_id, closed, trimmed_through, metadata, waiters, max_chunks FROM stream_info
 WHERE name LIKE 'view/%' AND name <> 'view/gap' ORDER BY name;
SELECT first_id = :gap AS first, head_id = :gap AS head FROM stream_info WHERE name = 'view/gap';
SELECT name, created_at <= first_at AS created, first_at <= last_at AS ordered, last_at <= clock_timestamp() AS past FROM stream_info
 WHERE name LIKE 'view/%' ORDER BY name;
SELECT i.name, i.first_at = min(r.appended_at) AS first, i.last_at = max(r.appended_at) AS last, s.chunks = count(*) FILTER (WHERE NOT r.eof OR length(r.data) > 0) AS chunks, s.bytes = sum(length(r.data)) AS bytes
  FROM stream_info i, stream_size(i.name) s, stream_read_since(i.name, 0) r WHERE i.name LIKE 'view/%' GROUP BY i.name, i.first_at, i.last_at, s.chunks, s.bytes ORDER BY 1;
SELECT * FROM stream_size('view/s', 2);
-- By prefix the index is used, and only the streams selected are looked at.
SET enable_seqscan = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;  -- whether it is cheaper depends on when the table was vacuumed
EXPLAIN (COSTS OFF) SELECT closed FROM stream_info WHERE name ^@ 'view/c';
RESET enable_seqscan;
RESET enable_indexscan;
RESET enable_indexonlyscan;
SELECT i.stream_id = s.stream_id AS same FROM stream_info i JOIN stream s USING (name) WHERE name = 'view/s';

-- The functions behind it, for a stream that does not exist.
\x
SELECT * FROM stream_status('view/none');
\x
SELECT * FROM stream_size('view/none');

-- One row for the database; counters do not decrease.
SELECT count(*) FROM stream_stat;
SELECT wakeups >= 0 AND queued >= 0 AND coalesced >= 0 AND notifies >= 0 AND overflows >= 0 AND rescues >= 0 AS counted,
       cached_streams > 0 AS cached, stats_since <= now() AS since, notifier_state IN ('absent', 'starting', 'running') AS state,
       (notifier_pid IS NULL) = (notifier_started_at IS NULL) AS notifier FROM stream_stat;
SELECT rescues AS before FROM stream_stat \gset
SELECT stream_wait('view/none', 0, '1 ms') IS NULL AS nothing;
SELECT rescues = :before AS same FROM stream_stat;  -- a timeout is not a rescue

-- The views are read-only.
CALL pg_temp.refused($$DELETE FROM stream_info WHERE name = 'view/s'$$);
CALL pg_temp.refused($$INSERT INTO stream_stat DEFAULT VALUES$$);
