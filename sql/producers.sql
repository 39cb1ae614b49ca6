-- Producers: an append with a name, an epoch and a sequence is stored once.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

PREPARE produce(text, int, bigint, text) AS
  SELECT stream_append('prod/s', convert_to($4, 'UTF8'), producer => $1, producer_epoch => $2, producer_seq => $3);

EXECUTE produce('p', 1, 1, 'a');
EXECUTE produce('p', 1, 2, 'b');
EXECUTE produce('p', 1, 3, 'c');
SELECT stream_append('prod/s', 'between');

-- A repeat stores nothing and returns the first one's id; its data is not compared.
EXECUTE produce('p', 1, 3, 'c');
EXECUTE produce('p', 1, 2, 'something else');
EXECUTE produce('p', 1, 1, 'a');
SELECT stream_head('prod/s');

-- Each append is the last one plus 1.
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'p', producer_epoch => 1, producer_seq => 5)$$);
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'p', producer_epoch => 1, producer_seq => 9223372036854775807)$$);
EXECUTE produce('p', 1, 4, 'd');

-- A new epoch starts at sequence 1 and fences off older epochs, repeats included.
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'p', producer_epoch => 2, producer_seq => 5)$$);
EXECUTE produce('p', 1, 4, 'd');
EXECUTE produce('p', 7, 1, 'e');
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'p', producer_epoch => 1, producer_seq => 5)$$);
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'd', producer => 'p', producer_epoch => 1, producer_seq => 4)$$);
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'p', producer_epoch => 6, producer_seq => 1)$$);
EXECUTE produce('p', 7, 2, 'f');
EXECUTE produce('p', 7, 1, 'e');

-- The first append of a producer: sequence 1, whatever the epoch.
CALL pg_temp.refused($$SELECT stream_append('prod/s', 'x', producer => 'late', producer_epoch => 3, producer_seq => 2)$$);
EXECUTE produce('late', 2147483647, 1, 'g');
EXECUTE produce('zero', 0, 1, 'h');
EXECUTE produce('zero', 0, 1, 'h');

-- Sequences are counted per stream and producer.
SELECT stream_append('prod/other', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('prod/s', 'y', producer => 'P', producer_epoch => 1, producer_seq => 1);
SELECT chunk_id, convert_from(data, 'UTF8') AS data FROM stream_read_since('prod/s', 0);

-- A batch is one sequence, and its repeat returns its last id; an empty one uses none.
SELECT stream_append_many('prod/batch', '{a,b,c}', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append_many('prod/batch', '{}', producer => 'p', producer_epoch => 1, producer_seq => 2);
SELECT stream_append_many('prod/batch', '{d,e}', producer => 'p', producer_epoch => 1, producer_seq => 2);
SELECT stream_append_many('prod/batch', '{a,b,c}', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('prod/batch', 'd', producer => 'p', producer_epoch => 1, producer_seq => 2);
SELECT count(*) FROM stream_read_since('prod/batch', 0);

-- A rolled-back append has not used its sequence.
BEGIN;
SELECT stream_append('prod/rolled', 'a', producer => 'p', producer_epoch => 1, producer_seq => 1);
ROLLBACK;
CALL pg_temp.refused($$SELECT stream_append('prod/rolled', 'a', producer => 'p', producer_epoch => 1, producer_seq => 2)$$);
BEGIN;
SELECT stream_append('prod/rolled', 'a', producer => 'p', producer_epoch => 1, producer_seq => 1) AS id;
SAVEPOINT s;
SELECT stream_append('prod/rolled', 'b', producer => 'p', producer_epoch => 1, producer_seq => 2) > 1 AS stored;
SELECT stream_append('prod/rolled', 'x', producer => 'p', producer_epoch => 2, producer_seq => 1) > 1 AS stored;
ROLLBACK TO s;
SELECT stream_append('prod/rolled', 'B', producer => 'p', producer_epoch => 1, producer_seq => 2) > 1 AS stored;
COMMIT;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('prod/rolled', 0);

-- A repeat is recognised even after the stream was closed; new appends fail.
SELECT stream_append('prod/closed', 'a', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('prod/closed', 'b', eof => true, producer => 'p', producer_epoch => 1, producer_seq => 2);
SELECT stream_append('prod/closed', 'a', producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('prod/closed', 'b', eof => true, producer => 'p', producer_epoch => 1, producer_seq => 2);
CALL pg_temp.refused($$SELECT stream_append('prod/closed', 'c', producer => 'p', producer_epoch => 1, producer_seq => 3)$$);

-- Together with expected: a repeat is a repeat, whatever has been appended since.
SELECT stream_append('prod/both', 'a', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1);
SELECT stream_append('prod/both', 'other');
SELECT stream_append('prod/both', 'a', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1);
CALL pg_temp.refused($$SELECT stream_append('prod/both', 'b', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 2)$$);
SELECT stream_append('prod/both', 'b', expected => 2, producer => 'p', producer_epoch => 1, producer_seq => 2);

-- At least the last 1,000 sequences are known; older repeats return null and store nothing. What is remembered is bounded.
DO $$
BEGIN
  FOR i IN 1..3000 LOOP
    PERFORM stream_append('prod/many', 'x', producer => 'p', producer_epoch => 1, producer_seq => i);
  END LOOP;
END $$;
SELECT count(*) FROM generate_series(2001, 3000) i
 WHERE stream_append('prod/many', 'x', producer => 'p', producer_epoch => 1, producer_seq => i) = i;
SELECT stream_append('prod/many', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1) AS old;
SELECT count(*) < 2000 AS bounded FROM stream_producer p JOIN stream s USING (stream_id) WHERE s.name = 'prod/many';
SELECT stream_head('prod/many');
CALL pg_temp.refused($$SELECT stream_append('prod/many', 'x', producer => 'p', producer_epoch => 1, producer_seq => 3002)$$);
SELECT stream_append('prod/many', 'x', producer => 'p', producer_epoch => 2, producer_seq => 1);
