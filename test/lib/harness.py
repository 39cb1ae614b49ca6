"""What the tests in test/integration share: sessions, checks as TAP, waiting for a condition, and roles, databases and
settings that are gone when the test ends.

Runs as a superuser of a server with pg_rill preloaded (PGHOST, PGDATABASE, …). Every session has a statement timeout,
so that a call that never returns is the answer 57014, not a test that never ends; behind it stands a watchdog.
RILL_TEST_DEADLINE (seconds, 30) is how long a condition may take to become true.
"""
import faulthandler
import itertools
import os
import re
import sys
import threading
import time
import traceback

import psycopg2
import psycopg2.extensions

DEADLINE = float(os.environ.get("RILL_TEST_DEADLINE", "30"))
NET = "20s"     # the statement timeout of every session that does not ask for another one
TIMED_OUT = "57014"
PREFIX = f"rill_{os.getpid()}"

number = 0
failures = 0


def check(name, good, detail=""):
    """One line of TAP; `detail` is shown when it failed."""
    global number, failures
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    if not good:
        failures += 1
        print("# " + str(detail).strip().replace("\n", "\n# "), flush=True)
    return bool(good)


def same(name, got, wanted):
    return check(name, got == wanted, f"{got!r} instead of {wanted!r}")


def one_of(name, got, wanted):
    return check(name, got in wanted, f"{got!r} is none of {wanted!r}")


def note(text):
    print("# " + str(text).replace("\n", "\n# "), flush=True)


class Refused(str):
    """The SQLSTATE of an error. It equals the string, and is no answer."""


class Session:
    """A connection in autocommit mode. BEGIN and COMMIT are sent by hand."""

    def __init__(self, user=None, database=None, net=NET, **settings):
        settings.setdefault("statement_timeout", net)
        settings.setdefault("client_min_messages", "warning")
        self.connection = psycopg2.connect(
            dbname=database or os.environ["PGDATABASE"], user=user or os.environ["PGUSER"],
            options=" ".join(f"-c {name}={value}" for name, value in settings.items()))
        self.connection.autocommit = True
        self.user = user
        self.pid = self.connection.info.backend_pid
        sessions.append(self)

    def rows(self, sql, *values):
        """All rows; an empty list for a command without any."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def row(self, sql, *values):
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def value(self, sql, *values):
        """The first column of the first row."""
        row = self.row(sql, *values)
        return row[0] if row else None

    run = rows

    def error(self, sql, *values):
        """The error that the command raises, or None. One that ends the session has the code 'lost'."""
        try:
            self.rows(sql, *values)
            return None
        except psycopg2.Error as error:
            return error

    def attempt(self, sql, *values):
        """The first column of the first row, or the SQLSTATE of the error: a Refused; 'lost' when the session ended."""
        try:
            return self.value(sql, *values)
        except psycopg2.Error as error:
            return Refused(error.pgcode or "lost")

    def start(self, sql, *values):
        """Runs the command in a thread of its own: Pending.answer() is what attempt() would return."""
        return Pending(self, sql, values)

    def alive(self):
        return self.attempt("SELECT 'alive'") == "alive"

    def close(self):
        self.connection.close()
        if self in sessions:
            sessions.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pending:
    def __init__(self, session, sql, values):
        self.session = session
        self.result = None
        self.thread = threading.Thread(target=self._run, args=(sql, values), daemon=True)
        self.thread.start()

    def _run(self, sql, values):
        self.result = self.session.attempt(sql, *values)

    def done(self):
        return not self.thread.is_alive()

    def answer(self, timeout=None):
        """What the command answered; 'no answer' when it is still running after the timeout."""
        self.thread.join(DEADLINE if timeout is None else timeout)
        return Refused("no answer") if self.thread.is_alive() else self.result


def wait_until(condition, deadline=None):
    """True as soon as the condition is; False when it never was within the deadline."""
    end = time.monotonic() + (DEADLINE if deadline is None else deadline)
    while True:
        if condition():
            return True
        if time.monotonic() >= end:
            return bool(condition())
        time.sleep(0.02)


def wait_for_lock(observer, pid):
    """Until the session with this pid waits for a heavyweight lock."""
    return wait_until(lambda: observer.value("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", pid))


# What a test makes is noted here and removed by finish().
sessions = []
roles = []
databases = []
settings = []
counter = itertools.count(1)


def role(name, attributes="LOGIN"):
    """A role of this run. Its name begins with a letter and needs no quotes."""
    name = f"{PREFIX}_{name}"
    admin().run(f"CREATE ROLE {name} {attributes}")
    roles.append(name)
    return name


def database(name="db", extension=True):
    """A database of this run, with the extension."""
    name = f"{PREFIX}_{name}_{next(counter)}"
    admin().run(f"CREATE DATABASE {name}")
    databases.append(name)
    if extension:
        with Session(database=name) as session:
            session.run("CREATE EXTENSION pg_rill")
    return name


def drop_database(name):
    """Ends whoever is connected, prepared transactions too."""
    for session in [s for s in sessions if s.connection.info.dbname == name]:
        session.close()
    if admin().value("SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = %s)", name):
        with Session(database=name) as session:
            for (gid,) in session.rows("SELECT gid FROM pg_prepared_xacts WHERE database = %s", name):
                session.run("ROLLBACK PREPARED %s", gid)
    admin().run(f"ALTER DATABASE {name} RESET ALL")
    admin().run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    databases.remove(name)


def alter_system(**values):
    """Settings of the server for the time of this test; a dot of a name is written as two underscores."""
    for name, value in values.items():
        name = name.replace("__", ".")
        settings.append(name)
        admin().run(f"ALTER SYSTEM SET {name} = '{value}'")
    admin().run("SELECT pg_reload_conf()")
    for name, value in values.items():
        name = name.replace("__", ".")
        wait_until(lambda: reloaded(name, value))


def reloaded(name, value):
    with Session() as session:
        return session.value("SELECT current_setting(%s)", name) == session.value("SELECT %s", value)


_admin = None
crashes = 0


def admin():
    """A superuser in the test's own database, who stays connected: so a crash is noticed."""
    global _admin, crashes
    if _admin is not None and not _admin.alive():
        crashes += 1
        _admin.close()
        _admin = None
    if _admin is None:
        wait_until(server_is_up)
        _admin = Session(net="60s")
    return _admin


def server_is_up():
    try:
        Session().close()
        return True
    except psycopg2.OperationalError:
        return False


def main(*themes, setup=None, teardown=None):
    """Runs the themes one after the other (or those named as arguments), cleans up, prints the plan, and ends the process."""
    faulthandler.dump_traceback_later(float(os.environ.get("RILL_TEST_WATCHDOG", "900")), exit=True)
    chosen = [theme for theme in themes if theme.__name__ in sys.argv[1:]] or themes
    for theme in (setup, *chosen) if setup else chosen:
        try:
            note(theme.__doc__.strip().split("\n")[0])
            theme()
        except Exception:
            check(f"{theme.__name__} runs to its end", False, traceback.format_exc())
        end_sessions()
        for name in list(databases):    # what one theme left there must not reach the next one
            drop_database(name)
    if teardown:
        try:
            teardown()
        except Exception:
            check("what the test has started can be ended", False, traceback.format_exc())
    admin()
    check("the server has not crashed", crashes == 0, f"{crashes} times")
    try:
        finish()
    except Exception:
        check("the test leaves nothing behind", False, traceback.format_exc())
    print(f"1..{number}", flush=True)
    note(f"{number - failures} passed, {failures} failed")
    sys.stdout.flush()
    os._exit(1 if failures else 0)      # a thread may still wait for a call that never returns


def end_sessions():
    """All but the one of admin(), from outside: one may wait in a thread."""
    mine = [s for s in sessions if s is not _admin]
    if mine:
        admin().run("SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", [s.pid for s in mine])
    for session in mine:
        session.close()


def finish():
    end_sessions()
    for name in list(databases):
        drop_database(name)
    for name in settings:
        admin().run(f"ALTER SYSTEM RESET {name}")
    admin().run("SELECT pg_reload_conf()")
    for name in roles:
        admin().run(f"DROP OWNED BY {name} CASCADE")
    for name in roles:
        admin().run(f"DROP ROLE {name}")


# Retention.

def kept(session, stream):
    """How many chunks are there to be read; None when there is no such stream. For a superuser.
    By functions alone: a query of the tables is planned with what their owner has attached to them."""
    if session.attempt("SELECT stream_read_since(%s, 9223372036854775806)", stream) == "RL007":
        return None
    return session.attempt("SELECT count(*) FROM stream_read_since(%s, 0, max_chunks => null)", stream)


def retention_works(session, deadline=None, rounds=1):
    """A new stream that keeps one chunk is trimmed to it. With two rounds another one, since the worker may hang after the first.
    For a superuser of the database to be asked about."""
    for _ in range(rounds):
        stream = f"kept {next(counter)}"
        for sql in ("SELECT stream_create(%s, max_chunks => 1)", "SELECT stream_append(%s, 'x') FROM generate_series(1, 5)"):
            if isinstance(session.attempt(sql, stream), Refused):
                return False
        if not wait_until(lambda: kept(session, stream) == 1, deadline):
            return False
    return True


def short(name):
    """A role's name without the prefix of this run."""
    return re.sub(rf"^{PREFIX}_", "", name)
