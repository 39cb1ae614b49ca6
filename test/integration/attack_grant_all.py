#!/usr/bin/env python3
"""GRANT ALL ON stream brings TRIGGER, REFERENCES and TRUNCATE (MAINTAIN, too, in newer servers). None of them lets a role
run code as another, veto or block what another does, or remove what is not its own. And triggers and foreign keys that
stand on table stream all the same, say by a superuser's hand, are not fired by what the functions and workers do.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from attack import Canary, call_everything, exercise_retention  # noqa: E402
from harness import (Refused, Session, alter_system, check, counter, database, main, one_of, retention_works, role, same,  # noqa: E402
                     wait_until)


class Scene:
    """A database where an attacker was granted ALL on table stream, and a victim the documented rights."""

    def __init__(self):
        self.superuser = Session(database=database(), net="8s")
        self.name = self.superuser.connection.info.dbname
        self.superuser.run(f"GRANT ALL ON stream TO {MALLORY}; GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO {ALICE}")
        self.superuser.run(f"CREATE SCHEMA mallory AUTHORIZATION {MALLORY}")
        self.attacker = Session(user=MALLORY, database=self.name, net="8s")
        self.victim = Session(user=ALICE, database=self.name, net="8s")
        self.victim.run("SELECT stream_append_many('alice/s', '{a,b,c}')")
        self.attacker.run("SELECT stream_append_many('mallory/s', '{x,y,z}')")

    def others_work(self, what):
        """The victim and the superuser do everything, and retention goes on."""
        for who, session in (("the victim", self.victim), ("a superuser", self.superuser)):
            n = session.attempt("SELECT count(*) FROM stream_read_since('alice/s', 0)")
            fresh = f"alice/fresh {next(counter)}"
            answers = [session.attempt(sql) for sql in (
                "SELECT stream_append('alice/s', 'more')", f"SELECT stream_create('{fresh}')", f"SELECT stream_append_many('{fresh}', '{{x,y}}')",
                f"SELECT stream_trim('{fresh}', 2)", f"SELECT stream_delete('{fresh}')", "SELECT count(*) FROM stream_read_since('alice/s', 0)")]
            good = not any(isinstance(a, Refused) for a in answers) and answers[1] is True and answers[3:5] == [1, True] and answers[5] - n == 1
            check(f"{what}: {who} appends, creates, trims, deletes and reads", good, answers)
        check(f"{what}: retention goes on", retention_works(self.superuser))


TRIGGERS = tuple(
    f"CREATE TRIGGER t_{timing}_{event}_{level} {timing} {event} ON {{t}} FOR EACH {level} EXECUTE FUNCTION evil.row('{{t}} trigger')"
    for timing in ("BEFORE", "AFTER") for event in ("INSERT", "UPDATE", "DELETE", "TRUNCATE") for level in ("ROW", "STATEMENT")
    if (event, level) != ("TRUNCATE", "ROW")) + tuple(
    f"CREATE CONSTRAINT TRIGGER c_{event}_{n} AFTER {event} ON {{t}} {deferral} FOR EACH ROW EXECUTE FUNCTION evil.row('{{t}} trigger')"
    for event in ("INSERT", "UPDATE", "DELETE") for n, deferral in enumerate(("", "DEFERRABLE INITIALLY DEFERRED")))


def rights_refused():
    """TRIGGER, REFERENCES, TRUNCATE and locks are refused to whoever is neither the owner nor a superuser."""
    scene = Scene()
    Canary(scene.superuser, MALLORY, ["stream trigger"], [ALICE])
    scene.attacker.run("CREATE VIEW mallory.v AS SELECT * FROM public.stream; CREATE TABLE mallory.f (s bigint, n text);"
                       "CREATE TABLE mallory.child (LIKE public.stream)")
    for sql in TRIGGERS:
        same(sql.format(t="stream").replace("EXECUTE FUNCTION evil.row('stream trigger')", "…"), scene.attacker.attempt(sql.format(t="stream")), "42501")
    statements = (
        "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream",
        "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream ON DELETE CASCADE ON UPDATE CASCADE",
        "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream ON DELETE RESTRICT NOT VALID",
        "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE mallory.f ADD FOREIGN KEY (n) REFERENCES stream (name)",
        "CREATE TABLE mallory.g (s bigint REFERENCES stream ON DELETE CASCADE)",
        "CREATE TABLE mallory.h (s bigint REFERENCES stream) PARTITION BY LIST (s)",
        "TRUNCATE stream", "TRUNCATE stream CASCADE", "TRUNCATE stream RESTART IDENTITY",
        "INSERT INTO stream (name) VALUES ('mallory/hand')", "UPDATE stream SET name = name", "DELETE FROM stream",
        "INSERT INTO stream (stream_id, name) OVERRIDING SYSTEM VALUE VALUES (9223372036854775806, 'mallory/hand')",
        *(f"LOCK TABLE {t} IN {m} MODE" for t in ("stream", "mallory.v") for m in ("SHARE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE")),
        "VACUUM FULL stream", "CLUSTER stream USING stream_pkey", "REINDEX TABLE stream", "REINDEX INDEX stream_pkey", "ANALYZE stream")
    for sql in statements:
        scene.attacker.attempt("BEGIN") if sql.startswith("LOCK") else None
        # VACUUM and ANALYZE of another's table only warn; with MAINTAIN they would do it.
        allowed = ("42501", None) if sql.split()[0] in ("VACUUM", "ANALYZE") and scene.superuser.connection.server_version < 170000 else ("42501",)
        one_of(sql, scene.attacker.attempt(sql), allowed)
        scene.attacker.attempt("ROLLBACK")
    hint = scene.attacker.error("DELETE FROM stream")
    check("the refusal of DELETE names stream_delete()", "stream_delete" in ((hint and hint.diag.message_hint) or ""), hint)
    scene.others_work("after all that")


def nobody_queues():
    """None of the four rights lets a statement wait for a lock, with everybody else behind it."""
    scene = Scene()
    scene.attacker.run("CREATE FUNCTION mallory.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE mallory.f (s bigint)")
    holder = Session(user=MALLORY, database=scene.name)
    holder.run("BEGIN; SELECT count(*) FROM stream; SELECT stream_create('mallory/holder')")
    for sql in ("TRUNCATE stream", "LOCK TABLE stream", "CREATE TRIGGER t BEFORE INSERT ON stream FOR EACH ROW EXECUTE FUNCTION mallory.t()",
                "ALTER TABLE mallory.f ADD FOREIGN KEY (s) REFERENCES stream ON DELETE RESTRICT", "VACUUM FULL stream", "REINDEX TABLE stream"):
        session = Session(user=MALLORY, database=scene.name, net="120s")
        pending = session.start(f"BEGIN; {sql}" if sql.startswith("LOCK") else sql)
        wait_until(lambda: pending.done() or scene.superuser.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", session.pid))
        check(f"{sql}: does not wait for a lock", pending.done())
        scene.others_work(f"beside {sql}")
        scene.superuser.attempt(f"SELECT pg_cancel_backend({session.pid})")
        pending.answer()
        session.close()


def triggers_left_alone():
    """Triggers of the attacker that were put there in spite of it all: nobody fires them."""
    for table in ("stream", "stream_state"):
        scene = Scene()
        if scene.superuser.value("SELECT to_regclass(%s) IS NULL", table):
            check(f"there is a table {table}", False)
            continue
        canary = Canary(scene.superuser, MALLORY, [f"{table} trigger"], [ALICE])
        canary.forget()
        for sql in TRIGGERS:
            scene.superuser.run(sql.format(t=table))
        for (name,) in scene.superuser.rows(f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND tgfoid = 'evil.row'::regproc"):
            scene.superuser.run(f'ALTER TABLE {table} ENABLE ALWAYS TRIGGER "{name}"')
        for who, session in (("the attacker", scene.attacker), ("the victim", scene.victim), ("a superuser", scene.superuser)):
            canary.forget()
            call_everything(session, f"{who} calls")
            canary.check(f"{table} trigger", set(), f"triggers on {table}: no call of {who} fires one")
        canary.forget()
        exercise_retention(scene.superuser)
        canary.check(f"{table} trigger", set(), f"triggers on {table}: retention fires none")
        same(f"triggers on {table}: the attacker has not become a superuser", canary.is_superuser(), False)
        scene.others_work(f"triggers on {table}")


def foreign_keys():
    """Foreign keys to stream, made by a superuser for the attacker's table, veto and block nothing that functions do."""
    for action, deferral in (("NO ACTION", ""), ("NO ACTION", "DEFERRABLE INITIALLY DEFERRED"), ("RESTRICT", ""), ("CASCADE", ""), ("SET NULL", "")):
        scene = Scene()
        what = f"ON DELETE {action} {deferral}".strip()
        scene.attacker.run("CREATE TABLE mallory.f (s bigint)")
        scene.superuser.run(f"ALTER TABLE mallory.f ADD CONSTRAINT f FOREIGN KEY (s) REFERENCES stream ON DELETE {action} {deferral}")
        scene.superuser.run("SELECT stream_append('kept for a while', 'x', eof => true)")
        scene.superuser.run("INSERT INTO mallory.f SELECT stream_id FROM stream")
        scene.attacker.run("BEGIN; SELECT s FROM mallory.f FOR UPDATE")
        same(f"{what}: a delete is neither refused nor held up by rows that refer to the stream",
             scene.victim.attempt("SELECT stream_delete('alice/s')"), True)
        same(f"{what}: the stream is gone", scene.victim.attempt("SELECT stream_head('alice/s')"), 0)
        scene.superuser.attempt("SELECT stream_create('kept for a while', delete_after_close => '0')")
        scene.superuser.attempt("SELECT stream_set_limits('kept for a while', delete_after_close => '0')")
        check(f"{what}: retention deletes, too", wait_until(lambda: scene.superuser.attempt(
            "SELECT count(*) FROM stream_info WHERE name = 'kept for a while'") == 0))
        scene.others_work(what)
        scene.attacker.run("ROLLBACK")


def prepare():
    """Roles, and retention each second."""
    global MALLORY, ALICE
    MALLORY, ALICE = role("mallory"), role("alice")
    alter_system(pg_rill__retention_interval="1s")


main(rights_refused, nobody_queues, triggers_left_alone, foreign_keys, setup=prepare)
