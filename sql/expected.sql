-- expected: appends only if the stream is as the caller knows it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

-- 0 is a stream that has never held a chunk: it does not exist, or it is still empty.
SELECT stream_append('exp/s', 'a', expected => 0);
CALL pg_temp.refused($$SELECT stream_append('exp/s', 'a', expected => 0)$$);
SELECT stream_create('exp/created');
SELECT stream_append('exp/created', 'a', expected => 0);
CALL pg_temp.refused($$SELECT stream_append('exp/new', 'a', expected => 1)$$);
SELECT count(*) FROM stream WHERE name = 'exp/new';

-- DETAIL has the highest id stored.
SELECT stream_append('exp/s', 'b', expected => 1);
CALL pg_temp.refused($$SELECT stream_append('exp/s', 'c', expected => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('exp/s', 'c', expected => 9223372036854775807)$$);
SELECT stream_append('exp/s', 'c', expected => 2);
SELECT stream_append('exp/s', 'd', expected => null);  -- unconditional
SELECT stream_head('exp/s');

-- A batch is compared once, before its first chunk.
SELECT stream_append_many('exp/s', '{e,f}', expected => 4);
CALL pg_temp.refused($$SELECT stream_append_many('exp/s', '{g,h}', expected => 4)$$);
SELECT stream_append_many('exp/s', '{}', expected => 4);  -- nothing to store, nothing to compare
SELECT stream_append_many('exp/s', '{g}', expected => 6, eof => true);

-- A closed stream fails with RL001, whatever is expected.
CALL pg_temp.refused($$SELECT stream_append('exp/s', 'x', expected => 7)$$);
CALL pg_temp.refused($$SELECT stream_append('exp/s', 'x', expected => 1)$$);

-- Rolled-back ids are a gap, not a mismatch; the caller's own open appends count.
SELECT stream_append('exp/gap', 'a');
BEGIN;
SELECT stream_append('exp/gap', 'rolled back');
ROLLBACK;
SELECT stream_append('exp/gap', 'b', expected => 1) > 1 AS higher;
BEGIN;
SELECT stream_append('exp/own', 'a'), stream_append('exp/own', 'b');
SELECT stream_append('exp/own', 'c', expected => 2);
SAVEPOINT s;
SELECT stream_append('exp/own', 'd', expected => 3);
ROLLBACK TO s;
SELECT stream_append('exp/own', 'e', expected => 3) > 3 AS higher;
COMMIT;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('exp/own', 0);

-- A rolled-back first append to a new stream leaves nothing behind.
BEGIN;
SELECT stream_append('exp/first', 'a', expected => 0);
ROLLBACK;
SELECT stream_append('exp/first', 'a', expected => 0) >= 1 AS stored;
