#!/usr/bin/env python3
"""What users add to stream_chunk: columns with defaults, generated columns, triggers, constraints and indexes work for
appends as they do for INSERT, and none of their code runs under a stream's order lock: whatever it waits for, other
sessions append, and two sessions whose triggers append elsewhere do not deadlock.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, database, main, one_of, same, wait_for_lock, wait_until  # noqa: E402

READ = "SELECT string_agg(convert_from(data, 'UTF8'), ' ' ORDER BY chunk_id) FROM stream_read_since('s', 0)"
COLUMN = "SELECT string_agg({}::text, ' ' ORDER BY chunk_id) FROM stream_chunk"

# Each way that an append stores rows.
APPENDS = (
    ("an append", "SELECT stream_append('s', '{d}')", 1),
    ("a batch", "SELECT stream_append_many('s', '{{{d},{d}2}}')", 2),
    ("an append of a producer", "SELECT stream_append('s', '{d}', producer => 'p', producer_epoch => 1, producer_seq => 1)", 1),
    ("an append that expects", "SELECT stream_append('s', '{d}', expected => (SELECT max(chunk_id) FROM stream_chunk))", 1),
    ("a close", "SELECT stream_close('s')", 1),
)


def columns():
    """Columns of users get their defaults and generated values, as an INSERT would give them."""
    cases = (
        ("NOT NULL DEFAULT", "tenant text NOT NULL DEFAULT 'none'", "tenant", lambda v: set(v) == {"none"}),
        ("a volatile default", "at timestamptz NOT NULL DEFAULT clock_timestamp()", "at", lambda v: None not in v),
        ("a default that differs each time", "token uuid NOT NULL DEFAULT gen_random_uuid()", "token", lambda v: len(set(v)) == len(v)),
        ("an identity", "n bigint GENERATED ALWAYS AS IDENTITY", "n", lambda v: len(set(v)) == len(v)),
        ("a default that asks for the role", "who name NOT NULL DEFAULT current_user", "who", lambda v: None not in v),
        ("no default", "remark text", "remark", lambda v: set(v[1:]) == {None}),
        ("a generated column", "size int GENERATED ALWAYS AS (octet_length(data)) STORED", "size", lambda v: v[:3] == ["5", "1", "1"]),
    )
    for what, definition, column, good in cases:
        session = Session(database=database())
        session.run("SELECT stream_append('s', 'first')")
        session.run(f"ALTER TABLE stream_chunk ADD COLUMN {definition}")
        stored = 1
        for n, (how, sql, rows) in enumerate(APPENDS):
            answer = session.attempt(sql.format(d="abcdefg"[n]))
            stored += rows
            same(f"{what}: {how}", answer, stored)
        values = [v for (v,) in session.rows(f"SELECT {column}::text FROM stream_chunk ORDER BY chunk_id")]
        check(f"{what}: the column's values", len(values) == stored and good(values), values)
        same(f"{what}: what is read", session.attempt(READ), "first a b b2 c d ")
    session = Session(database=database())
    session.run("SELECT stream_append('s', 'first')")
    session.run("ALTER TABLE stream_chunk ADD COLUMN twice bigint GENERATED ALWAYS AS (chunk_id * 2) STORED")
    same("a column generated from the id is not supported", session.attempt("SELECT stream_append('s', 'x')"), "0A000")
    session.run("ALTER TABLE stream_chunk DROP COLUMN twice")
    same("without it appends go on", session.attempt("SELECT stream_append('s', 'x')"), 2)


def triggers():
    """Row triggers of users: what they may change, and what not."""
    session = Session(database=database())
    session.run("ALTER TABLE stream_chunk ADD COLUMN tag text; CREATE TABLE seen (what text, stream_id bigint, chunk_id bigint, data bytea)")
    session.run("SELECT stream_append('s', 'first')")

    def trigger(name, timing, body):
        session.run(f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
                        CREATE TRIGGER {name} {timing} ON stream_chunk FOR EACH ROW EXECUTE FUNCTION {name}()""")

    def drop(name):
        session.run(f"DROP TRIGGER {name} ON stream_chunk; DROP FUNCTION {name}")
    trigger("tagging", "BEFORE INSERT", "NEW.tag = 'tagged'; RETURN NEW;")
    for n, (how, sql, rows) in enumerate(APPENDS[:4]):
        check(f"BEFORE, sets a column of its own: {how}", not isinstance(session.attempt(sql.format(d="abcd"[n])), Refused))
    same("BEFORE, sets a column of its own: it is set", session.attempt(COLUMN.format("tag")), "tagged " * 4 + "tagged")
    drop("tagging")
    trigger("noting", "AFTER INSERT", "INSERT INTO seen VALUES ('after', NEW.stream_id, NEW.chunk_id, NEW.data); RETURN NULL;")
    last = session.attempt("SELECT stream_append_many('s', '{x,y}')")
    same("AFTER: sees the rows as they are stored", session.rows("SELECT s.chunk_id FROM seen s JOIN stream_chunk c USING (stream_id, chunk_id, data)"
         " ORDER BY 1"), [(last - 1,), (last,)])
    drop("noting")
    trigger("nothing", "BEFORE INSERT", "RETURN NULL;")
    before = session.attempt("SELECT max(chunk_id) FROM stream_chunk")
    same("BEFORE, returns null: the append says so", session.attempt("SELECT stream_append('s', 'lost')"), "39P01")
    drop("nothing")
    for column, value in (("stream_id", "7"), ("chunk_id", "1"), ("chunk_id", "1000000"), ("epoch", "1"), ("appended_at", "'2000-01-01'"),
                          ("eof", "true"), ("data", "'changed'")):
        trigger("changing", "BEFORE INSERT", f"NEW.{column} = {value}; RETURN NEW;")
        answer = session.attempt("SELECT stream_append('s', 'mine')")
        row = session.row("SELECT convert_from(data, 'UTF8'), eof FROM stream_read_since('s', %s)", before) or ("nothing", None)
        refused = isinstance(answer, Refused) and session.attempt("SELECT max(chunk_id) FROM stream_chunk") == before
        check(f"BEFORE, changes {column}: refused, or without effect", refused or (not isinstance(answer, Refused) and row == ("mine", False)), f"{answer!r}, {row}")
        drop("changing")
        before = session.attempt("SELECT max(chunk_id) FROM stream_chunk WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 's')")
    trigger("failing", "AFTER INSERT", "RAISE EXCEPTION 'no' USING ERRCODE = 'P0042';")
    same("AFTER, raises: the append's error", session.attempt("SELECT stream_append('s', 'x')"), "P0042")
    drop("failing")
    check("after the error appends go on", not isinstance(session.attempt("SELECT stream_append('s', 'last')"), Refused))
    same("no row was stored twice or under another stream", session.attempt("SELECT count(DISTINCT stream_id) FROM stream_chunk"), 1)


def constraints():
    """Unique, expression, partial and exclusion indexes and CHECKs of users: their own errors, and nothing is left behind."""
    cases = (
        ("a unique index", "CREATE UNIQUE INDEX ON stream_chunk (stream_id, md5(data))", "same", "23505"),
        ("a partial unique index", "CREATE UNIQUE INDEX ON stream_chunk (data) WHERE data <> 'free'", "same", "23505"),
        ("an exclusion constraint", "ALTER TABLE stream_chunk ADD EXCLUDE USING btree (data WITH =)", "same", "23P01"),
        ("a deferred unique constraint", "ALTER TABLE stream_chunk ADD UNIQUE (data) DEFERRABLE INITIALLY DEFERRED", "same", "23505"),
        ("a CHECK", "ALTER TABLE stream_chunk ADD CHECK (data <> 'bad')", "bad", "23514"),
        ("an index whose expression fails", "CREATE INDEX ON stream_chunk ((10 / (CASE WHEN data = 'bad' THEN 0 ELSE 1 END)))", "bad", "22012"),
    )
    for what, definition, data, code in cases:
        session = Session(database=database())
        other = Session(database=session.connection.info.dbname, net="5s")
        session.run("SELECT stream_append('s', 'first'), stream_append('s', 'same')")
        session.run(definition)
        same(f"{what}: refuses", session.attempt(f"SELECT stream_append('s', '{data}')"), code)
        same(f"{what}: refuses in a batch", session.attempt(f"SELECT stream_append_many('s', '{{good,{data}}}')"), code)
        check(f"{what}: an append that fits", not isinstance(other.attempt("SELECT stream_append('s', 'fits')"), Refused))
        same(f"{what}: is what is read", other.attempt(READ), "first same fits")
        session.run("BEGIN; SAVEPOINT a")
        session.attempt(f"SELECT stream_append('s', '{data}')")
        session.run("ROLLBACK TO a")
        check(f"{what}: after its error, in the same transaction", not isinstance(session.attempt("SELECT stream_append('s', 'more')"), Refused))
        session.attempt("COMMIT")
        same(f"{what}: everything in order", session.attempt(READ), "first same fits more")


WAITING = "CREATE FUNCTION waits(data bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN" \
    " IF data = 'slow' THEN PERFORM pg_advisory_xact_lock_shared(42); END IF; RETURN true; END $$"
TRIGGER = "CREATE FUNCTION wait_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM waits(NEW.data); RETURN NEW; END $$"
# The user's code waits for an advisory lock when the data are 'slow'.
PLACES = (
    ("BEFORE trigger", "CREATE TRIGGER w BEFORE INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION wait_trigger()"),
    ("AFTER trigger", "CREATE TRIGGER w AFTER INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION wait_trigger()"),
    ("CHECK constraint", "ALTER TABLE stream_chunk ADD CHECK (waits(data))"),
    ("index expression", "CREATE INDEX ON stream_chunk (waits(data))"),
    ("predicate of an index", "CREATE INDEX ON stream_chunk (stream_id) WHERE waits(data)"),
    ("generated column", "ALTER TABLE stream_chunk ADD COLUMN g boolean GENERATED ALWAYS AS (waits(data)) STORED"),
    ("default", "ALTER TABLE stream_chunk ADD COLUMN g boolean; ALTER TABLE stream_chunk ALTER COLUMN g SET DEFAULT"
                " waits(CASE WHEN current_setting('application_name') = 'slow' THEN 'slow'::bytea ELSE 'quick'::bytea END)"),
)


def order_lock():
    """Code of users that waits keeps no other session from appending to the stream."""
    for place, definition in PLACES:
        for how, sql in (("append", "SELECT stream_append('s', 'slow')"), ("batch", "SELECT stream_append_many('s', '{a,slow}')")):
            name = database()
            slow, other, gate = (Session(database=name) for _ in range(3))
            slow.run("SELECT stream_append('s', 'first')")
            slow.run(WAITING + "; " + TRIGGER)
            slow.run(definition)
            slow.run("SET application_name = 'slow'")
            gate.run("SELECT pg_advisory_lock(42)")
            pending = slow.start(sql)
            check(f"{place}: the {how} waits in it", wait_for_lock(gate, slow.pid))
            other.run("SET statement_timeout = '4s'")
            answer = other.attempt("SELECT stream_append('s', 'quick')")
            check(f"{place}: while a user's code holds up one {how}, another session appends", not isinstance(answer, Refused), answer)
            gate.run("SELECT pg_advisory_unlock(42)")
            answer = pending.answer()
            check(f"{place}: then the {how} is stored, too", not isinstance(answer, Refused), answer)
            same(f"{place}: everything is read", sorted((other.attempt(READ) or "").split()),
                 sorted(["first", "quick", "slow"] + (["a"] if how == "batch" else [])))


def crosswise():
    """Two sessions append, and their triggers append to the stream of the other one at the same time."""
    for timing in ("BEFORE", "AFTER"):
        name = database()
        sessions = [Session(database=name) for _ in range(2)]
        gate = Session(database=name)
        gate.run("SELECT stream_append('x', '0'), stream_append('y', '0')")
        gate.run("""CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE here text := (SELECT name FROM stream WHERE stream_id = NEW.stream_id);
            BEGIN
                IF NEW.data = 'first' THEN
                    PERFORM pg_advisory_xact_lock_shared(43);
                    PERFORM stream_append(CASE here WHEN 'x' THEN 'y' ELSE 'x' END, 'second');
                END IF;
                RETURN NEW;
            END $$""")
        gate.run(f"CREATE TRIGGER elsewhere {timing} INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION elsewhere()")
        gate.run("SELECT pg_advisory_lock(43)")
        pending = [session.start(f"SELECT stream_append('{stream}', 'first')") for session, stream in zip(sessions, "xy")]
        check(f"{timing}: both triggers wait", all(wait_for_lock(gate, session.pid) for session in sessions))
        gate.run("SELECT pg_advisory_unlock(43)")
        answers = [p.answer() for p in pending]
        check(f"{timing} triggers that append crosswise do not deadlock", not any(isinstance(a, Refused) for a in answers), answers)
        for stream in "xy":
            same(f"{timing}: stream {stream} has both chunks", gate.attempt(
                f"SELECT count(*) FROM stream_read_since('{stream}', 0) WHERE data IN ('first', 'second')"), 2)

    # A trigger that appends to the very stream it was fired for.
    name = database()
    session = Session(database=name)
    session.run("""CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.data = 'one' THEN PERFORM stream_append('s', 'two'); END IF; RETURN NEW; END $$""")
    for timing in ("BEFORE", "AFTER"):
        session.run("SELECT stream_delete('s')")
        session.run("SELECT stream_create('s')")
        session.run(f"CREATE TRIGGER again {timing} INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION again()")
        answer = session.attempt("SELECT stream_append('s', 'one')")
        check(f"{timing}: a trigger that appends to the same stream", not isinstance(answer, Refused), answer)
        one_of(f"{timing}: both chunks are there", session.attempt(READ), ("one two", "two one"))
        session.run("DROP TRIGGER again ON stream_chunk")
    check("the sessions are well", wait_until(session.alive))


main(columns, triggers, constraints, order_lock, crosswise)
