#!/usr/bin/env python3
"""Waits in REPEATABLE READ and SERIALIZABLE transactions: what the snapshot shows is answered, what it can never show is
refused at once (55000), and timeout 0 gives nothing. No call waits or runs in a loop, whatever was committed since.
For calls that change streams see faults_create.py.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, database, main, same  # noqa: E402

# Each form of waiting, with {s}, {c} and {t} for stream, cursor and timeout.
WAITS = (
    "SELECT stream_wait('{s}', {c}, {t})",
    "SELECT head FROM stream_wait_many('{{{s}}}', '{{{c}}}', {t})",
    "SELECT max(chunk_id) FROM stream_read_since('{s}', {c}, timeout => {t})",
    "SELECT (SELECT (r).chunk_id FROM (SELECT stream_read_since('{s}', {c}, timeout => {t}) r) x)",
    "SELECT max(chunk_id) FROM stream_read_many('{{{s}}}', '{{{c}}}', timeout => {t})",
    "SELECT max(chunk_id) FROM stream_read_many('{{{s},idle}}', '{{{c},0}}', timeout => {t}, epochs => '{{null,null}}')",
)
PROCEDURES = ("CALL stream_await('{s}', {c}, {t})", "CALL stream_await_many('{{{s}}}', '{{{c}}}', {t})", "CALL stream_fetch_await('{{{s}}}', '{{{c}}}', {t})")
READS = (
    "SELECT head_id FROM stream_fetch('{{{s}}}', '{{0}}', '{{null}}')", "SELECT stream_head('{s}')", "SELECT head_id FROM stream_status('{s}')",
    "SELECT chunks FROM stream_size('{s}')", "SELECT chunk_id FROM stream_seek('{s}', -1)", "SELECT stream_seek_time('{s}', now())",
    "SELECT stream_verify('{s}', 0, 0)", "SELECT count(*) FROM stream_names('{{1,2,3}}')", "SELECT count(*) FROM stream_info",
)
# What another session does to stream 's' (two chunks) after the snapshot, and 'new', which is not there yet.
MEANWHILE = {
    "nothing": (), "appended": ("SELECT stream_append('s', 'x')",), "closed": ("SELECT stream_close('s')",),
    "trimmed": ("SELECT stream_trim('s', 2)",), "deleted": ("SELECT stream_delete('s')",),
    "deleted and created again": ("SELECT stream_delete('s')", "SELECT stream_append('s', 'x')"),
    "created": ("SELECT stream_append('new', 'x')",),
    "undecided": ("BEGIN", "SELECT stream_append('s', 'x')", "SELECT stream_append('new', 'x')"),
}


def waits():
    """Every form, beside every change."""
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        for what, changes in MEANWHILE.items():
            name = database()
            session, other = Session(database=name, net="6s"), Session(database=name)
            session.run("SELECT stream_append_many('s', '{a,b}')")
            session.run(f"BEGIN ISOLATION LEVEL {level}; SELECT 1")
            for sql in changes:
                other.run(sql)
            wrong = {}

            def expect(call, stream, cursor, timeout, wanted):
                if len(wrong) > 2:      # each that waits takes as long as the statement timeout
                    return
                sql = call.format(s=stream, c=cursor, t=timeout)
                session.run("SAVEPOINT s")
                answer = session.attempt(sql)
                session.run("ROLLBACK TO s")
                if answer != wanted or isinstance(answer, Refused) != isinstance(wanted, Refused):
                    wrong[sql] = answer
            for call in WAITS:
                for timeout in ("'0'", "'1 hour'", "NULL"):
                    expect(call, "s", 1, timeout, 2)
                    for stream, cursor in (("s", 2), ("new", 0)):
                        expect(call, stream, cursor, timeout, None if timeout == "'0'" else Refused("55000"))
            for call in PROCEDURES:
                expect(call, "s", 2, "'1 hour'", Refused("25001"))
            same(f"{level}, {what}: waits", wrong, {})
            for call in READS:
                session.run("SAVEPOINT s")
                answer = session.attempt(call.format(s="s"))
                check(f"{level}, {what}: {call.format(s='s')}", not isinstance(answer, Refused), answer)
                session.run("ROLLBACK TO s")
            session.run("ROLLBACK")
            session.close()
            other.close()


def procedures():
    """A session whose transactions are SERIALIZABLE by default can wait with the procedures, which take a snapshot for each check."""
    name = database()
    session, other = Session(database=name, default_transaction_isolation="serializable"), Session(database=name)
    for n, call in enumerate(PROCEDURES):
        pending = session.start(call.format(s=f"p{n}", c=0, t="'1 hour'"))
        other.run(f"SELECT stream_append('p{n}', 'x')")
        check(f"{call.split('(')[0]}: ends", not isinstance(pending.answer(), Refused), pending.result)


main(waits, procedures)
