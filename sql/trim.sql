-- stream_trim: what is removed, what stays, and ids that continue.
SET bytea_output = 'escape';
SELECT stream_append_many('trim', ARRAY['a', 'b', 'c', 'd', 'e']::bytea[]);
SELECT stream_trim('trim', 0), stream_trim('trim', 1), stream_trim('trim', 3), stream_trim('trim', 3), stream_trim('trim', 2);
SELECT chunk_id, data FROM stream_read_since('trim', 0);
SELECT first_id, head_id, trimmed_through, chunks, bytes FROM stream_status('trim'), stream_size('trim');
SELECT stream_seek('trim', 0), stream_seek('trim', 1), stream_seek('trim', -1), stream_seek('trim', -100), stream_head('trim');

-- cursors: RL002 before the last trimmed id, valid at it
SELECT chunk_id FROM stream_read_since('trim', 1);
SELECT stream_wait('trim', 1, '0');
SELECT * FROM stream_read_many(ARRAY['trim'], ARRAY[1]);
SELECT count(*) FROM stream_read_since('trim', 2);
SELECT stream_verify('trim', 2, 0);
SELECT stream_verify('trim', 1, 0);

-- everything; ids continue; expected counts trimmed ids
SELECT stream_trim('trim', 9223372036854775807);
SELECT * FROM stream_read_since('trim', 0);
SELECT first_id, head_id, last_data_id, chunks, bytes, closed FROM stream_status('trim'), stream_size('trim');
SELECT stream_append('trim', 'f', expected => 5);
SELECT stream_append('trim', 'g', expected => 5);

-- an EOF stays
SELECT stream_close('trim');
SELECT stream_trim('trim', 100);
SELECT chunk_id, eof FROM stream_read_since('trim', 0);
SELECT stream_append('trim', 'h');
SELECT stream_close('trim');
SELECT stream_append('last', 'with data', eof => true), stream_trim('last', 100);
SELECT chunk_id, data, eof FROM stream_read_since('last', 0);

-- in a transaction, with its own chunks, and rolled back
BEGIN;
SELECT stream_append_many('trim-own', ARRAY['a', 'b', 'c']::bytea[]);
SAVEPOINT one;
SELECT stream_trim('trim-own', 3);
SELECT chunk_id FROM stream_read_since('trim-own', 0);
ROLLBACK TO one;
SELECT count(*) FROM stream_read_since('trim-own', 0);
SELECT stream_trim('trim-own', 2);
COMMIT;
SELECT chunk_id FROM stream_read_since('trim-own', 0);

-- a stream that does not exist has nothing to trim
SELECT stream_trim('trim-none', 100);
SELECT stream_trim('trim', -1);
SELECT stream_trim('trim', NULL);
SELECT stream_trim(NULL, 1);
