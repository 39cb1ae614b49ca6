-- Appending: ids, batches, the end of a stream.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append('append/a', 'hello');
SELECT stream_append('append/a', '\x0001ff'::bytea);
SELECT stream_append('append/a', '');  -- an empty chunk is a chunk
SELECT chunk_id, data, eof, appended_at <= clock_timestamp() AS past, epoch = lag(epoch, 1, epoch) OVER () AS same_run
  FROM stream_read_since('append/a', 0);

-- Each stream has its own ids.
SELECT stream_append('append/b', 'x'), stream_append('append/a', 'y'), stream_append('append/b', 'z');

-- A batch has consecutive ids, in the order of its elements; the last one is returned.
SELECT stream_append_many('append/many', ARRAY['one', 'two', 'three']::bytea[]);
SELECT stream_append_many('append/many', '{four}');
SELECT stream_append_many('append/many', ARRAY['six', 'seven']::bytea[], eof => true);
SELECT chunk_id, convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('append/many', 0);

-- The lower bound of the array does not matter.
SELECT stream_append_many('append/bound', '[5:6]={a,b}');
SELECT chunk_id, convert_from(data, 'UTF8') AS data FROM stream_read_since('append/bound', 0);

-- An empty array stores nothing, returns null and does not create the stream.
SELECT stream_append_many('append/empty', '{}');
SELECT stream_append_many('append/empty', '{}', eof => true);
SELECT stream_append_many('append/a', '{}');
SELECT count(*) FROM stream WHERE name = 'append/empty';
SELECT stream_head('append/a');

-- Larger than one round of the server's multi-insert.
SELECT stream_append_many('append/big', array_agg(convert_to(i::text, 'UTF8') ORDER BY i)) FROM generate_series(1, 1000) i;
SELECT count(*), min(chunk_id), max(chunk_id), bool_and(convert_from(data, 'UTF8') = chunk_id::text) AS right_data
  FROM stream_read_since('append/big', 0);

-- The end: eof marks the chunk; nothing can follow it.
SELECT stream_append('append/eof', 'first');
SELECT stream_append('append/eof', 'last', true);
SELECT chunk_id, convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('append/eof', 0);
CALL pg_temp.refused($$SELECT stream_append('append/eof', 'more')$$);
CALL pg_temp.refused($$SELECT stream_append('append/eof', 'more', eof => true)$$);
CALL pg_temp.refused($$SELECT stream_append_many('append/eof', '{more,more}')$$);
CALL pg_temp.refused($$SELECT stream_append('append/many', 'more')$$);
SELECT stream_append_many('append/eof', '{}');  -- appends nothing, so there is nothing to refuse
SELECT stream_head('append/eof');

-- Closing stores one empty chunk; closing a closed stream returns the id of its EOF, however it was closed.
SELECT stream_append('append/close', 'x');
SELECT stream_close('append/close');
SELECT stream_close('append/close');
SELECT chunk_id, data, eof FROM stream_read_since('append/close', 0);
SELECT stream_close('append/eof');
SELECT stream_close('append/many');
CALL pg_temp.refused($$SELECT stream_append('append/close', 'more')$$);

-- A stream that does not exist is created and closed at once.
SELECT stream_close('append/nothing');
SELECT first_id, head_id, last_data_id, closed, chunks, bytes FROM stream_status('append/nothing'), stream_size('append/nothing');

-- Created streams, and a second creation.
SELECT stream_create('append/created');
SELECT stream_create('append/created');
SELECT stream_head('append/created'), stream_append('append/created', 'x');
SELECT stream_create('append/kept', max_age => '1 day', max_chunks => 10, max_bytes => 1000, delete_after_close => '1 hour');
SELECT max_age, max_chunks, max_bytes, delete_after_close FROM stream_info WHERE name = 'append/kept';
SELECT stream_create('append/kept', max_chunks => 20);  -- it is there, and left as it is
SELECT max_age, max_chunks, max_bytes, delete_after_close FROM stream_info WHERE name = 'append/kept';
SELECT stream_set_limits('append/kept', max_chunks => 20);  -- limits that are not given are removed
SELECT max_age, max_chunks, max_bytes, delete_after_close FROM stream_info WHERE name = 'append/kept';

-- Within one statement and one transaction.
SELECT array_agg(stream_append('append/loop', 'x') ORDER BY i) FROM generate_series(1, 5) i;
BEGIN;
SELECT stream_append('append/tx', 'a'), stream_append('append/tx', 'b');
SELECT stream_head('append/tx');
COMMIT;
SELECT stream_head('append/tx');

-- A rolled-back append may leave a gap; the stream that it created does not exist.
BEGIN;
SELECT stream_append('append/rolled', 'x');
SELECT stream_close('append/rolled');
ROLLBACK;
SELECT count(*) FROM stream WHERE name = 'append/rolled';
SELECT stream_append('append/rolled', 'y');
BEGIN;
SELECT stream_append('append/tx', 'c') > 2 AS higher;
SELECT stream_close('append/tx') > 3 AS higher;
ROLLBACK;
SELECT stream_append('append/tx', 'd') > 2 AS higher;
SELECT convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('append/tx', 0);

-- Data from the caller's own table.
CREATE TEMP TABLE jobs (id int PRIMARY KEY, chunk bigint);
INSERT INTO jobs SELECT i, stream_append('append/jobs', convert_to('job ' || i, 'UTF8')) FROM generate_series(1, 3) i RETURNING *;
