#!/usr/bin/env python3
"""What the reference says to callers in other languages, and about what hidden streams still show, is so.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, check, database, main, role, same, wait_for_lock  # noqa: E402


def languages():
    """Values as drivers send and receive them."""
    session = Session(database=database())
    session.run("SELECT stream_append_many('s', '{a,b,c}')")
    same("an interval without a unit: a number", session.attempt("SELECT stream_wait('s', 0, timeout => 30)"), "42883")
    same("a string is seconds", session.value("SELECT '30'::interval = '30 s' AND '5000'::interval = '83 min 20 s'"), True)
    same("a string without a unit is taken", session.attempt("SELECT stream_wait('s', 3, '0')"), None)
    same("text for bytea: a byte", session.attempt(r"SELECT data FROM stream_read_since('t', stream_append('t', '\x41') - 1)"), None)
    same("which is A", bytes(session.attempt("SELECT data FROM stream_read_since('t', 0)")), b"A")
    same("text for bytea: an error", session.attempt(r"SELECT stream_append('t', 'C:\temp')"), "22P02")
    same("stream_append_text takes both", session.attempt(r"SELECT stream_append_text('t', 'C:\temp') + stream_append_text('t', '\x41')"), 5)
    same("and stores text", [bytes(d).decode() for (d,) in session.rows("SELECT data FROM stream_read_since('t', 1)")], ["C:\\temp", "\\x41"])
    same("JSON for bytea, until there is a backslash", session.attempt("SELECT stream_append('json', %s)", '{"a": "b"}'), 1)
    same("and then", session.attempt("SELECT stream_append('json', %s)", r'{"a": "b\nc"}'), "22P02")
    same("jsonb for text", session.attempt("SELECT stream_append_text('json', '{}'::jsonb)"), "42883")
    session.run("SELECT stream_append_text('json', %s)", r'{"a": "b\nc"}')
    same("JSON sent as text is read as JSON", session.value(
        "SELECT convert_from(data, 'UTF8')::jsonb ->> 'a' FROM stream_read_since('json', 1)"), "b\nc")
    same("ARRAY[…] of untyped values", session.attempt("SELECT stream_append_many('t', ARRAY['x'])"), "42883")
    same("with a type", session.attempt("SELECT stream_append_many('array', ARRAY['x'::bytea])"), 1)
    same("U+0000", session.attempt("SELECT stream_append_text('t', convert_from('\\x00', 'UTF8'))"), "22021")
    session.run("SET statement_timeout = '50 ms'")
    same("a statement timeout ends a wait", session.attempt("SELECT stream_wait('s', 3)"), "57014")
    session.run("RESET statement_timeout")
    check("SELECT f() is one composite column", session.value("SELECT stream_read_since('s', 2)").startswith('(3,"\\\\x63",f,'))
    session.run("SELECT (stream_try_append('many', '{x}')).*")
    same("(f()).* is one call for each column", session.value("SELECT stream_head('many')"), 5)
    session.run("SELECT * FROM stream_try_append('once', '{x}')")
    same("and FROM f() is one", session.value("SELECT stream_head('once')"), 1)
    same("CALL in a transaction", session.attempt("BEGIN; CALL stream_await('s', 0)"), "25001")
    session.run("ROLLBACK")
    same("CALL without the INOUT arguments", session.row("CALL stream_await('s', 0)"), (3,))
    same("a null stream", session.attempt("SELECT stream_append(NULL, 'x')"), "22004")
    same("no cap", session.value("SELECT count(*) FROM stream_read_since('s', 0, NULL, NULL)"), 3)
    pending = session.start("SELECT stream_wait('s', 3, NULL)")
    other = Session(database=session.connection.info.dbname)
    other.run("SELECT stream_trim('s', 2)")
    check("a null timeout waits", not pending.done())
    other.run("SELECT stream_append('s', 'd')")
    same("until the next chunk", pending.answer(), 4)
    same("a position means another chunk after a trim", session.value("SELECT chunk_id FROM stream_seek('s', 1)"), 2)


def hidden():
    """What a tenant can learn."""
    name = database()
    superuser = Session(database=name)
    who = role("tenant")
    superuser.run(f"GRANT SELECT, INSERT, UPDATE ON stream TO {who}; ALTER TABLE stream ENABLE ROW LEVEL SECURITY")
    superuser.run(f"CREATE POLICY p ON stream TO {who} USING (owner = current_user)")
    superuser.run("SELECT stream_append_many('gone', '{a,b,c}'); SELECT stream_append('taken', 'x')")
    superuser.run("SELECT stream_delete('gone')")
    tenant = Session(user=who, database=name, net="8s")
    same("a name that is taken", tenant.attempt("SELECT stream_create('taken')"), "42501")
    same("but not read", tenant.attempt("SELECT count(*) FROM stream_read_since('taken', 0)"), 0)
    same("a deleted stream's last id", tenant.row("SELECT outcome, chunk_id FROM stream_try_append('gone', '{x}', expected => 0)"), ("mismatch", 3))
    same("from which a new one goes on", tenant.attempt("SELECT stream_append('gone', 'x')"), 4)
    first = tenant.value("SELECT stream_id FROM stream WHERE name = 'gone'")
    tenant.attempt("SELECT stream_create('taken')")
    tenant.run("SELECT stream_create('next')")
    check("a refused creation uses up an id", tenant.value("SELECT stream_id FROM stream WHERE name = 'next'") > first + 1)
    superuser.run("BEGIN; SELECT stream_create('coming')")
    pending = tenant.start("SELECT stream_create('coming')")
    check("a creation waits for another's", wait_for_lock(Session(database=name), tenant.pid))
    superuser.run("COMMIT")
    same("and is then refused", pending.answer(), "42501")
    tenant.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    superuser.run("SELECT stream_create('since')")
    same("under REPEATABLE READ, of a name committed since", tenant.attempt("SELECT stream_create('since')"), "40001")
    tenant.run("ROLLBACK")
    nobody = Session(user=role("nobody"), database=name)
    same("everybody may LISTEN", nobody.attempt("LISTEN pg_rill"), None)
    same("but not ask for names", nobody.attempt("SELECT count(*) FROM stream_names('{1}')"), "42501")
    same("and no tenant gets those of hidden streams", tenant.attempt(
        "SELECT count(*) FROM stream_names(ARRAY(SELECT generate_series(1, 20))) n WHERE n.name NOT IN ('gone', 'next')"), 0)


main(languages, hidden)
