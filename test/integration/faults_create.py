#!/usr/bin/env python3
"""Calls that change a stream which the transaction's own snapshot shows otherwise: each returns, or is a serialization
failure (40001), and none runs in a loop. And user triggers on table stream, which have no say in what functions do.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, database, main, one_of, same  # noqa: E402

CHANGES = (
    "SELECT stream_create('{s}')",
    "SELECT stream_create('{s}', max_chunks => 7)",
    "SELECT stream_set_limits('{s}', max_chunks => 8)",
    "SELECT stream_set_metadata('{s}', '{{}}')",
    "SELECT stream_touch('{s}')",
    "SELECT stream_append('{s}', 'x')",
    "SELECT stream_append('{s}', 'x', expected => 1)",
    "SELECT stream_append('{s}', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)",
    "SELECT stream_append_many('{s}', '{{x,y}}')",
    "SELECT stream_append_text('{s}', 'x')",
    "SELECT outcome FROM stream_try_append('{s}', '{{x}}')",
    "SELECT outcome FROM stream_try_append('{s}', '{{x}}', writer_seq => 'a')",
    "SELECT producer_seq FROM stream_producer_state('{s}', 'p')",
    "SELECT stream_trim('{s}', 2)",
    "SELECT stream_close('{s}')",
    "SELECT stream_delete('{s}')",
)
# What another session does after the snapshot was taken, to a stream with one chunk.
MEANWHILE = (
    ("a stream committed after the snapshot", None, "SELECT stream_append('{s}', 'x')"),
    ("deleted after the snapshot", "SELECT stream_append('{s}', 'x')", "SELECT stream_delete('{s}')"),
    ("deleted and created again after the snapshot", "SELECT stream_append('{s}', 'x')",
     "SELECT stream_delete('{s}'); SELECT stream_append('{s}', 'x')"),
    ("changed after the snapshot", "SELECT stream_create('{s}', max_chunks => 5); SELECT stream_append('{s}', 'x')",
     "SELECT stream_set_limits('{s}', max_chunks => 6); SELECT stream_set_metadata('{s}', '{{\"a\": 1}}')"),
)


def run_all(session, commands):
    for command in commands.split("; "):
        session.attempt(command)


def snapshots():
    """REPEATABLE READ and SERIALIZABLE: an answer or 40001, at once."""
    name = database()
    other = Session(database=name)
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        for n, (what, before, meanwhile) in enumerate(MEANWHILE):
            for i, call in enumerate(CHANGES):
                stream = f"{level[0]}{n}{i}"
                if before:
                    run_all(other, before.format(s=stream))
                with Session(database=name, net="8s") as session:
                    session.run(f"BEGIN ISOLATION LEVEL {level}")
                    session.run("SELECT count(*) FROM stream")
                    run_all(other, meanwhile.format(s=stream))
                    answer = session.start(call.format(s=stream)).answer()
                    session.attempt("COMMIT")
                good = answer == "40001" or not isinstance(answer, Refused)
                if call == CHANGES[0] and before is None:
                    good = answer is False or answer == "40001"
                elif "expected" in call:
                    good = good or answer == "RL004"
                check(f"{level}, {what}: {call.format(s='s')}", good, answer)


def created_by_two():
    """Two transactions create one stream: the second one waits for the first, and does not wait for itself."""
    name = database()
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        for end, answers in (("COMMIT", (False, "40001")), ("ROLLBACK", (True,))):
            first, second = Session(database=name), Session(database=name)
            stream = f"two {level} {end}"
            for session in (first, second):
                session.run(f"BEGIN ISOLATION LEVEL {level}")
                session.run("SELECT count(*) FROM stream")
            same(f"{level}: the first creates", first.attempt(f"SELECT stream_create('{stream}')"), True)
            waiting = second.start(f"SELECT stream_create('{stream}')")
            first.run(end)
            one_of(f"{level}: the second after the first one's {end}", waiting.answer(), answers)
            second.attempt("COMMIT")
            first.close()
            second.close()


def triggers_of_users():
    """Triggers that users put on table stream neither change nor prevent what the functions do."""
    name = database()
    session = Session(database=name, net="8s")
    session.run("SELECT stream_append('there', 'x')")
    session.run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    for event in ("INSERT", "UPDATE", "DELETE"):
        session.run(f"CREATE TRIGGER a_{event} BEFORE {event} ON stream FOR EACH ROW EXECUTE FUNCTION nothing()")
        session.run(f"ALTER TABLE stream ENABLE ALWAYS TRIGGER a_{event}")
    same("stream_create of a stream that is there, past a BEFORE trigger that returns null",
         session.attempt("SELECT stream_create('there', max_chunks => 5)"), False)
    same("stream_create of a new one", session.attempt("SELECT stream_create('new', max_chunks => 5)"), True)
    same("an append creates one", session.attempt("SELECT stream_append('newer', 'x')"), 1)
    same("both are there", session.attempt("SELECT count(*) FROM stream WHERE name LIKE 'new%'"), 2)
    same("stream_set_limits", session.attempt("SELECT stream_set_limits('there', max_chunks => 6)"), True)
    same("the limit is set", session.attempt("SELECT max_chunks FROM stream_status('there')"), 6)
    same("stream_set_metadata", session.attempt("SELECT stream_set_metadata('there', '{\"a\": 1}')"), True)
    same("the metadata are set", session.attempt("SELECT metadata ->> 'a' FROM stream_status('there')"), "1")
    same("stream_trim", session.attempt("SELECT stream_append('there', 'y'), stream_trim('there', 2)"), 2)
    same("it has trimmed", session.attempt("SELECT min(chunk_id) FROM stream_read_since('there', 1)"), 2)
    same("stream_delete", session.attempt("SELECT stream_delete('there')"), True)
    same("it is gone", session.attempt("SELECT count(*) FROM stream_info WHERE name = 'there'"), 0)
    same("and goes on with higher ids when created again", session.attempt("SELECT stream_append('there', 'x')"), 3)


def suppressing_triggers():
    """BEFORE triggers that return null, on the other tables: no call runs in a loop, and a repeat stays a repeat."""
    name = database()
    session = Session(database=name, net="8s")
    session.run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    for table in ("stream_state", "stream_producer"):
        for event in ("INSERT", "UPDATE", "DELETE"):
            session.run(f"CREATE TRIGGER a_{event} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION nothing()")
            session.run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER a_{event}")
    produce = "SELECT stream_append('there', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)"
    same("an append of a producer whose row is suppressed", session.attempt(produce), "39P01")
    ordered = "SELECT outcome FROM stream_try_append('there', '{x}', writer_seq => 'a')"
    same("an append with writer_seq whose row is suppressed", session.attempt(ordered), "39P01")
    same("nothing is stored", session.attempt("SELECT stream_head('there')"), 0)
    session.run("DROP TRIGGER a_INSERT ON stream_producer")
    same("an append of a producer, and its repeat", [session.attempt(produce), session.attempt(produce)], [1, 1])
    same("an append with writer_seq, and its repeat", [session.attempt(ordered), session.attempt(ordered)], ["stored", "stale"])
    same("stream_set_limits", session.attempt("SELECT stream_set_limits('there', max_chunks => 6)"), True)
    same("stream_trim", session.attempt("SELECT stream_trim('there', 2)"), 1)
    same("stream_delete", session.attempt("SELECT stream_delete('there')"), True)
    same("its producers are gone", session.attempt("SELECT count(*) FROM stream_producer"), 0)
    session.run("SELECT stream_append_many('kept', array_fill('x'::bytea, ARRAY[15000]))")
    for event in ("UPDATE", "DELETE"):
        session.run(f"CREATE TRIGGER a_{event} BEFORE {event} ON stream_chunk FOR EACH ROW EXECUTE FUNCTION nothing()")
        session.run(f"ALTER TABLE stream_chunk ENABLE ALWAYS TRIGGER a_{event}")
    for call in CHANGES:
        answer = session.attempt(call.format(s="kept"))
        check(f"chunks that no DELETE removes: {call.format(s='kept')}", answer not in ("57014", "lost"), answer)


def settings_of_owners_code():
    """Settings that a trigger on stream_chunk changes are the caller's own again after the call, and after one that fails."""
    session = Session(database=database(), net="8s")
    session.run("CREATE FUNCTION setting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'evil', false),"
                " set_config('row_security', 'off', true); IF NEW.data = 'bad' THEN RAISE EXCEPTION 'bad'; END IF; RETURN NEW; END $$")
    for timing in ("BEFORE", "AFTER"):
        session.run(f"CREATE TRIGGER {timing}_insert {timing} INSERT ON stream_chunk FOR EACH ROW EXECUTE FUNCTION setting()")
    settings = "SELECT current_setting('search_path'), current_setting('row_security')"
    before = session.row(settings)
    session.run("BEGIN; SELECT stream_append('s', 'x')")
    same("in the transaction", session.row(settings), before)
    session.run("SAVEPOINT a")
    session.attempt("SELECT stream_append('s', 'bad')")
    session.run("ROLLBACK TO a")
    same("after a savepoint", session.row(settings), before)
    session.run("COMMIT")
    same("after it", session.row(settings), before)
    session.attempt("SELECT stream_append('s', 'bad')")
    same("after an error", session.row(settings), before)


def used_ids():
    """Ids that were used before, after the identity sequence was set back or a row was loaded: an error, not a loop."""
    session = Session(database=database(), net="8s")
    session.run("SELECT stream_append('first', 'x'), stream_append('second', 'y')")
    session.run("SELECT stream_delete('first')")
    session.run("ALTER TABLE stream ALTER stream_id RESTART WITH 1")
    same("stream_create with the id of a deleted stream", session.attempt("SELECT stream_create('third')"), "55000")
    same("an append that creates, with the id of one that is there", session.attempt("SELECT stream_append('third', 'x')"), "23505")
    same("the next one", session.attempt("SELECT stream_append('third', 'x')"), 1)
    session.run("INSERT INTO stream (stream_id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'loaded')")
    for call in CHANGES:
        answer = session.attempt(call.format(s="loaded"))
        check(f"a row with the id of a deleted stream: {call.format(s='loaded')}", answer not in ("57014", "lost"), answer)
    same("an append there", session.attempt("SELECT stream_append('loaded', 'x')"), "55000")
    session.run("UPDATE stream SET stream_id = DEFAULT WHERE name = 'loaded'")
    same("and with another id", session.attempt("SELECT stream_append('loaded', 'x')"), 1)


main(snapshots, created_by_two, triggers_of_users, suppressing_triggers, settings_of_owners_code, used_ids)
