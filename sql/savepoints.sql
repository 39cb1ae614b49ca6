-- Savepoints: what is rolled back is skipped, what remains is read in order.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

BEGIN;
SELECT stream_append('sp/s', 'a');
SAVEPOINT one;
SELECT stream_append('sp/s', 'b');
ROLLBACK TO one;
-- within the transaction the rolled-back chunk does not stop a read
SELECT stream_append('sp/s', 'c') > 2 AS higher;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('sp/s', 0);
SAVEPOINT two;
SELECT stream_append('sp/s', 'd') > 3 AS higher;
RELEASE two;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('sp/s', 0);
COMMIT;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('sp/s', 0);

-- A stream created in a rolled-back savepoint does not exist, and can be created again in the same transaction.
BEGIN;
SAVEPOINT one;
SELECT stream_append('sp/new', 'x');
ROLLBACK TO one;
SELECT count(*) FROM stream WHERE name = 'sp/new';
SELECT stream_wait('sp/new', 0, '0') IS NULL AS nothing;
SELECT stream_append('sp/new', 'y');
COMMIT;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('sp/new', 0);

-- Closing in a rolled-back savepoint leaves the stream open.
BEGIN;
SAVEPOINT one;
SELECT stream_close('sp/s') > 4 AS higher;
CALL pg_temp.refused($$SELECT stream_append('sp/s', 'x')$$);
ROLLBACK TO one;
SELECT stream_append('sp/s', 'e') > 5 AS higher;
COMMIT;
SELECT convert_from(data, 'UTF8') AS data FROM stream_read_since('sp/s', 0);
SELECT closed FROM stream_info WHERE name = 'sp/s';

-- Errors caught inside a function: each block is a savepoint.
CREATE FUNCTION pg_temp.append_some() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  stored int := 0;
BEGIN
  FOR i IN 1..10 LOOP
    BEGIN
      PERFORM stream_append('sp/loop', convert_to(i::text, 'UTF8'));
      IF i % 3 = 0 THEN
        RAISE division_by_zero;
      END IF;
      stored := stored + 1;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
  RETURN stored;
END $$;
SELECT pg_temp.append_some();
SELECT array_agg(convert_from(data, 'UTF8') ORDER BY chunk_id) FROM stream_read_since('sp/loop', 0);
SELECT chunks FROM stream_size('sp/loop');

-- Deeper than the server keeps in its fast cache of subtransactions.
BEGIN;
DO $$
BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      PERFORM stream_append('sp/deep', convert_to(i::text, 'UTF8'));
      IF i % 2 = 0 THEN
        RAISE division_by_zero;
      END IF;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
SELECT count(*), max(convert_from(data, 'UTF8')::int) FROM stream_read_since('sp/deep', 0);
COMMIT;
SELECT count(*), max(convert_from(data, 'UTF8')::int) FROM stream_read_since('sp/deep', 0);
