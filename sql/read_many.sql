-- Reading many streams: total caps, served fairly.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('many/a', array_fill('aaaaaaaaaa'::bytea, ARRAY[100]));
SELECT stream_append_many('many/b', array_fill('bbbbbbbbbb'::bytea, ARRAY[3]));
SELECT stream_append('many/c', 'c', eof => true);

-- Everything after the cursors; within a stream in order.
SELECT stream, count(*), min(chunk_id), max(chunk_id), bool_or(eof) AS eof
  FROM stream_read_many('{many/a,many/b,many/c}', '{90,0,0}') GROUP BY stream ORDER BY stream;
SELECT bool_and(ok) AS in_order FROM (
  SELECT chunk_id > lag(chunk_id, 1, 0::bigint) OVER (PARTITION BY stream ORDER BY n) AS ok
    FROM stream_read_many('{many/a,many/b,many/c}', '{0,0,0}') WITH ORDINALITY AS r(stream, chunk_id, data, eof, appended_at, epoch, n)) x;
SELECT stream, chunk_id, data, eof, appended_at <= clock_timestamp() AS past, epoch IS NOT NULL AS epoch
  FROM stream_read_many('{many/c}', '{0}');

-- It returns the same chunks as stream_read_since.
SELECT count(*) FROM (
  (SELECT chunk_id, data, eof, appended_at, epoch FROM stream_read_many('{many/b}', '{1}')
   EXCEPT SELECT * FROM stream_read_since('many/b', 1))
  UNION ALL
  (SELECT * FROM stream_read_since('many/b', 1)
   EXCEPT SELECT chunk_id, data, eof, appended_at, epoch FROM stream_read_many('{many/b}', '{1}'))) d;

-- max_chunks is a total. A stream with much does not starve one with little: whichever is served first (that
-- changes with each call), b's 3 chunks and c's one fit beside a's.
SELECT i, sum(count) <= 12 AS within, sum(count) FILTER (WHERE stream = 'many/a') >= 4 AS a_share,
       sum(count) FILTER (WHERE stream = 'many/b') AS b, sum(count) FILTER (WHERE stream = 'many/c') AS c
  FROM generate_series(1, 3) i, LATERAL (
    SELECT stream, count(*) FROM stream_read_many('{many/a,many/b,many/c}', ARRAY[i - i, 0, 0], 12) GROUP BY stream) x
 GROUP BY i ORDER BY i;

-- A cap below the number of streams: the total still holds, and the streams take turns from call to call.
SELECT count(*) FROM stream_read_many('{many/a,many/b,many/c}', '{0,0,0}', 2);
SELECT count(DISTINCT stream), count(*) FROM generate_series(1, 6) i, LATERAL (SELECT * FROM stream_read_many('{many/a,many/b,many/c}', ARRAY[i - i, 0, 0], 1)) r;

-- max_bytes is a total, too; at least one chunk is returned, however large.
SELECT sum(length(data)) <= 60 AS within, count(DISTINCT stream) AS streams
  FROM stream_read_many('{many/a,many/b,many/c}', '{0,0,0}', max_bytes => 60);
SELECT count(*) FROM stream_read_many('{many/a}', '{0}', max_bytes => 1);
SELECT count(*) FROM stream_read_many('{many/a,many/b}', '{0,0}', max_bytes => 1);

-- Not one for each stream.
SELECT count(stream_append_many('many/large/' || i, array_fill(convert_to(repeat('x', 1000), 'UTF8'), ARRAY[2]))) FROM generate_series(1, 10) i;
SELECT array_agg('many/large/' || i) AS large, array_agg(0) AS zeros FROM generate_series(1, 10) i \gset
SELECT count(*), sum(length(data)) AS bytes FROM stream_read_many(:'large', :'zeros', max_bytes => 10);
SELECT count(*), count(DISTINCT stream) AS streams FROM stream_read_many(:'large', :'zeros', max_chunks => 3);
SELECT count(*), count(DISTINCT stream) AS streams FROM stream_read_many(:'large', :'zeros', max_bytes => 5500);
SELECT count(*), count(DISTINCT stream) AS streams FROM stream_read_many(:'large', :'zeros', max_bytes => 10000);
-- A chunk over the cap waits until it is first; the others are served meanwhile. Each has its turn, also when the
-- session makes other calls in between.
SELECT stream_append('many/over', convert_to(repeat('x', 3000), 'UTF8'));
SELECT count(*) FILTER (WHERE bytes > 3000) AS too_many, bool_or(large) AS large, count(DISTINCT small) AS small
  FROM generate_series(1, 40) i,
       LATERAL (SELECT sum(length(data)) AS bytes, bool_or(stream = 'many/over') AS large, min(stream) FILTER (WHERE stream <> 'many/over') AS small
                  FROM stream_read_many('{many/over,many/large/1,many/large/2}', ARRAY[i - i, 0, 0], max_bytes => 1000)) r,
       LATERAL (SELECT count(*) FROM stream_read_many('{many/a,many/b}', ARRAY[i - i, 0], max_chunks => 1)) other;

-- No caps, and huge ones.
SELECT count(*) FROM stream_read_many('{many/a,many/b,many/c}', '{0,0,0}', null, null);
SELECT count(*) FROM stream_read_many('{many/a,many/b,many/c}', '{0,0,0}', 2147483647, 9223372036854775807);

-- What idle streams do not use goes to the others.
SELECT stream, count(*) FROM stream_read_many('{many/a,many/b,many/c}', '{0,3,1}', 50) GROUP BY stream;

-- Empty arrays; streams that do not exist.
SELECT * FROM stream_read_many('{}', '{}');
SELECT * FROM stream_read_many('{}', '{}', timeout => null);
SELECT * FROM stream_read_many('{many/none}', '{0}');
SELECT stream, chunk_id FROM stream_read_many('{many/none,many/c}', '{0,0}');

-- Waiting: at once when one has something, or when all have ended; null at the timeout otherwise.
SELECT stream, chunk_id FROM stream_read_many('{many/b,many/c}', '{2,1}', timeout => null);
SELECT stream, chunk_id FROM stream_read_many('{many/c}', '{1}', timeout => null);
SELECT stream, chunk_id FROM stream_read_many('{many/b,many/none}', '{3,0}', timeout => '1 ms');

-- One bad cursor fails the call.
CALL pg_temp.refused($$SELECT stream_read_many('{many/b,many/none}', '{0,1}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{many/a,many/b}', '{0,4}')$$);

-- With epochs each cursor is verified first.
SELECT epoch AS a FROM stream_read_since('many/a', 1, 1) \gset
SELECT epoch AS b FROM stream_read_since('many/b', 1, 1) \gset
SELECT stream, count(*) FROM stream_read_many('{many/a,many/b,many/none}', '{90,2,0}', epochs => ARRAY[:a, :b, null]) GROUP BY 1 ORDER BY 1;
SELECT stream, count(*) FROM stream_read_many('{many/a,many/b}', '{90,3}', epochs => '{null,null}') GROUP BY 1 ORDER BY 1;
CALL pg_temp.refused(format($$SELECT stream_read_many('{many/a,many/b}', '{90,2}', epochs => '{%s,null}')$$, :a # 1));
CALL pg_temp.refused(format($$SELECT stream_read_many('{many/a,many/b}', '{100,2}', epochs => '{null,%s}')$$, :b # 1));
-- also where a wait would begin, and where nothing new is known to be there
CALL pg_temp.refused(format($$SELECT stream_read_many('{many/b}', '{3}', timeout => null, epochs => '{%s}')$$, :b # 1));
CALL pg_temp.refused(format($$SELECT stream_read_many('{many/b}', '{3}', epochs => '{%s}')$$, :b # 1));
SELECT * FROM stream_read_many('{many/b}', '{3}', timeout => '1 ms', epochs => ARRAY[:b]);
CALL pg_temp.refused($$SELECT stream_read_many('{many/none}', '{1}', epochs => '{5}')$$);
SELECT stream_append_many('many/trim', '{a,b,c}');
SELECT stream_trim('many/trim', 3);
CALL pg_temp.refused($$SELECT stream_read_many('{many/trim}', '{1}', epochs => '{5}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{many/a,many/b}', '{0,0}', epochs => '{5}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{many/a}', '{0}', epochs => '{{5}}')$$);
SELECT chunk_id FROM stream_read_many('{many/c}', '{0}', epochs => null);
SELECT count(*) FROM stream_read_many('{}', '{}', epochs => '{}');

-- Many streams at once.
SELECT count(stream_append('many/each/' || i, 'x')) FROM generate_series(1, 500) i;
SELECT count(*), count(DISTINCT stream) FROM stream_read_many(
  ARRAY(SELECT 'many/each/' || i FROM generate_series(1, 500) i), array_fill(0::bigint, ARRAY[500]));
SELECT count(*) FROM stream_read_many(
  ARRAY(SELECT 'many/each/' || i FROM generate_series(1, 500) i), array_fill(1::bigint, ARRAY[500]));

-- Several streams that this session knows, each with the chunk right after the cursor there: each gives its own,
-- whichever is served first.
SELECT i, stream_append_many('many/next/' || i, (SELECT array_agg(('chunk ' || n || ' of ' || i)::bytea) FROM generate_series(1, i + 1) n))
  FROM generate_series(1, 3) i;
SELECT count(*) FROM stream_read_many('{many/next/1,many/next/2,many/next/3}', '{0,0,0}');
SELECT stream, chunk_id, convert_from(data, 'UTF8') AS data, count(*)
  FROM generate_series(1, 3) i, LATERAL stream_read_many('{many/next/1,many/next/2,many/next/3}', ARRAY[i - i + 1, 2, 3])
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT stream, head, ended, count(*)
  FROM generate_series(1, 3) i, LATERAL stream_wait_many('{many/next/1,many/next/2,many/next/3}', ARRAY[i - i + 1, 2, 3])
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
