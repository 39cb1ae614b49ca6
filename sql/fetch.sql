-- stream_fetch, librill's query: one row for each stream that has chunks or an error.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('fetch/a', '{one,two,three}');
SELECT stream_append('fetch/b', 'x', true);
SELECT stream_create('fetch/empty');

-- n is the position in the arrays; streams with nothing have no row.
SELECT n, s.name, octet_length(page) > 0 AS page, sqlstate, message
  FROM stream_fetch('{fetch/a,fetch/none,fetch/b,fetch/empty}', '{0,0,0,0}') f LEFT JOIN stream s USING (stream_id) ORDER BY n;
SELECT n, s.name FROM stream_fetch('{fetch/a,fetch/b}', '{3,0}') f JOIN stream s USING (stream_id) ORDER BY n;
SELECT count(*) FROM stream_fetch('{fetch/a,fetch/b}', '{3,1}');
SELECT count(*) FROM stream_fetch('{}', '{}');

-- Errors are reported per stream; the other streams are served.
SELECT n, page IS NOT NULL AS page, sqlstate, message
  FROM stream_fetch('{fetch/none,fetch/a,fetch/b,fetch/empty}', '{7,1,2,0}') ORDER BY n;

-- With epochs the cursors are verified, and each stream has a row.
SELECT epoch AS a FROM stream_read_since('fetch/a', 1, 1) \gset
SELECT epoch AS b FROM stream_read_since('fetch/b', 0, 1) \gset
SELECT n, page IS NOT NULL AS page, sqlstate FROM stream_fetch('{fetch/a,fetch/b}', '{2,1}', ARRAY[:a, :b]) ORDER BY n;
SELECT n, page IS NOT NULL AS page, sqlstate FROM stream_fetch('{fetch/a,fetch/b}', '{2,1}', ARRAY[:a # 1, :b]) ORDER BY n;
SELECT n, page IS NOT NULL AS page, sqlstate FROM stream_fetch('{fetch/a,fetch/b}', '{3,1}', ARRAY[:a, :b # 1]) ORDER BY n;
SELECT n, page IS NOT NULL AS page, sqlstate FROM stream_fetch('{fetch/a,fetch/b}', '{2,1}', '{null,null}') ORDER BY n;
SELECT n, page IS NOT NULL AS page, sqlstate FROM stream_fetch('{fetch/none,fetch/none2}', '{1,0}', '{5,null}') ORDER BY n;

-- Existing streams have a stream_id, even if they have no chunks.
SELECT n, s.name FROM stream_fetch('{fetch/a,fetch/empty,fetch/none}', '{3,0,0}', '{null,null,null}') f LEFT JOIN stream s USING (stream_id) ORDER BY n;
SELECT n, s.name FROM stream_fetch('{fetch/a,fetch/empty,fetch/none}', '{3,0,0}', '{null,null,null}') f LEFT JOIN stream s USING (stream_id) ORDER BY n;

-- Caps are totals, with one chunk in all at least. A stream that was left out has a row that says so.
SELECT count(stream_append_many('fetch/each/' || i, array_fill(convert_to(repeat('x', 1000), 'UTF8'), ARRAY[2]))) FROM generate_series(1, 10) i;
SELECT array_agg('fetch/each/' || i) AS streams, array_agg(0) AS zeros FROM generate_series(1, 10) i \gset
SELECT count(page) AS pages, sum(octet_length(page)) BETWEEN 1000 AND 1100 AS one_chunk, count(*) FILTER (WHERE more) AS more,
       count(stream_id) AS ids, count(sqlstate) AS errors FROM stream_fetch(:'streams', :'zeros', max_bytes => 10);
SELECT count(page) AS pages, sum(octet_length(page)) BETWEEN 3000 AND 3200 AS three_chunks, count(*) FILTER (WHERE more) AS more
  FROM stream_fetch(:'streams', :'zeros', max_chunks => 3);
SELECT count(page) AS pages, count(*) FILTER (WHERE more) AS more, count(*) FROM stream_fetch(:'streams', :'zeros', max_chunks => 20);
SELECT count(page) AS pages, count(*) FILTER (WHERE more) AS more, count(*) FROM stream_fetch(:'streams', :'zeros');
-- With epochs, too: a bad cursor among those that are left out is still told.
SELECT n = 1 AS bad, count(page) > 0 AS page, bool_or(more) AS more, max(sqlstate) AS sqlstate
  FROM stream_fetch(('{fetch/none,' || ltrim(:'streams', '{'))::text[], ('{7,' || ltrim(:'zeros', '{'))::bigint[], array_fill(null::int, ARRAY[11]), 1) GROUP BY 1 ORDER BY 1;
-- A page is not the stream's last one: each row but the last says that there is more.
SELECT stream_append_many('fetch/pages', array_fill(convert_to(repeat('x', 40000), 'UTF8'), ARRAY[3]));
SELECT more FROM stream_fetch('{fetch/pages}', '{0}') WITH ORDINALITY ORDER BY ordinality;
SELECT more FROM stream_fetch('{fetch/pages}', '{0}', max_chunks => 2) WITH ORDINALITY ORDER BY ordinality;
SELECT more FROM stream_fetch('{fetch/pages}', '{0}', max_bytes => 90000) WITH ORDINALITY ORDER BY ordinality;
SELECT count(page) FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', null, 1);
SELECT count(page) FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', max_bytes => 1);
SELECT sum(octet_length(page)) > 0 AS page FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', null, null, null);
