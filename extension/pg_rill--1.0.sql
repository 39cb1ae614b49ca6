\echo Use "CREATE EXTENSION pg_rill" to load this file. \quit

-- Tables. Their rows are ordinary data: dumped, restored and replicated like any others.

CREATE TABLE @extschema@.stream (
  stream_id bigint GENERATED ALWAYS AS IDENTITY,
  name text COLLATE pg_catalog."C" NOT NULL CHECK (pg_catalog.octet_length(name) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(name) OPERATOR(pg_catalog.<=) 512),
  owner name NOT NULL DEFAULT CURRENT_USER,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  trimmed_through bigint NOT NULL DEFAULT 0,
  begins_after bigint NOT NULL DEFAULT 0,
  max_age interval,
  max_chunks bigint,
  max_bytes bigint,
  delete_after_close interval,
  counted_through bigint NOT NULL DEFAULT 0,
  counted_chunks bigint NOT NULL DEFAULT 0,
  counted_bytes bigint NOT NULL DEFAULT 0,
  deleted_at timestamptz,
  purged boolean NOT NULL DEFAULT false,
  CONSTRAINT stream_pkey PRIMARY KEY (stream_id)
) USING heap WITH (fillfactor = 80);
CREATE UNIQUE INDEX stream_name_key ON @extschema@.stream (name) WHERE deleted_at IS NULL;
CREATE INDEX stream_tombstone_key ON @extschema@.stream (name) WHERE deleted_at IS NOT NULL;
CREATE INDEX stream_retention_key ON @extschema@.stream (stream_id)
  WHERE deleted_at IS NULL AND (max_age IS NOT NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL OR delete_after_close IS NOT NULL);
CREATE INDEX stream_unpurged_key ON @extschema@.stream (stream_id) WHERE deleted_at IS NOT NULL AND NOT purged;
CREATE INDEX stream_purged_key ON @extschema@.stream (deleted_at) WHERE purged;
COMMENT ON TABLE @extschema@.stream IS 'streams; privileges and policies on this table control who may do what with them';
COMMENT ON SEQUENCE @extschema@.stream_stream_id_seq IS 'source of stream ids';
COMMENT ON COLUMN @extschema@.stream.owner IS 'name of the role that created the stream';
COMMENT ON COLUMN @extschema@.stream.trimmed_through IS 'all chunk ids up to this one have been trimmed; 0 if none';
COMMENT ON COLUMN @extschema@.stream.begins_after IS 'all chunk ids up to this one belong to an earlier, deleted stream of this name; 0 if none';
COMMENT ON COLUMN @extschema@.stream.max_age IS 'retention: chunks older than this are removed';
COMMENT ON COLUMN @extschema@.stream.max_chunks IS 'retention: maximum number of data chunks';
COMMENT ON COLUMN @extschema@.stream.max_bytes IS 'retention: maximum number of bytes of data';
COMMENT ON COLUMN @extschema@.stream.delete_after_close IS 'retention: the stream is deleted this long after its EOF';
COMMENT ON COLUMN @extschema@.stream.counted_through IS 'for retention: counted_chunks and counted_bytes cover the data chunks with ids above trimmed_through up to this one';
COMMENT ON COLUMN @extschema@.stream.deleted_at IS 'when the stream was deleted; the row is then a tombstone';
COMMENT ON COLUMN @extschema@.stream.purged IS 'tombstones only: the other tables hold nothing of the stream any more';

CREATE TABLE @extschema@.stream_chunk (
  stream_id bigint NOT NULL,
  chunk_id bigint NOT NULL,
  epoch int NOT NULL,
  appended_at timestamptz NOT NULL,
  eof boolean NOT NULL,
  data bytea NOT NULL,
  CONSTRAINT stream_chunk_pkey PRIMARY KEY (stream_id, chunk_id)
) USING heap;
COMMENT ON TABLE @extschema@.stream_chunk IS 'chunks of all streams; a plain SELECT can miss chunks that commit later, stream_read_since() cannot';
COMMENT ON COLUMN @extschema@.stream_chunk.epoch IS 'identifies the server run that wrote the row';

CREATE TABLE @extschema@.stream_producer (
  stream_id bigint NOT NULL,
  producer text COLLATE pg_catalog."C" NOT NULL,
  epoch int NOT NULL,
  seq bigint NOT NULL,
  chunk_id bigint NOT NULL,
  CONSTRAINT stream_producer_pkey PRIMARY KEY (stream_id, producer, epoch, seq)
) USING heap;
COMMENT ON TABLE @extschema@.stream_producer IS 'the latest appends of each exactly-once producer, with their chunk ids';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_chunk', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_producer', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_stream_id_seq', '');

-- Writing

CREATE FUNCTION @extschema@.stream_append(stream text, data bytea, eof boolean DEFAULT false, expected bigint DEFAULT NULL,
    producer text DEFAULT NULL, producer_epoch int DEFAULT NULL, producer_seq bigint DEFAULT NULL) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_append';
COMMENT ON FUNCTION @extschema@.stream_append(text, bytea, boolean, bigint, text, int, bigint) IS 'appends a chunk and returns its id; creates the stream if it does not exist';

CREATE FUNCTION @extschema@.stream_append_many(stream text, data bytea[], eof boolean DEFAULT false, expected bigint DEFAULT NULL,
    producer text DEFAULT NULL, producer_epoch int DEFAULT NULL, producer_seq bigint DEFAULT NULL) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_append_many';
COMMENT ON FUNCTION @extschema@.stream_append_many(text, bytea[], boolean, bigint, text, int, bigint) IS 'appends chunks with consecutive ids and returns the last id';

CREATE FUNCTION @extschema@.stream_close(stream text) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_close';
COMMENT ON FUNCTION @extschema@.stream_close(text) IS 'ends a stream with an empty EOF chunk and returns its id; returns the existing EOF if the stream is closed';

CREATE FUNCTION @extschema@.stream_create(stream text, max_age interval DEFAULT NULL, max_chunks bigint DEFAULT NULL,
    max_bytes bigint DEFAULT NULL, delete_after_close interval DEFAULT NULL) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_create';
COMMENT ON FUNCTION @extschema@.stream_create(text, interval, bigint, bigint, interval) IS 'creates a stream, or sets the limits of an existing one; returns whether it was created';

-- Reading and waiting

CREATE FUNCTION @extschema@.stream_read_since(stream text, chunk_id bigint, max_chunks int DEFAULT 1000,
    max_bytes bigint DEFAULT 8388608, timeout interval DEFAULT '0')
  RETURNS TABLE(chunk_id bigint, data bytea, eof boolean, appended_at timestamptz, epoch int)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'pg_rill_read_since';
COMMENT ON FUNCTION @extschema@.stream_read_since(text, bigint, int, bigint, interval) IS 'reads the chunks after a cursor, in order; with a timeout, waits for the first one';

CREATE FUNCTION @extschema@.stream_wait(stream text, chunk_id bigint, timeout interval DEFAULT '30 s') RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_wait';
COMMENT ON FUNCTION @extschema@.stream_wait(text, bigint, interval) IS 'waits for a chunk after a cursor and returns the highest readable id, or null at the timeout';

CREATE FUNCTION @extschema@.stream_read_many(streams text[], chunk_ids bigint[], max_chunks int DEFAULT 1000,
    max_bytes bigint DEFAULT 8388608, timeout interval DEFAULT '0')
  RETURNS TABLE(stream text, chunk_id bigint, data bytea, eof boolean, appended_at timestamptz, epoch int)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'pg_rill_read_many';
COMMENT ON FUNCTION @extschema@.stream_read_many(text[], bigint[], int, bigint, interval) IS 'reads many streams, each after its own cursor; the caps are totals, shared fairly';

CREATE FUNCTION @extschema@.stream_wait_many(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s')
  RETURNS TABLE(stream text, head bigint, ended boolean)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'pg_rill_wait_many';
COMMENT ON FUNCTION @extschema@.stream_wait_many(text[], bigint[], interval) IS 'waits until a stream has a chunk after its cursor and returns the streams that have one';

CREATE PROCEDURE @extschema@.stream_await(stream text, chunk_id bigint, timeout interval DEFAULT '30 s', INOUT head bigint DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_await';
COMMENT ON PROCEDURE @extschema@.stream_await(text, bigint, interval, bigint) IS 'waits like stream_wait(), but holds no snapshot and no transaction id while it sleeps';

CREATE PROCEDURE @extschema@.stream_await_many(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s', INOUT ready text[] DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_await_many';
COMMENT ON PROCEDURE @extschema@.stream_await_many(text[], bigint[], interval, text[]) IS 'waits like stream_wait_many(), but holds no snapshot and no transaction id while it sleeps';

CREATE FUNCTION @extschema@.stream_verify(stream text, chunk_id bigint, epoch int) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_verify';
COMMENT ON FUNCTION @extschema@.stream_verify(text, bigint, int) IS 'checks that the chunk with this id is the one that was read with this epoch, and raises an error if it is not';

CREATE FUNCTION @extschema@.stream_head(stream text) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_head';
COMMENT ON FUNCTION @extschema@.stream_head(text) IS 'returns the highest readable id, 0 if there is none';

CREATE FUNCTION @extschema@.stream_seek(stream text, skip bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_seek';
COMMENT ON FUNCTION @extschema@.stream_seek(text, bigint) IS 'returns the cursor that skips a number of data chunks, or if negative, that leaves this many to read';

CREATE FUNCTION @extschema@.stream_seek_time(stream text, since timestamptz) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_seek_time';
COMMENT ON FUNCTION @extschema@.stream_seek_time(text, timestamptz) IS 'returns the cursor for chunks appended at or after a time';

CREATE FUNCTION @extschema@.stream_listen() RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_listen';
COMMENT ON FUNCTION @extschema@.stream_listen() IS 'registers this session for wake-ups by NOTIFY and returns the channel';

CREATE FUNCTION @extschema@.stream_unlisten() RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_unlisten';
COMMENT ON FUNCTION @extschema@.stream_unlisten() IS 'ends the registration made by stream_listen() and returns the channel';

CREATE FUNCTION @extschema@.stream_fetch(streams text[], chunk_ids bigint[], epochs int[] DEFAULT NULL,
    max_chunks int DEFAULT 1000, max_bytes bigint DEFAULT 8388608)
  RETURNS TABLE(n int, stream_id bigint, page bytea, sqlstate text, message text)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'pg_rill_fetch';
COMMENT ON FUNCTION @extschema@.stream_fetch(text[], bigint[], int[], int, bigint) IS 'for librill: reads many streams as packed pages';

CREATE PROCEDURE @extschema@.stream_fetch_await(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s',
    INOUT n int DEFAULT NULL, INOUT stream_id bigint DEFAULT NULL, INOUT page bytea DEFAULT NULL,
    INOUT sqlstate text DEFAULT NULL, INOUT message text DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_fetch_await';
COMMENT ON PROCEDURE @extschema@.stream_fetch_await(text[], bigint[], interval, int, bigint, bytea, text, text) IS 'for librill: waits for the first row that stream_fetch() would return, or for input from the client';

-- Keeping and looking

CREATE FUNCTION @extschema@.stream_trim(stream text, before bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_trim';
COMMENT ON FUNCTION @extschema@.stream_trim(text, bigint) IS 'removes readable chunks with ids below a bound, but no EOF, and returns how many were removed';

CREATE FUNCTION @extschema@.stream_delete(stream text) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_delete';
COMMENT ON FUNCTION @extschema@.stream_delete(text) IS 'deletes a stream and returns whether it existed; a new stream of this name continues with higher ids';

CREATE FUNCTION @extschema@.stream_edge(stream text, OUT first_id bigint, OUT head_id bigint, OUT closed boolean,
    OUT first_at timestamptz, OUT last_at timestamptz) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_edge';
COMMENT ON FUNCTION @extschema@.stream_edge(text) IS 'for stream_info: ids and times of the first and the last readable chunk';

CREATE FUNCTION @extschema@.stream_measure(stream text, OUT chunks bigint, OUT bytes bigint) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_measure';
COMMENT ON FUNCTION @extschema@.stream_measure(text) IS 'for stream_info: counts the readable chunks of a stream and their bytes';

CREATE FUNCTION @extschema@.stream_waiters(stream text) RETURNS int
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_waiters';
COMMENT ON FUNCTION @extschema@.stream_waiters(text) IS 'for stream_info: number of sessions waiting for a stream';

CREATE FUNCTION @extschema@.stream_counters(OUT listeners int, OUT waiters int, OUT wakeups bigint, OUT queued bigint,
    OUT coalesced bigint, OUT notifies bigint, OUT overflows bigint, OUT rescues bigint, OUT notifier_pid int,
    OUT notifier_state text, OUT notifier_started_at timestamptz, OUT cached_streams bigint, OUT trimmed_chunks bigint,
    OUT deleted_streams bigint, OUT retention_at timestamptz, OUT stats_since timestamptz) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_counters';
COMMENT ON FUNCTION @extschema@.stream_counters() IS 'for stream_stat: counters of this database';

CREATE VIEW @extschema@.stream_info WITH (security_invoker = true) AS
  SELECT s.name, s.stream_id, s.owner, s.created_at, e.first_id, e.head_id, e.closed,
         (@extschema@.stream_measure(s.name)).chunks AS chunks,
         (@extschema@.stream_measure(s.name)).bytes AS bytes,
         e.first_at, e.last_at,
         @extschema@.stream_waiters(s.name) AS waiters,
         s.max_age, s.max_chunks, s.max_bytes, s.delete_after_close
    FROM @extschema@.stream s, LATERAL @extschema@.stream_edge(s.name) e
   WHERE s.deleted_at IS NULL;
COMMENT ON VIEW @extschema@.stream_info IS 'streams that the caller may see; chunks and bytes are counted when selected';

CREATE VIEW @extschema@.stream_stat WITH (security_invoker = true) AS SELECT * FROM @extschema@.stream_counters();
COMMENT ON VIEW @extschema@.stream_stat IS 'statistics of this database: wake-ups, the notifier, retention';

-- Rows of stream changed by hand or by replication: sessions must drop what they have cached, and no chunks may be left
-- without a stream. Logical replication fires only triggers for rows, and only those that are always enabled.

CREATE FUNCTION @extschema@.stream_guard() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_guard';
COMMENT ON FUNCTION @extschema@.stream_guard() IS 'trigger: invalidates cached streams after a change, and refuses to remove rows';
CREATE TRIGGER stream_changed AFTER UPDATE OF stream_id, name, owner, deleted_at OR DELETE ON @extschema@.stream
  FOR EACH ROW WHEN (OLD.deleted_at IS NULL) EXECUTE FUNCTION @extschema@.stream_guard();
ALTER TABLE @extschema@.stream ENABLE ALWAYS TRIGGER stream_changed;
CREATE TRIGGER stream_not_removed BEFORE DELETE OR TRUNCATE ON @extschema@.stream
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.stream_guard();

-- COPY and INSERT (a restore into a server that is being read) bypass the id cache, so its entries must go.
-- Appends fire no statement triggers.

CREATE FUNCTION @extschema@.stream_loaded() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_loaded';
COMMENT ON FUNCTION @extschema@.stream_loaded() IS 'trigger: clears the id cache after chunks were stored by COPY or INSERT';
CREATE TRIGGER chunk_loaded AFTER INSERT ON @extschema@.stream_chunk
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.stream_loaded();

-- Chunks stored by logical replication got their ids elsewhere: the id cache has to learn them, and waiting sessions have
-- to be woken. The trigger fires only in sessions that apply changes; appends pay nothing for it.

CREATE FUNCTION @extschema@.stream_replicated() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_replicated';
COMMENT ON FUNCTION @extschema@.stream_replicated() IS 'trigger: updates the id cache and wakes readers after chunks were stored by logical replication';
CREATE TRIGGER chunk_replicated AFTER INSERT ON @extschema@.stream_chunk
  FOR EACH ROW EXECUTE FUNCTION @extschema@.stream_replicated();
ALTER TABLE @extschema@.stream_chunk ENABLE REPLICA TRIGGER chunk_replicated;

-- Privileges: nothing is granted to PUBLIC.

REVOKE ALL ON FUNCTION @extschema@.stream_append(text, bytea, boolean, bigint, text, int, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_append_many(text, bytea[], boolean, bigint, text, int, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_close(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_create(text, interval, bigint, bigint, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_read_since(text, bigint, int, bigint, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_wait(text, bigint, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_read_many(text[], bigint[], int, bigint, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_wait_many(text[], bigint[], interval) FROM PUBLIC;
REVOKE ALL ON PROCEDURE @extschema@.stream_await(text, bigint, interval, bigint) FROM PUBLIC;
REVOKE ALL ON PROCEDURE @extschema@.stream_await_many(text[], bigint[], interval, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_verify(text, bigint, int) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_head(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_seek(text, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_seek_time(text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_listen() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_unlisten() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_fetch(text[], bigint[], int[], int, bigint) FROM PUBLIC;
REVOKE ALL ON PROCEDURE @extschema@.stream_fetch_await(text[], bigint[], interval, int, bigint, bytea, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_trim(text, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_delete(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_edge(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_measure(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_waiters(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_counters() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_guard() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_loaded() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_replicated() FROM PUBLIC;
REVOKE ALL ON @extschema@.stream FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_chunk FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_producer FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_info FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_stat FROM PUBLIC;
