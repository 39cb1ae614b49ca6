#!/usr/bin/env python3
"""What a session keeps never outlives what it came from: the registration of stream_listen(), rights that hang on the
owner of the database, plans of policies. And a call over many streams under policies takes no memory for each of them.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, admin, check, database, main, note, role, same, wait_for_lock, wait_until  # noqa: E402


def notified(session, deadline):
    """Whether a NOTIFY on the extension's channel reached the session."""
    def any_there():
        session.connection.poll()
        found = [n for n in session.connection.notifies if n.channel == "pg_rill"]
        session.connection.notifies.clear()
        return bool(found)
    return wait_until(any_there, deadline)


def registrations():
    """UNLISTEN *, UNLISTEN of the channel and DISCARD ALL end the registration; a rolled-back one does not."""
    name = database()
    observer = Session(database=name)

    def listeners():
        return observer.value("SELECT listeners FROM stream_stat")
    for command in ("UNLISTEN *", "DISCARD ALL", "UNLISTEN pg_rill", "SELECT stream_unlisten()"):
        session = Session(database=name)
        session.run("SELECT stream_listen()")
        same(f"{command}: registered", listeners(), 1)
        observer.run("SELECT stream_append('s', 'x')")
        check(f"{command}: before it NOTIFYs arrive", notified(session, 20))
        session.run(command)
        check(f"{command}: the registration has ended", wait_until(lambda: listeners() == 0, 5), listeners())
        sent = observer.value("SELECT notifies FROM stream_stat")
        for _ in range(5):
            observer.run("SELECT stream_append('s', 'x')")
        session.run("SELECT stream_listen()")
        same(f"{command}: the session can register again", listeners(), 1)
        observer.run("SELECT stream_append('s', 'y')")
        check(f"{command}: then NOTIFYs arrive again", notified(session, 20))
        check(f"{command}: in between none was sent", observer.value("SELECT notifies FROM stream_stat") <= sent + 2,
              f"{observer.value('SELECT notifies FROM stream_stat')} after {sent}")
        session.close()
        check(f"{command}: the session's end takes it away", wait_until(lambda: listeners() == 0, 5), listeners())

    session = Session(database=name)
    session.run("SELECT stream_listen()")
    session.run("BEGIN; UNLISTEN *; ROLLBACK")
    same("a rolled-back UNLISTEN * ends nothing", listeners(), 1)
    observer.run("SELECT stream_append('s', 'x')")
    check("NOTIFYs still arrive", notified(session, 20))
    session.run("BEGIN; SAVEPOINT a; UNLISTEN *; ROLLBACK TO a; COMMIT")
    same("nor does one that a savepoint took back", listeners(), 1)
    session.run("BEGIN; UNLISTEN *; SELECT stream_listen(); COMMIT")
    same("unlisten and listen in one transaction: registered", listeners(), 1)
    observer.run("SELECT stream_append('s', 'x')")
    check("and told", notified(session, 20))
    session.run("BEGIN; SELECT stream_listen(); UNLISTEN *; COMMIT")
    same("listen and unlisten in one transaction: not registered", listeners(), 0)
    session.run("LISTEN other")
    session.run("SELECT stream_listen()")
    session.run("UNLISTEN other")
    same("UNLISTEN of another channel ends nothing", listeners(), 1)


def owner_of_the_database():
    """Rights and policies by pg_database_owner follow ALTER DATABASE … OWNER TO."""
    first, second = role("first"), role("second")
    for kind in ("grant", "policy"):
        name = database()
        superuser = Session(database=name)
        superuser.run(f"ALTER DATABASE {name} OWNER TO {first}")
        superuser.run("SELECT stream_append('s', 'x')")
        if kind == "grant":
            superuser.run("GRANT SELECT, INSERT, UPDATE ON stream TO pg_database_owner")
        else:
            superuser.run(f"GRANT SELECT, INSERT, UPDATE ON stream TO {first}, {second}; ALTER TABLE stream ENABLE ROW LEVEL SECURITY;"
                          " CREATE POLICY owner ON stream TO pg_database_owner USING (true)")
        one, two = Session(user=first, database=name), Session(user=second, database=name)
        read, append = "SELECT count(*) > 0 FROM stream_read_since('s', 0)", "SELECT stream_append('s', 'x') > 0"
        none = ["42501", "42501"] if kind == "grant" else [False, "42501"]
        same(f"{kind}: the owner of the database", [one.attempt(read), one.attempt(append)], [True, True])
        same(f"{kind}: somebody else", [two.attempt(read), two.attempt(append)], none)
        admin().run(f"ALTER DATABASE {name} OWNER TO {second}")
        same(f"{kind}: with the next call the old owner has lost it", [one.attempt(read), one.attempt(append)], none)
        same(f"{kind}: and the new one has it", [two.attempt(read), two.attempt(append)], [True, True])
        admin().run(f"ALTER DATABASE {name} OWNER TO {first}")
        same(f"{kind}: and back", [one.attempt(append), two.attempt(append)], [True, "42501"])


def private_memory(pid):
    """Private memory of a process in kB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def memory():
    """A call over 20,000 streams under policies holds what it needs for one of them, not for each.

    The last stream's policy waits for a lock, so that the memory can be seen while the call runs."""
    tenant = role("tenant")
    name = database()
    superuser, gate = Session(database=name, net="120s"), Session(database=name)
    superuser.run("INSERT INTO stream (name) SELECT 's' || i FROM generate_series(1, 20000) i")
    superuser.run("VACUUM ANALYZE stream")
    superuser.run(f"GRANT SELECT ON stream TO {tenant}; ALTER TABLE stream ENABLE ROW LEVEL SECURITY;"
                  " CREATE POLICY p ON stream USING (CASE WHEN name = 's20000' THEN pg_advisory_xact_lock_shared(44)::text IS NOT NULL ELSE true END)")
    streams = "ARRAY(SELECT 's' || i FROM generate_series(1, 20000) i), array_fill(0::bigint, ARRAY[20000])"
    calls = ("stream_read_many", f"SELECT count(*) FROM stream_read_many({streams})"), \
        ("stream_wait_many", f"SELECT count(*) FROM stream_wait_many({streams}, '0')"), \
        ("stream_fetch", f"SELECT count(*) FROM stream_fetch({streams})"), \
        ("stream_names", "SELECT count(*) FROM stream_names(ARRAY(SELECT i::bigint FROM generate_series(1, 20000) i))"), \
        ("stream_info", "SELECT count(closed) FROM stream_info")
    for what, sql in calls:
        session = Session(user=tenant, database=name, net="120s")
        session.attempt("SELECT count(*) FROM stream_read_many('{s1}', '{0}')")
        before = private_memory(session.pid)
        gate.run("SELECT pg_advisory_lock(44)")
        pending = session.start(sql)
        waits = wait_for_lock(gate, session.pid)
        during = private_memory(session.pid)
        gate.run("SELECT pg_advisory_unlock(44)")
        check(f"{what}: waits at the last stream", waits, pending.answer())
        note(f"{what}: {before} kB before, {during} kB at the last stream")
        check(f"{what}: less than 1 kB for each stream", during - before < 20000, f"{during - before} kB")
        check(f"{what}: comes to its end", not isinstance(pending.answer(60), str), pending.answer())


def plans():
    """Plans of policies are kept over changes of unrelated relations, and made anew when it matters."""
    tenant = role("planned")
    name = database()
    superuser, session = Session(database=name), Session(user=tenant, database=name)
    # An immutable function without arguments is evaluated when the query is planned.
    superuser.run("CREATE SEQUENCE planned; GRANT ALL ON SEQUENCE planned TO PUBLIC")
    superuser.run("CREATE FUNCTION planning() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN nextval(''planned'') > 0; END'")
    superuser.run(f"GRANT SELECT, INSERT, UPDATE ON stream TO {tenant}; ALTER TABLE stream ENABLE ROW LEVEL SECURITY;"
                  " CREATE POLICY p ON stream USING (planning() AND name <> 'hidden')")
    superuser.run("SELECT stream_append('s', 'x'), stream_append('hidden', 'x')")
    session.run("SELECT stream_append('s', 'x'), stream_head('s')")

    def made():
        return superuser.value("SELECT last_value FROM planned")
    before = made()
    for _ in range(100):
        superuser.run("CREATE TABLE unrelated (); DROP TABLE unrelated")
        session.run("SELECT stream_append('s', 'x'), stream_head('s')")
    check("100 times two calls with unrelated tables made and dropped between: plans are kept", made() - before < 20, f"{made() - before} made")
    superuser.run("ALTER POLICY p ON stream USING (planning() AND name = 'hidden')")
    same("a changed policy counts at once", [session.attempt("SELECT stream_head('s')"), session.attempt("SELECT stream_head('hidden')")], [0, 1])
    superuser.run("CREATE OR REPLACE FUNCTION planning() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false'")
    same("a changed function of a policy, too", session.attempt("SELECT stream_head('hidden')"), 0)


main(registrations, owner_of_the_database, memory, plans)
