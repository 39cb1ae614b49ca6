-- CALL stream_await and stream_await_many: their results, and where they fail.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append_many('await/s', '{a,b}');
SELECT stream_append('await/end', 'a', true);

CALL stream_await('await/s', 0);
CALL stream_await('await/s', 1, '0');
CALL stream_await('await/s', 2, '0');
CALL stream_await('await/s', 2, '1 ms');
CALL stream_await('await/s', 0, null);
CALL stream_await('await/end', 1, null);
CALL stream_await('await/none', 0, '1 ms');
CALL stream_await(stream => 'await/s', chunk_id => 1, timeout => null);

CALL stream_await_many('{await/s,await/end}', '{0,1}');
CALL stream_await_many('{await/s,await/end}', '{2,0}', null);
CALL stream_await_many('{await/s,await/end}', '{2,1}', '1 ms');
CALL stream_await_many('{await/s,await/none}', '{2,0}', '0');
CALL stream_await_many('{await/end}', '{1}', null);
CALL stream_await_many('{}', '{}', null);
CALL stream_await_many('{"await/s"}', '{1}', timeout => '1 ms');

-- For librill: the first row of stream_fetch, which may be the error of one stream. (A page contains times and epochs.)
CREATE PROCEDURE pg_temp.first_row(streams text[], chunk_ids bigint[], timeout interval) LANGUAGE plpgsql AS $$
<<got>>
DECLARE
  n int;
  stream_id bigint;
  page bytea;
  more boolean;
  state text;
  message text;
BEGIN
  CALL stream_fetch_await(streams, chunk_ids, timeout, n, stream_id, page, more, state, message);
  RAISE INFO 'n %, stream %, page of %, more %, % %', n, (SELECT name FROM stream s WHERE s.stream_id = got.stream_id),
    CASE WHEN page IS NOT NULL THEN (SELECT count(*) FROM stream_fetch(streams[got.n:got.n], chunk_ids[got.n:got.n]) f WHERE f.page = got.page) END, more, state, message;
END $$;
CALL pg_temp.first_row('{await/s,await/end}', '{0,1}', '30 s');
CALL pg_temp.first_row('{await/s,await/end}', '{2,0}', null);
CALL pg_temp.first_row('{await/s,await/end,await/none}', '{2,1,0}', '1 ms');
CALL pg_temp.first_row('{await/end}', '{1}', '1 ms');
CALL pg_temp.first_row('{}', '{}', '1 ms');
CALL pg_temp.first_row('{await/s,await/none}', '{2,1}', null);
CALL pg_temp.first_row('{await/s}', '{3}', null);

-- Errors are those of stream_wait.
\set VERBOSITY terse
CALL stream_await('await/s', 3, null);
\echo :SQLSTATE
CALL stream_await('await/none', 1, null);
\echo :SQLSTATE
CALL stream_await_many('{await/end,await/none}', '{1,1}', null);
\echo :SQLSTATE
SET statement_timeout = '50ms';
CALL stream_await('await/none', 0, null);
\echo :SQLSTATE
CALL stream_await_many('{await/none}', '{0}', null);
\echo :SQLSTATE
RESET statement_timeout;
\set VERBOSITY default

-- They fail in a transaction block, and the hint names the function form.
BEGIN;
CALL stream_await('await/s', 0);
ROLLBACK;
BEGIN;
CALL stream_await_many('{await/s}', '{0}');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL stream_await('await/s', 2);
ROLLBACK;
CALL pg_temp.refused($$CALL stream_await('await/s', 0)$$);
CALL pg_temp.refused($$CALL stream_await_many('{await/s}', '{0}')$$);
CALL pg_temp.refused($$CALL stream_fetch_await('{await/s}', '{0}')$$);
CREATE FUNCTION pg_temp.waits() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  head bigint;
BEGIN
  CALL stream_await('await/s', 0, head => head);
  RETURN head;
END $$;
CALL pg_temp.refused('SELECT pg_temp.waits()');

-- A DO block outside a transaction block may wait, but not after it has written.
DO $$
DECLARE
  head bigint;
  ready text[];
BEGIN
  CALL stream_await('await/s', 0, '0', head);
  CALL stream_await_many('{await/s,await/none}', '{0,0}', null, ready);
  RAISE NOTICE '% %', head, ready;
END $$;
DO $$
DECLARE
  head bigint;
BEGIN
  PERFORM stream_append('await/written', 'x');
  CALL stream_await('await/s', 0, '0', head);
END $$;
SELECT count(*) FROM stream WHERE name = 'await/written';

-- A session whose transactions are REPEATABLE READ can wait, too: each check takes a new snapshot.
SET default_transaction_isolation = 'repeatable read';
CALL stream_await('await/s', 1, '1 ms');
CALL stream_await('await/s', 2, '1 ms');
RESET default_transaction_isolation;
SHOW transaction_isolation;

-- The session continues as usual.
SELECT stream_append('await/s', 'c');
CALL stream_await('await/s', 2);
