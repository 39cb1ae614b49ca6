-- stream_wait_many: the streams that have chunks; those at their EOF are skipped until all are.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('waitm/a', '{a,b,c}');
SELECT stream_append_many('waitm/b', '{a,b}');
SELECT stream_append('waitm/end', 'a', true);
SELECT stream_append_many('waitm/end2', '{a,b}', true);

SELECT * FROM stream_wait_many('{waitm/a,waitm/b}', '{0,0}', null);
SELECT * FROM stream_wait_many('{waitm/a,waitm/b}', '{3,0}', null);
SELECT * FROM stream_wait_many('{waitm/b,waitm/a}', '{1,1}', '0');
SELECT * FROM stream_wait_many('{waitm/none,waitm/a}', '{0,2}');

-- None at the timeout.
SELECT * FROM stream_wait_many('{waitm/a,waitm/b}', '{3,2}', '0');
SELECT * FROM stream_wait_many('{waitm/a,waitm/b,waitm/none}', '{3,2,0}', '1 ms');

-- A stream whose EOF has not been read yet counts as having chunks, not as ended.
SELECT * FROM stream_wait_many('{waitm/end,waitm/end2}', '{0,1}', null);

-- At their EOF: skipped while others may still get chunks ...
SELECT * FROM stream_wait_many('{waitm/end,waitm/a}', '{1,0}', null);
SELECT * FROM stream_wait_many('{waitm/end,waitm/end2}', '{1,1}', null);
SELECT * FROM stream_wait_many('{waitm/end,waitm/a}', '{1,3}', '0');
SELECT * FROM stream_wait_many('{waitm/end,waitm/none}', '{1,0}', '1 ms');

-- ... and returned at once when all are.
SELECT * FROM stream_wait_many('{waitm/end,waitm/end2}', '{1,2}', null);
SELECT * FROM stream_wait_many('{waitm/end,waitm/end2}', '{1,2}', '0');
SELECT * FROM stream_wait_many('{waitm/end}', '{1}', null);
-- again in the same session, when everything is cached
SELECT * FROM stream_wait_many('{waitm/end,waitm/end2}', '{1,2}', null);

-- Empty arrays give an empty result, at once.
SELECT * FROM stream_wait_many('{}', '{}');
SELECT * FROM stream_wait_many('{}', '{}', null);

-- A bad cursor is a row, which ends the wait and does not spoil the others' rows.
SELECT * FROM stream_wait_many('{waitm/a,waitm/none}', '{0,1}', null);
SELECT * FROM stream_wait_many('{waitm/b,waitm/a}', '{0,4}', null);
SELECT * FROM stream_wait_many('{waitm/b,waitm/a}', '{2,4}', null);
SELECT * FROM stream_wait_many('{waitm/end}', '{2}', null);
SELECT * FROM stream_wait_many('{waitm/end,waitm/a}', '{1,4}', '0');
SELECT stream_append_many('waitm/trim', '{a,b,c}');
SELECT stream_trim('waitm/trim', 3);
SELECT * FROM stream_wait_many('{waitm/none,waitm/b,waitm/trim,waitm/a,waitm/end}', '{1,1,1,4,1}');
-- stream_await_many counts them as ready.
CALL stream_await_many('{waitm/none,waitm/b,waitm/trim,waitm/a,waitm/end}', '{1,2,1,4,1}', null);
CALL stream_await_many('{waitm/a}', '{4}', null);

-- statement_timeout ends it.
SET statement_timeout = '50ms';
CALL pg_temp.refused($$SELECT stream_wait_many('{waitm/a,waitm/end,waitm/none}', '{3,1,0}', null)$$);
RESET statement_timeout;
