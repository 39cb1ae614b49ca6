-- Row-level security: policies on table stream decide; a stream that may not be seen does not exist for the caller.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

CREATE ROLE regress_rill_ann;
CREATE ROLE regress_rill_bob;
CREATE ROLE regress_rill_owner;
CREATE ROLE regress_rill_bypass BYPASSRLS;
DO $$
DECLARE
  routine regprocedure;
BEGIN
  FOR routine IN SELECT objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                  WHERE e.extname = 'pg_rill' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO regress_rill_ann, regress_rill_bob, regress_rill_owner, regress_rill_bypass', routine);
  END LOOP;
END $$;
GRANT SELECT, UPDATE, INSERT, DELETE ON stream TO regress_rill_ann, regress_rill_bob, regress_rill_bypass;
GRANT SELECT ON stream_stat TO regress_rill_ann, regress_rill_bob, regress_rill_owner, regress_rill_bypass;

-- Makes the same call for a hidden stream and for one that does not exist; reports the result and whether it was the same.
CREATE PROCEDURE pg_temp.alike(call text, hidden text) LANGUAGE plpgsql AS $$
DECLARE
  outcome text[] := '{}'; result text; name text; detail text; hint text;
BEGIN
  FOREACH name IN ARRAY ARRAY[hidden, 'rls/none'] LOOP
    BEGIN
      EXECUTE format('SELECT string_agg(x::text, '' '') FROM (SELECT %s) x', format(call, name)) INTO result;
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
      result := concat_ws(' ', SQLSTATE, SQLERRM, detail, hint);
    END;
    outcome := outcome || coalesce(replace(result, name, 'NAME'), 'nothing');
  END LOOP;
  RAISE NOTICE '% -> %', format(call, 'NAME'), CASE WHEN outcome[1] = outcome[2] THEN outcome[1] ELSE 'DIFFERENT: ' || outcome::text END;
END $$;

-- A tenant policy by owner.
ALTER TABLE stream ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stream USING (owner = current_user);
SET ROLE regress_rill_ann;
SELECT stream_append_many('rls/ann', '{a,b,c}'), stream_append('rls/ann closed', 'x', true);
SELECT epoch FROM stream_read_since('rls/ann', 2) \gset
RESET ROLE;
SELECT array_agg(stream_id) AS ids FROM stream WHERE name ^@ 'rls/' \gset
SET ROLE regress_rill_bob;
SELECT stream_append_many('rls/bob', '{a,b}');
SELECT stream_id AS bob FROM stream WHERE name = 'rls/bob' \gset
SELECT name FROM stream_names(:'ids'::bigint[] || :bob::bigint);

CALL pg_temp.alike($$* FROM stream_read_since('%s', 0)$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_since('%s', 0, timeout => '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_since('%s', 2)$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_since('%s', 7)$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_many('{"%s"}', '{0}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_many('{"%s"}', '{2}', epochs => '{5}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_read_many('{"%s",rls/bob}', '{3,0}')$$, 'rls/ann');
CALL pg_temp.alike($$stream_wait('%s', 0, '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$stream_wait('%s', 3, '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$stream_wait('%s', 1, '0')$$, 'rls/ann closed');
CALL pg_temp.alike($$* FROM stream_wait_many('{"%s"}', '{0}', '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_wait_many('{"%s",rls/bob}', '{0,0}', '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_wait_many('{"%s"}', '{3}', '1 ms')$$, 'rls/ann');
CALL pg_temp.alike($$head, ended, sqlstate FROM stream_wait_many('{"%s"}', '{1}', '1 ms')$$, 'rls/ann closed');
CALL pg_temp.alike($$stream_head('%s')$$, 'rls/ann');
CALL pg_temp.alike($$stream_seek('%s', 2)$$, 'rls/ann');
CALL pg_temp.alike($$stream_seek('%s', -1)$$, 'rls/ann');
CALL pg_temp.alike($$stream_seek_time('%s', 'infinity')$$, 'rls/ann');
CALL pg_temp.alike($$stream_verify('%s', 0, 0)$$, 'rls/ann');
CALL pg_temp.alike($$stream_verify('%s', 3, 0)$$, 'rls/ann');
CALL pg_temp.alike($$stream_verify('%s', 9, 0)$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_fetch('{"%s"}', '{0}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_fetch('{"%s"}', '{3}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_fetch('{"%s"}', '{2}', '{5}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_fetch('{"%s"}', '{0}', '{null}')$$, 'rls/ann');
CALL pg_temp.alike($$stream_status('%s')$$, 'rls/ann');
CALL pg_temp.alike($$stream_size('%s')$$, 'rls/ann');
CALL pg_temp.alike($$stream_touch('%s')$$, 'rls/ann');
CALL pg_temp.alike($$stream_set_limits('%s')$$, 'rls/ann');
CALL pg_temp.alike($$stream_set_metadata('%s', '{}')$$, 'rls/ann');
CALL pg_temp.alike($$* FROM stream_info WHERE name = '%s'$$, 'rls/ann');
CALL pg_temp.alike($$stream_trim('%s', 3)$$, 'rls/ann');
CALL pg_temp.alike($$stream_delete('%s')$$, 'rls/ann');
CALL stream_await('rls/ann', 0, '1 ms');
CALL stream_await_many('{rls/ann,rls/bob}', '{0,0}', '1 ms');
SELECT name, head_id FROM stream_info ORDER BY name;

-- It cannot be appended to, closed or changed. Names are unique over all tenants, so a collision shows.
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x', expected => 0, producer => 'p', producer_epoch => 1, producer_seq => 1)$$);
CALL pg_temp.refused($$SELECT stream_append_many('rls/ann', '{x}')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/ann closed', 'x')$$);
CALL pg_temp.refused($$SELECT stream_close('rls/ann')$$);
CALL pg_temp.refused($$SELECT stream_close('rls/ann closed')$$);
CALL pg_temp.refused($$SELECT stream_create('rls/ann', max_chunks => 1)$$);
RESET ROLE;
SELECT s.name, s.owner, head_id, closed, max_chunks FROM stream s JOIN stream_info USING (name) WHERE name LIKE 'rls/%' ORDER BY name;

-- The role at the time of the call counts, whatever the session has cached.
SET ROLE regress_rill_ann;
SELECT stream_append('rls/ann', 'd'), stream_head('rls/bob');
SELECT * FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann'), stream_append('rls/bob', 'c');
SELECT * FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
SET ROLE regress_rill_bypass;
SELECT stream_head('rls/ann'), stream_append('rls/ann', 'e'), stream_append('rls/bob', 'd');

-- With row_security off, roles that do not bypass policies get an error, as from any query.
SET ROLE regress_rill_bob;
SET row_security = off;
CALL pg_temp.refused($$SELECT stream_head('rls/bob')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET row_security;

-- Switched off and on, in the same session, at once.
RESET ROLE;
ALTER TABLE stream DISABLE ROW LEVEL SECURITY;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann'), stream_append('rls/ann', 'bob was here');
SELECT stream, head FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
RESET ROLE;
ALTER TABLE stream ENABLE ROW LEVEL SECURITY;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
SELECT stream, head FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
SELECT count(*) FROM stream_fetch('{rls/ann}', '{0}');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);

-- Changing, dropping and creating a policy takes effect at once, in the running transaction and when it is rolled back.
RESET ROLE;
BEGIN;
ALTER POLICY tenant ON stream USING (true);
SET LOCAL ROLE regress_rill_bob;
SELECT stream_head('rls/ann'), stream_append('rls/ann', 'x') > 0 AS appended;
ROLLBACK;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;
DROP POLICY tenant ON stream;
SET ROLE regress_rill_ann;
SELECT stream_head('rls/ann');  -- without a policy, nothing is allowed
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/ann new', 'x')$$);
RESET ROLE;

-- Policies by command. SELECT to read ...
CREATE POLICY see ON stream FOR SELECT USING (true);
SET ROLE regress_rill_bob;
SELECT count(*) FROM stream_read_since('rls/ann', 0, 2);
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
CALL pg_temp.refused($$SELECT stream_create('rls/bob', max_chunks => 1)$$);
CALL pg_temp.refused($$SELECT stream_append('rls/bob new', 'x')$$);
RESET ROLE;
DROP POLICY see ON stream;

-- ... UPDATE to append, even to a stream that the role may not see ...
CREATE POLICY add ON stream FOR UPDATE USING (name <> 'rls/ann closed');
SET ROLE regress_rill_bob;
SELECT stream_append('rls/ann', 'unseen') > 0 AS appended, stream_head('rls/ann');
SELECT stream_set_limits('rls/bob', max_chunks => 1000);
CALL pg_temp.refused($$SELECT stream_close('rls/ann closed')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/bob new', 'x')$$);
RESET ROLE;
SELECT max_chunks FROM stream_info WHERE name = 'rls/bob';

-- ... with a check as well, as for an UPDATE that changes nothing ...
ALTER POLICY add ON stream WITH CHECK (owner = current_user);
SET ROLE regress_rill_bob;
SELECT stream_append('rls/bob', 'x') > 0 AS appended;
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
CALL pg_temp.refused($$SELECT stream_create('rls/ann', max_chunks => 1)$$);
RESET ROLE;
DROP POLICY add ON stream;

-- ... INSERT to create.
CREATE POLICY make ON stream FOR INSERT WITH CHECK (name LIKE 'rls/' || substr(current_user, 14) || '%' AND owner = current_user);
SET ROLE regress_rill_bob;
SELECT stream_append('rls/bob made', 'x'), stream_create('rls/bob created'), stream_head('rls/bob made');
CALL pg_temp.refused($$SELECT stream_append('rls/bob made', 'y')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/other', 'x')$$);
CALL pg_temp.refused($$SELECT stream_create('rls/other')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);  -- the check comes before the conflict
RESET ROLE;
SELECT name, owner FROM stream WHERE name LIKE 'rls/% %' OR name = 'rls/other' ORDER BY name;

-- Restrictive ones on top.
CREATE POLICY tenant ON stream USING (owner = current_user);
CREATE POLICY not_made ON stream AS RESTRICTIVE FOR UPDATE USING (name NOT LIKE '% made');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob made'), stream_append('rls/bob', 'x') > 0 AS appended;
CALL pg_temp.refused($$SELECT stream_append('rls/bob made', 'x')$$);
RESET ROLE;
DROP POLICY not_made ON stream;
DROP POLICY make ON stream;

-- By name, by time, by a setting (evaluated in each call).
ALTER POLICY tenant ON stream USING (name LIKE current_setting('regress.tenant', true) || '%');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
SET regress.tenant = 'rls/ann';
SELECT stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'x') > 0 AS appended, stream_head('rls/bob');
SET regress.tenant = 'rls/bob';
SELECT stream_head('rls/ann'), stream_head('rls/bob') > 0 AS seen;
SELECT stream FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
SET regress.tenant = 'rls/ann';
SELECT stream FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET regress.tenant;
RESET ROLE;
ALTER POLICY tenant ON stream USING (created_at > 'infinity');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
ALTER POLICY tenant ON stream USING (created_at > '-infinity');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;

-- With a subquery: its table is read with the caller's privileges, and changes there take effect at once.
CREATE TABLE rls_member (stream text, member name);
ALTER POLICY tenant ON stream USING (EXISTS (SELECT FROM rls_member m WHERE m.stream = name AND m.member = current_user));
SET ROLE regress_rill_bob;
CALL pg_temp.refused($$SELECT stream_head('rls/ann')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;
GRANT SELECT ON rls_member TO regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
RESET ROLE;
INSERT INTO rls_member VALUES ('rls/ann', 'regress_rill_bob');
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'member') > 0 AS appended, stream_head('rls/bob');
SELECT stream FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
SELECT name FROM stream_info ORDER BY name;
RESET ROLE;
DELETE FROM rls_member;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
SELECT stream FROM stream_wait_many('{rls/ann,rls/bob}', '{0,0}', '0');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;
DROP TABLE rls_member CASCADE;

-- A policy's own function: replaced, and raising.
CREATE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN name = 'rls/bob'; END $$;
CREATE POLICY tenant ON stream USING (rls_allows(name));
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
CREATE OR REPLACE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN false; END $$;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
CREATE OR REPLACE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; END $$;
SET ROLE regress_rill_bob;
CALL pg_temp.refused($$SELECT stream_head('rls/bob')$$);
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
-- one that the planner inlines
DROP FUNCTION rls_allows(text) CASCADE;
CREATE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT name = 'rls/bob' $$;
CREATE POLICY tenant ON stream USING (rls_allows(name));
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
CREATE OR REPLACE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT name = 'rls/ann' $$;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob'), stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'x') > 0 AS appended;
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
-- one that itself reads streams
CREATE OR REPLACE FUNCTION rls_allows(name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$ BEGIN RETURN stream_head(name) > 0; END $$;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended, stream_head('rls/bob created');
RESET ROLE;
DROP POLICY tenant ON stream;
DROP FUNCTION rls_allows(text);

-- The table's owner: exempt from policies unless they are forced. Changes that the extension makes as the owner still work.
CREATE POLICY tenant ON stream USING (owner = current_user);
ALTER TABLE stream OWNER TO regress_rill_owner;
SET ROLE regress_rill_owner;
SELECT stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'owner') > 0 AS appended;
RESET ROLE;
ALTER TABLE stream FORCE ROW LEVEL SECURITY;
SET ROLE regress_rill_owner;
SELECT stream_head('rls/ann'), stream_append('rls/owner', 'x'), stream_set_limits('rls/owner', max_chunks => 7);
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
SELECT name, max_chunks FROM stream_info ORDER BY name;
SET ROLE regress_rill_bob;
SELECT stream_set_limits('rls/bob', max_chunks => 8), stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
ALTER TABLE stream NO FORCE ROW LEVEL SECURITY;
ALTER TABLE stream OWNER TO CURRENT_USER;
SELECT name, max_chunks FROM stream_info WHERE name IN ('rls/bob', 'rls/owner') ORDER BY name;

-- A policy for a role applies to its members, as long as they are members.
ALTER POLICY tenant ON stream TO regress_rill_owner USING (true);
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
GRANT regress_rill_owner TO regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
REVOKE regress_rill_owner FROM regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
ALTER POLICY tenant ON stream TO PUBLIC;

-- For the database's owner, who is the one member of pg_database_owner.
ALTER POLICY tenant ON stream TO pg_database_owner;
SELECT current_database() AS database, current_user AS superuser \gset
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
ALTER DATABASE :"database" OWNER TO regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
BEGIN;
ALTER DATABASE :"database" OWNER TO :"superuser";
SET LOCAL ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
ROLLBACK;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
RESET ROLE;
ALTER DATABASE :"database" OWNER TO :"superuser";
SET ROLE regress_rill_bob;
SELECT stream_head('rls/bob');
CALL pg_temp.refused($$SELECT stream_append('rls/bob', 'x')$$);
RESET ROLE;
ALTER POLICY tenant ON stream TO PUBLIC;

-- A policy that tests membership, and roles that are allowed to bypass policies.
ALTER POLICY tenant ON stream USING (pg_has_role(owner, 'MEMBER'));
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;
GRANT regress_rill_ann TO regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'x') > 0 AS appended;
RESET ROLE;
REVOKE regress_rill_ann FROM regress_rill_bob;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;
ALTER ROLE regress_rill_bob BYPASSRLS;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann') > 0 AS seen, stream_append('rls/ann', 'x') > 0 AS appended;
RESET ROLE;
ALTER ROLE regress_rill_bob NOBYPASSRLS;
SET ROLE regress_rill_bob;
SELECT stream_head('rls/ann');
CALL pg_temp.refused($$SELECT stream_append('rls/ann', 'x')$$);
RESET ROLE;

-- Under REPEATABLE READ a read's policy is judged by the transaction's snapshot, like any query's.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL ROLE regress_rill_bob;
SELECT stream_head('rls/ann'), stream_head('rls/bob') > 0 AS seen, stream_append('rls/bob', 'x') > 0 AS appended;
COMMIT;

DROP POLICY tenant ON stream;
ALTER TABLE stream DISABLE ROW LEVEL SECURITY;
DROP OWNED BY regress_rill_ann, regress_rill_bob, regress_rill_owner, regress_rill_bypass;
DROP ROLE regress_rill_ann, regress_rill_bob, regress_rill_owner, regress_rill_bypass;
