-- stream_try_append: outcomes as values. stream_producer_state.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

CREATE FUNCTION pg_temp.try(stream text, data bytea[] DEFAULT '{x}', eof boolean DEFAULT false, expected bigint DEFAULT null,
    epoch bigint DEFAULT null, seq bigint DEFAULT null, writer_seq text DEFAULT null, create_stream boolean DEFAULT true) RETURNS text
  LANGUAGE sql AS $$
  SELECT concat_ws(' ', outcome, coalesce(chunk_id::text, '-'), producer_epoch || '/' || producer_seq, CASE WHEN closed THEN 'closed' END)
    FROM stream_try_append(stream, data, eof, expected, CASE WHEN epoch IS NOT NULL THEN 'p' END, epoch, seq, writer_seq, create_stream) $$;

-- Its columns.
SELECT * FROM stream_try_append('try/s', '{a,b}');
SELECT * FROM stream_try_append('try/s', '{c}', producer => 'p', producer_epoch => 5000000000, producer_seq => 1);
SELECT pg_typeof(outcome), pg_typeof(chunk_id), pg_typeof(producer_epoch), pg_typeof(producer_seq), pg_typeof(closed)
  FROM stream_try_append('try/s', '{d}', true);
SELECT chunk_id, convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('try/s', 0);

-- missing: no stream is created.
SELECT pg_temp.try('try/none', create_stream => false);
SELECT pg_temp.try('try/none', '{}', create_stream => false);
SELECT pg_temp.try('try/none', '{}', true, create_stream => false);
SELECT pg_temp.try('try/none', expected => 3, epoch => 1, seq => 5, writer_seq => 'a', create_stream => false);
SELECT count(*) FROM stream WHERE name = 'try/none';
SELECT pg_temp.try('try/s', create_stream => false);

-- A refused append creates no stream either.
SELECT pg_temp.try('try/none', expected => 1);
SELECT pg_temp.try('try/none', epoch => 1, seq => 2);
SELECT pg_temp.try('try/none', epoch => 1, seq => 2, expected => 1, writer_seq => 'a');
SELECT pg_temp.try('try/none', epoch => 1, seq => 1, expected => 1, writer_seq => 'a');
SELECT count(*) FROM stream WHERE name = 'try/none';
SELECT pg_temp.try('try/all', epoch => 1, seq => 1, expected => 0, writer_seq => 'a');

-- An empty array is judged like any other, stores nothing, creates nothing, and uses up nothing.
SELECT pg_temp.try('try/none', '{}');
SELECT pg_temp.try('try/none', '{}', expected => 0, epoch => 1, seq => 1, writer_seq => 'a');
SELECT pg_temp.try('try/none', '{}', expected => 1);
SELECT pg_temp.try('try/none', '{}', epoch => 1, seq => 2);
SELECT count(*) FROM stream WHERE name = 'try/none';
SELECT pg_temp.try('try/all', '{}');
SELECT pg_temp.try('try/all', '{}', epoch => 1, seq => 2, expected => 1, writer_seq => 'b');
SELECT pg_temp.try('try/all', '{}', epoch => 1, seq => 2, expected => 1, writer_seq => 'b');
SELECT pg_temp.try('try/all', '{}', epoch => 1, seq => 1);
SELECT pg_temp.try('try/all', '{}', epoch => 0, seq => 1);
SELECT pg_temp.try('try/all', '{}', epoch => 1, seq => 3);
SELECT pg_temp.try('try/all', '{}', writer_seq => 'a');
SELECT pg_temp.try('try/all', '{}', expected => 0);
SELECT stream_head('try/all');
SELECT pg_temp.try('try/all', epoch => 1, seq => 2, expected => 1, writer_seq => 'b');

-- The order of judgement. The stream is at 2; producer p has stored 1/2; the last writer_seq is b.
SELECT pg_temp.try('try/all', expected => 1);
SELECT pg_temp.try('try/all', expected => 1, writer_seq => 'b');
SELECT pg_temp.try('try/all', expected => 1, writer_seq => 'b', epoch => 1, seq => 4);
SELECT pg_temp.try('try/all', expected => 1, writer_seq => 'b', epoch => 1, seq => 2);
SELECT pg_temp.try('try/all', expected => 1, writer_seq => 'b', epoch => 0, seq => 7);
-- closed: the EOF with its data, then without
SELECT pg_temp.try('try/all', '{y,z}', true, epoch => 1, seq => 3, writer_seq => 'c');
SELECT pg_temp.try('try/all', expected => 4);
SELECT pg_temp.try('try/all', writer_seq => 'a');
SELECT pg_temp.try('try/all', epoch => 1, seq => 5);
SELECT pg_temp.try('try/all', '{}');
SELECT pg_temp.try('try/all', '{}', true);
SELECT pg_temp.try('try/all', epoch => 1, seq => 4, expected => 4, writer_seq => 'd');
SELECT pg_temp.try('try/all', epoch => 2, seq => 1);
SELECT pg_temp.try('try/all', '{y,z}', true, epoch => 1, seq => 3, writer_seq => 'c');
SELECT pg_temp.try('try/all', epoch => 1, seq => 1);
SELECT pg_temp.try('try/all', epoch => 0, seq => 1);
SELECT chunk_id, convert_from(data, 'UTF8') AS data, eof FROM stream_read_since('try/all', 0);
-- stream_append raises what comes first
CALL pg_temp.refused($$SELECT stream_append('try/all', 'x', expected => 1, producer => 'p', producer_epoch => 1, producer_seq => 9)$$);
CALL pg_temp.refused($$SELECT stream_append('try/all', 'x', expected => 1, producer => 'p', producer_epoch => 0, producer_seq => 9)$$);

-- An empty EOF, under conditions.
SELECT pg_temp.try('try/eof', '{}', true);
SELECT chunk_id, data, eof FROM stream_read_since('try/eof', 0);
SELECT pg_temp.try('try/eof2', '{a}', epoch => 1, seq => 1);
SELECT pg_temp.try('try/eof2', '{}', true, epoch => 1, seq => 3);
SELECT pg_temp.try('try/eof2', '{}', true, expected => 0);
SELECT pg_temp.try('try/eof2', '{}', true, epoch => 1, seq => 2, expected => 1);
SELECT pg_temp.try('try/eof2', '{}', true, epoch => 1, seq => 2, expected => 1);
SELECT stream_close('try/eof2');

-- writer_seq is compared byte by byte. Appends without one do not take part.
SELECT w, pg_temp.try('try/w', writer_seq => w) FROM unnest('{a,a,A,ab,b,aa,ba,b,bb}'::text[]) w;
SELECT pg_temp.try('try/w');
SELECT w, pg_temp.try('try/w', writer_seq => w) FROM unnest('{bb,c,10,9,z,Z,"z ",z,zz,"z  "}'::text[]) w;
SELECT length(w), pg_temp.try('try/w', writer_seq => w) FROM unnest(ARRAY[rpad('~', 170), rpad('~', 169), rpad('~', 171), rpad('~', 512)]) w;
-- rolled back: not used
BEGIN;
SELECT pg_temp.try('try/back', writer_seq => 'b');
SAVEPOINT s;
SELECT pg_temp.try('try/back', epoch => 1, seq => 1, writer_seq => 'd');
SELECT pg_temp.try('try/back', epoch => 1, seq => 1, writer_seq => 'c');
SELECT pg_temp.try('try/back', epoch => 1, seq => 2, writer_seq => 'd');
ROLLBACK TO s;
SELECT pg_temp.try('try/back', writer_seq => 'b');
SELECT pg_temp.try('try/back', epoch => 1, seq => 1, writer_seq => 'c') ~ '^stored \d+ 1/1$' AS stored;
COMMIT;
SELECT pg_temp.try('try/back', writer_seq => 'c');
SELECT pg_temp.try('try/back', writer_seq => 'd') ~ '^stored' AS stored;

-- What is remembered of it is bounded, also where the ids come in steps of 256, and in one transaction of any level.
SELECT max(last) FROM (SELECT stream_try_append('try/steps', '{a}', writer_seq => to_char(i, '0000')),
    stream_append_many('try/steps', array_fill(''::bytea, ARRAY[255])) AS last FROM generate_series(1, 1000) i) steps;
SELECT count(*) < 500 AS bounded, count(DISTINCT chunk_id % 256) AS steps FROM stream_producer JOIN stream USING (stream_id) WHERE name = 'try/steps';
DO $$
DECLARE
  wrong int;
BEGIN
  SELECT count(*) INTO wrong FROM generate_series(1, 2000) i, LATERAL stream_try_append('try/many', '{a,b,c}', writer_seq => to_char(i, '0000'))
   WHERE outcome <> 'stored';
  RAISE NOTICE '% not stored', wrong;
END $$;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM generate_series(2001, 4000) i, LATERAL stream_try_append('try/many', '{a}', writer_seq => to_char(i, '0000'),
    producer => 'p', producer_epoch => 1, producer_seq => i - 2000) WHERE outcome <> 'stored';
COMMIT;
SELECT producer, count(*) < CASE producer WHEN '' THEN 300 ELSE 1400 END AS bounded, max(writer_seq) AS last, max(seq) AS seq
  FROM stream_producer JOIN stream USING (stream_id) WHERE name = 'try/many' GROUP BY 1 ORDER BY 1;
SELECT pg_temp.try('try/many', writer_seq => ' 4000');
SELECT pg_temp.try('try/many', epoch => 1, seq => 1);
SELECT pg_temp.try('try/many', epoch => 1, seq => 1001);
SELECT pg_temp.try('try/many', epoch => 1, seq => 2002);

-- After a trim: a repeat has its id, the last writer_seq is known, and expected counts trimmed ids.
SELECT stream_trim('try/many', 9000);
SELECT pg_temp.try('try/many', epoch => 1, seq => 1500);
SELECT pg_temp.try('try/many', writer_seq => ' 3999');
SELECT pg_temp.try('try/many', expected => 0);
SELECT pg_temp.try('try/many', epoch => 1, seq => 2001, writer_seq => ' 4001', expected => 8000);
SELECT stream_trim('try/many', 9000), stream_close('try/many');
SELECT pg_temp.try('try/many', epoch => 1, seq => 2001);
SELECT pg_temp.try('try/many', epoch => 1, seq => 2003);
SELECT pg_temp.try('try/many', epoch => 1, seq => 2);

-- After a delete everything begins anew, above the old ids.
BEGIN;
SELECT stream_delete('try/many'), stream_append('try/many', 'same transaction');
ROLLBACK;
SELECT stream_delete('try/many');
SELECT pg_temp.try('try/many', create_stream => false);
SELECT pg_temp.try('try/many', expected => 0);
SELECT pg_temp.try('try/many', epoch => 1, seq => 2002);
SELECT count(*) FROM stream WHERE name = 'try/many';
SELECT pg_temp.try('try/many', epoch => 0, seq => 1, writer_seq => 'a', expected => 8002);

-- The producer's state.
SELECT stream_append('try/p', 'x', producer => 'p', producer_epoch => 9223372036854775807, producer_seq => 1);
SELECT stream_append_many('try/p', '{y,z}', producer => 'p', producer_epoch => 9223372036854775807, producer_seq => 2);
SELECT * FROM stream_producer_state('try/p', 'p');
SELECT pg_temp.try('try/p', epoch => 9223372036854775806, seq => 1);
SELECT pg_temp.try('try/p', epoch => 9223372036854775807, seq => 9223372036854775807);
CALL pg_temp.refused($$SELECT stream_append('try/p', 'x', producer => 'p', producer_epoch => 2147483648, producer_seq => 1)$$);
SELECT * FROM stream_producer_state('try/p', 'P');
SELECT * FROM stream_producer_state('try/none', 'p');
BEGIN;
SELECT stream_append('try/p', 'x', producer => 'p', producer_epoch => 9223372036854775807, producer_seq => 3);
SELECT * FROM stream_producer_state('try/p', 'p');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM stream_producer_state('try/p', 'p');
CALL pg_temp.refused($$SELECT stream_try_append('try/p', '{x}')$$);
CALL pg_temp.refused($$SELECT stream_try_append('try/none', '{}', create_stream => false)$$);
CALL pg_temp.refused($$SELECT stream_append_text('try/p', 'x')$$);
ROLLBACK;

-- No number is remembered from an append that stored nothing; "p" is not the same as a producer without a name.
SELECT count(*) FROM stream_producer WHERE stream_id NOT IN (SELECT stream_id FROM stream) AND stream_id NOT IN (SELECT stream_id FROM stream_state);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state('try/back', '')$$);

-- A tombstone that was written by hand for a stream that is there: an error, no loop.
SELECT stream_create('try/marked', max_chunks => 5);
UPDATE stream_state SET deleted_at = now(), deleted_name = 'try/marked' WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 'try/marked');
CALL pg_temp.refused($$SELECT stream_append('try/marked', 'x')$$);
CALL pg_temp.refused($$SELECT stream_try_append('try/marked', '{x}', create_stream => false)$$);
DELETE FROM stream_state WHERE deleted_name = 'try/marked';
SELECT pg_temp.try('try/marked');

-- Toasted data, and many at once.
CREATE TEMP TABLE big AS SELECT array_agg(decode(repeat(md5(i::text), 10000), 'hex')) AS data FROM generate_series(1, 3) i;
SELECT outcome, chunk_id FROM big, LATERAL stream_try_append('try/big', data);
SELECT octet_length(s.data), s.data = big.data[chunk_id] AS same FROM big, stream_read_since('try/big', 0) s;
