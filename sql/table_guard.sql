-- Privileges on table stream are for the functions: GRANT ALL neither lets a role run code in another's name nor stop
-- others by locks.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers
CREATE ROLE regress_rill_all;
CREATE ROLE regress_rill_victim;
CREATE SCHEMA regress_rill_all AUTHORIZATION regress_rill_all;
GRANT ALL ON stream TO regress_rill_all;
GRANT SELECT, INSERT, UPDATE ON stream TO regress_rill_victim;

SET ROLE regress_rill_all;
SET search_path = regress_rill_all, public;
CREATE FUNCTION regress_rill_all.evil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'runs as %', current_user;
END $$;
CALL pg_temp.refused('CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON stream FOR EACH ROW EXECUTE FUNCTION regress_rill_all.evil()');
CALL pg_temp.refused('CREATE CONSTRAINT TRIGGER evil AFTER INSERT ON stream DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_rill_all.evil()');
CALL pg_temp.refused('CREATE TABLE regress_rill_all.child (stream_id bigint REFERENCES stream)');
CALL pg_temp.refused('CREATE TABLE regress_rill_all.child (id bigint, FOREIGN KEY (id) REFERENCES stream (stream_id))');
CREATE TABLE regress_rill_all.child (id bigint);
CALL pg_temp.refused('ALTER TABLE regress_rill_all.child ADD FOREIGN KEY (id) REFERENCES stream (stream_id)');
CALL pg_temp.refused('ALTER TABLE regress_rill_all.child ADD COLUMN other bigint REFERENCES stream (stream_id)');
CALL pg_temp.refused('TRUNCATE stream');
CALL pg_temp.refused('LOCK TABLE stream');
CALL pg_temp.refused('LOCK TABLE stream IN SHARE MODE');
CREATE VIEW regress_rill_all.through AS SELECT * FROM stream WHERE stream_id IN (SELECT stream_id FROM stream);
CREATE VIEW regress_rill_all.farther AS SELECT * FROM regress_rill_all.through;
CALL pg_temp.refused('LOCK TABLE regress_rill_all.farther IN EXCLUSIVE MODE');
-- Below a view of a role that may read nothing, one that reads as the current user.
RESET ROLE;
CREATE ROLE regress_rill_between;
GRANT regress_rill_between TO regress_rill_all;
GRANT CREATE, USAGE ON SCHEMA regress_rill_all TO regress_rill_between;
SET ROLE regress_rill_all;
CREATE VIEW regress_rill_all.as_caller WITH (security_invoker) AS SELECT * FROM regress_rill_all.through;
CREATE VIEW regress_rill_all.between AS SELECT * FROM regress_rill_all.as_caller;
GRANT UPDATE ON regress_rill_all.as_caller TO regress_rill_between;
ALTER VIEW regress_rill_all.between OWNER TO regress_rill_between;
CALL pg_temp.refused('LOCK TABLE regress_rill_all.between');
-- Views that read each other.
CREATE VIEW regress_rill_all.one AS SELECT 1 AS n;
CREATE VIEW regress_rill_all.two AS SELECT n FROM regress_rill_all.one;
CREATE OR REPLACE VIEW regress_rill_all.one AS SELECT n FROM regress_rill_all.two;
BEGIN;
LOCK TABLE regress_rill_all.one;
ROLLBACK;
-- A new table whose foreign key means itself, not a namesake that the search path also has.
RESET ROLE;
CREATE TABLE public.regress_rill_node (id int PRIMARY KEY);
SET ROLE regress_rill_all;
CREATE TABLE regress_rill_node (id int PRIMARY KEY, parent int REFERENCES regress_rill_node);
SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'regress_rill_all.regress_rill_node'::regclass AND contype = 'f';
RESET ROLE;
DROP TABLE public.regress_rill_node;
SET ROLE regress_rill_all;
BEGIN;
LOCK TABLE stream IN ROW EXCLUSIVE MODE;  -- no more than an append takes
COMMIT;
CALL pg_temp.refused($$INSERT INTO stream (name) VALUES ('forged')$$);
CALL pg_temp.refused($$INSERT INTO stream OVERRIDING SYSTEM VALUE VALUES (1, 'forged', 'somebody')$$);
CALL pg_temp.refused($$UPDATE stream SET owner = 'somebody'$$);
CALL pg_temp.refused($$DELETE FROM stream$$);
RESET ROLE;
RESET search_path;

-- A trigger that is there all the same, since the library was not preloaded then, or the owner made it, does not fire.
CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON stream FOR EACH ROW EXECUTE FUNCTION regress_rill_all.evil();
CREATE TRIGGER evil_statement BEFORE INSERT OR UPDATE OR DELETE ON stream FOR EACH STATEMENT EXECUTE FUNCTION regress_rill_all.evil();
CREATE TRIGGER evil_after AFTER INSERT OR UPDATE OR DELETE ON stream FOR EACH ROW EXECUTE FUNCTION regress_rill_all.evil();
CREATE TABLE regress_rill_all.reference (stream_id bigint REFERENCES stream);
SET ROLE regress_rill_victim;
SELECT stream_append('guarded', 'x'), stream_create('guarded too', max_chunks => 5), stream_set_metadata('guarded', '{"a": 1}'),
       stream_trim('guarded', 2), stream_set_limits('guarded', max_age => '1 day');
RESET ROLE;
INSERT INTO regress_rill_all.reference SELECT stream_id FROM stream WHERE name = 'guarded';
SELECT stream_delete('guarded'), stream_delete('guarded too');
SELECT name FROM stream WHERE name ~ '^guarded';
DROP TRIGGER evil ON stream;
DROP TRIGGER evil_statement ON stream;
DROP TRIGGER evil_after ON stream;

-- What the owner of the tables attaches to them runs as the owner, whoever appends or trims.
CREATE ROLE regress_rill_tables;
GRANT CREATE ON SCHEMA public TO regress_rill_tables;
CREATE TABLE regress_rill_ran (who name, what text);
GRANT INSERT ON regress_rill_ran TO PUBLIC;
CREATE FUNCTION regress_rill_ran() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.regress_rill_ran VALUES (current_user, TG_OP);
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
BEGIN;
ALTER TABLE stream_chunk OWNER TO regress_rill_tables;
CREATE TRIGGER ran BEFORE INSERT OR DELETE ON stream_chunk FOR EACH ROW EXECUTE FUNCTION regress_rill_ran();
SET LOCAL ROLE regress_rill_victim;
SELECT stream_append('owned', 'x'), stream_append('owned', 'y'), stream_trim('owned', 2);
RESET ROLE;
SELECT stream_append('owned', 'as the superuser');
SELECT who, what, count(*) FROM regress_rill_ran GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;
DROP TABLE regress_rill_ran CASCADE;
DROP FUNCTION regress_rill_ran;
DROP OWNED BY regress_rill_all, regress_rill_between, regress_rill_victim, regress_rill_tables CASCADE;
DROP ROLE regress_rill_all, regress_rill_between, regress_rill_victim, regress_rill_tables;
