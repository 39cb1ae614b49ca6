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

-- Caps are totals.
SELECT count(*) FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', null, 1);
SELECT count(*) FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', max_bytes => 1);
SELECT sum(octet_length(page)) > 0 AS page FROM stream_fetch('{fetch/a,fetch/b}', '{0,0}', null, null, null);
