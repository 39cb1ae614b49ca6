-- Untyped parameters: every call works with unknown literals and with parameters sent without a type.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

-- Unknown literals.
SELECT stream_append('u/s', 'hello');
SELECT stream_append('u/s', 'hello', 'f', '1', 'p', '1', '1');
SELECT stream_append_many('u/s', '{a,b}');
SELECT stream_append_many('u/s', '{c}', 'false', '4', 'p', '1', '2');
SELECT chunk_id FROM stream_read_since('u/s', '3', '1', '100', '0');
SELECT stream, chunk_id FROM stream_read_many('{u/s}', '{3}', '1', '100', '0');
SELECT stream_wait('u/s', '0', '0');
SELECT * FROM stream_wait_many('{u/s}', '{0}', '0');
CALL stream_await('u/s', '0', '0');
CALL stream_await('u/s', '0', '0', null);
CALL stream_await_many('{u/s}', '{0}', '0');
CALL stream_await_many('{u/s}', '{0}', '0', null);
SELECT stream_head('u/s'), stream_seek('u/s', '-1'), stream_seek_time('u/s', '2000-01-01');
SELECT stream_create('u/c', '1 day', '5', '100', '1 hour');
SELECT stream_verify('u/s', '0', '0');
SELECT n FROM stream_fetch('{u/s}', '{0}', null, '1', '100');
SELECT stream_close('u/c');
SELECT first_id, head_id, closed, waiters FROM stream_status('u/s');
SELECT chunks, bytes FROM stream_size('u/s');
SELECT stream_trim('u/s', '2'), stream_delete('u/c');

-- Named arguments.
SELECT stream_append(data => 'named', stream => 'u/n', eof => 'true');
SELECT chunk_id, eof FROM stream_read_since(stream => 'u/n', chunk_id => '0', timeout => '1 ms');
CALL stream_await(stream => 'u/n', chunk_id => '0');

-- Parameters without a type: the server finds one for each (a driver that sends $1 without a type sees the same).
PREPARE u1 AS SELECT stream_append($1, $2, $3, $4, $5, $6, $7);
PREPARE u2 AS SELECT stream_append_many($1, $2, $3, $4, $5, $6, $7);
PREPARE u3 AS SELECT chunk_id FROM stream_read_since($1, $2, $3, $4, $5);
PREPARE u4 AS SELECT stream, chunk_id FROM stream_read_many($1, $2, $3, $4, $5);
PREPARE u5 AS SELECT stream_wait($1, $2, $3);
PREPARE u6 AS SELECT * FROM stream_wait_many($1, $2, $3);
PREPARE u7 AS SELECT stream_head($1), stream_seek($2, $3), stream_seek_time($4, $5);
PREPARE u8 AS SELECT stream_verify($1, $2, $3), stream_close($4);
PREPARE u9 AS SELECT stream_create($1, $2, $3, $4, $5);
PREPARE u10 AS SELECT n FROM stream_fetch($1, $2, $3, $4, $5);
PREPARE u11 AS SELECT stream_trim($1, $2), stream_delete($3);
SELECT name, parameter_types FROM pg_prepared_statements WHERE name ~ '^u[0-9]' ORDER BY length(name), name;
EXECUTE u1('u/p', 'x', 'f', null, null, null, null);
EXECUTE u2('u/p', '{y,z}', 'f', '1', 'p', '1', '1');
EXECUTE u3('u/p', '1', '10', '1000', '0');
EXECUTE u4('{u/p}', '{2}', null, null, '0');
EXECUTE u5('u/p', '3', '0');
EXECUTE u6('{u/p}', '{0}', '0');
EXECUTE u7('u/p', 'u/p', '1', 'u/p', 'epoch');
EXECUTE u8('u/p', '0', '0', 'u/p');
EXECUTE u9('u/p2', null, null, null, null);
EXECUTE u10('{u/p}', '{0}', null, '10', '1000');
EXECUTE u11('u/p', '2', 'u/p2');
DEALLOCATE ALL;

-- Other integer and text types work, too.
SELECT stream_append('u/t'::varchar, 'x'::bytea, expected => 0::smallint);
SELECT stream_wait('u/t'::varchar, 0::smallint, '0'), stream_seek('u/t', 1::smallint);
SELECT stream, chunk_id FROM stream_read_many(ARRAY['u/t'], ARRAY[0]);  -- an int[] of literals
SELECT stream FROM stream_wait_many(ARRAY['u/t']::varchar[], ARRAY[0]::int[]);
SELECT stream, chunk_id FROM stream_read_many(ARRAY(SELECT name FROM stream WHERE name = 'u/t'), ARRAY(SELECT 0::bigint));

-- No name has two overloads.
SELECT proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill'
 GROUP BY proname HAVING count(*) > 1;
