#!/usr/bin/env python3
"""The reference's recipes for a reader, a writer and an administrator, each alone and with a policy for a tenant, taken
from there: every call that should work works, and every other one is 42501.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, database, main, one_of, role, same, short, wait_until  # noqa: E402

READ = (
    "SELECT count(*) FROM stream_read_since('app/s', 0)",
    "SELECT count(*) FROM stream_read_since('app/s', 0, timeout => '1 ms')",
    "SELECT count(*) FROM stream_read_many('{app/s,app/none}', '{0,0}')",
    "SELECT stream_wait('app/s', 0)",
    "SELECT stream_wait('app/s', 2, '1 ms')",
    "SELECT count(*) FROM stream_wait_many('{app/s}', '{0}')",
    "CALL stream_await('app/s', 0)",
    "CALL stream_await_many('{app/s}', '{0}')",
    "SELECT stream_head('app/s')",
    "SELECT stream_head('app/none')",
    "SELECT chunk_id FROM stream_seek('app/s', 1)",
    "SELECT stream_seek_time('app/s', now())",
    "SELECT stream_verify('app/s', 0, 0)",
    "SELECT count(*) FROM stream_names(ARRAY[1])",
    "SELECT stream_touch('app/s')",
    "SELECT head_id FROM stream_status('app/s')",
    "SELECT chunks FROM stream_size('app/s')",
    "SELECT count(*) FROM stream_fetch('{app/s}', '{0}')",
    "CALL stream_fetch_await('{app/s}', '{0}', '0')",
    "SELECT head_id FROM stream_info WHERE name = 'app/s'",
    "SELECT name, owner, created_at, metadata FROM stream WHERE name = 'app/s'",
)
CHANGE = (
    "SELECT stream_append('app/s', 'x')",
    "SELECT stream_append('app/s', 'x', expected => 2)",
    "SELECT stream_append('app/s', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)",
    "SELECT stream_append_many('app/s', '{x,y}')",
    "SELECT stream_append_text('app/s', 'x')",
    "SELECT outcome FROM stream_try_append('app/s', '{x}')",
    "SELECT outcome FROM stream_try_append('app/s', '{x}', create_stream => false)",
    "SELECT stream_producer_state('app/s', 'p')",
    "SELECT stream_close('app/s')",
    "SELECT stream_set_limits('app/s', max_chunks => 10)",
    "SELECT stream_set_metadata('app/s', '{}')",
    "SELECT stream_trim('app/s', 2)",
)
CREATE = (
    "SELECT stream_create('app/new')",
    "SELECT stream_create('app/new', '1 day', 2, 3, '4 days', '5 days', now() + '6 days', '{}')",
    "SELECT stream_append('app/new', 'x')",
    "SELECT stream_append_many('app/new', '{x,y}')",
    "SELECT stream_append_text('app/new', 'x')",
    "SELECT outcome FROM stream_try_append('app/new', '{x}')",
    "SELECT stream_close('app/new')",
)
DELETE = ("SELECT stream_delete('app/s')", "SELECT stream_delete('app/none')")
LISTEN = ("SELECT stream_listen()", "SELECT stream_unlisten()")
MONITOR = ("SELECT count(*) FROM stream_stat",)
# By hand nobody of them does anything but SELECT on stream.
BY_HAND = (
    "INSERT INTO stream (name) VALUES ('app/hand')",
    "INSERT INTO stream OVERRIDING SYSTEM VALUE VALUES (1000, 'app/hand')",
    "UPDATE stream SET name = name",
    "UPDATE stream SET name = name WHERE false",
    "DELETE FROM stream WHERE name = 'app/s'",
    "DELETE FROM stream WHERE false",
    "TRUNCATE stream",
    "SELECT count(*) FROM stream_state",
    "SELECT count(*) FROM stream_chunk",
    "SELECT count(*) FROM stream_producer",
    "SELECT nextval('stream_stream_id_seq')",
    "INSERT INTO stream_state (stream_id) VALUES (1)",
    "DELETE FROM stream_chunk",
)
# Functions of which the reference says that everybody may call them: they judge by the rights on table stream.
PUBLIC = ("stream_append stream_append_many stream_append_text stream_try_append stream_close stream_producer_state stream_producer_begin"
          " stream_read_since"
          " stream_read_many stream_wait stream_wait_many stream_await stream_await_many stream_interrupt stream_head stream_seek"
          " stream_seek_time stream_verify stream_listen stream_unlisten stream_names stream_create stream_set_limits stream_set_metadata"
          " stream_touch stream_status stream_size stream_trim stream_delete stream_fetch stream_fetch_await").split()


def works(session, call):
    """The answer; what it changed is taken back, except of a CALL, which stands alone."""
    if not call.startswith("CALL"):
        session.run("BEGIN")
    try:
        return session.attempt(call)
    finally:
        session.attempt("ROLLBACK")


def try_all(who, session, allowed, denied):
    for call in allowed:
        answer = works(session, call)
        check(f"{who} may: {call}", not isinstance(answer, Refused), answer)
    for call in denied:
        same(f"{who} may not: {call}", works(session, call), "42501")


def documented(name):
    """The SQL that the reference gives for this role: the block of code that begins with its name."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../doc/reference.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```sql\n-- (.*)\n((?:.*\n)*?)```$", file.read(), re.MULTILINE)
    found = [sql for first, sql in blocks if first == name]
    assert len(found) == 1, f"the reference has {len(found)} recipes for \"{name}\""
    return found[0]


def recipe(name, policy, who=None):
    """A database where one role has been set up as the reference says."""
    superuser = Session(database=database())
    superuser.run("SELECT stream_append_many('app/s', '{a,b}'), stream_append('other/s', 'x')")
    who = role(who or f"{name}{'_tenant' if policy else ''}")
    superuser.run(re.sub(rf"\b{name}\b", who, documented(name + (" of a tenant" if policy else ""))))
    return superuser, Session(user=who, database=superuser.connection.info.dbname), who


def reader(policy=False):
    """Reader: SELECT."""
    superuser, session, who = recipe("reader", policy)
    try_all(short(who), session, READ + LISTEN, CHANGE + CREATE + DELETE + MONITOR + BY_HAND)
    if policy:
        hidden(superuser, session, who, writes=False)


def writer(policy=False):
    """Writer: SELECT, INSERT, UPDATE."""
    superuser, session, who = recipe("writer", policy)
    try_all(short(who), session, READ + LISTEN + CHANGE + CREATE, DELETE + MONITOR + BY_HAND)
    hints(session, who)
    if policy:
        hidden(superuser, session, who)


def administrator(policy=False):
    """Administrator: SELECT, INSERT, UPDATE, DELETE."""
    superuser, session, who = recipe("administrator", policy)
    monitor = ((), MONITOR) if policy else (MONITOR, ())
    try_all(short(who), session, READ + LISTEN + CHANGE + CREATE + DELETE + monitor[0], monitor[1] + BY_HAND)
    hints(session, who)
    if policy:
        hidden(superuser, session, who, deletes=True)


def hints(session, who):
    """Who has the right and may not use it by hand is told what to use."""
    for call in BY_HAND[:4]:
        error = session.error(call)
        hint = (error.diag.message_hint if error else None) or ""
        check(f"{short(who)}: the refusal of {call.split()[0]} by hand names the functions", "stream_" in hint, hint or error)


def hidden(superuser, session, who, writes=True, deletes=False):
    """A stream that the policy hides is as good as not there, and is not touched."""
    state = "SELECT max(chunk_id), count(*) FROM stream_chunk JOIN stream USING (stream_id) WHERE name = 'other/s'"
    before = superuser.row(state)
    calls = [
        ("SELECT count(*) FROM stream_read_since('{}', 0)", 0),
        ("SELECT count(*) FROM stream_read_since('{}', 1)", "RL007"),
        ("SELECT count(*) FROM stream_read_many('{{{}}}', '{{0}}')", 0),
        ("SELECT count(*) FROM stream_wait_many('{{{}}}', '{{0}}', '1 ms')", 0),
        ("SELECT stream_wait('{}', 0, '1 ms')", None),
        ("SELECT stream_head('{}')", 0),
        ("SELECT chunk_id FROM stream_seek('{}', 1)", 0),
        ("SELECT stream_verify('{}', 1, 0)", "RL007"),
        ("SELECT stream_touch('{}')", False),
        ("SELECT head_id FROM stream_status('{}')", 0),
        ("SELECT created_at FROM stream_status('{}')", None),
        ("SELECT chunks FROM stream_size('{}')", 0),
        ("SELECT count(*) FROM stream_info WHERE name = '{}'", 0),
        ("SELECT count(*) FROM stream WHERE name = '{}'", 0),
        ("SELECT count(page) FROM stream_fetch('{{{}}}', '{{0}}')", 0),
    ]
    if writes:
        calls += [
            ("SELECT stream_append('{}', 'x')", "42501"),
            ("SELECT stream_append_many('{}', '{{x}}')", "42501"),
            ("SELECT stream_append_text('{}', 'x')", "42501"),
            ("SELECT outcome FROM stream_try_append('{}', '{{x}}')", "42501"),
            ("SELECT outcome FROM stream_try_append('{}', '{{x}}', create_stream => false)", "missing"),
            ("SELECT producer_seq FROM stream_producer_state('{}', 'p')", (None, "42501")),
            ("SELECT stream_close('{}')", "42501"),
            ("SELECT stream_create('{}')", "42501"),
            ("SELECT stream_set_limits('{}', max_chunks => 1)", False),
            ("SELECT stream_set_metadata('{}', '{{}}')", False),
            ("SELECT stream_trim('{}', 2)", 0),
        ]
    if deletes:
        calls.append(("SELECT stream_delete('{}')", False))
    for call, wanted in calls:
        one_of(f"{short(who)}, a hidden stream: {call.format('other/s')}", works(session, call.format("other/s")),
               wanted if isinstance(wanted, tuple) else (wanted,))
        one, two = session.error(call.format("other/s")), session.error(call.format("other/none"))
        said = [None if e is None else (e.pgcode, e.diag.message_primary.replace("other/none", "other/s"), e.diag.message_detail,
                                        e.diag.message_hint, e.diag.context) for e in (one, two)]
        check(f"{short(who)}: and is told the same of one that is not there", said[0] == said[1], said)
    stream_id = superuser.value("SELECT stream_id FROM stream WHERE name = 'other/s'")
    same(f"{short(who)}: its id is not named", session.attempt(f"SELECT count(*) FROM stream_names(ARRAY[{stream_id}])"), 0)
    same(f"{short(who)}: the hidden stream is as it was", superuser.row(state), before)


def single_rights():
    """INSERT, UPDATE and DELETE each alone."""
    for name, grants, allowed, denied in (
            ("insert", "INSERT", CREATE, READ + DELETE + BY_HAND + ("SELECT stream_append('app/s', 'x')", "SELECT stream_trim('app/s', 2)",
                                                                   "SELECT stream_set_limits('app/s', max_chunks => 10)")),
            ("update", "UPDATE", CHANGE, READ + CREATE + DELETE + BY_HAND),
            ("delete", "DELETE", DELETE, READ + CHANGE + CREATE + BY_HAND),
            ("nothing", "", (), READ + CHANGE + CREATE + DELETE + MONITOR + BY_HAND)):
        superuser = Session(database=database())
        superuser.run("SELECT stream_append_many('app/s', '{a,b}')")
        who = role(name)
        if grants:
            superuser.run(f"GRANT {grants} ON stream TO {who}")
        try_all(f"{name} alone", Session(user=who, database=superuser.connection.info.dbname), allowed, denied)


def functions():
    """EXECUTE is everybody's where the function judges for itself, and nobody's elsewhere."""
    session = Session(database=database())
    of_extension = """FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'pg_rill'"""
    who = role("anybody")
    may = {name for (name,) in session.rows(f"SELECT proname {of_extension} WHERE has_function_privilege('{who}', p.oid, 'EXECUTE')")}
    for name in PUBLIC:
        check(f"everybody may execute {name}", name in may)
    triggers = session.rows(f"SELECT proname {of_extension} WHERE prorettype = 'trigger'::regtype")
    check("nobody may execute a trigger function", not may & {name for (name,) in triggers}, may & {name for (name,) in triggers})
    same("anything else that everybody may execute is a function of its own right", sorted(may - set(PUBLIC)), [])
    monitor = session.value("SELECT count(*) FROM pg_class WHERE relname = 'stream_stat' AND has_table_privilege('pg_monitor', oid, 'SELECT')")
    same("pg_monitor may select from stream_stat", monitor, 1)


def interrupts():
    """stream_interrupt() is for whoever may cancel: the same role, its members, and pg_signal_backend."""
    superuser, waiting, who = recipe("reader", False, "interrupted")
    other, name = role("other"), waiting.connection.info.dbname
    superuser.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO {other}")
    for caller, wanted in ((other, "42501"), (who, True), (os.environ["PGUSER"], True)):
        pending = waiting.start("SELECT stream_wait('app/s', 2, '15 s')")
        wait_until(lambda: superuser.value("SELECT wait_event LIKE 'PgRill%%' OR wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = %s", waiting.pid))
        session = Session(user=caller, database=name)
        same(f"stream_interrupt by {short(caller)}", session.attempt(f"SELECT stream_interrupt({waiting.pid})"), wanted)
        if wanted is True:
            same(f"{short(caller)}: ends the wait as its timeout would", pending.answer(10), None)
        else:
            check("it does not end the wait", not pending.done())
            superuser.run(f"SELECT pg_cancel_backend({waiting.pid})")
            pending.answer()


def tenants():
    """The three as tenants."""
    reader(policy=True)
    writer(policy=True)
    administrator(policy=True)


main(reader, writer, administrator, tenants, single_rights, functions, interrupts)
