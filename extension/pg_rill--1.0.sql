\echo Use "CREATE EXTENSION pg_rill" to load this file. \quit

-- Tables. Their rows are ordinary data: dumped, restored and replicated like any others.

CREATE TABLE @extschema@.stream (
  stream_id bigint GENERATED ALWAYS AS IDENTITY,
  name text COLLATE pg_catalog."C" NOT NULL CHECK (pg_catalog.octet_length(name) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(name) OPERATOR(pg_catalog.<=) 512),
  owner name NOT NULL DEFAULT CURRENT_USER,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  metadata jsonb,
  CONSTRAINT stream_pkey PRIMARY KEY (stream_id)
) USING heap;
CREATE UNIQUE INDEX stream_name_key ON @extschema@.stream (name);
COMMENT ON TABLE @extschema@.stream IS 'streams; privileges and policies on this table control who may do what with them';
COMMENT ON SEQUENCE @extschema@.stream_stream_id_seq IS 'source of stream ids';
COMMENT ON COLUMN @extschema@.stream.owner IS 'name of the role that created the stream';
COMMENT ON COLUMN @extschema@.stream.metadata IS 'what users want to say about the stream; set by stream_set_metadata()';

-- What the extension has to remember of a stream. Nobody is granted this table. A stream without a row here has no
-- limits and was never trimmed; a deleted stream has a row only here, its tombstone.
CREATE TABLE @extschema@.stream_state (
  stream_id bigint NOT NULL,
  trimmed_through bigint NOT NULL DEFAULT 0,
  begins_after bigint NOT NULL DEFAULT 0,
  max_age interval CHECK (max_age OPERATOR(pg_catalog.>=) '0'::pg_catalog.interval),
  max_chunks bigint CHECK (max_chunks OPERATOR(pg_catalog.>=) 1),
  max_bytes bigint CHECK (max_bytes OPERATOR(pg_catalog.>=) 1),
  delete_after_close interval CHECK (delete_after_close OPERATOR(pg_catalog.>=) '0'::pg_catalog.interval),
  max_idle interval CHECK (max_idle OPERATOR(pg_catalog.>=) '0'::pg_catalog.interval),
  expires_at timestamptz,
  counted_through bigint NOT NULL DEFAULT 0,
  counted_chunks bigint NOT NULL DEFAULT 0,
  counted_bytes bigint NOT NULL DEFAULT 0,
  touched_at timestamptz,
  next_due timestamptz,
  deleted_at timestamptz,
  deleted_name text COLLATE pg_catalog."C",
  purged boolean NOT NULL DEFAULT false,
  CONSTRAINT stream_state_pkey PRIMARY KEY (stream_id)
) USING heap WITH (fillfactor = 80);
CREATE INDEX stream_tombstone_key ON @extschema@.stream_state (deleted_name) WHERE deleted_at IS NOT NULL;
CREATE INDEX stream_retention_key ON @extschema@.stream_state (stream_id)
  WHERE deleted_at IS NULL AND (max_age IS NOT NULL OR max_chunks IS NOT NULL OR max_bytes IS NOT NULL OR delete_after_close IS NOT NULL
    OR max_idle IS NOT NULL OR expires_at IS NOT NULL);
CREATE INDEX stream_due_key ON @extschema@.stream_state (next_due, stream_id) WHERE next_due IS NOT NULL;
CREATE INDEX stream_unpurged_key ON @extschema@.stream_state (stream_id) WHERE deleted_at IS NOT NULL AND NOT purged;
CREATE INDEX stream_purged_key ON @extschema@.stream_state (deleted_at) WHERE purged;
COMMENT ON TABLE @extschema@.stream_state IS 'what the extension remembers of streams: trims, limits, counts, and tombstones of deleted streams';
COMMENT ON COLUMN @extschema@.stream_state.trimmed_through IS 'all chunk ids up to this one have been trimmed; 0 if none';
COMMENT ON COLUMN @extschema@.stream_state.begins_after IS 'all chunk ids up to this one belong to an earlier, deleted stream of this name; 0 if none';
COMMENT ON COLUMN @extschema@.stream_state.max_age IS 'retention: chunks older than this are removed';
COMMENT ON COLUMN @extschema@.stream_state.max_chunks IS 'retention: maximum number of data chunks';
COMMENT ON COLUMN @extschema@.stream_state.max_bytes IS 'retention: maximum number of bytes of data';
COMMENT ON COLUMN @extschema@.stream_state.delete_after_close IS 'retention: the stream is deleted this long after its EOF';
COMMENT ON COLUMN @extschema@.stream_state.max_idle IS 'retention: the stream is deleted when it was neither appended to nor touched for this long';
COMMENT ON COLUMN @extschema@.stream_state.expires_at IS 'retention: the stream is deleted at this time';
COMMENT ON COLUMN @extschema@.stream_state.counted_through IS 'for retention: counted_chunks and counted_bytes cover the data chunks with ids above trimmed_through up to this one';
COMMENT ON COLUMN @extschema@.stream_state.touched_at IS 'when stream_touch() was last recorded';
COMMENT ON COLUMN @extschema@.stream_state.next_due IS 'when retention has to look at the stream next; null: not before something is appended';
COMMENT ON COLUMN @extschema@.stream_state.deleted_at IS 'when the stream was deleted; the row is then a tombstone';
COMMENT ON COLUMN @extschema@.stream_state.deleted_name IS 'tombstones only: the name that the stream had';
COMMENT ON COLUMN @extschema@.stream_state.purged IS 'tombstones only: the other tables hold nothing of the stream any more';

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
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  chunk_id bigint NOT NULL,
  writer_seq text COLLATE pg_catalog."C",
  CONSTRAINT stream_producer_pkey PRIMARY KEY (stream_id, producer, epoch, seq)
) USING heap;
COMMENT ON TABLE @extschema@.stream_producer IS 'the latest appends of each exactly-once producer, with their chunk ids; and the last writer_seq of each stream';
COMMENT ON COLUMN @extschema@.stream_producer.writer_seq IS 'of an append with a writer_seq; such rows have no producer, epoch 0, and the chunk id as seq';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_state', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_chunk', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_producer', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.stream_stream_id_seq', '');

-- Writing

CREATE FUNCTION @extschema@.stream_append(stream text, data bytea, eof boolean DEFAULT false, expected bigint DEFAULT NULL,
    producer text DEFAULT NULL, producer_epoch bigint DEFAULT NULL, producer_seq bigint DEFAULT NULL) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_append';
COMMENT ON FUNCTION @extschema@.stream_append(text, bytea, boolean, bigint, text, bigint, bigint) IS 'appends a chunk and returns its id; creates the stream if it does not exist';

CREATE FUNCTION @extschema@.stream_append_many(stream text, data bytea[], eof boolean DEFAULT false, expected bigint DEFAULT NULL,
    producer text DEFAULT NULL, producer_epoch bigint DEFAULT NULL, producer_seq bigint DEFAULT NULL) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_append_many';
COMMENT ON FUNCTION @extschema@.stream_append_many(text, bytea[], boolean, bigint, text, bigint, bigint) IS 'appends chunks with consecutive ids and returns the last id';

CREATE FUNCTION @extschema@.stream_append_text(stream text, data text, eof boolean DEFAULT false) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_append_text';
COMMENT ON FUNCTION @extschema@.stream_append_text(text, text, boolean) IS 'appends text as a chunk, in UTF-8, and returns its id; creates the stream if it does not exist';

CREATE FUNCTION @extschema@.stream_try_append(stream text, data bytea[], eof boolean DEFAULT false, expected bigint DEFAULT NULL,
    producer text DEFAULT NULL, producer_epoch bigint DEFAULT NULL, producer_seq bigint DEFAULT NULL,
    writer_seq text DEFAULT NULL, create_stream boolean DEFAULT true, OUT outcome text, OUT chunk_id bigint,
    OUT producer_epoch bigint, OUT producer_seq bigint, OUT closed boolean) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_try_append';
COMMENT ON FUNCTION @extschema@.stream_try_append(text, bytea[], boolean, bigint, text, bigint, bigint, text, boolean) IS 'appends chunks and returns the outcome, where stream_append_many() raises an error';

CREATE FUNCTION @extschema@.stream_close(stream text) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_close';
COMMENT ON FUNCTION @extschema@.stream_close(text) IS 'ends a stream with an empty EOF chunk and returns its id; returns the existing EOF if the stream is closed';

CREATE FUNCTION @extschema@.stream_producer_state(stream text, producer text)
  RETURNS TABLE(producer_epoch bigint, producer_seq bigint, chunk_id bigint)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'pg_rill_producer_state';
COMMENT ON FUNCTION @extschema@.stream_producer_state(text, text) IS 'returns the last accepted append of a producer; no row if it is unknown';

CREATE FUNCTION @extschema@.stream_producer_begin(stream text, producer text, OUT producer_epoch bigint, OUT last_epoch bigint,
    OUT last_seq bigint, OUT chunk_id bigint) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_producer_begin';
COMMENT ON FUNCTION @extschema@.stream_producer_begin(text, text) IS 'begins a new epoch of a producer, fences off earlier ones, and returns the last accepted append';

CREATE FUNCTION @extschema@.stream_create(stream text, max_age interval DEFAULT NULL, max_chunks bigint DEFAULT NULL,
    max_bytes bigint DEFAULT NULL, delete_after_close interval DEFAULT NULL, max_idle interval DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_create';
COMMENT ON FUNCTION @extschema@.stream_create(text, interval, bigint, bigint, interval, interval, timestamptz, jsonb) IS 'creates a stream and returns true; an existing one is left as it is, and false returned';

CREATE FUNCTION @extschema@.stream_set_limits(stream text, max_age interval DEFAULT NULL, max_chunks bigint DEFAULT NULL,
    max_bytes bigint DEFAULT NULL, delete_after_close interval DEFAULT NULL, max_idle interval DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_set_limits';
COMMENT ON FUNCTION @extschema@.stream_set_limits(text, interval, bigint, bigint, interval, interval, timestamptz) IS 'sets exactly these limits and returns whether the stream exists; null is no limit';

CREATE FUNCTION @extschema@.stream_set_metadata(stream text, metadata jsonb) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_set_metadata';
COMMENT ON FUNCTION @extschema@.stream_set_metadata(text, jsonb) IS 'sets the metadata of a stream and returns whether it exists';

CREATE FUNCTION @extschema@.stream_touch(stream text) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_touch';
COMMENT ON FUNCTION @extschema@.stream_touch(text) IS 'counts as use of the stream for max_idle, and returns whether it exists';

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
    max_bytes bigint DEFAULT 8388608, timeout interval DEFAULT '0', epochs int[] DEFAULT NULL)
  RETURNS TABLE(stream text, chunk_id bigint, data bytea, eof boolean, appended_at timestamptz, epoch int)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 AS 'MODULE_PATHNAME', 'pg_rill_read_many';
COMMENT ON FUNCTION @extschema@.stream_read_many(text[], bigint[], int, bigint, interval, int[]) IS 'reads many streams, each after its own cursor; the caps are totals, shared fairly';

CREATE FUNCTION @extschema@.stream_wait_many(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s')
  RETURNS TABLE(stream text, head bigint, ended boolean, sqlstate text)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'pg_rill_wait_many';
COMMENT ON FUNCTION @extschema@.stream_wait_many(text[], bigint[], interval) IS 'waits until a stream has a chunk after its cursor and returns the streams that have one, and those whose cursor is bad';

CREATE PROCEDURE @extschema@.stream_await(stream text, chunk_id bigint, timeout interval DEFAULT '30 s', INOUT head bigint DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_await';
COMMENT ON PROCEDURE @extschema@.stream_await(text, bigint, interval, bigint) IS 'waits like stream_wait(), but holds no snapshot and no transaction id while it sleeps';

CREATE PROCEDURE @extschema@.stream_await_many(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s', INOUT ready text[] DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_await_many';
COMMENT ON PROCEDURE @extschema@.stream_await_many(text[], bigint[], interval, text[]) IS 'waits like stream_wait_many(), but holds no snapshot and no transaction id while it sleeps';

CREATE FUNCTION @extschema@.stream_interrupt(pid int) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_interrupt';
COMMENT ON FUNCTION @extschema@.stream_interrupt(int) IS 'ends the wait that a session is in, as if its timeout had come, and returns whether it was waiting';

CREATE FUNCTION @extschema@.stream_verify(stream text, chunk_id bigint, epoch int) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_verify';
COMMENT ON FUNCTION @extschema@.stream_verify(text, bigint, int) IS 'checks that the chunk with this id is the one that was read with this epoch, and raises an error if it is not';

CREATE FUNCTION @extschema@.stream_head(stream text) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_head';
COMMENT ON FUNCTION @extschema@.stream_head(text) IS 'returns the highest readable id, 0 if there is none';

CREATE FUNCTION @extschema@.stream_seek(stream text, skip bigint, OUT chunk_id bigint, OUT remaining bigint) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_seek';
COMMENT ON FUNCTION @extschema@.stream_seek(text, bigint) IS 'returns the cursor that skips a number of data chunks, or if negative, that leaves this many to read, and how many are still to be skipped';

CREATE FUNCTION @extschema@.stream_seek_time(stream text, since timestamptz) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_seek_time';
COMMENT ON FUNCTION @extschema@.stream_seek_time(text, timestamptz) IS 'returns the cursor for chunks appended at or after a time';

CREATE FUNCTION @extschema@.stream_listen() RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_listen';
COMMENT ON FUNCTION @extschema@.stream_listen() IS 'registers this session for wake-ups by NOTIFY and returns the channel';

CREATE FUNCTION @extschema@.stream_unlisten() RETURNS text
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_unlisten';
COMMENT ON FUNCTION @extschema@.stream_unlisten() IS 'ends the registration made by stream_listen() and returns the channel';

CREATE FUNCTION @extschema@.stream_names(stream_ids bigint[]) RETURNS TABLE(stream_id bigint, name text)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'pg_rill_names';
COMMENT ON FUNCTION @extschema@.stream_names(bigint[]) IS 'returns the names of streams by their ids, as a wake-up by NOTIFY has them';

CREATE FUNCTION @extschema@.stream_fetch(streams text[], chunk_ids bigint[], epochs int[] DEFAULT NULL,
    max_chunks int DEFAULT 1000, max_bytes bigint DEFAULT 8388608)
  RETURNS TABLE(n int, stream_id bigint, page bytea, more boolean, sqlstate text, message text, head_id bigint,
    head_epoch int, last_data_id bigint, closed boolean)
  LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 AS 'MODULE_PATHNAME', 'pg_rill_fetch';
COMMENT ON FUNCTION @extschema@.stream_fetch(text[], bigint[], int[], int, bigint) IS 'for librill: reads many streams as packed pages';

CREATE PROCEDURE @extschema@.stream_fetch_await(streams text[], chunk_ids bigint[], timeout interval DEFAULT '30 s',
    INOUT n int DEFAULT NULL, INOUT stream_id bigint DEFAULT NULL, INOUT page bytea DEFAULT NULL,
    INOUT more boolean DEFAULT NULL, INOUT sqlstate text DEFAULT NULL, INOUT message text DEFAULT NULL)
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_fetch_await';
COMMENT ON PROCEDURE @extschema@.stream_fetch_await(text[], bigint[], interval, int, bigint, bytea, boolean, text, text) IS 'for librill: waits for the first row that stream_fetch() would return, or for input from the client';

-- Keeping and looking

CREATE FUNCTION @extschema@.stream_trim(stream text, before bigint) RETURNS bigint
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_trim';
COMMENT ON FUNCTION @extschema@.stream_trim(text, bigint) IS 'removes readable chunks with ids below a bound, but no EOF, and returns how many were removed';

CREATE FUNCTION @extschema@.stream_delete(stream text) RETURNS boolean
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_delete';
COMMENT ON FUNCTION @extschema@.stream_delete(text) IS 'deletes a stream and returns whether it existed; a new stream of this name continues with higher ids';

CREATE FUNCTION @extschema@.stream_status(stream text, OUT stream_id bigint, OUT created_at timestamptz, OUT first_id bigint,
    OUT head_id bigint, OUT last_data_id bigint, OUT closed boolean, OUT first_at timestamptz, OUT last_at timestamptz,
    OUT trimmed_through bigint, OUT metadata jsonb, OUT waiters int, OUT max_age interval, OUT max_chunks bigint,
    OUT max_bytes bigint, OUT delete_after_close interval, OUT max_idle interval, OUT expires_at timestamptz) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_status';
COMMENT ON FUNCTION @extschema@.stream_status(text) IS 'a stream under one snapshot, at a cost that does not grow with it';

CREATE FUNCTION @extschema@.stream_size(stream text, after bigint DEFAULT 0, OUT chunks bigint, OUT bytes bigint) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_size';
COMMENT ON FUNCTION @extschema@.stream_size(text, bigint) IS 'counts the data chunks after a cursor and their bytes; reads them all';

CREATE FUNCTION @extschema@.stream_counters(OUT listeners int, OUT waiters int, OUT wakeups bigint, OUT queued bigint,
    OUT coalesced bigint, OUT notifies bigint, OUT overflows bigint, OUT rescues bigint, OUT notifier_pid int,
    OUT notifier_state text, OUT notifier_started_at timestamptz, OUT cached_streams bigint, OUT trimmed_chunks bigint,
    OUT deleted_streams bigint, OUT retention_at timestamptz, OUT retention_backlog bigint, OUT retention_lag interval,
    OUT stats_since timestamptz) RETURNS record
  LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'pg_rill_counters';
COMMENT ON FUNCTION @extschema@.stream_counters() IS 'for stream_stat: counters of this database';

CREATE VIEW @extschema@.stream_info WITH (security_invoker = true) AS
  SELECT s.name, status.*
    FROM @extschema@.stream s, LATERAL @extschema@.stream_status(s.name) status
   WHERE status.stream_id IS NOT NULL;
COMMENT ON VIEW @extschema@.stream_info IS 'streams that the caller may see, with their status';

CREATE VIEW @extschema@.stream_stat WITH (security_invoker = true) AS SELECT * FROM @extschema@.stream_counters();
COMMENT ON VIEW @extschema@.stream_stat IS 'statistics of this database: wake-ups, the notifier, retention';

-- Table stream changed by hand. Only its owner may do that (a restore, a rename), whatever was granted: the privileges
-- on it are for the functions. Sessions must then drop what they have cached; that trigger is for rows, since logical
-- replication fires no others. Nobody removes rows by hand: the chunks would be left behind.

CREATE FUNCTION @extschema@.stream_changed() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_changed';
COMMENT ON FUNCTION @extschema@.stream_changed() IS 'trigger: invalidates cached streams after a change';
CREATE TRIGGER stream_changed AFTER UPDATE OR DELETE ON @extschema@.stream
  FOR EACH ROW EXECUTE FUNCTION @extschema@.stream_changed();
ALTER TABLE @extschema@.stream ENABLE ALWAYS TRIGGER stream_changed;

CREATE FUNCTION @extschema@.stream_guard() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_guard';
COMMENT ON FUNCTION @extschema@.stream_guard() IS 'trigger: refuses changes by others than the owner, and the removal of rows';
CREATE TRIGGER stream_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON @extschema@.stream
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.stream_guard();
ALTER TABLE @extschema@.stream ENABLE ALWAYS TRIGGER stream_guard;

-- Chunks stored or changed by COPY and by hand, a restore into a server that is being read for example, bypass the id
-- cache, so its entries must go, and readers must be woken. Appends and trims fire none of these triggers. While one of
-- them is not enabled as here, the id cache is not used.

CREATE FUNCTION @extschema@.stream_loaded() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_loaded';
COMMENT ON FUNCTION @extschema@.stream_loaded() IS 'trigger: clears the id cache, wakes readers and has retention check every stream after rows were stored by other means than functions';
CREATE TRIGGER chunk_loaded AFTER INSERT OR UPDATE OR TRUNCATE ON @extschema@.stream_chunk
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.stream_loaded();
ALTER TABLE @extschema@.stream_chunk ENABLE ALWAYS TRIGGER chunk_loaded;
CREATE TRIGGER state_loaded AFTER INSERT OR UPDATE OR TRUNCATE ON @extschema@.stream_state
  FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.stream_loaded();
ALTER TABLE @extschema@.stream_state ENABLE ALWAYS TRIGGER state_loaded;

-- Logical replication fires no statement triggers. Its chunks got their ids elsewhere: the id cache has to learn them, and
-- waiting sessions have to be woken. These triggers fire only in sessions that apply changes.

CREATE FUNCTION @extschema@.stream_replicated() RETURNS trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'pg_rill_replicated';
COMMENT ON FUNCTION @extschema@.stream_replicated() IS 'trigger: updates the id cache and wakes readers after chunks were stored by logical replication';
CREATE TRIGGER chunk_replicated AFTER INSERT OR UPDATE ON @extschema@.stream_chunk
  FOR EACH ROW EXECUTE FUNCTION @extschema@.stream_replicated();
ALTER TABLE @extschema@.stream_chunk ENABLE REPLICA TRIGGER chunk_replicated;
CREATE TRIGGER state_replicated AFTER INSERT OR UPDATE ON @extschema@.stream_state
  FOR EACH ROW EXECUTE FUNCTION @extschema@.stream_replicated();
ALTER TABLE @extschema@.stream_state ENABLE REPLICA TRIGGER state_replicated;

-- Privileges. The functions check the caller's privileges and policies on table stream themselves, so PUBLIC may execute
-- them. Nothing else is granted to PUBLIC but stream_info, which shows what the caller may see.

REVOKE ALL ON FUNCTION @extschema@.stream_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_guard() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_loaded() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_replicated() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.stream_counters() FROM PUBLIC;
REVOKE ALL ON @extschema@.stream FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_state FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_chunk FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_producer FROM PUBLIC;
REVOKE ALL ON @extschema@.stream_stat FROM PUBLIC;
GRANT SELECT ON @extschema@.stream_info TO PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.stream_counters() TO pg_monitor;
GRANT SELECT ON @extschema@.stream_stat TO pg_monitor;
