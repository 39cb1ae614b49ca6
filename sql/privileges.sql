-- Privileges without row-level security: EXECUTE on the function, and on table stream SELECT to read, UPDATE to append, INSERT to create.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

CREATE ROLE regress_rill_none;
CREATE ROLE regress_rill_exec;
CREATE ROLE regress_rill_select;
CREATE ROLE regress_rill_update;
CREATE ROLE regress_rill_insert;
CREATE ROLE regress_rill_delete;
CREATE ROLE regress_rill_column;
SELECT extnamespace::regnamespace AS ext FROM pg_extension WHERE extname = 'pg_rill' \gset
DO $$
DECLARE
  routine regprocedure;
BEGIN
  FOR routine IN SELECT objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                  WHERE e.extname = 'pg_rill' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO regress_rill_exec, regress_rill_select, regress_rill_update, regress_rill_insert, regress_rill_delete, regress_rill_column', routine);
  END LOOP;
END $$;
GRANT SELECT ON stream TO regress_rill_select;
GRANT UPDATE ON stream TO regress_rill_update;
GRANT INSERT ON stream TO regress_rill_insert;
GRANT DELETE ON stream TO regress_rill_delete;
GRANT SELECT (name), UPDATE (name), INSERT (name) ON stream TO regress_rill_column;
GRANT SELECT ON stream_stat TO regress_rill_select, regress_rill_update;

SELECT stream_append_many('priv/s', '{a,b}');
SELECT stream_append('priv/closed', 'a', true);
SELECT epoch FROM stream_read_since('priv/s', 1) \gset

-- Each call as each role, rolled back each time.
CREATE TEMP TABLE outcome (n serial, call text, role text, outcome text);
GRANT ALL ON outcome, outcome_n_seq TO PUBLIC;
CREATE PROCEDURE pg_temp.try(call text) LANGUAGE plpgsql AS $$
DECLARE
  tried text; result text;
BEGIN
  FOREACH tried IN ARRAY ARRAY['none', 'exec', 'select', 'update', 'insert', 'delete', 'column'] LOOP
    BEGIN
      EXECUTE format('SET LOCAL ROLE regress_rill_%s', tried);
      EXECUTE call;
      RAISE EXCEPTION USING ERRCODE = 'P0001';
    EXCEPTION WHEN OTHERS THEN
      result := CASE SQLSTATE WHEN 'P0001' THEN 'ok' ELSE SQLSTATE END;
    END;
    INSERT INTO outcome (call, role, outcome) VALUES (call, tried, result);
  END LOOP;
END $$;
CALL pg_temp.try($$SELECT stream_read_since('priv/s', 0)$$);
CALL pg_temp.try($$SELECT stream_read_since('priv/none', 0)$$);
CALL pg_temp.try($$SELECT stream_read_many('{priv/s,priv/none}', '{0,0}')$$);
CALL pg_temp.try($$SELECT stream_read_many('{}', '{}')$$);
CALL pg_temp.try($$SELECT stream_wait('priv/s', 0)$$);
CALL pg_temp.try($$SELECT stream_wait('priv/s', 2, '1 ms')$$);
CALL pg_temp.try($$SELECT stream_wait('priv/none', 0, '0')$$);
CALL pg_temp.try($$SELECT stream_wait_many('{priv/s}', '{0}')$$);
CALL pg_temp.try($$SELECT stream_head('priv/s')$$);
CALL pg_temp.try($$SELECT stream_seek('priv/s', 1)$$);
CALL pg_temp.try($$SELECT stream_seek_time('priv/s', now())$$);
SELECT format('CALL pg_temp.try(%L)', format('SELECT stream_verify(''priv/s'', 2, %s)', :epoch)) AS verify \gset
:verify;
CALL pg_temp.try($$SELECT stream_verify('priv/s', 0, 0)$$);
CALL pg_temp.try($$SELECT stream_names('{1}')$$);
CALL pg_temp.try($$SELECT stream_fetch('{priv/s}', '{0}')$$);
CALL pg_temp.try($$SELECT stream_status('priv/s')$$);
CALL pg_temp.try($$SELECT stream_size('priv/s')$$);
CALL pg_temp.try($$SELECT stream_touch('priv/s')$$);
CALL pg_temp.try($$SELECT stream_set_limits('priv/s', max_chunks => 9)$$);
CALL pg_temp.try($$SELECT stream_set_metadata('priv/s', '{}')$$);
CALL pg_temp.try($$SELECT stream_append('priv/s', 'x')$$);
CALL pg_temp.try($$SELECT stream_append('priv/s', 'x', expected => 2, producer => 'p', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.try($$SELECT stream_append('priv/s', 'x', expected => 7)$$);
CALL pg_temp.try($$SELECT stream_append('priv/closed', 'x')$$);
CALL pg_temp.try($$SELECT stream_append_many('priv/s', '{x,y}')$$);
CALL pg_temp.try($$SELECT stream_append_text('priv/s', 'x')$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/s', '{x}')$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/s', '{x}', create_stream => false)$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/s', '{x}', expected => 7)$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/s', '{}')$$);
CALL pg_temp.try($$SELECT stream_producer_state('priv/s', 'p')$$);
CALL pg_temp.try($$SELECT stream_close('priv/s')$$);
CALL pg_temp.try($$SELECT stream_close('priv/closed')$$);
CALL pg_temp.try($$SELECT stream_create('priv/s', max_chunks => 9)$$);
CALL pg_temp.try($$SELECT stream_trim('priv/s', 2)$$);
CALL pg_temp.try($$SELECT stream_trim('priv/new', 2)$$);
CALL pg_temp.try($$SELECT stream_delete('priv/s')$$);
CALL pg_temp.try($$SELECT stream_delete('priv/new')$$);
CALL pg_temp.try($$SELECT stream_append('priv/new', 'x')$$);
CALL pg_temp.try($$SELECT stream_append('priv/new', 'x', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.try($$SELECT stream_append_many('priv/new', '{x,y}')$$);
CALL pg_temp.try($$SELECT stream_append_text('priv/new', 'x')$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/new', '{x}')$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/new', '{x}', create_stream => false)$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/new', '{x}', expected => 7)$$);
CALL pg_temp.try($$SELECT stream_try_append('priv/new', '{}')$$);
CALL pg_temp.try($$SELECT stream_producer_state('priv/new', 'p')$$);
CALL pg_temp.try($$SELECT stream_close('priv/new')$$);
CALL pg_temp.try($$SELECT stream_create('priv/new', '1 day', 2, 3, '4 days')$$);
CALL pg_temp.try($$SELECT stream_listen()$$);
CALL pg_temp.try($$SELECT stream_unlisten()$$);
CALL pg_temp.try($$SELECT stream_counters()$$);
CALL pg_temp.try($$SELECT stream_guard()$$);
CALL pg_temp.try($$SELECT name, head_id FROM stream_info$$);
CALL pg_temp.try($$SELECT listeners FROM stream_stat$$);
CALL pg_temp.try($$SELECT FROM stream_chunk$$);
CALL pg_temp.try($$SELECT FROM stream_producer$$);
CALL pg_temp.try($$SELECT FROM stream_state$$);
CALL pg_temp.try($$INSERT INTO stream (name) VALUES ('priv/by hand')$$);
CALL pg_temp.try($$UPDATE stream SET name = 'priv/by hand'$$);
CALL pg_temp.try($$DELETE FROM stream$$);
SELECT replace(call, :'epoch', 'EPOCH') AS call,
       max(outcome) FILTER (WHERE role = 'none') AS none, max(outcome) FILTER (WHERE role = 'exec') AS exec,
       max(outcome) FILTER (WHERE role = 'select') AS "select", max(outcome) FILTER (WHERE role = 'update') AS "update",
       max(outcome) FILTER (WHERE role = 'insert') AS "insert", max(outcome) FILTER (WHERE role = 'delete') AS "delete",
       max(outcome) FILTER (WHERE role = 'column') AS "column"
  FROM outcome GROUP BY 1 ORDER BY min(n);
SELECT stream_head('priv/s'), stream_head('priv/new');

-- The procedures check EXECUTE first, then the transaction block, then the privileges on stream.
\set VERBOSITY terse
SET ROLE regress_rill_none;
CALL stream_await('priv/s', 0);
CALL stream_await_many('{priv/s}', '{0}');
CALL stream_fetch_await('{priv/none}', '{0}', '0');
SET ROLE regress_rill_update;
CALL stream_await('priv/s', 0);
CALL stream_await_many('{priv/s}', '{0}');
CALL stream_fetch_await('{priv/none}', '{0}', '0');
CALL stream_await('priv/none', 0, '0');
SET ROLE regress_rill_select;
CALL stream_await('priv/s', 0);
CALL stream_await_many('{priv/s}', '{0}');
CALL stream_fetch_await('{priv/none}', '{0}', '0');
CALL stream_await('priv/none', 0, '0');
RESET ROLE;
\set VERBOSITY default

-- The messages.
SET ROLE regress_rill_none;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
SET ROLE regress_rill_exec;
CALL pg_temp.refused($$SELECT stream_read_since('priv/s', 0)$$);
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
SET ROLE regress_rill_insert;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
SET ROLE regress_rill_update;
CALL pg_temp.refused($$SELECT stream_append('priv/new', 'x')$$);
RESET ROLE;

-- INSERT alone can create a stream by an append, but not append to it afterwards.
SET ROLE regress_rill_insert;
SELECT stream_append('priv/mine', 'x');
CALL pg_temp.refused($$SELECT stream_append('priv/mine', 'y')$$);
BEGIN;
SELECT stream_append('priv/mine too', 'x');
CALL pg_temp.refused($$SELECT stream_append('priv/mine too', 'y')$$);
COMMIT;
RESET ROLE;
SELECT s.name, s.owner, i.head_id FROM stream s JOIN stream_info i USING (name) WHERE s.name LIKE 'priv/mine%' ORDER BY name;

-- UPDATE alone is enough to append, again and again.
SET ROLE regress_rill_update;
SELECT stream_append('priv/s', 'x'), stream_append_many('priv/s', '{y,z}'), stream_set_limits('priv/s', max_chunks => 1000);
RESET ROLE;
SELECT name, head_id, max_chunks FROM stream_info WHERE name = 'priv/s';

-- Grants take effect at once, in the same session and transaction, and so do revokes.
SET ROLE regress_rill_exec;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
RESET ROLE;
GRANT SELECT, UPDATE ON stream TO regress_rill_exec;
SET ROLE regress_rill_exec;
SELECT stream_head('priv/s'), stream_append('priv/s', 'granted');
SELECT * FROM stream_wait_many('{priv/s}', '{0}', '0');
SELECT count(*) FROM stream_read_many('{priv/s}', '{6}');
RESET ROLE;
BEGIN;
REVOKE SELECT, UPDATE ON stream FROM regress_rill_exec;
SET LOCAL ROLE regress_rill_exec;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
CALL pg_temp.refused($$SELECT stream_wait_many('{priv/s}', '{0}', '0')$$);
CALL pg_temp.refused($$SELECT stream_read_many('{priv/s}', '{6}')$$);
CALL pg_temp.refused($$SELECT stream_fetch('{priv/s}', '{6}')$$);
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'revoked')$$);
ROLLBACK;
SET ROLE regress_rill_exec;
SELECT stream_head('priv/s');
RESET ROLE;

-- Privileges through membership in a role, for functions and table; the end of membership takes effect at once.
CREATE ROLE regress_rill_member;
GRANT regress_rill_update TO regress_rill_member;
SET ROLE regress_rill_member;
SELECT stream_append('priv/s', 'member') > 0 AS appended;
RESET ROLE;
REVOKE regress_rill_update FROM regress_rill_member;
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION stream_append TO regress_rill_member;
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;
GRANT regress_rill_update TO regress_rill_member;
SET ROLE regress_rill_member;
SELECT stream_append('priv/s', 'member') > 0 AS appended;
RESET ROLE;
BEGIN;
REVOKE regress_rill_update FROM regress_rill_member;
SET LOCAL ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
ROLLBACK;
SET ROLE regress_rill_member;
SELECT stream_append('priv/s', 'member') > 0 AS appended;
RESET ROLE;
REVOKE regress_rill_update FROM regress_rill_member;
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;

-- The database's owner, and the roles that may read or write all data.
GRANT SELECT, UPDATE ON stream TO pg_database_owner;
GRANT EXECUTE ON FUNCTION stream_head TO regress_rill_member;
SELECT current_database() AS database, current_user AS superuser \gset
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
RESET ROLE;
ALTER DATABASE :"database" OWNER TO regress_rill_member;
SET ROLE regress_rill_member;
SELECT stream_head('priv/s') > 0 AS seen, stream_append('priv/s', 'x') > 0 AS appended;
RESET ROLE;
BEGIN;
ALTER DATABASE :"database" OWNER TO :"superuser";
SET LOCAL ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
ROLLBACK;
SET ROLE regress_rill_member;
SELECT stream_head('priv/s') > 0 AS seen, stream_append('priv/s', 'x') > 0 AS appended;
RESET ROLE;
ALTER DATABASE :"database" OWNER TO :"superuser";
REVOKE SELECT, UPDATE ON stream FROM pg_database_owner;
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;
GRANT pg_read_all_data TO regress_rill_member;
SET ROLE regress_rill_member;
SELECT stream_head('priv/s') > 0 AS seen;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;
GRANT pg_write_all_data TO regress_rill_member;
SET ROLE regress_rill_member;
SELECT stream_append('priv/s', 'x') > 0 AS appended;
RESET ROLE;
REVOKE pg_read_all_data, pg_write_all_data FROM regress_rill_member;
SET ROLE regress_rill_member;
CALL pg_temp.refused($$SELECT stream_head('priv/s')$$);
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;

-- A SECURITY DEFINER function lends its owner's privileges only while it runs.
CREATE FUNCTION lent(text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$ SELECT stream_append($1, 'lent') $$;
SET ROLE regress_rill_none;
SELECT lent('priv/s') > 0 AS lent;
CALL pg_temp.refused($$SELECT stream_append('priv/s', 'x')$$);
RESET ROLE;
DROP FUNCTION lent(text);

DROP OWNED BY regress_rill_none, regress_rill_exec, regress_rill_select, regress_rill_update, regress_rill_insert, regress_rill_delete, regress_rill_column, regress_rill_member;
DROP ROLE regress_rill_none, regress_rill_exec, regress_rill_select, regress_rill_update, regress_rill_insert, regress_rill_delete, regress_rill_column, regress_rill_member;
