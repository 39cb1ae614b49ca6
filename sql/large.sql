-- Large chunks: TOAST, compression, pages of bytes, pg_rill.max_chunk_bytes.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SET pg_rill.max_chunk_bytes = '16MB';

-- Compressible and incompressible data, around the sizes where storage changes.
CREATE TEMP TABLE samples AS
  SELECT size, kind, CASE kind WHEN 'same' THEN convert_to(repeat('x', size), 'UTF8')
                               ELSE substring((SELECT string_agg(sha256(convert_to(i::text, 'UTF8')), '' ORDER BY i) FROM generate_series(1, size / 32 + 1) i) FOR size) END AS data
    FROM unnest(ARRAY[1, 1999, 2000, 2040, 8000, 8192, 100000, 1000000]) size, unnest(ARRAY['same', 'random']) kind;
SELECT count(stream_append('large/s', data)) FROM (SELECT data FROM samples ORDER BY size, kind) x;
SELECT s.size, s.kind, r.chunk_id, r.data = s.data AS same
  FROM (SELECT *, row_number() OVER (ORDER BY size, kind) AS n FROM samples) s
  JOIN stream_read_since('large/s', 0, max_bytes => null) r ON r.chunk_id = s.n ORDER BY n;

-- Batches, too; from values that are stored out of line already.
SELECT stream_append_many('large/many', array_agg(data ORDER BY size, kind)) FROM samples;
SELECT count(*), bool_and(a.data = b.data) AS same
  FROM stream_read_since('large/s', 0, max_bytes => null) a JOIN stream_read_since('large/many', 0, max_bytes => null) b USING (chunk_id);
SELECT bool_and(a.data = b.data) AS same, count(*)
  FROM stream_read_since('large/s', 0, max_bytes => null) a
  JOIN stream_read_many('{large/many}', '{0}', max_bytes => null) b USING (chunk_id);

-- A chunk larger than the page's 8 MB is returned alone.
SELECT stream_append('large/big', convert_to(repeat('y', 9 * 1024 * 1024), 'UTF8'));
SELECT stream_append('large/big', 'small');
SELECT chunk_id, length(data) FROM stream_read_since('large/big', 0);
SELECT chunk_id, length(data) FROM stream_read_since('large/big', 1);
SELECT chunk_id, length(data) FROM stream_read_since('large/big', 0, max_bytes => 1);
SELECT chunk_id, length(data) FROM stream_read_since('large/big', 0, max_bytes => 9 * 1024 * 1024 + 5);
SELECT chunk_id, length(data) FROM stream_read_many('{large/big}', '{0}');

-- The default page stops at 8 MB of data, counted before compression.
SELECT count(stream_append('large/mb', convert_to(repeat('z', 1024 * 1024), 'UTF8'))) FROM generate_series(1, 10);
SELECT count(*), sum(length(data)) = 8 * 1024 * 1024 AS full_page FROM stream_read_since('large/mb', 0);
SELECT chunks, bytes = 10 * 1024 * 1024 AS bytes FROM stream_size('large/mb');

-- The largest chunk: 16 MB by default, to the byte.
SELECT stream_append('large/limit', convert_to(repeat('x', 16 * 1024 * 1024), 'UTF8'));
CALL pg_temp.refused($$SELECT stream_append('large/limit', convert_to(repeat('x', 16 * 1024 * 1024 + 1), 'UTF8'))$$);
CALL pg_temp.refused($$SELECT stream_append('large/limit', decode(repeat('00', 16 * 1024 * 1024 + 1), 'hex'), true)$$);
SELECT length(data), eof FROM stream_read_since('large/limit', 0);

-- The size of the data counts, even if it is stored compressed.
CREATE TEMP TABLE compressed (data bytea);
INSERT INTO compressed SELECT convert_to(repeat('x', 100000), 'UTF8');
SELECT pg_column_size(data) < 10000 AS compressed FROM compressed;
SET pg_rill.max_chunk_bytes = '50kB';
SELECT 'x' FROM compressed WHERE stream_append('large/limit2', 'within') IS NULL;
\set VERBOSITY terse
SELECT stream_append('large/limit2', data) FROM compressed;
\echo :SQLSTATE
\set VERBOSITY default
-- Chunks larger than the current limit can still be read.
SELECT chunk_id, length(data) FROM stream_read_since('large/big', 0);
SET pg_rill.max_chunk_bytes = '16MB';
SELECT stream_append('large/limit2', data) FROM compressed;
SELECT length(data) FROM stream_read_since('large/limit2', 1);
