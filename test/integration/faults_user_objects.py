#!/usr/bin/env python3
"""What users add to stream_chunk: columns with defaults, generated columns, triggers, constraints and indexes work for
appends as they do for INSERT, and none of their code runs under a stream's append lock: whatever it waits for, other
sessions append, and two sessions whose triggers append elsewhere do not deadlock.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys
import threading

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


def append_lock():
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

    # It appends, and the append that fired it is refused for that reason: the new stream stays.
    name = database()
    session = Session(database=name)
    session.run("""CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF current_setting('test.depth', true) = '1' THEN RETURN NEW; END IF;
        PERFORM set_config('test.depth', '1', true), stream_append('s', 'of the trigger'); RETURN NEW; END $$""")
    for table, data in (("stream_chunk", "{one}"), ("stream_producer", "{one}"), ("stream_producer", "{}")):
        for refused in (True, False):
            session.run(f"SELECT stream_delete('s'); CREATE TRIGGER again BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION again()")
            seq = 2 if refused and data == "{}" else 1
            expected = f"(SELECT coalesce(max(trimmed_through), 0) FROM stream_state WHERE deleted_name = 's'){'' if refused else ' + 1'}"
            status = session.attempt(f"SELECT outcome FROM stream_try_append('s', '{data}', expected => {expected},"
                                     f" producer => 'p', producer_epoch => 0, producer_seq => {seq})")
            session.run(f"DROP TRIGGER again ON {table}")
            what = f"a trigger of {table} appends to the new stream, {data} is {status}"
            check(what, isinstance(status, str) and not isinstance(status, Refused) and (status == "stored") != refused, status)
            kept = ["of the trigger"] + ["one"] * (data == "{one}" and not refused)
            same(f"{what}: what is read", session.attempt(READ), " ".join(kept))
            same(f"{what}: no chunk without a stream", session.value(
                "SELECT count(*) FROM stream_chunk c WHERE NOT EXISTS (SELECT FROM stream s WHERE s.stream_id = c.stream_id)"
                " AND NOT EXISTS (SELECT FROM stream_state s WHERE s.stream_id = c.stream_id AND deleted_at IS NOT NULL)"), 0)
    same("a refused append whose trigger appends nothing leaves no stream", [session.attempt(
        "SELECT outcome FROM stream_try_append('none', '{x}', expected => 5)"), session.value("SELECT count(*) FROM stream WHERE name = 'none'")],
        ["mismatch", 0])
    check("the sessions are well", wait_until(session.alive))


def statements():
    """Statement triggers of users and their transition tables: as for an INSERT with these rows. The extension's own fire
    for rows that others write, not for appends."""
    session = Session(database=database())
    session.run("SELECT stream_append('s', 'first'); CREATE TABLE seen (what text, n bigint, first bigint, last bigint)")
    for timing in ("BEFORE", "AFTER"):
        session.run(f"""CREATE FUNCTION {timing}_statement() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO seen VALUES ('{timing}'); RETURN NULL; END $$;
            CREATE TRIGGER a_{timing} {timing} INSERT ON stream_chunk FOR EACH STATEMENT EXECUTE FUNCTION {timing}_statement()""")
    session.run("""CREATE FUNCTION transition() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen SELECT 'rows', count(*), min(chunk_id), max(chunk_id) FROM fresh; RETURN NULL; END $$;
        CREATE TRIGGER b_transition AFTER INSERT ON stream_chunk REFERENCING NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION transition()""")
    wakeups = session.value("SELECT wakeups + queued + overflows FROM stream_stat")
    for how, sql, first, last in (("an append", "SELECT stream_append('s', 'x')", 2, 2),
                                  ("a batch", "SELECT stream_append_many('s', '{a,b,c}')", 3, 5),
                                  ("a producer's append", "SELECT stream_append('s', 'y', producer => 'p', producer_epoch => 0, producer_seq => 1)", 6, 6)):
        same(f"{how}, with statement triggers", session.attempt(sql), last)
        same(f"{how}: each was fired once, with the rows stored", session.rows("SELECT * FROM seen"),
             [("BEFORE", None, None, None), ("AFTER", None, None, None), ("rows", last - first + 1, first, last)])
        session.run("TRUNCATE seen")
    same("the extension's own were not fired: nobody was woken", session.value("SELECT wakeups + queued + overflows FROM stream_stat"), wakeups)
    session.attempt("SELECT stream_append('s', 'y', producer => 'p', producer_epoch => 0, producer_seq => 1)")
    same("a repeat stores nothing: only the BEFORE trigger was fired, as for ON CONFLICT DO NOTHING",
         session.rows("SELECT what FROM seen WHERE what <> 'AFTER' AND n IS DISTINCT FROM 0"), [("BEFORE",)])


def producers():
    """The same for stream_producer, which an append with a producer or a writer_seq writes, too."""
    append = "SELECT chunk_id FROM stream_try_append('s', '{{{d}}}', producer => 'p', producer_epoch => 1, producer_seq => {n}, writer_seq => '{n:03}')"
    session = Session(database=database())
    session.run("SELECT stream_append('s', 'first')")
    session.run("""ALTER TABLE stream_producer ADD at timestamptz NOT NULL DEFAULT clock_timestamp(), ADD n bigint GENERATED ALWAYS AS IDENTITY,
        ADD size int GENERATED ALWAYS AS (octet_length(producer)) STORED, ADD CHECK (producer <> 'bad')""")
    session.run("CREATE INDEX ON stream_producer (lower(producer)); CREATE TABLE seen (producer text, seq bigint, chunk_id bigint, writer_seq text)")
    session.run("""CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen VALUES (NEW.producer, NEW.seq, NEW.chunk_id, NEW.writer_seq); RETURN NEW; END $$;
        CREATE TRIGGER before_row BEFORE INSERT ON stream_producer FOR EACH ROW EXECUTE FUNCTION noting();
        CREATE TRIGGER after_row AFTER INSERT ON stream_producer FOR EACH ROW EXECUTE FUNCTION noting()""")
    same("an append with a producer and a writer_seq", session.attempt(append.format(d="x", n=1)), 2)
    same("its triggers: before with what is known, after with everything", sorted(session.rows("SELECT * FROM seen"), key=str),
         sorted([("p", 1, None, None), ("", None, None, "001"), ("p", 1, 2, None), ("", 2, 2, "001")], key=str))
    same("columns of users are filled in", session.rows("SELECT producer, n, size, at IS NOT NULL FROM stream_producer ORDER BY 1"),
         [("", 2, 0, True), ("p", 1, 1, True)])
    same("the repeat", session.attempt(append.format(d="x", n=1)), 2)
    same("a CHECK of users", session.attempt("SELECT stream_append('s', 'x', producer => 'bad', producer_epoch => 1, producer_seq => 1)"), "23514")
    same("nothing is left of it", session.attempt(READ), "first x")
    same("the next one", session.attempt(append.format(d="y", n=2)), 4)
    session.run("ALTER TABLE stream_producer ADD twice bigint GENERATED ALWAYS AS (chunk_id * 2) STORED")
    same("a column generated from the chunk's id", session.attempt(append.format(d="z", n=3)), "0A000")

    session.run("ALTER TABLE stream_producer DROP twice; TRUNCATE seen; ALTER TABLE seen ADD epoch bigint")
    session.run("""CREATE FUNCTION noting_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen (producer, epoch, seq) VALUES (NEW.producer, NEW.epoch, NEW.seq); RETURN NEW; END $$;
        DROP TRIGGER before_row ON stream_producer; DROP TRIGGER after_row ON stream_producer;
        CREATE TRIGGER before_row BEFORE INSERT ON stream_producer FOR EACH ROW EXECUTE FUNCTION noting_epoch()""")
    same("epochs begin", [session.attempt(f"SELECT producer_epoch FROM stream_producer_begin('s', '{p}')") for p in "pqqpp"], [2, 0, 1, 3, 4])
    same("each fired the BEFORE trigger once, with its epoch", session.rows("SELECT producer, epoch, seq FROM seen ORDER BY 1, 2"),
         [("p", 2, 0), ("p", 3, 0), ("p", 4, 0), ("q", 0, 0), ("q", 1, 0)])

    for place, definition in (("BEFORE trigger", "CREATE TRIGGER w BEFORE INSERT ON stream_producer FOR EACH ROW EXECUTE FUNCTION waits()"),
                              ("AFTER trigger", "CREATE TRIGGER w AFTER INSERT ON stream_producer FOR EACH ROW EXECUTE FUNCTION waits()"),
                              ("CHECK", "ALTER TABLE stream_producer ADD CHECK (waits(producer))"),
                              ("index", "CREATE INDEX ON stream_producer (waits(producer))")):
        name = database()
        slow, other, gate = (Session(database=name, net="8s") for _ in range(3))
        slow.run("""SELECT stream_append('s', 'first');
            CREATE FUNCTION waits(producer text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
                IF producer = 'slow' THEN PERFORM pg_advisory_xact_lock_shared(44); END IF; RETURN true; END $$;
            CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM waits(NEW.producer); RETURN NEW; END $$""")
        slow.run(definition)
        gate.run("SELECT pg_advisory_lock(44)")
        pending = slow.start("SELECT stream_append('s', 'slow', producer => 'slow', producer_epoch => 1, producer_seq => 1)")
        check(f"stream_producer, {place}: the append waits in it", wait_for_lock(gate, slow.pid))
        check(f"stream_producer, {place}: others append meanwhile",
              not isinstance(other.attempt("SELECT stream_append('s', 'quick', producer => 'quick', producer_epoch => 1, producer_seq => 1)"), Refused))
        gate.run("SELECT pg_advisory_unlock(44)")
        check(f"stream_producer, {place}: then it is stored, too", not isinstance(pending.answer(), Refused))


def once():
    """An append that has to wait, and tries again, fires BEFORE triggers once."""
    name = database()
    session, other = Session(database=name), Session(database=name)
    session.run("SELECT stream_create('s'); CREATE TABLE seen (data bytea)")
    session.run("""CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (NEW.data); RETURN NEW; END $$;
        CREATE TRIGGER noting BEFORE INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION noting()""")
    for ending, answer in (("ROLLBACK", 2), ("COMMIT", "RL001")):
        other.run("BEGIN; SELECT stream_close('s')")
        pending = session.start(f"SELECT stream_append('s', '{ending}')")
        check(f"{ending}: the append waits for an undecided EOF", wait_for_lock(other, session.pid))
        other.run(ending)
        same(f"{ending}: then its answer", pending.answer(), answer)
    same("the trigger was fired once for the append that was stored", session.value("SELECT count(*) FROM seen WHERE data = 'ROLLBACK'"), 1)


def definitions():
    """Other things that a table can be made: a partition's parent, a member of an inheritance tree, a table with rules,
    policies or a replica identity."""
    def fresh(what):
        made = Session(database=database())
        made.run("SELECT stream_append('s', 'first')")
        made.run(what)
        return made
    for what, definition in (
            ("an inheritance child", "CREATE TABLE child () INHERITS (stream_chunk)"),
            ("a rule for INSERT", "CREATE RULE r AS ON INSERT TO stream_chunk DO INSTEAD NOTHING"),
            ("forced row-level security", "ALTER TABLE stream_chunk ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
                                          " CREATE POLICY none ON stream_chunk USING (false)"),
            ("REPLICA IDENTITY FULL", "ALTER TABLE stream_chunk REPLICA IDENTITY FULL"),
            ("REPLICA IDENTITY NOTHING", "ALTER TABLE stream_chunk REPLICA IDENTITY NOTHING"),
            ("a publication", "CREATE PUBLICATION p FOR TABLE stream_chunk"),
            ("a dropped column", "ALTER TABLE stream_chunk ADD x text DEFAULT 'x'; ALTER TABLE stream_chunk DROP x"),
            ("a foreign key to another table, deferred", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);"
             " ALTER TABLE stream_chunk ADD t int DEFAULT 1 REFERENCES t DEFERRABLE INITIALLY DEFERRED"),
            ("a foreign key to stream", "ALTER TABLE stream_chunk ADD FOREIGN KEY (stream_id) REFERENCES stream"),
            ("another unique index on the key's columns", "CREATE UNIQUE INDEX ON stream_chunk (stream_id, chunk_id)"),
            ("a covering one", "CREATE UNIQUE INDEX ON stream_chunk (stream_id, chunk_id) INCLUDE (eof)"),
            ("a partial one", "CREATE UNIQUE INDEX ON stream_chunk (stream_id, chunk_id) WHERE NOT eof"),
            ("a BRIN index", "CREATE INDEX ON stream_chunk USING brin (appended_at)"),
            ("a hash index", "CREATE INDEX ON stream_chunk USING hash (data)"),
            ("a domain with NOT NULL and a default", "CREATE DOMAIN d AS text DEFAULT 'd' NOT NULL; ALTER TABLE stream_chunk ADD x d"),
            ("another storage of data", "ALTER TABLE stream_chunk ALTER data SET STORAGE EXTERNAL")):
        session = fresh(definition)
        other = Session(database=session.connection.info.dbname)
        same(f"{what}: an append", other.attempt("SELECT stream_append('s', 'a')"), 2)
        same(f"{what}: a batch", other.attempt("SELECT stream_append_many('s', '{b,c}')"), 4)
        same(f"{what}: is read", other.attempt(READ), "first a b c")
        same(f"{what}: by its index, too", other.attempt("SELECT count(*) FROM stream_chunk WHERE chunk_id > 0"), 4)
    session = fresh("CREATE TABLE child () INHERITS (stream_state); SELECT stream_set_limits('s', max_chunks => 7);"
                    " INSERT INTO child SELECT * FROM ONLY stream_state")
    for what, limits in (("other limits", ", max_chunks => 8"), ("no limits", "")):
        same(f"an inheritance child of stream_state: {what}", session.attempt(f"SELECT stream_set_limits('s'{limits})"), True)
        same(f"{what}: its rows are left alone", session.rows("SELECT max_chunks FROM child"), [(7,)])
    session = fresh("CREATE DOMAIN strict AS text; ALTER TABLE stream_chunk ADD x strict; ALTER DOMAIN strict ADD CHECK (VALUE IS NOT NULL) NOT VALID")
    same("a domain that refuses null: as an INSERT is refused", session.attempt("SELECT stream_append('s', 'a')"), "23514")
    session = fresh("CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE stream_chunk ADD t int; "
                    "ALTER TABLE stream_chunk ALTER t SET DEFAULT 7, ADD FOREIGN KEY (t) REFERENCES t DEFERRABLE INITIALLY DEFERRED")
    session.run("BEGIN; SET CONSTRAINTS ALL DEFERRED")
    same("a deferred foreign key is checked at the end of the append", session.attempt("SELECT stream_append('s', 'a')"), "23503")
    session.run("ROLLBACK")
    same("a large batch", fresh("CREATE INDEX ON stream_chunk (md5(data))").attempt(
        "SELECT stream_append_many('s', (SELECT array_agg(convert_to('c' || i, 'UTF8')) FROM generate_series(1, 1000) i))"), 1001)


def reindexed():
    """REINDEX CONCURRENTLY and CREATE INDEX CONCURRENTLY beside appends: everything is read in order, by the new index."""
    name = database()
    sessions = [Session(database=name) for _ in range(3)]
    builder = Session(database=name)
    builder.run("SELECT stream_append('s', 'first')")
    stop = []

    def append(session, sql):
        while not stop:
            session.run(sql)
    threads = [threading.Thread(target=append, args=(s, q), daemon=True) for s, q in zip(sessions, (
        "SELECT stream_append('s', 'x')", "SELECT stream_append_many('s', '{a,b,c}')",
        "SELECT count(stream_append('s', 'y')) FROM generate_series(1, 5)"))]
    for thread in threads:
        thread.start()
    reader = Session(database=name)
    cursor = seen = 0
    for n in range(8):
        error = builder.error(("REINDEX INDEX CONCURRENTLY stream_chunk_pkey", f"CREATE INDEX CONCURRENTLY i{n} ON stream_chunk (appended_at)",
                               f"DROP INDEX CONCURRENTLY i{n - 1}", "REINDEX TABLE CONCURRENTLY stream_chunk")[n % 4])
        check(f"step {n} of building indexes", error is None, error)
        rows = reader.rows("SELECT chunk_id FROM stream_read_since('s', %s, max_chunks => null, max_bytes => null)", cursor)
        seen += len(rows)
        cursor = rows[-1][0] if rows else cursor
    stop.append(True)
    for thread in threads:
        thread.join(20)
    rows = reader.rows("SELECT chunk_id FROM stream_read_since('s', %s, max_chunks => null, max_bytes => null)", cursor)
    builder.run("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
    same("reads have returned every chunk", seen + len(rows), builder.value("SELECT count(*) FROM stream_chunk"))


main(columns, triggers, constraints, append_lock, crosswise, statements, producers, once, definitions, reindexed)
