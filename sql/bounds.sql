-- Every invalid argument: the SQLSTATE, the argument's name, a hint, and nothing stored.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append('bounds/there', 'x');

-- Nulls where a value is required.
CALL pg_temp.refused($$SELECT stream_append(null, 'x')$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', null)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', null)$$);
CALL pg_temp.refused($$SELECT stream_append_many(null, '{x}')$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', null)$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{x,null}')$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{x}', null)$$);
CALL pg_temp.refused($$SELECT stream_close(null)$$);
CALL pg_temp.refused($$SELECT stream_create(null)$$);
CALL pg_temp.refused($$SELECT stream_read_since(null, 0)$$);
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT stream_read_many(null, '{0}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', null)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there,null}', '{0,0}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', '{null}')$$);
CALL pg_temp.refused($$SELECT stream_wait(null, 0)$$);
CALL pg_temp.refused($$SELECT stream_wait('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT stream_wait_many(null, '{0}')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there}', null)$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{null}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there}', '{null}')$$);
CALL pg_temp.refused($$CALL stream_await(null, 0)$$);
CALL pg_temp.refused($$CALL stream_await('bounds/there', null)$$);
CALL pg_temp.refused($$CALL stream_await_many(null, '{0}')$$);
CALL pg_temp.refused($$CALL stream_await_many('{bounds/there}', null)$$);
CALL pg_temp.refused($$SELECT stream_head(null)$$);
CALL pg_temp.refused($$SELECT stream_seek(null, 0)$$);
CALL pg_temp.refused($$SELECT stream_seek('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT stream_seek_time(null, now())$$);
CALL pg_temp.refused($$SELECT stream_seek_time('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT stream_verify(null, 0, 0)$$);
CALL pg_temp.refused($$SELECT stream_verify('bounds/there', null, 0)$$);
CALL pg_temp.refused($$SELECT stream_verify('bounds/there', 0, null)$$);
CALL pg_temp.refused($$SELECT stream_fetch(null, '{0}')$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', null)$$);
CALL pg_temp.refused($$SELECT stream_trim(null, 1)$$);
CALL pg_temp.refused($$SELECT stream_trim('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT stream_delete(null)$$);
CALL pg_temp.refused($$SELECT stream_status(null)$$);
CALL pg_temp.refused($$SELECT stream_size(null)$$);
CALL pg_temp.refused($$SELECT stream_size('bounds/there', -1)$$);
CALL pg_temp.refused($$SELECT stream_touch(null)$$);
CALL pg_temp.refused($$SELECT stream_set_limits(null)$$);
CALL pg_temp.refused($$SELECT stream_set_metadata(null, '{}')$$);
CALL pg_temp.refused($$SELECT stream_set_metadata('bounds/there', to_jsonb(repeat('x', 9000)))$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_idle => '-1 s')$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_age => '-300000 years')$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_age => '170000 years')$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', expires_at => 'infinity')$$);

-- Names.
CALL pg_temp.refused($$SELECT stream_append('', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append(repeat('n', 513), 'x')$$);
CALL pg_temp.refused($$SELECT stream_append_many('', '{x}')$$);
CALL pg_temp.refused($$SELECT stream_append_many('', '{}')$$);
CALL pg_temp.refused($$SELECT stream_close(repeat('n', 1000))$$);
CALL pg_temp.refused($$SELECT stream_create('')$$);
CALL pg_temp.refused($$SELECT stream_read_since('', 0)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{""}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_wait('', 0)$$);
CALL pg_temp.refused($$SELECT stream_wait_many(ARRAY[repeat('n', 513)], '{0}')$$);
CALL pg_temp.refused($$CALL stream_await('', 0)$$);
CALL pg_temp.refused($$CALL stream_await_many('{""}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_head('')$$);
CALL pg_temp.refused($$SELECT stream_seek('', 0)$$);
CALL pg_temp.refused($$SELECT stream_seek_time('', now())$$);
CALL pg_temp.refused($$SELECT stream_verify('', 0, 0)$$);
CALL pg_temp.refused($$SELECT stream_fetch('{""}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_trim('', 1)$$);
CALL pg_temp.refused($$SELECT stream_delete(repeat('n', 513))$$);

-- Cursors.
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', -1)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', '{-1}')$$);
CALL pg_temp.refused($$SELECT stream_wait('bounds/there', -1)$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there,bounds/other}', '{0,-9223372036854775808}')$$);
CALL pg_temp.refused($$CALL stream_await('bounds/there', -1)$$);
CALL pg_temp.refused($$CALL stream_await_many('{bounds/there}', '{-1}')$$);
CALL pg_temp.refused($$SELECT stream_verify('bounds/there', -1, 0)$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', '{-1}')$$);
CALL pg_temp.refused($$SELECT stream_trim('bounds/there', -1)$$);

-- Caps.
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', 0, 0)$$);
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', 0, -1)$$);
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', 0, max_bytes => 0)$$);
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', 0, max_bytes => -5)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', '{0}', 0)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', '{0}', max_bytes => 0)$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', '{0}', max_chunks => 0)$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', '{0}', max_bytes => 0)$$);
CALL pg_temp.refused($$SELECT stream_read_many('{}', '{}', 0)$$);

-- Timeouts.
CALL pg_temp.refused($$SELECT stream_read_since('bounds/there', 0, timeout => '-1 s')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there}', '{0}', timeout => '-1 ms')$$);
CALL pg_temp.refused($$SELECT stream_wait('bounds/there', 0, '-1 s')$$);
CALL pg_temp.refused($$SELECT stream_wait('bounds/there', 0, '-1 month 1 day')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there}', '{0}', '-1 us')$$);
CALL pg_temp.refused($$CALL stream_await('bounds/there', 0, '-1 s')$$);
CALL pg_temp.refused($$CALL stream_await_many('{bounds/there}', '{0}', '-1 s')$$);

-- Arrays.
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{{a,b},{c,d}}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there,bounds/other}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{}', '{0}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{bounds/there,bounds/other,bounds/there}', '{0,0,1}')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{{bounds/there},{bounds/other}}', '{0,0}')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there}', '{0,0}')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{bounds/there,bounds/there}', '{0,0}')$$);
CALL pg_temp.refused($$CALL stream_await_many('{bounds/there}', '{}')$$);
CALL pg_temp.refused($$CALL stream_await_many('{bounds/there,bounds/there}', '{0,0}')$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', '{0,0}')$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there}', '{0}', '{}')$$);
CALL pg_temp.refused($$SELECT stream_fetch('{bounds/there,bounds/there}', '{0,0}')$$);

-- Retention.
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_age => '-1 s')$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_chunks => 0)$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', max_bytes => -1)$$);
CALL pg_temp.refused($$SELECT stream_create('bounds/new', delete_after_close => '-1 day')$$);

-- Conditions and producers.
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', expected => -1)$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{x}', expected => -1)$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{}', expected => -1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => 'p')$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => 'p', producer_epoch => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => 'p', producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => '', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => repeat('p', 513), producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => 'p', producer_epoch => -1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', producer => 'p', producer_epoch => 1, producer_seq => 0)$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{x}', producer => 'p', producer_epoch => 1, producer_seq => -1)$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{}', producer => 'p')$$);

-- The same of stream_try_append, and what only it has. Neither an empty array nor an outcome hides a bad argument.
CREATE PROCEDURE pg_temp.refused_try(arguments text) LANGUAGE sql AS $$
  CALL pg_temp.refused('SELECT * FROM stream_try_append(' || arguments || ')') $$;
CALL pg_temp.refused_try($$null, '{x}'$$);
CALL pg_temp.refused_try($$'', '{x}'$$);
CALL pg_temp.refused_try($$repeat('s', 513), '{x}'$$);
CALL pg_temp.refused_try($$'bounds/new', null$$);
CALL pg_temp.refused_try($$'bounds/new', '{x,null}'$$);
CALL pg_temp.refused_try($$'bounds/new', '{{a,b},{c,d}}'$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', null$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', expected => -1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p'$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_epoch => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer_epoch => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer_epoch => 1, producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => '', producer_epoch => 1, producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => repeat('p', 513), producer_epoch => 1, producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_epoch => -1, producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_epoch => 1, producer_seq => 0$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_epoch => '-9223372036854775808', producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', producer => 'p', producer_epoch => '9223372036854775808', producer_seq => 1$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', writer_seq => ''$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', writer_seq => repeat('w', 513)$$);
CALL pg_temp.refused_try($$'bounds/new', '{x}', create_stream => null$$);
CALL pg_temp.refused_try($$'bounds/new', '{}', expected => -1$$);
CALL pg_temp.refused_try($$'bounds/new', '{}', writer_seq => ''$$);
CALL pg_temp.refused_try($$'bounds/new', '{}', true, producer => 'p'$$);
CALL pg_temp.refused_try($$'bounds/none', '{x}', expected => -1, create_stream => false$$);
CALL pg_temp.refused_try($$'bounds/none', '{x,null}', create_stream => false$$);
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'x', eof => null)$$);
CALL pg_temp.refused($$SELECT stream_append_text(null, 'x')$$);
CALL pg_temp.refused($$SELECT stream_append_text('', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append_text('bounds/new', null)$$);
CALL pg_temp.refused($$SELECT stream_append_text('bounds/new', 'x', null)$$);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state(null, 'p')$$);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state('', 'p')$$);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state('bounds/there', null)$$);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state('bounds/there', '')$$);
CALL pg_temp.refused($$SELECT * FROM stream_producer_state('bounds/there', repeat('p', 513))$$);

-- Sizes.
SET pg_rill.max_chunk_bytes = 10;
CALL pg_temp.refused($$SELECT stream_append('bounds/new', 'eleven byte')$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{short,"much too long"}')$$);
CALL pg_temp.refused($$SELECT stream_append_many('bounds/new', '{"much too long",short}')$$);
CALL pg_temp.refused_try($$'bounds/new', '{short,"much too long"}'$$);
CALL pg_temp.refused($$SELECT stream_append_text('bounds/new', 'eleven byte')$$);
SELECT stream_append('bounds/there', 'just right');
RESET pg_rill.max_chunk_bytes;

-- Nothing was stored, no stream created, no id used up, and nothing else disturbed.
SELECT name, head_id FROM stream_info WHERE name LIKE 'bounds/%' ORDER BY name;
SELECT stream_append('bounds/there', 'y');
SELECT count(*) FROM stream_producer p JOIN stream s USING (stream_id) WHERE s.name LIKE 'bounds/%';

-- The highest possible id: a stream whose ids are used up refuses to store more.
SELECT stream_create('bounds/last');
INSERT INTO stream_chunk SELECT stream_id, 9223372036854775806, 1, now(), false, 'x' FROM stream WHERE name = 'bounds/last';
CALL pg_temp.refused($$SELECT stream_append_many('bounds/last', '{x,y}')$$);
SELECT stream_append('bounds/last', 'x');
CALL pg_temp.refused($$SELECT stream_append('bounds/last', 'x')$$);
SELECT head_id FROM stream_info WHERE name = 'bounds/last';
