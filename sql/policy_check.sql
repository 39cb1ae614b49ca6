-- How policies are evaluated: many streams by one prepared query, whatever the policy consists of.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
SELECT current_database() AS home \gset
CREATE DATABASE regression_rill_judge;
\c regression_rill_judge
CREATE EXTENSION pg_rill;
\i :helpers

CREATE ROLE regress_rill_judged;
CREATE ROLE regress_rill_other;
DO $$
DECLARE
  routine regprocedure;
BEGIN
  FOR routine IN SELECT objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                  WHERE e.extname = 'pg_rill' AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' LOOP
    EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO regress_rill_judged, regress_rill_other', routine);
  END LOOP;
END $$;
GRANT SELECT, UPDATE, DELETE ON stream TO regress_rill_judged, regress_rill_other;
GRANT regress_rill_other TO regress_rill_judged;
SELECT count(stream_append('judge/' || i, 'x')) FROM generate_series(1, 200) i;
UPDATE stream SET owner = CASE stream_id % 3 WHEN 0 THEN 'regress_rill_judged' ELSE 'regress_rill_other' END WHERE name LIKE 'judge/%';
CREATE TABLE judge_member (stream text, stream_id bigint);
INSERT INTO judge_member SELECT name, stream_id FROM stream WHERE name LIKE 'judge/%' AND stream_id % 5 < 2;
GRANT SELECT ON judge_member TO regress_rill_judged, regress_rill_other;

-- For each policy, the calls allow exactly the streams that SELECT, UPDATE and DELETE would: in one call over all of
-- them, in random order, and in a call for each.
ALTER TABLE stream ENABLE ROW LEVEL SECURITY;
CREATE PROCEDURE pg_temp.compare(policy text) LANGUAGE plpgsql AS $$
DECLARE
  seen text[]; read text[]; fetched text[]; waited text[]; appended text[]; updated text[]; trimmed text[]; names text[];
  name text;
BEGIN
  EXECUTE format('CREATE POLICY judge ON stream USING (%s)', policy);
  SET LOCAL ROLE regress_rill_judged;
  SELECT coalesce(array_agg(s.name ORDER BY s.name), '{}') INTO seen FROM stream s WHERE s.name LIKE 'judge/%';
  SELECT array_agg('judge/' || i ORDER BY random()) INTO names FROM generate_series(1, 200) i;
  SELECT coalesce(array_agg(DISTINCT stream ORDER BY stream), '{}') INTO read FROM stream_read_many(names, array_fill(0::bigint, ARRAY[200]), null, null);
  SELECT coalesce(array_agg(DISTINCT names[n] ORDER BY names[n]), '{}') INTO fetched FROM stream_fetch(names, array_fill(0::bigint, ARRAY[200]), null, null, null) f;
  SELECT coalesce(array_agg(stream ORDER BY stream), '{}') INTO waited FROM stream_wait_many(names, array_fill(0::bigint, ARRAY[200]), '0');
  IF read <> seen OR fetched <> seen OR waited <> seen THEN
    RAISE NOTICE '%: % seen, % read, % fetched, % waited for', policy, seen, read, fetched, waited;
  END IF;
  appended := '{}';
  FOREACH name IN ARRAY names LOOP
    BEGIN
      PERFORM stream_append(name, 'y');
      appended := appended || name;
    EXCEPTION WHEN insufficient_privilege THEN
    END;
  END LOOP;
  IF ARRAY(SELECT unnest(appended) ORDER BY 1) <> seen THEN
    RAISE NOTICE '%: % seen, % appended to', policy, seen, appended;
  END IF;
  RESET ROLE;
  DROP POLICY judge ON stream;
  RAISE NOTICE '%: %', policy, cardinality(seen);
END $$;
BEGIN;
CALL pg_temp.compare('true');
CALL pg_temp.compare('false');
CALL pg_temp.compare('owner = current_user');
CALL pg_temp.compare('owner = current_user OR name LIKE ''%7''');
CALL pg_temp.compare('stream_id = (SELECT min(stream_id) FROM judge_member)');
CALL pg_temp.compare('stream_id = 0');
CALL pg_temp.compare('current_user = ''regress_rill_judged''');
CALL pg_temp.compare('current_user = ''regress_rill_other''');
CALL pg_temp.compare('name IN (SELECT stream FROM judge_member)');
CALL pg_temp.compare('name NOT IN (SELECT stream FROM judge_member)');
CALL pg_temp.compare('stream_id IN (SELECT stream_id FROM judge_member)');
CALL pg_temp.compare('EXISTS (SELECT FROM judge_member m WHERE m.stream_id = stream.stream_id)');
CALL pg_temp.compare('EXISTS (SELECT FROM judge_member m WHERE m.stream = name AND m.stream_id + 0 = stream.stream_id)');
CALL pg_temp.compare('(SELECT count(*) FROM judge_member m WHERE m.stream_id = stream.stream_id) = 0');
CALL pg_temp.compare('stream_id % 2 = ANY (SELECT stream_id % 2 FROM judge_member m WHERE m.stream_id <= stream.stream_id ORDER BY m.stream_id DESC LIMIT 3)');
CALL pg_temp.compare('pg_has_role(owner, ''USAGE'') AND (SELECT current_setting(''regress.tenant'', true)) IS NULL');
CALL pg_temp.compare('(SELECT current_setting(''is_superuser'')) = ''off'' AND stream_id % 4 = 1');
-- the same with plans of other shapes
SET LOCAL enable_indexscan = off;
CALL pg_temp.compare('stream_id IN (SELECT stream_id FROM judge_member)');
SET LOCAL enable_bitmapscan = off;
CALL pg_temp.compare('EXISTS (SELECT FROM judge_member m WHERE m.stream_id = stream.stream_id)');
CALL pg_temp.compare('owner = current_user');
ROLLBACK;

-- Memory does not grow with the number of streams.
CREATE TABLE judge_memory (bytes bigint);
CREATE FUNCTION judge_memory(name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF name IN ('judge/10', 'judge/199') THEN
    INSERT INTO judge_memory SELECT sum(total_bytes) FROM pg_backend_memory_contexts;
  END IF;
  RETURN true;
END $$;
CREATE POLICY judge ON stream USING (judge_memory(name));
SET ROLE regress_rill_judged;
SELECT count(*) FROM stream_read_many((SELECT array_agg('judge/' || i ORDER BY i) FROM generate_series(1, 200) i), array_fill(0::bigint, ARRAY[200]));
RESET ROLE;
SELECT count(*), max(bytes) - min(bytes) < 200000 AS bounded FROM judge_memory;
DROP POLICY judge ON stream;

-- A plan is kept until something that it depends on changes. Planning calls stable functions for estimates, so their
-- calls show when it happens.
CREATE SEQUENCE judge_calls;
SELECT nextval('judge_calls');
GRANT USAGE, SELECT, UPDATE ON judge_calls TO regress_rill_judged, regress_rill_other;
CREATE FUNCTION judge_bound() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM nextval('judge_calls'); RETURN 1000000; END $$;
CREATE POLICY judge ON stream USING (stream_id < judge_bound());
-- What the last command changed, and whether the next call planned again.
CREATE FUNCTION pg_temp.planned() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  counts bigint[] := '{}'; before bigint;
BEGIN
  SET LOCAL ROLE regress_rill_judged;
  FOR i IN 1..2 LOOP
    before := last_value FROM judge_calls;
    PERFORM stream_head('judge/1');
    counts := counts || (SELECT last_value - before FROM judge_calls);
  END LOOP;
  RESET ROLE;
  RETURN counts[1] > counts[2];
END $$;
SELECT pg_temp.planned();
SELECT pg_temp.planned();
CREATE TABLE judge_unrelated (); DROP TABLE judge_unrelated;
SELECT pg_temp.planned();
CREATE FUNCTION judge_unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION judge_unrelated();
SELECT pg_temp.planned();
INSERT INTO judge_member VALUES ('another', 1);
SELECT pg_temp.planned();
ALTER POLICY judge ON stream USING (stream_id <= judge_bound());
SELECT pg_temp.planned();
CREATE OR REPLACE FUNCTION judge_bound() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM nextval('judge_calls'); RETURN 2000000; END $$;
SELECT pg_temp.planned();
SET enable_seqscan = off; RESET enable_seqscan;
SELECT pg_temp.planned();
-- a plan per role
SET ROLE regress_rill_other;
SELECT stream_head('judge/1');
RESET ROLE;
SELECT pg_temp.planned();
-- a membership that begins and ends
REVOKE regress_rill_other FROM regress_rill_judged;
SELECT pg_temp.planned();
GRANT regress_rill_other TO regress_rill_judged;
SELECT pg_temp.planned();
DROP POLICY judge ON stream;

-- The search path decides what an inlined function means, as it does in any query.
CREATE SCHEMA judge_yes;
CREATE SCHEMA judge_no;
CREATE FUNCTION judge_yes.allowed() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION judge_no.allowed() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
GRANT USAGE ON SCHEMA judge_yes, judge_no TO regress_rill_judged;
SET search_path = public, judge_yes;
CREATE FUNCTION judge_inlined(name text) RETURNS boolean LANGUAGE sql AS 'SELECT allowed() AND $1 IS NOT NULL';
CREATE POLICY judge ON stream USING (judge_inlined(name));
SET ROLE regress_rill_judged;
SELECT stream_head('judge/1') > 0 AS seen;
SET search_path = public, judge_no;
SELECT stream_head('judge/1') > 0 AS seen;
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
SET search_path = public, judge_yes;
SELECT stream_head('judge/1') > 0 AS seen, stream_append('judge/1', 'x') > 0 AS appended;
RESET search_path;
RESET ROLE;
DROP POLICY judge ON stream;

-- A policy's function that calls pg_rill: during planning, and for each stream.
-- What is kept is out of date by then.
CREATE FUNCTION judge_outdate() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  CREATE ROLE regress_rill_outdate;
  DROP ROLE regress_rill_outdate;
END $$;
CREATE FUNCTION judge_inside() RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF current_setting('regress.inside', true) = 'yes' THEN RETURN 1000000; END IF;
  PERFORM set_config('regress.inside', 'yes', true);
  PERFORM judge_outdate();
  PERFORM stream_head('judge/2');
  PERFORM set_config('regress.inside', 'no', true);
  RETURN 1000000;
END $$;
CREATE POLICY judge ON stream USING (stream_id < judge_inside());
SET ROLE regress_rill_judged;
SELECT count(DISTINCT stream) FROM stream_read_many('{judge/1,judge/2,judge/3}', '{0,0,0}');
SELECT count(DISTINCT stream) FROM stream_read_many('{judge/1,judge/2,judge/3}', '{0,0,0}');
RESET ROLE;
DROP POLICY judge ON stream;
CREATE FUNCTION judge_nested(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('regress.inside', true) = 'yes' THEN RETURN true; END IF;
  PERFORM set_config('regress.inside', 'yes', true);
  IF (SELECT count(DISTINCT stream) FROM stream_read_many(ARRAY['judge/1', 'judge/2', name || '?'], '{0,0,0}')) <> 2 THEN RAISE 'wrong'; END IF;
  PERFORM set_config('regress.inside', 'no', true);
  RETURN name < 'judge/3';
END $$;
CREATE POLICY judge ON stream USING (judge_nested(name));
SET ROLE regress_rill_judged;
SELECT string_agg(DISTINCT stream, ' ') FROM stream_read_many('{judge/4,judge/1,judge/3,judge/2,judge/5}', '{0,0,0,0,0}');
RESET ROLE;
DROP POLICY judge ON stream;

-- One that raises an error in the middle of a call and during planning; the transaction continues.
CREATE FUNCTION judge_raises(name text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / (length(name) - 7) IS NOT NULL; END $$;
CREATE FUNCTION judge_cannot() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN 1 / current_setting('regress.divisor')::int; END $$;
CREATE POLICY judge ON stream USING (judge_raises(name));
BEGIN;
SET LOCAL ROLE regress_rill_judged;
CALL pg_temp.refused($$SELECT stream_read_many('{judge/100,judge/1,judge/101}', '{0,0,0}')$$);
SELECT count(DISTINCT stream) FROM stream_read_many('{judge/100,judge/101}', '{0,0}');
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
SELECT stream_append('judge/100', 'x') > 0 AS appended;
COMMIT;
DROP POLICY judge ON stream;
CREATE POLICY judge ON stream USING (stream_id > judge_cannot());
BEGIN;
SET LOCAL ROLE regress_rill_judged;
SET LOCAL regress.divisor = 0;
CALL pg_temp.refused($$SELECT stream_head('judge/1')$$);
CALL pg_temp.refused($$SELECT stream_head('judge/1')$$);
SET LOCAL regress.divisor = 1;
SELECT stream_head('judge/100') > 0 AS seen, stream_append('judge/100', 'x') > 0 AS appended;
SELECT count(DISTINCT stream) FROM stream_read_many('{judge/100,judge/101}', '{0,0}');
COMMIT;
SET regress.divisor = 1;
SET ROLE regress_rill_judged;
SELECT stream_head('judge/100') > 0 AS seen, stream_append('judge/100', 'x') > 0 AS appended;
RESET ROLE;
RESET regress.divisor;
DROP POLICY judge ON stream;

-- One that changes the role: the rest of the call is subject to the new role's policies.
CREATE FUNCTION judge_turns(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF name = 'judge/2' THEN PERFORM set_config('role', 'regress_rill_other', false); END IF;
  RETURN true;
END $$;
CREATE POLICY judge ON stream TO regress_rill_judged USING (judge_turns(name));
CREATE POLICY judge_other ON stream TO regress_rill_other USING (name = 'judge/4');
-- (a member that does not inherit: a property of the grant from 16 on, of the role before)
ALTER ROLE regress_rill_judged NOINHERIT;
REVOKE regress_rill_other FROM regress_rill_judged;
GRANT regress_rill_other TO regress_rill_judged;
SET SESSION AUTHORIZATION regress_rill_judged;
SELECT string_agg(DISTINCT stream, ' ') FROM stream_read_many('{judge/1,judge/2,judge/3,judge/4,judge/5}', '{0,0,0,0,0}');
SELECT current_user;
RESET SESSION AUTHORIZATION;
DROP POLICY judge ON stream;
DROP POLICY judge_other ON stream;

-- Privileges lent by a SECURITY DEFINER function, alternating with the caller's own.
CREATE POLICY judge ON stream USING (owner = current_user);
CREATE FUNCTION judge_lent(names text[]) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
  AS $$ SELECT count(DISTINCT stream) FROM stream_read_many($1, array_fill(0::bigint, ARRAY[cardinality($1)]), null, null) $$;
ALTER FUNCTION judge_lent(text[]) OWNER TO regress_rill_other;
SET ROLE regress_rill_judged;
SELECT array_agg('judge/' || i) AS names FROM generate_series(1, 200) i \gset
SELECT lent, own, lent + own = 200 AS together
  FROM judge_lent(:'names') lent, LATERAL (SELECT count(DISTINCT stream) AS own FROM stream_read_many(:'names', array_fill(0::bigint, ARRAY[200]), null, null)) own, LATERAL judge_lent(:'names') again
 WHERE again = lent;
RESET ROLE;

-- No call keeps a lock on what policies read: a session that waits or stays in a transaction does not block ALTER POLICY.
ALTER POLICY judge ON stream USING (name IN (SELECT stream FROM judge_member));
BEGIN;
SET LOCAL ROLE regress_rill_judged;
SELECT count(DISTINCT stream) FROM stream_read_many('{judge/1,judge/2}', '{0,0}');
SELECT stream_append('judge/1', 'x') > 0 AS appended, stream_head('judge/1') > 0 AS seen, stream_trim('judge/2', 1), stream_delete('judge/3');
RESET ROLE;
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('judge_member'::regclass, 'stream'::regclass);
ROLLBACK;

-- Rules on table stream are refused, whatever they make of the query.
DROP POLICY judge ON stream;
CREATE POLICY judge ON stream USING (true);
BEGIN;
CREATE RULE judge AS ON UPDATE TO stream DO INSTEAD NOTHING;
SET LOCAL ROLE regress_rill_judged;
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
ROLLBACK;
BEGIN;
CREATE RULE judge AS ON UPDATE TO stream DO INSTEAD SELECT true FROM judge_member;
SET LOCAL ROLE regress_rill_judged;
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
ROLLBACK;
BEGIN;
CREATE RULE judge AS ON UPDATE TO stream DO INSTEAD UPDATE judge_member SET stream = stream;
SET LOCAL ROLE regress_rill_judged;
CALL pg_temp.refused($$SELECT stream_append('judge/1', 'x')$$);
ROLLBACK;
SET ROLE regress_rill_judged;
SELECT stream_append('judge/1', 'x') > 0 AS appended;
RESET ROLE;

\c :home
DROP DATABASE regression_rill_judge WITH (FORCE);
DROP ROLE regress_rill_judged, regress_rill_other;
