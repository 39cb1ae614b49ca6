-- Reading one stream: the stable prefix after a cursor, and its caps.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('read/s', array_agg(convert_to(repeat('x', i), 'UTF8') ORDER BY i)) FROM generate_series(1, 20) i;

SELECT chunk_id FROM stream_read_since('read/s', 17);
SELECT count(*) FROM stream_read_since('read/s', 0);
SELECT count(*) FROM stream_read_since('read/s', 20);  -- at the head: nothing

-- max_chunks
SELECT chunk_id FROM stream_read_since('read/s', 0, 3);
SELECT chunk_id FROM stream_read_since('read/s', 18, 3);
SELECT count(*) FROM stream_read_since('read/s', 0, null);
SELECT count(*) FROM stream_read_since('read/s', 0, 2147483647);

-- max_bytes: as many whole chunks as fit (1+2+3 = 6), at least one however large
SELECT chunk_id, length(data) FROM stream_read_since('read/s', 0, max_bytes => 6);
SELECT chunk_id, length(data) FROM stream_read_since('read/s', 0, max_bytes => 9);
SELECT chunk_id, length(data) FROM stream_read_since('read/s', 9, max_bytes => 1);
SELECT count(*) FROM stream_read_since('read/s', 0, max_bytes => null);
SELECT count(*) FROM stream_read_since('read/s', 0, max_bytes => 9223372036854775807);

-- both: whichever is reached first
SELECT chunk_id FROM stream_read_since('read/s', 0, 2, 100);
SELECT chunk_id FROM stream_read_since('read/s', 0, 100, 3);

-- Empty chunks have no bytes.
SELECT stream_append_many('read/empty', '{"","","",x,""}');
SELECT chunk_id, data FROM stream_read_since('read/empty', 0, max_bytes => 1);

-- Page after page finds each chunk once.
WITH RECURSIVE page(cursor, ids) AS (
  SELECT 0::bigint, '{}'::bigint[]
  UNION ALL
  SELECT p.ids[cardinality(p.ids)], p.ids FROM (
    SELECT (SELECT array_agg(r.chunk_id ORDER BY r.chunk_id) FROM stream_read_since('read/s', page.cursor, 7) r) FROM page) p(ids)
   WHERE p.ids IS NOT NULL)
SELECT * FROM page;

-- The default page is 1000 chunks.
SELECT stream_append_many('read/long', array_fill('x'::bytea, ARRAY[1500]));
SELECT count(*), max(chunk_id) FROM stream_read_since('read/long', 0);
SELECT count(*), max(chunk_id) FROM stream_read_since('read/long', 1000);

-- With a timeout: at once when there is something, and at the end of the stream.
SELECT chunk_id FROM stream_read_since('read/s', 18, timeout => null);
SELECT chunk_id FROM stream_read_since('read/s', 20, timeout => '1 ms');
SELECT stream_close('read/s');
SELECT chunk_id, eof FROM stream_read_since('read/s', 20, timeout => null);
SELECT chunk_id, eof FROM stream_read_since('read/s', 21, timeout => null);
SELECT chunk_id, eof FROM stream_read_since('read/s', 21);

-- A stream that does not exist is empty.
SELECT * FROM stream_read_since('read/none', 0);
SELECT * FROM stream_read_since('read/none', 0, timeout => '1 ms');
SELECT stream_head('read/none');
SELECT count(*) FROM stream WHERE name = 'read/none';

-- A created stream without chunks, too.
SELECT stream_create('read/created');
SELECT * FROM stream_read_since('read/created', 0);
SELECT stream_head('read/created');

-- A transaction reads its own chunks, from the statement after the append on.
BEGIN;
SELECT stream_append('read/own', 'a');
SELECT chunk_id, convert_from(data, 'UTF8') AS data FROM stream_read_since('read/own', 0);
SELECT stream_append('read/own', 'b');
SELECT chunk_id, convert_from(data, 'UTF8') AS data FROM stream_read_since('read/own', 1);
ROLLBACK;
SELECT * FROM stream_read_since('read/own', 0);

-- Rows come in order even where the planner could choose otherwise, and in the select list.
SELECT (stream_read_since('read/s', 18)).chunk_id;
SELECT s.n, r.chunk_id FROM (VALUES (1, 19), (2, 20)) s(n, cursor), stream_read_since('read/s', s.cursor) r;

-- A later FETCH continues where the cursor stopped.
BEGIN;
DECLARE c CURSOR FOR SELECT chunk_id FROM stream_read_since('read/s', 0, 4);
FETCH 2 FROM c;
SELECT stream_append('read/other', 'x');
FETCH ALL FROM c;
COMMIT;
