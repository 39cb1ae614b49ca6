-- stream_wait: its result without a wait, and at the timeout.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('wait/s', '{a,b,c}');

-- The highest readable id as soon as a chunk after the cursor is readable: at once if there is one.
SELECT stream_wait('wait/s', 0, null), stream_wait('wait/s', 2, null), stream_wait('wait/s', 0, '0'), stream_wait('wait/s', 2);

-- Nothing after the cursor: null at the timeout; 0 does not wait.
SELECT stream_wait('wait/s', 3, '0') IS NULL AS nothing, stream_wait('wait/s', 3, '1 ms') IS NULL AS nothing,
       stream_wait('wait/s', 3, '1 microsecond') IS NULL AS nothing;

-- A negative timeout is an error, however it is written; one that adds up to 0 or more is not.
CALL pg_temp.refused($$SELECT stream_wait('wait/s', 3, '-1 microsecond')$$);
CALL pg_temp.refused($$SELECT stream_wait('wait/s', 0, '1 day -25 hours')$$);
SELECT stream_wait('wait/s', 3, '1 day -24 hours') IS NULL AS nothing;
SELECT stream_wait('wait/s', 0, '178000000 years -1 day');

-- A stream that does not exist can be waited for; so can one that is empty.
SELECT stream_wait('wait/none', 0, '0') IS NULL AS nothing, stream_wait('wait/none', 0, '1 ms') IS NULL AS nothing;
CALL pg_temp.refused($$SELECT stream_wait('wait/none', 1, null)$$);
SELECT stream_create('wait/created');
SELECT stream_wait('wait/created', 0, '1 ms') IS NULL AS nothing;
CALL pg_temp.refused($$SELECT stream_wait('wait/created', 1, null)$$);
CALL pg_temp.refused($$SELECT stream_wait('wait/s', 4, null)$$);

-- The EOF's id, at once, with the cursor at or before the EOF.
SELECT stream_close('wait/s');
SELECT stream_wait('wait/s', 4, null), stream_wait('wait/s', 4, '0'), stream_wait('wait/s', 3, null), stream_wait('wait/s', 0, null);
CALL pg_temp.refused($$SELECT stream_wait('wait/s', 5, null)$$);
SELECT stream_append('wait/eof', 'a', true);
SELECT stream_wait('wait/eof', 1, null), stream_wait('wait/eof', 0, null);

-- The caller's own chunks count.
BEGIN;
SELECT stream_append('wait/own', 'a');
SELECT stream_wait('wait/own', 0, null);
ROLLBACK;
SELECT stream_wait('wait/own', 0, '0') IS NULL AS nothing;

-- statement_timeout ends it.
SET statement_timeout = '50ms';
CALL pg_temp.refused($$SELECT stream_wait('wait/none', 0, null)$$);
RESET statement_timeout;

-- In functions and queries.
SELECT s.name, stream_wait(s.name, 0, '0') FROM stream s WHERE s.name IN ('wait/s', 'wait/eof') ORDER BY s.name;
