#!/usr/bin/env python3
"""Who may call stream_try_append and stream_producer_state, and what they tell about streams that the caller may not see:
nothing, whatever the arguments. An outcome other than "stored" leaves no stream behind.

Runs in a database with the extension; see test/lib/harness.py."""
import itertools
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, counter, database, main, one_of, role, same  # noqa: E402

ARGUMENTS = (
    ("'{x}'", "'{}'"), ("false", "true"), ("null", "0", "3", "99"), ("null, null, null", "'p', 1, 1", "'p', 1, 2", "'p', 0, 1", "'q', 5, 7"),
    ("null", "'a'", "'z'"), ("true", "false"))
CALLS = [", ".join(values) for values in itertools.product(*ARGUMENTS)]
# A stream with a tombstone of its name, chunks, an EOF, a producer and a writer_seq; ids 1 to 5.
HISTORY = ("SELECT stream_append_many('{0}', '{{a,b}}')", "SELECT stream_delete('{0}')",
           "SELECT outcome FROM stream_try_append('{0}', '{{c,d}}', false, null, 'p', 1, 1, 'm')", "SELECT stream_close('{0}')")


def tenants():
    """A new database where 'app/' belongs to a tenant and 'other/' does not; a superuser's session and the tenant's."""
    superuser = Session(database=database())
    for stream in ("app/s", "other/s", "other/gone"):
        for sql in HISTORY:
            superuser.run(sql.format(stream))
    superuser.run("SELECT stream_delete('other/gone')")
    who = role(f"tenant_{next(counter)}")
    superuser.run(f"GRANT SELECT, INSERT, UPDATE ON stream TO {who}")
    superuser.run("ALTER TABLE stream ENABLE ROW LEVEL SECURITY")
    superuser.run(f"CREATE POLICY tenant ON stream TO {who} USING (starts_with(name, 'app/'))")
    return superuser, Session(user=who, database=superuser.connection.info.dbname), who


def told(session, sql, stream):
    """Everything that the call says about the stream."""
    session.run("BEGIN")
    error = session.error(sql.replace("STREAM", stream))
    row = None if error else session.row(sql.replace("STREAM", stream))
    session.run("ROLLBACK")
    if error is None:
        return row
    diag = error.diag
    return [None if text is None else text.replace(stream, "STREAM")
            for text in (error.pgcode, diag.message_primary, diag.message_detail, diag.message_hint, diag.context)]


def hidden():
    """One that the policy hides, one that is gone, and one that never was: the same answer to every call."""
    superuser, tenant, _ = tenants()
    before = superuser.rows("SELECT * FROM stream_producer ORDER BY 1, 2, 3, 4"), superuser.rows("SELECT * FROM stream ORDER BY 1")
    answers = set()
    for call in CALLS:
        sql = f"SELECT * FROM stream_try_append('STREAM', {call})"
        said = [told(tenant, sql, stream) for stream in ("other/none", "other/s", "other/gone")]
        answers.add(said[0][0])
        if said[0] != said[1] or said[0] != said[2]:
            check(f"the same about a hidden stream: {call}", False, said)
    same(f"{len(CALLS)} calls: 42501 where it would be created, missing where not", answers, {"42501", "missing"})
    same("stream_producer_state of a hidden stream", tenant.row("SELECT * FROM stream_producer_state('other/s', 'p')"), None)
    same("stream_producer_state of none", tenant.row("SELECT * FROM stream_producer_state('other/none', 'p')"), None)
    same("stream_producer_state of its own", tenant.row("SELECT * FROM stream_producer_state('app/s', 'p')"), (1, 1, 4))
    same("nothing has changed", (superuser.rows("SELECT * FROM stream_producer ORDER BY 1, 2, 3, 4"),
                                 superuser.rows("SELECT * FROM stream ORDER BY 1")), before)


def leaves_nothing():
    """An outcome other than 'stored' creates no stream, commits no row, and tells the truth about a deleted one."""
    superuser, tenant, _ = tenants()
    for name in ("app/new", "app/old"):
        before = [superuser.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("stream", "stream_state", "stream_producer", "stream_chunk")]
        if name == "app/old":
            for sql in HISTORY:
                superuser.run(sql.format(name))
            superuser.run(f"SELECT stream_delete('{name}')")
            before = [superuser.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("stream", "stream_state", "stream_producer", "stream_chunk")]
        highest = 5 if name == "app/old" else 0
        for call, wanted in (("'{x}', false, 3", ("mismatch", highest)), ("'{x}', false, null, 'p', 1, 2", ("gap", None)), ("'{}'", ("stored", None)),
                             ("'{}', false, 99", ("mismatch", highest)), ("'{}', false, null, 'p', 1, 9, 'w'", ("gap", None)),
                             ("'{x}', create_stream => false", ("missing", None))):
            same(f"{name}: {call}", tenant.row(f"SELECT outcome, chunk_id FROM stream_try_append('{name}', {call})"), wanted)
            same("leaves no row", [superuser.rows(f"SELECT * FROM {table} ORDER BY 1")
                                   for table in ("stream", "stream_state", "stream_producer", "stream_chunk")], before)
        same(f"{name}: stored with the right id", tenant.row(f"SELECT outcome, chunk_id FROM stream_try_append('{name}', '{{x}}', false, {highest})"),
             ("stored", highest + 1))
    # In one transaction: refused, then stored, then refused again.
    tenant.run("BEGIN")
    same("refused", tenant.attempt("SELECT outcome FROM stream_try_append('app/tx', '{x}', false, 7)"), "mismatch")
    same("stored", tenant.attempt("SELECT chunk_id FROM stream_try_append('app/tx', '{x}', false, 0)"), 1)
    same("refused again", tenant.attempt("SELECT chunk_id FROM stream_try_append('app/tx', '{x}', false, 7)"), 1)
    tenant.run("SAVEPOINT s")
    same("another one, refused", tenant.attempt("SELECT outcome FROM stream_try_append('app/tx2', '{x}', false, 7)"), "mismatch")
    tenant.run("ROLLBACK TO s")
    same("stored", tenant.attempt("SELECT chunk_id FROM stream_try_append('app/tx2', '{x}', false, 0)"), 1)
    tenant.run("COMMIT")
    same("both are there", superuser.rows("SELECT name, head_id FROM stream_info WHERE name LIKE 'app/tx%' ORDER BY 1"), [("app/tx", 1), ("app/tx2", 1)])
    # Two sessions: the refused one's row does not get into the other's way.
    other = Session(user=tenant.user, database=tenant.connection.info.dbname)
    tenant.run("BEGIN")
    same("refused", tenant.attempt("SELECT outcome FROM stream_try_append('app/two', '{x}', false, 7)"), "mismatch")
    waiting = other.start("SELECT stream_append('app/two', 'x')")
    tenant.run("COMMIT")
    same("the other session creates it", waiting.answer(), 1)


def rights():
    """UPDATE is for appending, INSERT for creating; a stream that may only be read is 42501."""
    superuser, tenant, who = tenants()
    superuser.run("SELECT stream_append('app/open', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)")
    call = "SELECT outcome FROM stream_try_append('app/open', '{x}', create_stream => false)"
    none = "SELECT outcome FROM stream_try_append('app/none', '{x}', create_stream => false)"
    state = "SELECT producer_seq FROM stream_producer_state('app/open', 'p')"
    same("a writer", tenant.attempt(call), "stored")
    superuser.run(f"REVOKE INSERT ON stream FROM {who}")
    same("without INSERT", tenant.attempt(call), "stored")
    same("without INSERT, a stream that is not there", tenant.attempt(none), "missing")
    same("without INSERT, to be created", tenant.attempt("SELECT stream_try_append('app/none', '{x}')"), "42501")
    same("without INSERT, to be created with conditions", tenant.attempt("SELECT stream_try_append('app/none', '{x}', expected => 7)"), "42501")
    superuser.run(f"REVOKE SELECT ON stream FROM {who}")
    same("UPDATE alone", tenant.attempt(call), "stored")
    same("UPDATE alone, the state of a producer", tenant.attempt(state), 1)
    superuser.run(f"REVOKE UPDATE ON stream FROM {who}")
    superuser.run(f"GRANT SELECT, INSERT ON stream TO {who}")
    for sql in (call, none, state, "SELECT stream_producer_state('app/none', 'p')"):
        same(f"without UPDATE: {sql}", tenant.attempt(sql), "42501")
    superuser.run(f"GRANT UPDATE ON stream TO {who}")
    superuser.run("DROP POLICY tenant ON stream")
    superuser.run(f"CREATE POLICY see ON stream FOR SELECT TO {who} USING (starts_with(name, 'app/'))")
    superuser.run(f"CREATE POLICY change ON stream FOR UPDATE TO {who} USING (name = 'app/s')")
    for sql in (call, state):
        same(f"a stream that may only be read: {sql}", tenant.attempt(sql), "42501")
    same("one that is not there", tenant.attempt(none), "missing")
    superuser.run("DROP POLICY see ON stream")
    same("and may not be seen any more", tenant.attempt(call), "missing")
    same("likewise its producer", tenant.attempt(state), None)
    superuser.run("DROP POLICY change ON stream")
    superuser.run(f"CREATE POLICY change ON stream TO {who} USING (name = 'app/open')")
    same("changed again", tenant.attempt(call), "stored")
    # The superuser's own streams are not hidden from him by row-level security.
    one_of("a superuser", superuser.attempt(call), ("stored",))
    check("a standby or read-only transaction may ask for the state",
          not isinstance(Session(database=superuser.connection.info.dbname, default_transaction_read_only="on").attempt(state), Refused))


main(hidden, leaves_nothing, rights)
