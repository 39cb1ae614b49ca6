-- stream_producer_begin: a new epoch above all earlier ones, and what was accepted before it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

PREPARE produce(bigint, bigint) AS
  SELECT outcome, chunk_id, producer_epoch, producer_seq FROM
    stream_try_append('begin/s', '{x}', producer => 'p', producer_epoch => $1, producer_seq => $2);

-- Creates the stream. A producer that has appended nothing is not known by it.
SELECT * FROM stream_producer_begin('begin/s', 'p');
SELECT head_id, closed FROM stream_status('begin/s');
SELECT * FROM stream_producer_state('begin/s', 'p');
EXECUTE produce(0, 2);
EXECUTE produce(0, 1);
EXECUTE produce(0, 2);
SELECT * FROM stream_producer_begin('begin/s', 'p');
SELECT * FROM stream_producer_state('begin/s', 'p');

-- The earlier epoch is fenced off, its repeats too, before the new one has appended anything.
EXECUTE produce(0, 2);
EXECUTE produce(0, 3);

-- Epochs that have appended nothing are passed over.
SELECT * FROM stream_producer_begin('begin/s', 'p');
SELECT * FROM stream_producer_begin('begin/s', 'p');
EXECUTE produce(2, 1);
EXECUTE produce(3, 2);
EXECUTE produce(3, 1);
SELECT * FROM stream_producer_begin('begin/s', 'p');

-- Each producer has its own.
SELECT * FROM stream_producer_begin('begin/s', 'q');

-- Rolled back, it has not begun.
BEGIN;
SELECT * FROM stream_producer_begin('begin/s', 'p');
SAVEPOINT s;
SELECT * FROM stream_producer_begin('begin/s', 'p');
ROLLBACK TO s;
SELECT * FROM stream_producer_state('begin/s', 'p');
ROLLBACK;
SELECT * FROM stream_producer_state('begin/s', 'p');
EXECUTE produce(4, 1);

-- An epoch of one's own choice counts. There is none above the highest.
EXECUTE produce(1000000000000, 1);
SELECT * FROM stream_producer_begin('begin/s', 'p');
EXECUTE produce(9223372036854775807, 1);
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', 'p')$$);

-- A closed stream; one that was deleted and created again.
SELECT stream_append('begin/closed', 'a', eof => true, producer => 'p', producer_epoch => 7, producer_seq => 1);
SELECT * FROM stream_producer_begin('begin/closed', 'p');
SELECT stream_delete('begin/closed');
SELECT * FROM stream_producer_begin('begin/closed', 'p');

-- Rows of earlier epochs are removed, by an epoch that begins and by the first append of one: however often a producer is
-- started, and however little each instance appends.
DO $$
DECLARE begun record;
BEGIN
  FOR i IN 0 .. 21 LOOP
    SELECT * INTO begun FROM stream_producer_begin('begin/restarts', 'p');
    FOR n IN 1 .. CASE WHEN i < 18 THEN i % 3 ELSE 0 END LOOP
      PERFORM stream_append('begin/restarts', 'x', producer => 'p', producer_epoch => begun.producer_epoch, producer_seq => n);
    END LOOP;
  END LOOP;
  RAISE NOTICE '%', begun;
END $$;
SELECT producer, epoch, seq, chunk_id FROM stream_producer JOIN stream USING (stream_id) WHERE name = 'begin/restarts' ORDER BY 1, 2, 3;
SELECT count(*) FROM generate_series(101, 120) i,
  LATERAL stream_try_append('begin/restarts', '{x}', producer => 'own', producer_epoch => i, producer_seq => 1) WHERE outcome = 'stored';
BEGIN;
SELECT * FROM stream_producer_begin('begin/restarts', 'own');
SELECT outcome FROM stream_try_append('begin/restarts', '{x}', producer => 'own', producer_epoch => 121, producer_seq => 1);
ROLLBACK;
SELECT outcome, chunk_id FROM stream_try_append('begin/restarts', '{x}', producer => 'own', producer_epoch => 120, producer_seq => 1);
SELECT producer, epoch, seq, chunk_id FROM stream_producer JOIN stream USING (stream_id) WHERE name = 'begin/restarts' ORDER BY 1, 2, 3;

-- Arguments and rights.
CALL pg_temp.refused($$SELECT stream_producer_begin(null, 'p')$$);
CALL pg_temp.refused($$SELECT stream_producer_begin('', 'p')$$);
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', null)$$);
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', '')$$);
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', repeat('p', 513))$$);
BEGIN TRANSACTION READ ONLY;
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', 'p')$$);
ROLLBACK;
CREATE ROLE begin_reader;
GRANT SELECT ON stream TO begin_reader;
SET ROLE begin_reader;
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/s', 'p')$$);
CALL pg_temp.refused($$SELECT stream_producer_begin('begin/none', 'p')$$);
RESET ROLE;
REVOKE SELECT ON stream FROM begin_reader;
DROP ROLE begin_reader;

-- A column of one's own, with a default, and an index.
BEGIN;
ALTER TABLE stream_producer ADD COLUMN note text DEFAULT 'n';
CREATE INDEX producer_note ON stream_producer (note, seq);
SELECT * FROM stream_producer_begin('begin/added', 'p');
SELECT * FROM stream_producer_begin('begin/added', 'p');
SELECT p.epoch, p.seq, p.chunk_id, p.note FROM stream_producer p JOIN stream USING (stream_id) WHERE name = 'begin/added' ORDER BY 1;
ROLLBACK;
