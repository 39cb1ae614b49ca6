-- stream_listen and stream_unlisten: registered from commit on, as LISTEN is.
-- psql prints notifications with the results, so results are discarded here and relevant values echoed.
\o /dev/null
SELECT stream_listen() AS channel \gset
\echo :channel
CREATE TEMP VIEW state AS SELECT ARRAY(SELECT pg_listening_channels()) AS channels, listeners FROM stream_stat;
SELECT * FROM state \gset
\echo :channels :listeners

-- Registering twice counts once.
SELECT stream_listen() \gset
SELECT * FROM state \gset
\echo :channels :listeners

-- Rolled back, nothing has changed.
BEGIN;
SELECT stream_unlisten();
ROLLBACK;
SELECT * FROM state \gset
\echo :channels :listeners

SELECT stream_unlisten() AS channel \gset
\echo :channel
SELECT * FROM state \gset
\echo :channels :listeners
SELECT stream_unlisten();
SELECT * FROM state \gset
\echo :channels :listeners

BEGIN;
SELECT stream_listen();
ROLLBACK;
SELECT * FROM state \gset
\echo :channels :listeners

-- Both in one transaction: the last one counts.
BEGIN;
SELECT stream_listen();
SELECT stream_unlisten();
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SELECT stream_unlisten();
SELECT stream_listen();
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners

-- Savepoints: what was rolled back does not count, what was released does.
BEGIN;
SELECT stream_listen();
SAVEPOINT s;
SELECT stream_unlisten();
ROLLBACK TO s;
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SAVEPOINT s;
SAVEPOINT t;
SELECT stream_unlisten();
RELEASE t;
RELEASE s;
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SAVEPOINT s;
SELECT stream_listen();
ROLLBACK TO s;
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SAVEPOINT s;
SAVEPOINT t;
SELECT stream_listen();
RELEASE t;
ROLLBACK TO s;
SELECT stream_unlisten();
SAVEPOINT t;
SELECT stream_listen();
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners

-- UNLISTEN of the channel or of all channels ends the registration, too, at commit.
UNLISTEN *;
SELECT * FROM state \gset
\echo :channels :listeners
SELECT stream_listen() \gset
UNLISTEN pg_rill;
SELECT * FROM state \gset
\echo :channels :listeners
SELECT stream_listen() \gset
LISTEN other;
UNLISTEN other;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
UNLISTEN *;
ROLLBACK;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SAVEPOINT s;
UNLISTEN *;
ROLLBACK TO s;
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
UNLISTEN *;
SELECT stream_listen();
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
SELECT stream_listen();
UNLISTEN pg_rill;
COMMIT;
SELECT * FROM state \gset
\echo :channels :listeners
-- Also from within a DO block.
SELECT stream_listen() \gset
DO 'BEGIN UNLISTEN *; END';
SELECT * FROM state \gset
\echo :channels :listeners
-- DISCARD ALL, the reset of session poolers, does the same; other DISCARDs do not. It also drops the view above.
SELECT stream_listen() \gset
DISCARD PLANS;
SELECT * FROM state \gset
\echo :channels :listeners
BEGIN;
DISCARD ALL;
ROLLBACK;
SELECT * FROM state \gset
\echo :channels :listeners
DISCARD ALL;
SELECT ARRAY(SELECT pg_listening_channels()) AS channels, listeners FROM stream_stat \gset
\echo :channels :listeners
SELECT stream_listen() \gset
SELECT ARRAY(SELECT pg_listening_channels()) AS channels, listeners FROM stream_stat \gset
\echo :channels :listeners

-- Appends, closes and reads do not change while a session listens.
SELECT stream_append('listen/s', 'x') AS id, stream_close('listen/s') AS eof \gset
\echo :id :eof

-- A session that ends no longer counts; a new session starts unregistered.
SELECT pg_backend_pid() AS listener \gset
\c
CREATE PROCEDURE pg_temp.gone(listener int) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..6000 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = listener);
    PERFORM pg_stat_clear_snapshot(), pg_sleep(0.01);
  END LOOP;
END $$;
CALL pg_temp.gone(:listener);
SELECT ARRAY(SELECT pg_listening_channels()) AS channels, listeners FROM stream_stat \gset
\echo :channels :listeners
