#!/usr/bin/env python3
"""Whoever owns the extension's tables, or one of them, and is no superuser: code that he attaches to them runs in his own
name, restricted, whoever calls the functions, and in the workers, and leaves nothing in the caller's session.

Code: expressions of indexes, statistics, CHECKs, defaults and generated columns, triggers of all kinds, policies. What he
makes of the tables' definitions is attack_definitions.py. Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from attack import TABLES, OwnersDatabase, call_everything, exercise_retention  # noqa: E402
from harness import Refused, Session, alter_system, check, counter, main, note, one_of, role, same  # noqa: E402

# Places for code, as statements of the table's owner. $NOTE is a call of evil.note(), $ROW one of the trigger function, that
# counts for the place.
PLACES = {
    "index expression": "CREATE INDEX ON {t} (($NOTE AND stream_id > 0))",
    "index predicate": "CREATE INDEX ON {t} (stream_id) WHERE $NOTE",
    "statistics": "CREATE STATISTICS evil.st_{t} ON ($NOTE AND stream_id > 0), stream_id FROM {t}",
    "check": "ALTER TABLE {t} ADD CHECK ($NOTE OR stream_id IS NULL)",
    "default": "ALTER TABLE {t} ADD COLUMN x_default boolean; ALTER TABLE {t} ALTER COLUMN x_default SET DEFAULT $NOTE",
    "generated column": "ALTER TABLE {t} ADD COLUMN x_generated boolean GENERATED ALWAYS AS ($NOTE AND stream_id > 0) STORED",
    "policy": "CREATE POLICY evil ON {t} USING ($NOTE); ALTER TABLE {t} ENABLE ROW LEVEL SECURITY; ALTER TABLE {t} FORCE ROW LEVEL SECURITY",
    **{f"{timing} trigger for each {level}": "; ".join(
        f"CREATE TRIGGER {timing}_{level}_{event} {timing} {event} ON {{t}} FOR EACH {level} EXECUTE FUNCTION $ROW;"
        f"ALTER TABLE {{t}} ENABLE ALWAYS TRIGGER {timing}_{level}_{event}" for event in ("INSERT", "UPDATE", "DELETE"))
       for timing in ("before", "after") for level in ("row", "statement")},
    **{f"{kind} constraint trigger": "; ".join(
        f"CREATE CONSTRAINT TRIGGER {kind}_{event} AFTER {event} ON {{t}} {deferral} FOR EACH ROW EXECUTE FUNCTION $ROW"
        for event in ("INSERT", "UPDATE", "DELETE"))
       for kind, deferral in (("immediate", ""), ("deferrable", "DEFERRABLE"), ("deferred", "DEFERRABLE INITIALLY DEFERRED"))},
}


# A policy's function runs as the caller whom the policy is for, as everywhere in PostgreSQL, and so does what the planner
# evaluates with the policy: the owner of table stream can do that much to a tenant. Never to a superuser.
AS_THE_CALLER = ("policy", "index expression", "index predicate", "statistics", "check")


def tag(table, place):
    return f"{table[:14]} {place}"[:40]


def attach(place, table, mark):
    return PLACES[place].format(t=table).replace("$NOTE", f"evil.note('{mark}')").replace("$ROW", f"evil.row('{mark}')").split(";")


def code_on(owned):
    """Code in every place of the tables that the attacker owns."""
    scene = OwnersDatabase(MALLORY, ALICE, owned, tags=[tag(t, p) for t in TABLES for p in PLACES])
    whose = "all four tables" if len(owned) == 4 else owned[0]
    if len(owned) == 1 and not scene.owned:
        check(f"there is a table {owned[0]}", False)
        return
    for table in scene.owned:
        for place in PLACES:
            for statement in attach(place, table, tag(table, place)):
                error = scene.attacker.error(statement)
                if error is not None:
                    note(f"{statement}: {error}")
    scene.superuser.run("ANALYZE")
    scene.canary.forget()
    answers = scene.everybody_calls()
    exercise_retention(scene.superuser)
    failed = {c: a for c, a in answers["superuser"].items() if isinstance(a, Refused) and a != "RL001"}
    check(f"owner of {whose}: a superuser's calls work", not failed, failed)
    for table in scene.owned:
        for place in PLACES:
            allowed = {MALLORY, ALICE} if table == "stream" and place in AS_THE_CALLER else {MALLORY}
            scene.canary.check(tag(table, place), allowed, f"owner of {whose}, {table}, {place}: runs as no other role")
    same(f"owner of {whose}: he has not become a superuser", scene.canary.is_superuser(), False)
    if "stream_chunk" in scene.owned:   # or the canary could not sing
        for place in ("default", "check", "index expression", "after trigger for each row"):
            check(f"owner of {whose}: code on stream_chunk did run ({place})", scene.canary.ran_as(tag("stream_chunk", place)) >= {MALLORY})


def code_everywhere():
    """The owner of all tables."""
    code_on(TABLES)


def code_on_one():
    """The owner of one table alone: nothing of it runs as the others' owner, who is a superuser."""
    for table in TABLES:
        code_on((table,))


LEAKS = {
    "search_path": "evil, public", "statement_timeout": "1h", "lock_timeout": "1h", "row_security": "off", "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable", "work_mem": "1GB", "application_name": "evil", "TimeZone": "Asia/Kathmandu",
    "session_replication_role": "replica", "role": "none", "pg_rill.max_chunk_bytes": "1",
}


def nothing_left_behind():
    """Code of the owner's that ran inside a call has changed no setting of the caller's session, and left nothing there."""
    for place in ("default", "check", "index expression", "before trigger for each row", "after trigger for each row", "deferred constraint trigger"):
        for who in ("superuser", "tenant"):
            scene = OwnersDatabase(MALLORY, ALICE)
            scene.attacker.run("""CREATE OR REPLACE FUNCTION evil.act(tag text) RETURNS boolean LANGUAGE plpgsql AS $$
                DECLARE setting text[]; sql text;
                BEGIN
                    PERFORM evil.count(tag);
                    FOREACH setting SLICE 1 IN ARRAY %s::text[] LOOP
                        FOR attempt IN 1..2 LOOP
                            BEGIN PERFORM pg_catalog.set_config(setting[1], setting[2], attempt = 2); EXCEPTION WHEN OTHERS THEN NULL; END;
                        END LOOP;
                    END LOOP;
                    FOREACH sql IN ARRAY ARRAY['CREATE TEMP TABLE evil ()', 'PREPARE evil AS SELECT 1', 'LISTEN evil',
                            'DECLARE evil CURSOR WITH HOLD FOR SELECT 1', 'SET SESSION AUTHORIZATION DEFAULT'] LOOP
                        BEGIN EXECUTE sql; EXCEPTION WHEN OTHERS THEN NULL; END;
                    END LOOP;
                    RETURN true;
                END $$""", [[name, value] for name, value in LEAKS.items()])
            for statement in attach(place, "stream_chunk", "it"):
                scene.attacker.run(statement)
            scene.canary.forget()
            session = Session(user=None if who == "superuser" else ALICE, database=scene.name)
            ask = "SELECT " + ", ".join(f"current_setting('{name}')" for name in (*LEAKS, "session_authorization")) + \
                ", current_user, (SELECT count(*) FROM pg_prepared_statements WHERE name = 'evil'), (SELECT count(*) FROM pg_cursors), " \
                "(SELECT count(*) FROM pg_listening_channels()), to_regclass('pg_temp.evil')"
            before = session.row(ask)
            answer = session.attempt("SELECT stream_append('there', 'x')")
            check(f"{place}, called by a {who}: the append works", not isinstance(answer, Refused), answer)
            check(f"{place}, called by a {who}: the code ran", scene.canary.ran_as("it") >= {MALLORY})
            scene.canary.check("it", {MALLORY}, f"{place}, called by a {who}: and in no other name")
            same(f"{place}, called by a {who}: the session is as it was", session.row(ask), before)
            session.run("BEGIN")
            session.attempt("SELECT stream_append('there', 'x')")
            same(f"{place}, called by a {who}: also inside the transaction", session.error(ask) or session.row(ask), before)
            session.close()


def by_hand():
    """The owner may write table stream by hand, but not remove streams; and drops nothing of the extension."""
    scene = OwnersDatabase(MALLORY, ALICE, schema=False)
    same("INSERT by the owner", scene.attacker.attempt("INSERT INTO stream (name) VALUES ('restored')"), None)
    same("UPDATE by the owner", scene.attacker.attempt("UPDATE stream SET name = 'renamed' WHERE name = 'there'"), None)
    same("a session sees the new name", scene.tenant.attempt("SELECT stream_head('renamed')"), 4)
    same("and appends to what was inserted", scene.tenant.attempt("SELECT stream_append('restored', 'x')"), 1)
    for sql in ("DELETE FROM stream", "TRUNCATE stream CASCADE"):
        for who, session in (("the owner", scene.attacker), ("a superuser", scene.superuser)):
            error = session.error(sql)
            check(f"{sql} by {who}: refused, with a hint", error is not None and "stream_delete" in (error.diag.message_hint or ""), error)
    for sql, code in ((f"DROP OWNED BY {MALLORY} CASCADE", "2BP01"), ("DROP TABLE stream CASCADE", "2BP01"), ("DROP EXTENSION pg_rill CASCADE", "42501"),
                      ("ALTER EXTENSION pg_rill DROP TABLE stream", "42501"), ("CREATE OR REPLACE FUNCTION stream_head(stream text) RETURNS bigint"
                       " LANGUAGE sql AS 'SELECT 1'", "42501"), ("ALTER FUNCTION stream_head(text) SECURITY INVOKER", "42501"),
                      ("CREATE OR REPLACE VIEW stream_info AS SELECT 1", "42501")):
        one_of(sql, scene.attacker.attempt(sql), (code, "42501"))
    answers = call_everything(scene.tenant, f"after {next(counter)}")
    check("calls go on", not [a for a in answers.values() if isinstance(a, Refused) and a != "RL001"],
          {c: a for c, a in answers.items() if isinstance(a, Refused)})


def prepare():
    """Roles, and retention each second."""
    global MALLORY, ALICE
    MALLORY, ALICE = role("mallory"), role("alice")
    alter_system(pg_rill__retention_interval="1s")


main(code_everywhere, code_on_one, nothing_left_behind, by_hand, setup=prepare)
