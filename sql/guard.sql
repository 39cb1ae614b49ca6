-- The trigger on table stream: rows cannot be removed by hand, and changes by hand take effect in all sessions.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
\i :helpers

SELECT stream_append('guard/s', 'x');
CALL pg_temp.refused($$DELETE FROM stream WHERE name = 'guard/s'$$);
CALL pg_temp.refused($$DELETE FROM stream WHERE false$$);
CALL pg_temp.refused($$TRUNCATE stream$$);
CALL pg_temp.refused($$TRUNCATE stream CASCADE$$);
SELECT stream_head('guard/s');
CALL pg_temp.refused($$SELECT stream_guard()$$);

-- Renamed by hand: the same session, which has the old name cached, notices at once.
SELECT stream_append('guard/old', 'x');
UPDATE stream SET name = 'guard/new' WHERE name = 'guard/old';
SELECT stream_append('guard/new', 'y');
SELECT stream_head('guard/old'), stream_head('guard/new');
SELECT stream_append('guard/old', 'z');
SELECT stream_head('guard/old'), stream_head('guard/new');
SELECT * FROM stream_wait_many('{guard/old,guard/new}', '{1,1}', '0');

-- Within a transaction, and rolled back.
BEGIN;
UPDATE stream SET name = 'guard/other' WHERE name = 'guard/new';
SELECT stream_head('guard/new'), stream_head('guard/other');
ROLLBACK;
SELECT stream_head('guard/new'), stream_head('guard/other');

-- Names set by hand obey the same bounds.
\set VERBOSITY terse
UPDATE stream SET name = '' WHERE name = 'guard/new';
UPDATE stream SET name = repeat('n', 513) WHERE name = 'guard/new';
UPDATE stream SET name = 'guard/old' WHERE name = 'guard/new';
INSERT INTO stream (name) VALUES ('guard/old');
\set VERBOSITY default
INSERT INTO stream (name) VALUES ('guard/by hand');
SELECT owner = current_user AS mine, metadata FROM stream WHERE name = 'guard/by hand';
SELECT stream_append('guard/by hand', 'x');

-- Triggers on table stream do not fire for what the functions do, whoever made them: they would run in the caller's name.
BEGIN;
CREATE FUNCTION guard_shadow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.name LIKE 'guard/%' THEN
    CREATE ROLE regress_rill_guard;
    DROP ROLE regress_rill_guard;
    PERFORM stream_append('shadow of ' || NEW.name, 'x');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER guard_shadow AFTER INSERT ON stream FOR EACH ROW EXECUTE FUNCTION guard_shadow();
SELECT stream_append('guard/one', 'x'), stream_append('guard/two', 'x'), stream_create('guard/three');
SELECT name, head_id FROM stream_info WHERE name ~ 'guard/(one|two|three)' ORDER BY name;
ROLLBACK;

-- Users' own triggers, indexes and constraints on the chunks are respected.
BEGIN;
CREATE TABLE guard_log (chunk_id bigint, size int);
CREATE FUNCTION guard_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO guard_log VALUES (NEW.chunk_id, length(NEW.data));
  RETURN NULL;
END $$;
CREATE TRIGGER guard_log AFTER INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION guard_log();
CREATE INDEX guard_time ON stream_chunk (appended_at);
ALTER TABLE stream_chunk ADD CONSTRAINT guard_small CHECK (length(data) < 10) NOT VALID;
SELECT stream_append('guard/s', 'logged'), stream_append_many('guard/s', '{two,more}');
SELECT * FROM guard_log ORDER BY chunk_id;
\set VERBOSITY terse
SAVEPOINT s;
SELECT stream_append('guard/s', 'much too long');
ROLLBACK TO s;
\set VERBOSITY default
SELECT chunk_id, convert_from(data, 'UTF8') AS data FROM stream_read_since('guard/s', 1);
ROLLBACK;
SELECT stream_head('guard/s');
