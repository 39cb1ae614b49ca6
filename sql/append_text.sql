-- stream_append_text: text as it is, in UTF-8.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers
SET standard_conforming_strings = on;

SELECT stream_append_text('text/s', 'hello');
-- what bytea would read as an escape
SELECT stream_append_text('text/s', '\x41');
SELECT stream_append_text('text/s', 'C:\temp\101');
SELECT stream_append_text('text/s', 'a' || 'b');
SELECT stream_append_text('text/s', E'\t"' || $$'$$ || E'\n');
SELECT stream_append_text('text/s', '');
SELECT stream_append_text('text/s', 'padded   '::char(12)), stream_append_text('text/s', 'v'::varchar);
SELECT stream_append_text('text/s', 1::text);
SELECT stream_append_text('text/s', '{"a": 1}'::json #>> '{}');
SELECT stream_append_text('text/s', 'last', true);
SELECT stream_append_text(eof => false, data => 'other', stream => 'text/other');
SELECT chunk_id, convert_from(data, 'UTF8') AS text, octet_length(data) AS bytes, eof FROM stream_read_since('text/s', 0);
CALL pg_temp.refused($$SELECT stream_append_text('text/s', 'x')$$);

-- Toasted text, compressed or not, up to the size of a chunk.
CREATE TEMP TABLE long_text (n int, compressed text, plain text);
ALTER TABLE long_text ALTER plain SET STORAGE EXTERNAL;
INSERT INTO long_text SELECT n, repeat('a', n), repeat('o', n) FROM unnest('{100,5000,500001}'::int[]) n;
SELECT n, stream_append_text('text/long', compressed), stream_append_text('text/long', plain) FROM long_text;
SELECT n, count(*) FROM stream_read_since('text/long', 0), long_text WHERE convert_from(data, 'UTF8') IN (compressed, plain) GROUP BY n ORDER BY n;
SET pg_rill.max_chunk_bytes = 10;
SELECT stream_append_text('text/long', 'just right');
CALL pg_temp.refused($$SELECT stream_append_text('text/long', 'eleven byte')$$);
CALL pg_temp.refused($$SELECT stream_append_text('text/long', compressed) FROM long_text$$);
RESET pg_rill.max_chunk_bytes;
SELECT stream_head('text/long');
