-- Cursors that do not belong to the stream (RL003, RL007), and stream_verify. trim.sql covers RL002.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('cursor/s', '{a,b,c}');

-- Above the highest id ever given: RL003 from every function that reads.
CALL pg_temp.refused($$SELECT stream_read_since('cursor/s', 4)$$);
CALL pg_temp.refused($$SELECT stream_read_since('cursor/s', 9223372036854775807, timeout => null)$$);
CALL pg_temp.refused($$SELECT stream_wait('cursor/s', 4, '0')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{cursor/s}', '{4}')$$);
SELECT * FROM stream_wait_many('{cursor/s}', '{4}', '0');
SELECT sqlstate, message FROM stream_fetch('{cursor/s}', '{4}');

-- Ids that were given but not committed are not ahead: rolled-back ids, and those of open savepoints.
BEGIN;
SELECT stream_append_many('cursor/s', '{x,y}');
ROLLBACK;
SELECT count(*) FROM stream_read_since('cursor/s', 5);
SELECT stream_wait('cursor/s', 4, '0') IS NULL AS nothing;
CALL pg_temp.refused($$SELECT stream_read_since('cursor/s', 6)$$);

-- No such stream, at a cursor above 0: RL007.
CALL pg_temp.refused($$SELECT stream_read_since('cursor/none', 1)$$);
CALL pg_temp.refused($$SELECT stream_wait('cursor/none', 1, '0')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{cursor/none}', '{1}')$$);
SELECT * FROM stream_wait_many('{cursor/none}', '{1}', '0');
CALL pg_temp.refused($$SELECT stream_verify('cursor/none', 1, 0)$$);
SELECT sqlstate, message FROM stream_fetch('{cursor/none}', '{1}');

-- Verify: cursor 0 and the right epoch are true; another epoch, or an id that is not here, is RL003.
SELECT stream_verify('cursor/none', 0, 0), stream_verify('cursor/s', 0, 17);
SELECT r.chunk_id, stream_verify('cursor/s', r.chunk_id, r.epoch) FROM stream_read_since('cursor/s', 0) r;
DO $$
DECLARE
  chunk record;
BEGIN
  FOR chunk IN SELECT * FROM stream_read_since('cursor/s', 0) LOOP
    CALL pg_temp.refused(format('SELECT stream_verify(''cursor/s'', %s, %s)', chunk.chunk_id, chunk.epoch # 1));
  END LOOP;
END $$;
CALL pg_temp.refused($$SELECT stream_verify('cursor/s', 4, 0)$$);  -- an id that was rolled back was never read
CALL pg_temp.refused($$SELECT stream_verify('cursor/s', 400, 0)$$);
SELECT stream_create('cursor/created');
SELECT stream_verify('cursor/created', 0, 0);
CALL pg_temp.refused($$SELECT stream_verify('cursor/created', 1, 0)$$);

-- The EOF, too.
SELECT stream_close('cursor/closed');
SELECT stream_verify('cursor/closed', r.chunk_id, r.epoch) FROM stream_read_since('cursor/closed', 0) r;

-- One run of a server writes a stream with one epoch; different streams have different epochs.
SELECT count(DISTINCT epoch) FROM stream_read_since('cursor/s', 0);
SELECT count(DISTINCT r.epoch) > 1 AS mixed FROM stream s, stream_read_since(s.name, 0, 1) r WHERE s.name LIKE 'cursor/%';

-- A chunk of a running transaction can be verified by itself, but not by others.
BEGIN;
SELECT stream_append('cursor/own', 'a');
SELECT stream_verify('cursor/own', chunk_id, epoch) FROM stream_read_since('cursor/own', 0);
ROLLBACK;
