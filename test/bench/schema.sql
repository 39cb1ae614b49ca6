-- The objects in each section's database: pg_rill, and the rivals inside PostgreSQL. Their tables are exact copies of
-- stream_chunk, with ids from a sequence.
CREATE EXTENSION pg_rill;
CREATE SEQUENCE plain_id;
CREATE TABLE plain_chunk (LIKE stream_chunk INCLUDING ALL);
ALTER TABLE plain_chunk ALTER COLUMN chunk_id SET DEFAULT nextval('plain_id');
CREATE SEQUENCE notify_id;
CREATE TABLE notify_chunk (LIKE stream_chunk INCLUDING ALL);
ALTER TABLE notify_chunk ALTER COLUMN chunk_id SET DEFAULT nextval('notify_id');
CREATE FUNCTION notify_reader() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_notify('chunks', NEW.stream_id || ':' || NEW.chunk_id); RETURN NULL; END$$;
CREATE TRIGGER notify_reader AFTER INSERT ON notify_chunk FOR EACH ROW EXECUTE FUNCTION notify_reader();
