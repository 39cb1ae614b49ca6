"""PLANT=name: something is broken on purpose, so that one sees that the checker finds it.

Two break what the test itself remembers or does; the others replace a function of the extension by one in SQL that has
the fault, take away what is stored, or turn off what wakes readers up. The extension's own function stays under another name.
"""
import subprocess

from machinery import DATABASE


def begin(name, episode):
    if name:
        PLANTS[name][0](episode)


def end(name, episode):
    if name:
        PLANTS[name][1](episode)


def nothing(episode):
    pass


def history_chunk_removed(episode):
    """The history of one reader loses a chunk."""
    reading = max((r for r in episode.history.readings if r.stream in episode.plain), key=lambda r: len(r.segments[-1].chunks))
    chunks = reading.segments[-1].chunks
    del chunks[len(chunks) // 2]


def cursor_too_far(episode):
    """One reader's cursor goes three ids too far, five times: some of them may be gaps."""
    episode.cursor_too_far = 5


def replace(episode, name, arguments, returns, body):
    """The extension's function becomes real_NAME, and this one, in SQL, takes its place."""
    types = ", ".join(argument.split(" DEFAULT ")[0].split(" ", 1)[1] for argument in arguments if not argument.startswith("OUT "))
    episode.cluster.primary.sql(f"ALTER FUNCTION rill.{name}({types}) RENAME TO real_{name};"
                                f"CREATE FUNCTION rill.{name}({', '.join(arguments)}) {returns} LANGUAGE sql AS $plant$ {body} $plant$;"
                                f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA rill TO PUBLIC; GRANT SELECT ON rill.stream_chunk TO PUBLIC")


def put_back(name):
    def back(episode):
        primary = episode.cluster.primary
        for old, in primary.sql("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = %s AND pronamespace = 'rill'::regnamespace", name):
            primary.sql(f"DROP FUNCTION {'' if old.startswith('rill.') else 'rill.'}{old}")
        for real, in primary.sql("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = %s AND pronamespace = 'rill'::regnamespace", f"real_{name}"):
            primary.sql(f"ALTER FUNCTION {'' if real.startswith('rill.') else 'rill.'}{real} RENAME TO {name}")
    return back


READ_SINCE = ("stream text", "chunk_id bigint", "max_chunks int DEFAULT 1000", "max_bytes bigint DEFAULT 8388608", "timeout interval DEFAULT '0'")
READ_COLUMNS = "RETURNS TABLE(chunk_id bigint, data bytea, eof boolean, appended_at timestamptz, epoch int)"


def stop_rule(episode):
    """Reading stops at nothing that is undecided: it is a plain SELECT."""
    replace(episode, "stream_read_since", READ_SINCE, READ_COLUMNS,
            "SELECT c.chunk_id, c.data, c.eof, c.appended_at, c.epoch FROM rill.stream_chunk c JOIN rill.stream s USING (stream_id)"
            " WHERE s.name = $1 AND c.chunk_id > $2 ORDER BY c.chunk_id LIMIT $3")


def caps(episode):
    """Reading returns one chunk more than it may."""
    replace(episode, "stream_read_since", READ_SINCE, READ_COLUMNS, "SELECT * FROM rill.real_stream_read_since($1, $2, $3 + 1, $4, $5)")


def wakeups(episode):
    """No wake-up, and the next recheck in a minute."""
    episode.cluster.primary.configure(pg_rill__wakeups="off", pg_rill__recheck_interval="60s")


def reuse(episode):
    """At a restart, the last chunks are gone, and their ids are given again."""
    def while_it_is_down():
        node = episode.cluster.primary
        node.stop("fast")
        sql = f"DELETE FROM rill.stream_chunk c WHERE stream_id = (SELECT stream_id FROM rill.stream WHERE name = '{episode.plain[1]}')" \
            " AND chunk_id > (SELECT max(chunk_id) - 3 FROM rill.stream_chunk WHERE stream_id = c.stream_id);\nVACUUM rill.stream_chunk;\n"
        subprocess.run(["postgres", "--single", "-D", node.data, DATABASE], input=sql, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=True)
        node.start()
    episode.cut_short = while_it_is_down


def twice(episode):
    """One repeat in five is taken for a new append, and stored again."""
    arguments = "text, bytea[], boolean, bigint, text, bigint, bigint, text, boolean"
    episode.cluster.primary.sql(f"""
        ALTER FUNCTION rill.stream_try_append({arguments}) RENAME TO real_stream_try_append;
        CREATE FUNCTION rill.planted({arguments}) RETURNS TABLE (outcome text, chunk_id bigint, epoch bigint, seq bigint, closed boolean) LANGUAGE plpgsql AS $plant$
        DECLARE answer record; BEGIN
            SELECT * INTO answer FROM rill.real_stream_try_append($1, $2, $3, $4, $5, $6, $7, $8, $9);
            IF answer.outcome = 'repeat' AND random() < 0.2 THEN SELECT * INTO answer FROM rill.real_stream_try_append($1, $2, $3, $4); END IF;
            RETURN QUERY SELECT answer.outcome, answer.chunk_id, answer.producer_epoch, answer.producer_seq, answer.closed; END $plant$;
        CREATE FUNCTION rill.stream_try_append(stream text, data bytea[], eof boolean DEFAULT false, expected bigint DEFAULT NULL, producer text DEFAULT NULL,
            producer_epoch bigint DEFAULT NULL, producer_seq bigint DEFAULT NULL, writer_seq text DEFAULT NULL, create_stream boolean DEFAULT true, OUT outcome text,
            OUT chunk_id bigint, OUT producer_epoch bigint, OUT producer_seq bigint, OUT closed boolean) LANGUAGE sql AS $plant$
            SELECT * FROM rill.planted($1, $2, $3, $4, $5, $6, $7, $8, $9) $plant$""")


# name: how it begins, how it ends, and as what it is found.
PLANTS = {
    "history": (nothing, history_chunk_removed, ("lost",)), "cursor": (cursor_too_far, nothing, ("lost", "told without reason")),
    "stop_rule": (stop_rule, put_back("stream_read_since"), ("lost",)), "caps": (caps, put_back("stream_read_since"), ("caps",)),
    "wakeups": (wakeups, nothing, ("stall",)), "reuse": (reuse, nothing, ("lost", "id reused")),
    "twice": (twice, put_back("stream_try_append"), ("duplicated",))}
