-- A relation is used under a table's name only if it is the table that the extension created: its owner, who need not be
-- a superuser, may have replaced it.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/test/lib/regress.sql'
SELECT current_database() AS home \gset
CREATE DATABASE regression_rill_damaged;
\c regression_rill_damaged
CREATE EXTENSION pg_rill;
\i :helpers

CREATE ROLE regress_rill_owner;
GRANT CREATE ON SCHEMA public TO regress_rill_owner;
ALTER TABLE stream OWNER TO regress_rill_owner;
ALTER TABLE stream_chunk OWNER TO regress_rill_owner;
ALTER TABLE stream_producer OWNER TO regress_rill_owner;
ALTER TABLE stream_state OWNER TO regress_rill_owner;
SELECT stream_append_many('s', '{a,b}');

-- Each as the owner; then a superuser reads and appends.
CREATE PROCEDURE pg_temp.after(VARIADIC commands text[]) LANGUAGE plpgsql AS $$
DECLARE
  command text;
BEGIN
  SET LOCAL ROLE regress_rill_owner;
  FOREACH command IN ARRAY commands LOOP
    RAISE NOTICE '%', command;
    EXECUTE command;
  END LOOP;
  RESET ROLE;
  CALL pg_temp.refused($c$SELECT stream_head('s')$c$);
  CALL pg_temp.refused($c$SELECT stream_append('s', 'x')$c$);
  ROLLBACK;
END $$;
CALL pg_temp.after('ALTER TABLE stream RENAME TO old');
CALL pg_temp.after('ALTER TABLE stream RENAME TO old', 'CREATE VIEW stream AS SELECT * FROM old');
CALL pg_temp.after('ALTER TABLE stream RENAME TO old', 'CREATE TABLE stream (LIKE old INCLUDING ALL)');
CALL pg_temp.after('ALTER TABLE stream_chunk RENAME TO old', 'CREATE TABLE stream_chunk (LIKE old INCLUDING ALL)');
CALL pg_temp.after('ALTER TABLE stream_chunk RENAME TO old', 'CREATE MATERIALIZED VIEW stream_chunk AS SELECT * FROM old');
CALL pg_temp.after('ALTER TABLE stream_chunk RENAME TO old', 'CREATE TABLE stream_chunk (LIKE old) PARTITION BY LIST (stream_id)');
CALL pg_temp.after('ALTER INDEX stream_name_key RENAME TO old', 'CREATE TABLE other (name text)', 'CREATE INDEX stream_name_key ON other (name)');
CALL pg_temp.after('ALTER INDEX stream_name_key RENAME TO old', 'CREATE VIEW stream_name_key AS SELECT 1');
CALL pg_temp.after('DROP INDEX stream_name_key', 'CREATE INDEX stream_name_key ON stream (lower(name))');
CALL pg_temp.after('DROP INDEX stream_name_key', 'CREATE INDEX stream_name_key ON stream USING hash (name)');
CALL pg_temp.after('ALTER TABLE stream_chunk DROP CONSTRAINT stream_chunk_pkey');
CALL pg_temp.after('ALTER TABLE stream_chunk DROP CONSTRAINT stream_chunk_pkey, ADD CONSTRAINT stream_chunk_pkey PRIMARY KEY (data)');
CALL pg_temp.after('ALTER TABLE stream_chunk DROP CONSTRAINT stream_chunk_pkey, ADD CONSTRAINT stream_chunk_pkey PRIMARY KEY (chunk_id, stream_id)');
CALL pg_temp.after('ALTER TABLE stream_chunk DROP CONSTRAINT stream_chunk_pkey, ADD PRIMARY KEY (data)', 'CREATE INDEX stream_chunk_pkey ON stream_chunk (stream_id, chunk_id)');
CALL pg_temp.after('ALTER TABLE stream_state ALTER trimmed_through DROP DEFAULT, ALTER trimmed_through TYPE text');
CALL pg_temp.after('ALTER TABLE stream_state DROP COLUMN trimmed_through');
CALL pg_temp.after('ALTER TABLE stream_chunk ALTER data TYPE int USING 0');
CALL pg_temp.after('ALTER TABLE stream_chunk DROP COLUMN epoch');
CALL pg_temp.after('ALTER TABLE stream_producer ALTER producer TYPE int USING 0');

-- Everything was rolled back; a user's own columns and indexes do no harm.
SELECT stream_head('s'), stream_append('s', 'c');
SET ROLE regress_rill_owner;
ALTER TABLE stream ADD COLUMN note text;
ALTER TABLE stream_chunk ADD COLUMN note text;
CREATE INDEX own_time ON stream_chunk (appended_at);
ALTER TABLE stream RENAME COLUMN owner TO creator;
ALTER TABLE stream RENAME COLUMN creator TO owner;
RESET ROLE;
SELECT stream_head('s'), stream_append('s', 'd'), stream_append('t', 'a');
SELECT count(*) FROM stream_read_since('s', 0);

\c :home
DROP DATABASE regression_rill_damaged WITH (FORCE);
DROP ROLE regress_rill_owner;
