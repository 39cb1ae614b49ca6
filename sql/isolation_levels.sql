-- Isolation levels: a fresh snapshot for each read, or the transaction's own.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('iso/s', '{a,b}');

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT stream_head('iso/s');
SELECT count(*) FROM stream_read_since('iso/s', 0);
-- existing chunks need no wait
SELECT stream_wait('iso/s', 1, null);
SELECT count(*) FROM stream_read_since('iso/s', 1, timeout => null);
SELECT * FROM stream_wait_many('{iso/s}', '{0}', null);
-- timeout 0 returns null
SELECT stream_wait('iso/s', 2, '0') IS NULL AS nothing;
SELECT count(*) FROM stream_read_since('iso/s', 2, timeout => '0');
SELECT count(*) FROM stream_wait_many('{iso/s}', '{2}', '0');
SELECT count(*) FROM stream_read_many('{iso/s}', '{2}', timeout => '0');
-- a wait for a chunk that this snapshot can never show
CALL pg_temp.refused($$SELECT stream_wait('iso/s', 2, '1 s')$$);
CALL pg_temp.refused($$SELECT stream_wait('iso/s', 2, null)$$);
CALL pg_temp.refused($$SELECT stream_wait('iso/none', 0, '1 s')$$);
CALL pg_temp.refused($$SELECT stream_read_since('iso/s', 2, timeout => '1 s')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{iso/s,iso/none}', '{2,0}', timeout => '1 s')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{iso/s,iso/none}', '{2,0}', '1 s')$$);
-- its own appends are visible, even after a savepoint is released
SELECT stream_append('iso/s', 'c');
SELECT stream_wait('iso/s', 2, null), stream_head('iso/s');
SAVEPOINT s;
SELECT stream_append('iso/s', 'rolled back');
ROLLBACK TO s;
SELECT stream_append('iso/s', 'd') > 3 AS higher;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('iso/s', 0);
SELECT stream_close('iso/s') > 4 AS higher;
SELECT stream_wait('iso/s', stream_head('iso/s'), null) = stream_head('iso/s') AS at_eof;
COMMIT;
SELECT convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('iso/s', 0);

-- Rolled-back savepoints of the transaction itself are skipped, although its snapshot considers them in progress.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT stream_head('iso/sub');
DO $$
BEGIN
  FOR i IN 1..20 LOOP
    PERFORM stream_append('iso/sub', convert_to(i::text, 'UTF8'));
    BEGIN
      PERFORM stream_append('iso/sub', 'rolled back');
      RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
SELECT count(*), max(convert_from(data, 'UTF8')::int) FROM stream_read_since('iso/sub', 0);
COMMIT;

BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT stream_append('iso/serial', 'a');
SELECT chunk_id FROM stream_read_since('iso/serial', 0);
SELECT stream_wait('iso/serial', 1, '0') IS NULL AS nothing;
CALL pg_temp.refused($$SELECT stream_wait('iso/serial', 1, '1 s')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{iso/serial}', '{1}', '1 s')$$);
COMMIT;
SELECT stream_head('iso/serial');

BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT chunk_id FROM stream_read_since('iso/serial', 0);
COMMIT;

-- READ COMMITTED waits inside a transaction block.
BEGIN;
SELECT stream_wait('iso/serial', 1, '1 ms') IS NULL AS nothing;
COMMIT;

-- Producers and expected work there as well.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT stream_append('iso/prod', 'a', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('iso/prod', 'a', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('iso/prod', 'b', expected => 1, producer => 'p', producer_epoch => 1, producer_seq => 2);
COMMIT;
SELECT stream_head('iso/prod');
