\set ECHO none
-- What the files in sql/ share. CALL pg_temp.refused(command) runs a command that should fail and reports its
-- SQLSTATE, message, detail and hint as a notice, without the places in the source that VERBOSITY verbose prints.
\set SHOW_CONTEXT never
CREATE OR REPLACE PROCEDURE pg_temp.refused(command text) LANGUAGE plpgsql AS $body$
DECLARE
  message text; detail text; hint text;
BEGIN
  BEGIN
    EXECUTE command;
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    message := pg_catalog.concat(SQLSTATE, ': ', message);
    IF detail <> '' AND hint <> '' THEN RAISE NOTICE '%', message USING DETAIL = detail, HINT = hint;
    ELSIF hint <> '' THEN RAISE NOTICE '%', message USING HINT = hint;
    ELSIF detail <> '' THEN RAISE NOTICE '%', message USING DETAIL = detail;
    ELSE RAISE NOTICE '%', message;
    END IF;
    RETURN;
  END;
  RAISE NOTICE 'not refused: %', command;
END
$body$;
\set ECHO all
