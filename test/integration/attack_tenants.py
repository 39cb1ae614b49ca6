#!/usr/bin/env python3
"""A tenant with the documented grants (GRANT SELECT, INSERT, UPDATE, DELETE ON stream), with and without policies, against
another tenant, a superuser and the workers: forged rows, names and ids that are not his, locks left behind, shadowing of
names, settings. Nothing of the other tenant changes, waits or stops, and no code of the attacker runs as another role.

Runs in a database with the extension; see test/lib/harness.py."""
import io
import os
import sys

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from attack import DELETING, READING, WRITING, Canary, call_everything  # noqa: E402
from harness import (Refused, Session, admin, alter_system, check, database, main, one_of, retention_works, role, same,  # noqa: E402
                     wait_until)

GRANTS = "SELECT, INSERT, UPDATE, DELETE"
BIG = 9223372036854775806


class Scene:
    """A database with an attacker and a victim. Streams are named after the tenant: 'mallory/…', 'alice/…'."""

    def __init__(self, policies):
        self.superuser = Session(database=database())
        self.name = self.superuser.connection.info.dbname
        self.mallory, self.alice = MALLORY, ALICE
        self.superuser.run(f"GRANT {GRANTS} ON stream TO {MALLORY}, {ALICE}")
        self.superuser.run(f"CREATE SCHEMA mallory AUTHORIZATION {MALLORY}")
        if policies:
            self.superuser.run("ALTER TABLE stream ENABLE ROW LEVEL SECURITY")
            self.superuser.run(f"CREATE POLICY mallory ON stream TO {MALLORY} USING (starts_with(name, 'mallory/'))")
            self.superuser.run(f"CREATE POLICY alice ON stream TO {ALICE} USING (starts_with(name, 'alice/'))")
        self.victim = Session(user=ALICE, database=self.name, net="8s")
        self.victim.run("SELECT stream_append_many('alice/s', '{a,b,c}'), stream_create('alice/kept', max_chunks => 100)")
        self.attacker = self.attack()
        self.attacker.run("SELECT stream_append_many('mallory/s', '{x,y,z}')")

    def attack(self, **settings):
        """A session of the attacker."""
        return Session(user=MALLORY, database=self.name, net="8s", **settings)

    def state(self):
        """Everything of the victim that is stored."""
        return self.superuser.rows(
            "SELECT s.*, t.max_age, t.max_chunks, t.trimmed_through, t.deleted_at, c.chunk_id, c.epoch, c.appended_at, c.eof, c.data"
            " FROM stream s LEFT JOIN stream_state t USING (stream_id) LEFT JOIN stream_chunk c USING (stream_id)"
            " WHERE starts_with(name, 'alice/') ORDER BY name, chunk_id")

    def victim_works(self, what):
        """The victim appends, creates, changes, deletes and reads, and waits for nobody."""
        n = self.victim.attempt("SELECT count(*) FROM stream_read_since('alice/s', 0)")
        answers = [self.victim.attempt(sql) for sql in (
            "SELECT stream_append('alice/s', 'more')", "SELECT stream_create('alice/fresh')", "SELECT stream_append('alice/fresh', 'x')",
            "SELECT stream_trim('alice/fresh', 2)", "SELECT stream_delete('alice/fresh')",
            "SELECT count(*) FROM stream_read_since('alice/s', 0)")]
        good = not any(isinstance(a, Refused) for a in answers) and answers[1] is True and answers[4] is True and answers[5] - n == 1
        check(f"{what}: the victim appends, creates, trims, deletes and reads", good, answers)

    def retention_works(self, what):
        check(f"{what}: retention goes on", retention_works(self.superuser))


def by_hand():
    """Rows of the tables are not written by hand, by whatever statement: with them a tenant could have chunks in a later stream
    of another, use up a name, or stop retention."""
    for policies in (True, False):
        scene = Scene(policies)
        kind = "with policies" if policies else "without policies"
        before, stream = scene.state(), "(SELECT stream_id FROM stream WHERE name = 'alice/s')"
        scene.attacker.run("CREATE VIEW mallory.v AS SELECT * FROM public.stream; CREATE TEMP TABLE mine (name text)")
        scene.attacker.run("CREATE FUNCTION mallory.definer() RETURNS void LANGUAGE sql SECURITY DEFINER AS"
                           " $$INSERT INTO public.stream (name) VALUES ('mallory/definer')$$")
        statements = (
            "INSERT INTO stream (name) VALUES ('mallory/hand')",
            f"INSERT INTO stream (stream_id, name) OVERRIDING SYSTEM VALUE VALUES ({BIG}, 'mallory/hand')",
            "INSERT INTO stream (stream_id, name) OVERRIDING SYSTEM VALUE SELECT last_value + 1, 'mallory/next' FROM stream_stream_id_seq",
            "INSERT INTO stream (name) VALUES ('mallory/s') ON CONFLICT DO NOTHING",
            "INSERT INTO stream (name) VALUES ('mallory/s') ON CONFLICT (name) DO UPDATE SET name = 'mallory/t'",
            "INSERT INTO stream (name) SELECT 'x' WHERE false",
            "INSERT INTO stream (name, owner) VALUES ('mallory/hand', 'postgres')",
            "UPDATE stream SET name = 'alice/stolen' WHERE name = 'mallory/s'",
            "UPDATE stream SET name = 'mallory/stolen' WHERE name = 'alice/s'",
            "UPDATE stream SET owner = current_user",
            "UPDATE stream SET metadata = '{}'",
            "UPDATE stream SET name = name WHERE false",
            "DELETE FROM stream",
            "DELETE FROM stream USING pg_class WHERE false",
            "TRUNCATE stream",
            "WITH w AS (INSERT INTO stream (name) VALUES ('mallory/hand') RETURNING 1) SELECT * FROM w",
            "MERGE INTO stream s USING (VALUES ('mallory/m')) v(n) ON s.name = v.n WHEN NOT MATCHED THEN INSERT (name) VALUES (n)",
            "MERGE INTO stream s USING (VALUES ('mallory/s')) v(n) ON s.name = v.n WHEN MATCHED THEN UPDATE SET owner = current_user",
            "MERGE INTO stream s USING (VALUES ('mallory/s')) v(n) ON s.name = v.n WHEN MATCHED THEN DELETE",
            "COPY stream (name) FROM PROGRAM 'echo mallory/copy'",
            "INSERT INTO mallory.v (name) VALUES ('mallory/view')",
            "UPDATE mallory.v SET name = name",
            "DELETE FROM mallory.v",
            "SELECT mallory.definer()",
            "DO $$ BEGIN INSERT INTO stream (name) VALUES ('mallory/do'); END $$",
            f"INSERT INTO stream_chunk VALUES ({stream}, 10, 1, now(), false, 'forged')",
            "DELETE FROM stream_chunk",
            f"INSERT INTO stream_producer VALUES ({stream}, 'p', 1, 1, 1)",
            f"INSERT INTO stream_state (stream_id, trimmed_through) VALUES ({stream}, {BIG})",
            f"INSERT INTO stream_state (stream_id, trimmed_through, deleted_at, deleted_name) VALUES ({BIG}, {BIG}, now(), 'alice/used up')",
            "INSERT INTO stream_state (stream_id, max_age) SELECT stream_id, '-300000 years' FROM stream",
            f"UPDATE stream_state SET trimmed_through = {BIG}",
            "UPDATE stream_state SET max_age = '-300000 years'",
            "UPDATE stream_state SET deleted_at = '2000-01-01', purged = true",
            "DELETE FROM stream_state",
            "SELECT nextval('stream_stream_id_seq')",
            "SELECT setval('stream_stream_id_seq', 1)",
            "SELECT last_value FROM stream_stream_id_seq",
        )
        for sql in statements:
            scene.attacker.run("BEGIN")
            same(f"{kind}: {sql}", scene.attacker.attempt(sql), "42501")
            scene.attacker.run("ROLLBACK")
        # COPY under policies is refused by the server itself.
        one_of(f"{kind}: COPY stream FROM STDIN", copy_in(scene.attacker), ("42501", "0A000"))
        same(f"{kind}: the victim's streams are as they were", scene.state(), before)
        scene.victim_works(kind)
        scene.retention_works(kind)


def copy_in(session):
    try:
        with session.connection.cursor() as cursor:
            cursor.copy_expert("COPY stream (name) FROM STDIN", io.StringIO("mallory/copy\n"))
        return "stored"
    except psycopg2.Error as error:
        return error.pgcode


def ddl():
    """The tables' definition is their owner's."""
    scene = Scene(policies=False)
    scene.attacker.run("CREATE FUNCTION mallory.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                       "CREATE TABLE mallory.child (LIKE public.stream); CREATE TABLE mallory.parent (LIKE public.stream)")
    for table in ("stream", "stream_chunk", "stream_producer", "stream_state"):
        for sql in ("CREATE TRIGGER t BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION mallory.t()",
                    "CREATE TRIGGER t AFTER INSERT ON {t} FOR EACH STATEMENT EXECUTE FUNCTION mallory.t()",
                    "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON {t} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.t()",
                    "CREATE RULE r AS ON INSERT TO {t} DO INSTEAD NOTHING", "CREATE POLICY p ON {t}", "CREATE INDEX ON {t} (stream_id)",
                    "CREATE STATISTICS mallory.st ON (stream_id + 1) FROM {t}", "ALTER TABLE {t} ADD COLUMN x int",
                    "ALTER TABLE {t} DISABLE TRIGGER ALL", "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {t} RENAME TO gone",
                    "ALTER TABLE {t} OWNER TO CURRENT_USER", "ALTER TABLE {t} ADD CHECK (stream_id > 0)", "DROP TABLE {t} CASCADE",
                    "CREATE TABLE mallory.f (s bigint REFERENCES {t} (stream_id))", "CREATE TABLE mallory.i () INHERITS ({t})",
                    "ALTER TABLE mallory.child INHERIT {t}", "ALTER TABLE {t} INHERIT mallory.parent", "REINDEX TABLE {t}",
                    "CLUSTER {t} USING {t}_pkey", "COMMENT ON TABLE {t} IS 'x'"):
            answer = scene.attacker.attempt(sql.format(t=table))
            # stream_chunk's key has two columns, so a foreign key to it is an error of another kind.
            one_of(sql.format(t=table), answer, ("42501", "42830") if "REFERENCES" in sql else ("42501",))
    for sql in ("ALTER FUNCTION stream_head(text) OWNER TO CURRENT_USER", "DROP FUNCTION stream_head(text)", "DROP EXTENSION pg_rill CASCADE",
                "ALTER EXTENSION pg_rill DROP TABLE stream", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION mallory.t()",
                "CREATE OR REPLACE VIEW stream_info AS SELECT 1", "ALTER SYSTEM SET pg_rill.retention_interval = 0",
                "SET pg_rill.max_chunk_bytes = 1", "SET session_replication_role = replica"):
        same(sql, scene.attacker.attempt(sql), "42501")
    scene.attacker.attempt("GRANT ALL ON stream TO PUBLIC")
    same("GRANT ALL ON stream TO PUBLIC grants nothing", scene.superuser.value("SELECT has_table_privilege('pg_monitor', 'stream', 'SELECT')"), False)
    scene.victim_works("after all that")


def names_and_limits():
    """Names, limits, ids and positions that are not the attacker's to take."""
    scene = Scene(policies=True)
    before = scene.state()
    answers = {call: scene.attacker.attempt(call.format(s="alice/s")) for call in WRITING + READING + DELETING}
    same("after every call on the victim's stream it is as it was", scene.state(), before)
    none = {call: scene.attacker.attempt(call.format(s="alice/none")) for call in WRITING + READING + DELETING}
    for call, answer in answers.items():
        same(f"hidden or not there is the same: {call.format(s='…')}", answer, none[call])
    same("no name of the victim's was taken", scene.superuser.value("SELECT count(*) FROM stream WHERE starts_with(name, 'alice/')"), 2)

    # A refused creation left open in a transaction keeps the name from nobody.
    for name, sql in (("alice/wanted", "SELECT stream_create('alice/wanted')"), ("alice/also", "SELECT stream_append('alice/also', 'x')")):
        hanging = scene.attack()
        hanging.run("BEGIN; SAVEPOINT a")
        same(f"{sql} in a savepoint", hanging.attempt(sql), "42501")
        hanging.run("ROLLBACK TO a")
        same("the victim creates the stream meanwhile", scene.victim.attempt(f"SELECT stream_create('{name}')"), True)
        same("its ids begin at 1", scene.victim.attempt(f"SELECT stream_append('{name}', 'x')"), 1)
        hanging.close()

    for limits, codes in ((("max_age => '-300000 years'"), ("22023",)), ("max_age => '-1 us'", ("22023",)), ("max_idle => '-1 s'", ("22023",)),
                          ("delete_after_close => '-1 day'", ("22023",)), ("max_age => '1 mon -40 days'", ("22023",)),
                          ("max_chunks => 0", ("22023",)), ("max_chunks => -1", ("22023",)), ("max_bytes => 0", ("22023",))):
        for call in ("stream_create", "stream_set_limits"):
            one_of(f"{call} with {limits}", scene.attacker.attempt(f"SELECT {call}('mallory/s', {limits})"), codes)
    for limits in ("max_age => '300000 years'", "max_age => '178000000 years'", f"max_chunks => {BIG}", f"max_bytes => {BIG}",
                   "delete_after_close => '300000 years'", "max_idle => '300000 years'", "expires_at => 'infinity'", "expires_at => '-infinity'",
                   "expires_at => '294276-12-31'", "expires_at => '4713-01-01 BC'", "max_age => '0'", "max_idle => '0'", "delete_after_close => '0'"):
        stream = f"mallory/{limits.replace(chr(39), '')}"
        scene.attacker.attempt(f"SELECT stream_create('{stream}')")
        scene.attacker.attempt(f"SELECT stream_set_limits('{stream}', {limits})")
        scene.attacker.attempt(f"SELECT stream_create('{stream} 2', {limits})")
        scene.attacker.attempt(f"SELECT stream_append('{stream}', 'x'), stream_append('{stream} 2', 'x', eof => true)")
    scene.retention_works("with limits at the edges of what intervals and timestamps hold")

    for sql, wanted in ((f"SELECT stream_trim('mallory/s', {BIG})", None), (f"SELECT stream_append('mallory/s', 'x', expected => {BIG})", "RL004"),
                        (f"SELECT stream_read_since('mallory/s', {BIG})", "RL003"), (f"SELECT stream_verify('mallory/s', {BIG}, 1)", "RL003"),
                        (f"SELECT stream_append('mallory/s', 'x', producer => 'p', producer_epoch => {BIG}, producer_seq => {BIG})", "RL006"),
                        ("SELECT stream_append('mallory/s', 'x', producer => 'p', producer_epoch => 0, producer_seq => 1)", None),
                        (f"SELECT stream_append('mallory/s', 'x', producer => 'p', producer_epoch => {BIG + 1}, producer_seq => 1)", None),
                        (f"SELECT chunk_id FROM stream_seek('mallory/s', {BIG})", None), (f"SELECT chunk_id FROM stream_seek('mallory/s', -{BIG})", None),
                        (f"SELECT chunks FROM stream_size('mallory/s', {BIG})", 0), (f"SELECT count(*) FROM stream_names(ARRAY[{BIG}, -1, 0])", 0)):
        answer = scene.attacker.attempt(sql)
        check(f"{sql}: {wanted or 'no error'}", answer == wanted if wanted is not None else not isinstance(answer, Refused), answer)
    check("the attacker's own stream goes on after that", not isinstance(scene.attacker.attempt("SELECT stream_append('mallory/s', 'x')"), Refused))
    scene.victim_works("afterwards")


ODD = ("'; DROP TABLE stream; --", "*", "a,b", "{}", '"quoted"', "back\\slash", "%s%n%d", "new\nline", "tab\t", "\x01\x02\x1b[31m", "\u202e\u2066",
       "\u0085", "é" * 256, "x" * 505, " ", "\u00a0", "null", "$1", "ẞ", "😀" * 100)


def odd_names():
    """Names with odd bytes, as many as one likes: calls, wake-ups and retention take them."""
    scene = Scene(policies=True)
    listener = Session(user=ALICE, database=scene.name)
    listener.run("SELECT stream_listen()")
    for name in ODD:
        name = ("mallory/" + name).encode()[:512].decode(errors="ignore")
        got = [scene.attacker.attempt(sql, name) for sql in (
            "SELECT stream_create(%s, max_chunks => 1)", "SELECT stream_append(%s, 'x')", "SELECT stream_append(%s, 'y')", "SELECT stream_head(%s)",
            "SELECT count(*) FROM stream_read_many(ARRAY[%s], '{0}') WHERE chunk_id = 2", "SELECT stream_wait(%s, 0)")]
        same(f"name {name[:30]!r}", got, [True, 1, 2, 2, 1, 2])
        check(f"name {name[:30]!r}: retention takes it", wait_until(lambda: scene.superuser.value(
            "SELECT count(*) FROM stream_chunk JOIN stream USING (stream_id) WHERE name = %s", name) == 1))
    for bad in ("", "x" * 513, "é" * 257):
        same(f"name of {len(bad.encode())} bytes", scene.attacker.attempt("SELECT stream_append(%s, 'x')", bad), "22023")
    check("a listener is told of them by id alone", wait_until(lambda: listener.connection.poll() or listener.connection.notifies)
          and not any("mallory" in n.payload for n in listener.connection.notifies), [n.payload for n in listener.connection.notifies][:5])
    scene.victim_works("beside odd names")


def locks():
    """Locks and transactions that the attacker leaves behind stop neither the victim nor retention."""
    for policies in (True, False):
        scene = Scene(policies)
        kind = "with policies" if policies else "without policies"

        def left_open(what, *statements, owns=True):
            session = scene.attack(idle_in_transaction_session_timeout=0)
            session.run("BEGIN")
            for sql in statements:
                session.attempt(f"SAVEPOINT a; {sql}")
                if session.connection.info.transaction_status == 3:
                    session.run("ROLLBACK TO a")
            if owns or policies:    # without policies the victim's rows are the attacker's to change, too
                scene.victim_works(f"{kind}: {what}")
            scene.retention_works(f"{kind}: {what}")
            session.close()
            wait_until(lambda: not scene.superuser.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", session.pid))
        scene.attacker.attempt("SELECT stream_append_many('mallory/big', array_fill('x'::bytea, ARRAY[15000]))")
        scene.attacker.attempt("SELECT stream_delete('mallory/big')")
        left_open("all rows of stream FOR UPDATE, a tombstone's too", "SELECT * FROM stream FOR UPDATE", owns=False)
        left_open("all rows of stream FOR KEY SHARE", "SELECT * FROM stream FOR KEY SHARE", owns=False)
        left_open("own streams appended to, created, trimmed, deleted, limited",
                  "SELECT stream_append('mallory/s', 'x')", "SELECT stream_create('mallory/open', max_chunks => 1)",
                  "SELECT stream_trim('mallory/s', 2)", "SELECT stream_set_limits('mallory/s', max_chunks => 1)",
                  "SELECT stream_touch('mallory/s')", "SELECT stream_delete('mallory/s')")
        left_open("a cursor over a read", "DECLARE c CURSOR FOR SELECT * FROM stream_read_since('mallory/s', 0)", "FETCH 1 FROM c")
        left_open("a SERIALIZABLE transaction", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT count(*) FROM stream")
        ids = scene.superuser.rows("SELECT stream_id FROM stream")
        left_open("every advisory lock with the streams' ids", *(f"SELECT pg_advisory_lock({i}), pg_advisory_lock(0, {i}), pg_advisory_xact_lock({i}),"
                                                                f" pg_advisory_xact_lock(0, {i})" for (i,) in ids))
        for mode in ("SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"):
            for table in ("stream", "stream_info", "mallory.v"):
                session = scene.attack()
                session.attempt("CREATE VIEW mallory.v AS SELECT * FROM public.stream")
                session.run("BEGIN")
                same(f"{kind}: LOCK TABLE {table} IN {mode} MODE", session.attempt(f"LOCK TABLE {table} IN {mode} MODE"), "42501")
                session.close()
        left_open("LOCK TABLE by every way", *(f"LOCK TABLE {t} IN {m} MODE" for t in ("stream", "stream_info", "mallory.v", "stream_chunk", "stream_state")
                                              for m in ("ROW EXCLUSIVE", "SHARE", "ACCESS EXCLUSIVE")))
        session = scene.attack()
        session.run("BEGIN; SELECT stream_append('mallory/prepared', 'x'), stream_create('mallory/other', max_chunks => 1), stream_trim('mallory/s', 2)")
        session.run(f"PREPARE TRANSACTION '{scene.name}'")
        scene.victim_works(f"{kind}: a prepared transaction")
        scene.retention_works(f"{kind}: a prepared transaction")
        session.run(f"ROLLBACK PREPARED '{scene.name}'")


def readers():
    """Who may only read a stream holds up nobody who writes it, nor its retention."""
    scene = Scene(policies=True)
    scene.superuser.run(f"CREATE POLICY reading ON stream FOR SELECT TO {MALLORY} USING (true)")
    scene.victim.run("SELECT stream_create('alice/idle', max_idle => '1 h', max_chunks => 1), stream_append('alice/idle', 'x')")
    session = scene.attack(idle_in_transaction_session_timeout=0)
    session.run("BEGIN")
    same("a reader may touch the stream", session.value("SELECT stream_touch('alice/idle')"), True)
    for sql in ("SELECT count(*) FROM stream_read_since('alice/idle', 0)", "SELECT stream_status('alice/idle')", "SELECT stream_size('alice/idle')",
                "SELECT stream_seek('alice/idle', 1)", "SELECT stream_wait('alice/idle', 0)", "SELECT * FROM stream_info"):
        session.run(sql)
    last = scene.victim.value("SELECT stream_append_many('alice/idle', '{a,b,c}')")
    check("retention trims the stream", wait_until(lambda: scene.victim.value("SELECT trimmed_through FROM stream_status('alice/idle')") == last - 1))
    for sql in ("SELECT stream_append('alice/idle', 'x')", "SELECT stream_trim('alice/idle', 100)",
                "SELECT stream_set_limits('alice/idle', max_idle => '2 h')", "SELECT stream_set_metadata('alice/idle', '{}')"):
        check(f"{sql}: waits for no reader", not isinstance(scene.victim.attempt(sql), Refused))
    session.run("ROLLBACK")
    check("the use is recorded", wait_until(lambda: scene.superuser.value(
        "SELECT touched_at IS NOT NULL FROM stream_state JOIN stream USING (stream_id) WHERE name = 'alice/idle'")))
    session.run("BEGIN; SELECT stream_touch('alice/idle')")
    same("nor does a delete", scene.victim.attempt("SELECT stream_delete('alice/idle')"), True)


def queues():
    """A statement that may not be done waits for no lock, so that nobody queues behind it."""
    scene = Scene(policies=True)
    holder = scene.attack()
    holder.run("CREATE FUNCTION mallory.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE mallory.f (s bigint)")
    holder.run("BEGIN; SELECT count(*) FROM stream; SELECT stream_create('mallory/holder')")
    for sql in ("CREATE TRIGGER t BEFORE INSERT ON stream FOR EACH ROW EXECUTE FUNCTION mallory.t()",
                "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream", "CREATE TABLE mallory.g (s bigint REFERENCES stream)",
                "LOCK TABLE stream IN SHARE MODE", "LOCK TABLE stream IN ACCESS EXCLUSIVE MODE", "TRUNCATE stream",
                "TRUNCATE stream_chunk", "VACUUM FULL stream", "ANALYZE stream", "REINDEX TABLE stream"):
        queue_behind(scene, sql)
    # None of these asks who owns the table before it locks it.
    scene.attacker.run("CREATE TABLE mallory.p (LIKE stream) PARTITION BY LIST (stream_id)")
    scene.attacker.run("CREATE INDEX i ON ONLY mallory.p (stream_id)")
    for sql in ("CREATE RULE r AS ON SELECT TO stream DO INSTEAD SELECT 1", "CREATE RULE r AS ON INSERT TO stream_chunk DO INSTEAD NOTHING",
                "ALTER TABLE mallory.p ATTACH PARTITION stream DEFAULT", "ALTER TABLE mallory.p DETACH PARTITION stream",
                "ALTER TABLE mallory.p DETACH PARTITION stream FINALIZE", "CREATE TABLE mallory.q PARTITION OF stream DEFAULT",
                "ALTER INDEX mallory.i ATTACH PARTITION stream_pkey", "ALTER INDEX stream_chunk_pkey DEPENDS ON EXTENSION pg_rill",
                "CREATE TABLE mallory.q () INHERITS (stream)", f"DROP OWNED BY {MALLORY}"):
        pending = scene.attack().start(sql)
        same(f"{sql}: refused at once", pending.answer(), "42501")
    scene.victim_works("beside them")
    with scene.attack() as session:
        session.run("BEGIN")
        session.attempt(f"DROP OWNED BY {MALLORY}")
        scene.victim_works("beside an open DROP OWNED")
    same("the attacker still has his policy", scene.superuser.value("SELECT count(*) FROM pg_policy WHERE polname = 'mallory'"), 1)


def queue_behind(scene, sql):
    session = Session(user=MALLORY, database=scene.name, net="120s")
    pending = session.start(sql if not sql.startswith("LOCK") else f"BEGIN; {sql}")
    waits = wait_until(lambda: pending.done() or scene.superuser.value(
        "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", session.pid))
    check(f"{sql}: does not wait for a lock", waits and pending.done(), pending.result)
    scene.victim_works(f"beside {sql}")
    scene.retention_works(f"beside {sql}")
    scene.superuser.run(f"SELECT pg_cancel_backend({session.pid})")
    pending.answer()
    session.close()


OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "^@")
TYPES = ("bigint", "int", "text", "bytea", "timestamptz", "interval", "name", "boolean", "oid", "numeric")


def shadows():
    """Functions, operators, types and tables of the attacker with names like the server's and the extension's, first in
    his search_path, do not run in another's name, and nothing of his is read in place of the extension's tables."""
    scene = Scene(policies=False)
    scene.superuser.run(f"GRANT TEMPORARY ON DATABASE {scene.name} TO {MALLORY}")
    canary = Canary(scene.superuser, MALLORY, ["shadow"], [ALICE])
    session = scene.attack()
    session.run("CREATE FUNCTION evil.any_two(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM evil.note(''shadow''); RETURN true; END'")
    for kind in TYPES:
        session.run(f"CREATE FUNCTION evil.two({kind}, {kind}) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM evil.note(''shadow''); RETURN true; END'")
        for operator in OPERATORS:
            session.run(f"CREATE OPERATOR evil.{operator} (LEFTARG = {kind}, RIGHTARG = {kind}, FUNCTION = evil.two)")
    for name, arguments in (("now", ""), ("clock_timestamp", ""), ("octet_length", "bytea"), ("octet_length", "text"), ("length", "bytea"),
                            ("make_interval", "double precision"), ("starts_with", "text, text"), ("current_setting", "text")):
        session.run(f"CREATE FUNCTION evil.{name}({arguments}) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM evil.note(''shadow''); RETURN NULL; END'")
    for name in ("stream", "stream_chunk", "stream_producer", "stream_state"):
        session.run(f"CREATE TABLE evil.{name} (LIKE public.stream)" if name == "stream" else f"CREATE TABLE evil.{name} (stream_id bigint, chunk_id bigint)")
        session.run(f"CREATE TEMP TABLE {name} (LIKE evil.{name})")
    session.run("INSERT INTO evil.stream SELECT * FROM public.stream; INSERT INTO pg_temp.stream SELECT * FROM public.stream")
    canary.forget()
    before = scene.state()
    session.run("SET search_path = pg_temp, evil, public, pg_catalog")
    answers = {}
    for call in WRITING + READING + ("SELECT stream_close('{s}')",) + DELETING:
        answers[call] = session.attempt(call.format(s="mallory/shadow").replace("FROM stream_info", "FROM public.stream_info")
                                        .replace("name = ", "name OPERATOR(pg_catalog.=) ").replace("now()", "pg_catalog.now()"))
    check("calls work under such a search_path", sum(isinstance(a, Refused) for a in answers.values()) == 0,
          [(c, a) for c, a in answers.items() if isinstance(a, Refused)])
    canary.check("shadow", {MALLORY}, "what is named like the server's runs in no other name")
    same("the attacker has not become a superuser", canary.is_superuser(), False)
    same("the victim's streams are as they were", scene.state(), before)
    same("and not those of the tables in their place", session.attempt("SELECT stream_append('mallory/s', 'x')"), 4)
    scene.retention_works("shadows")


def settings():
    """Settings of the attacker's session and role open nothing, and reach no worker."""
    scene = Scene(policies=True)
    before = scene.state()
    calls = ("SELECT count(*) FROM stream_read_since('alice/s', 0)", "SELECT stream_head('alice/s')", "SELECT count(*) FROM stream_info WHERE name = 'alice/s'",
             "SELECT stream_append('alice/s', 'x')", "SELECT stream_trim('alice/s', 2)", "SELECT stream_delete('alice/s')")
    session = scene.attack(row_security="off")
    for call in calls:
        one_of(f"row_security = off: {call}", session.attempt(call), ("42501", 0, False, None))
    for name, value in (("default_transaction_read_only", "on"), ("statement_timeout", "1"), ("search_path", "pg_temp"), ("row_security", "off"),
                        ("role", MALLORY), ("enable_indexscan", "off"), ("enable_seqscan", "off"), ("lock_timeout", "1"), ("DateStyle", "SQL"),
                        ("TimeZone", "Asia/Kathmandu"), ("work_mem", "64"), ("default_transaction_isolation", "serializable"),
                        ("idle_in_transaction_session_timeout", "1"), ("plan_cache_mode", "force_generic_plan"), ("bytea_output", "escape")):
        scene.attacker.attempt(f"ALTER ROLE CURRENT_USER SET {name} = '{value}'")
    for sql in (f"ALTER ROLE {ALICE} SET statement_timeout = 1", f"ALTER DATABASE {scene.name} SET statement_timeout = 1",
                "ALTER ROLE ALL SET statement_timeout = 1", f"ALTER ROLE {os.environ['PGUSER']} SET statement_timeout = 1",
                "ALTER ROLE CURRENT_USER SET session_replication_role = replica", "ALTER ROLE CURRENT_USER SET session_preload_libraries = 'x'"):
        same(sql, scene.attacker.attempt(sql), "42501")
    same("the victim's streams are as they were", scene.state(), before)
    scene.retention_works("with the attacker's role set to anything")
    scene.victim_works("settings")
    scene.superuser.run(f"ALTER ROLE {MALLORY} RESET ALL")


def signals():
    """Sessions and workers of others are not the attacker's to end."""
    scene = Scene(policies=True)
    waiting = Session(user=ALICE, database=scene.name)
    listener = Session(user=ALICE, database=scene.name)
    listener.run("SELECT stream_listen()")
    pending = waiting.start("SELECT stream_wait('alice/s', 3, '15 s')")
    wait_until(lambda: scene.superuser.value("SELECT wait_event LIKE 'PgRill%%' OR wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s", waiting.pid))
    workers = "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_rill%'"
    check("there are workers to be attacked", wait_until(lambda: len(scene.superuser.rows(workers)) >= 2), scene.superuser.rows(workers))
    pids = [pid for (pid,) in scene.superuser.rows(workers)]
    helper = role("signaller")
    admin().run(f"GRANT pg_signal_backend TO {helper}")
    signaller = Session(user=helper, database=scene.name)
    for pid in pids:
        for function in ("pg_cancel_backend", "pg_terminate_backend", "stream_interrupt"):
            same(f"{function} of a worker", scene.attacker.attempt(f"SELECT {function}({pid})"), "42501")
            same(f"{function} of a worker by a member of pg_signal_backend", signaller.attempt(f"SELECT {function}({pid})"), "42501")
    for function in ("pg_cancel_backend", "pg_terminate_backend", "stream_interrupt"):
        same(f"{function} of a waiting session of the victim", scene.attacker.attempt(f"SELECT {function}({waiting.pid})"), "42501")
    check("the victim still waits", not pending.done(), pending.result)
    same("and is woken by an append", [scene.victim.attempt("SELECT stream_append('alice/s', 'x')"), pending.answer()], [4, 4])
    for payload in ("*", "1", "garbage", "-1,,", "9" * 200, "x" * 7000):
        scene.attacker.attempt("SELECT pg_notify('pg_rill', %s)", payload)
    same("forged NOTIFYs change nothing", [listener.attempt("SELECT 1"), scene.victim.attempt("SELECT stream_head('alice/s')")], [1, 4])


def identity():
    """After an error inside a call the attacker is himself again."""
    scene = Scene(policies=False)
    scene.attacker.run("""CREATE FUNCTION mallory.after_error(sql text) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN EXECUTE sql; RETURN 'no error';
        EXCEPTION WHEN query_canceled OR OTHERS THEN RETURN current_user; END $$""")
    blocker = scene.attack()
    blocker.run("BEGIN; SELECT stream_delete('mallory/s'), stream_create('mallory/new'), stream_append('mallory/t', 'x')")
    session = scene.attack()
    for sql in ("SELECT stream_delete('mallory/s')", "SELECT stream_trim('mallory/s', 3)", "SELECT stream_append('mallory/s', 'x')",
                "SELECT stream_create('mallory/new')", "SELECT stream_set_limits('mallory/s', max_chunks => 2)",
                "SELECT stream_set_metadata('mallory/s', '{}')", "SELECT stream_append('mallory/t', 'y', producer => 'p', producer_epoch => 0, producer_seq => 1)",
                "SELECT stream_append('mallory/s', NULL)", "SELECT stream_set_limits('mallory/s', max_chunks => 0)"):
        session.run("SET statement_timeout = '300ms'")
        answer = session.attempt("SELECT mallory.after_error(%s)", sql)
        session.run("SET statement_timeout = '8s'")
        one_of(f"{sql}, cancelled inside: current_user", answer, (MALLORY, "no error"))
        same(f"{sql}: and afterwards", [session.attempt("SELECT current_user"), session.attempt("SELECT count(*) FROM stream_chunk")], [MALLORY, "42501"])
        same(f"{sql}: the security context allows temporary tables again", session.attempt("CREATE TEMP TABLE t (); DROP TABLE t"), None)


def many():
    """Very many streams, and much to remove, keep the victim's retention waiting for a while only."""
    scene = Scene(policies=True)
    session = Session(user=MALLORY, database=scene.name, net="200s")
    session.run("SELECT count(stream_create('mallory/' || i, max_chunks => 1)) FROM generate_series(1, 3000) i")
    session.run("SELECT count(stream_append('mallory/' || i, 'x')) FROM generate_series(1, 1000) i, generate_series(1, 3)")
    check("3,000 streams with limits, 1,000 of them with something to remove: retention of another goes on",
          retention_works(scene.superuser, 60, rounds=2))
    answers = call_everything(scene.victim, "alice/every call")
    check("the victim's calls go on", sum(isinstance(a, Refused) and a != "RL001" for a in answers.values()) == 0,
          {c: a for c, a in answers.items() if isinstance(a, Refused)})


def databases():
    """Databases of the attacker's to which nobody can connect for the time being keep no other database waiting."""
    scene = Scene(policies=True)
    admin().run(f"ALTER ROLE {MALLORY} CREATEDB")
    names = [database(extension=False) for _ in range(3)]
    for name in names:
        admin().run(f"ALTER DATABASE {name} OWNER TO {MALLORY}")
    session = scene.attack(idle_in_transaction_session_timeout=0)
    session.run("BEGIN; " + "; ".join(f"ALTER DATABASE {name} RENAME TO {name}_x" for name in names))
    alter_system(pg_rill__retention_interval="2s")    # each database is due then
    alter_system(pg_rill__retention_interval="1s")
    waiting = "SELECT count(*) FROM pg_locks WHERE classid = 'pg_database'::regclass AND NOT granted"
    for _ in range(4):      # intervals
        scene.retention_works("databases that are being renamed")
        same("no worker waits for them", scene.superuser.value(waiting), 0)
    session.run("ROLLBACK")


def prepare():
    """Roles, and retention each second."""
    global MALLORY, ALICE
    MALLORY, ALICE = role("mallory"), role("alice")
    alter_system(pg_rill__retention_interval="1s")


main(by_hand, ddl, names_and_limits, odd_names, locks, readers, queues, shadows, settings, signals, identity, many, databases, setup=prepare)
