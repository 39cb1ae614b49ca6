-- Stream names: 1 to 512 bytes of text, compared byte by byte.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append('n', 'one byte');
SELECT stream_append(repeat('n', 512), '512 bytes');
CALL pg_temp.refused($$SELECT stream_append(repeat('n', 513), 'x')$$);
SELECT stream_head('n'), stream_head(repeat('n', 512)), stream_head(repeat('n', 511));

-- Bytes count, not characters: 256 two-byte characters fit, 257 do not.
SELECT getdatabaseencoding() = 'UTF8' AS utf8 \gset
\if :utf8
\else
\echo these names need UTF8
\quit
\endif
SELECT stream_append(repeat(U&'\00e9', 256), 'x');
CALL pg_temp.refused($$SELECT stream_append(repeat(U&'\00e9', 257), 'x')$$);
SELECT stream_append(U&'na\00efve \+01f30a', 'x');
SELECT stream_append(U&'nai\0308ve \+01f30a', 'x');  -- looks the same, but is another name
SELECT count(*) FROM stream_info WHERE name IN (U&'na\00efve \+01f30a', U&'nai\0308ve \+01f30a');

-- Case, spaces and quotes are kept.
SELECT stream_append('Names', 'x'), stream_append('names', 'x'), stream_append('names', 'y'), stream_append(' names', 'x'), stream_append('names ', 'x');
SELECT stream_append('it''s "quoted" \ {,} % $1 --', 'x');
SELECT stream_head('it''s "quoted" \ {,} % $1 --');
SELECT stream_append(E'two\nlines\tand a tab', 'x');
SELECT stream_append('*', 'x'), stream_append('%', 'x'), stream_append('null', 'x');
SELECT stream FROM stream_read_many(ARRAY['it''s "quoted" \ {,} % $1 --', E'two\nlines\tand a tab', 'Names', 'null'], '{0,0,0,0}') ORDER BY stream;
SELECT name, head_id FROM stream_info WHERE name ~* '^ ?names ?$' ORDER BY name;

-- Messages carry names as data.
CALL pg_temp.refused($$SELECT stream_read_since('100%s %n "x"', 1)$$);

-- Other text types.
SELECT stream_append('names/varchar'::varchar, 'x'), stream_append('names/name'::name, 'x');
SELECT stream_head('names/name'), stream_head('names/varchar');

-- stream_names: by id, each once; ids that no stream has, or none any more, have no row.
SELECT stream_create('names/' || i) FROM generate_series(1, 3) i;
SELECT array_agg(stream_id ORDER BY name) AS ids, min(stream_id) AS first FROM stream WHERE name ~ '^names/[123]$' \gset
SELECT stream_id - :first AS nth, name FROM stream_names(:'ids');
SELECT name FROM stream_names(ARRAY[:first + 2, 0, :first, -1, 9223372036854775807, :first]);
SELECT stream_delete('names/2');
SELECT name FROM stream_names(:'ids');
SELECT * FROM stream_names('{}');
BEGIN;
SELECT stream_create('names/own');
SELECT name FROM stream_names(ARRAY(SELECT stream_id FROM stream WHERE name = 'names/own'));
ROLLBACK;
SELECT count(*) FROM stream_names((SELECT array_agg(i) FROM generate_series(1, 100000) i)) n WHERE name ^@ 'names/' AND stream_id = ANY (:'ids');
CALL pg_temp.refused($$SELECT stream_names(null)$$);
CALL pg_temp.refused($$SELECT stream_names('{1,null}')$$);
CALL pg_temp.refused($$SELECT stream_names('{{1},{2}}')$$);
