-- stream_delete: a tombstone keeps the last id; a stream created again continues with higher ids.
SET bytea_output = 'escape';
SELECT stream_append_many('del', ARRAY['a', 'b', 'c']::bytea[]);
SELECT stream_append('del', 'd', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_delete('del');
SELECT stream_delete('del');
SELECT stream_delete('del-none');
SELECT count(*) FROM stream_info WHERE name = 'del';
SELECT count(*) FROM stream_chunk c JOIN stream s USING (stream_id) WHERE s.name = 'del';
SELECT count(*) FROM stream_producer p JOIN stream s USING (stream_id) WHERE s.name = 'del';

-- gone is gone
SELECT * FROM stream_read_since('del', 0);
SELECT * FROM stream_read_since('del', 4);
SELECT stream_head('del'), stream_seek('del', 1), stream_trim('del', 10), stream_wait('del', 0, '0');
SELECT stream_verify('del', 4, 0);

-- again
SELECT stream_append('del', 'e');
SELECT chunk_id, data FROM stream_read_since('del', 0);
SELECT chunk_id, data FROM stream_read_since('del', 4);
SELECT chunk_id, data FROM stream_read_since('del', 3);
SELECT stream_verify('del', 4, 0);
SELECT stream_verify('del', 5, epoch) FROM stream_read_since('del', 4);
SELECT stream_append('del', 'f', producer => 'p', producer_epoch => 1, producer_seq => 1);

-- twice more: the highest id counts
SELECT stream_delete('del');
SELECT stream_create('del', max_age => '1 day');
SELECT stream_head('del');
SELECT stream_delete('del');
SELECT stream_append('del', 'g');

-- a closed stream can be deleted, and is open when created again
SELECT stream_close('del'), stream_delete('del'), stream_append('del', 'h');

-- rolled back
BEGIN;
SELECT stream_delete('del');
SELECT stream_append('del', 'i');
SELECT chunk_id FROM stream_read_since('del', 0);
ROLLBACK;
SELECT chunk_id, data FROM stream_read_since('del', 0);
SELECT stream_append('del', 'j');

-- limits are not inherited
SELECT stream_create('del-limits', max_chunks => 5);
SELECT stream_delete('del-limits'), stream_append('del-limits', 'x');
SELECT max_chunks FROM stream_info WHERE name = 'del-limits';
SELECT stream_delete(NULL);
SELECT stream_delete('');
