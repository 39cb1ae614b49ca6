-- Read-only transactions: writes fail with 25006, reads work.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('ro/s', '{a,b}');
BEGIN READ ONLY;
CALL pg_temp.refused($$SELECT stream_append('ro/s', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append('ro/new', 'x', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append_many('ro/s', '{x,y}')$$);
CALL pg_temp.refused($$SELECT stream_close('ro/s')$$);
CALL pg_temp.refused($$SELECT stream_create('ro/new')$$);
CALL pg_temp.refused($$SELECT stream_create('ro/s', max_chunks => 1)$$);
CALL pg_temp.refused($$SELECT stream_trim('ro/s', 2)$$);
CALL pg_temp.refused($$SELECT stream_delete('ro/s')$$);
CALL pg_temp.refused($$SELECT stream_delete('ro/none')$$);
SELECT chunk_id FROM stream_read_since('ro/s', 0);
SELECT chunk_id FROM stream_read_since('ro/s', 2, timeout => '1 ms');
SELECT stream, chunk_id FROM stream_read_many('{ro/s}', '{1}', timeout => '1 ms');
SELECT stream_wait('ro/s', 1), stream_wait('ro/s', 2, '1 ms') IS NULL AS nothing;
SELECT * FROM stream_wait_many('{ro/s}', '{0}');
SELECT stream_head('ro/s'), stream_seek('ro/s', 1), stream_seek_time('ro/s', 'infinity');
SELECT stream_verify('ro/s', chunk_id, epoch) FROM stream_read_since('ro/s', 1);
SELECT n FROM stream_fetch('{ro/s}', '{0}');
SELECT * FROM stream_producer_state('ro/s', 'p');
SELECT name, head_id FROM stream_info WHERE name = 'ro/s';
SELECT * FROM stream_size('ro/s');
SELECT waiters FROM stream_stat;
COMMIT;

SET default_transaction_read_only = on;
CALL stream_await('ro/s', 0);
CALL stream_await('ro/s', 2, '1 ms');
CALL stream_await_many('{ro/s}', '{0}');
CALL pg_temp.refused($$SELECT stream_append('ro/s', 'x')$$);
RESET default_transaction_read_only;
SELECT stream_head('ro/s');
