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


def admin():
    """A superuser in the test's own database, which stays connected to the end: it notices a crash."""
    global _admin
    if _admin is None:
        _admin = Session(net="60s")
    return _admin


def main(*themes):
    """Runs the themes one after the other, cleans up, prints the plan, and ends the process."""
    faulthandler.dump_traceback_later(float(os.environ.get("RILL_TEST_WATCHDOG", "900")), exit=True)
    for theme in themes:
        try:
            note(theme.__doc__.strip().split("\n")[0] if theme.__doc__ else theme.__name__)
            theme()
        except Exception:
            check(f"{theme.__name__} runs to its end", False, traceback.format_exc())
    check("the server has not crashed", admin().alive())
    try:
        finish()
    except Exception:
        check("the test leaves nothing behind", False, traceback.format_exc())
    print(f"1..{number}", flush=True)
    note(f"{number - failures} passed, {failures} failed")
    sys.stdout.flush()
    os._exit(1 if failures else 0)      # a thread may still wait for a call that never returns


def finish():
    global _admin
    if not admin().alive():
        _admin = None
    for session in [s for s in sessions if s is not _admin]:
        session.connection.cancel() if not session.connection.closed else None
    for session in [s for s in sessions if s is not _admin]:
        session.close()
    for name in list(databases):
        drop_database(name)
    for name in settings:
        admin().run(f"ALTER SYSTEM RESET {name}")
    admin().run("SELECT pg_reload_conf()")
    for name in roles:
        admin().run(f"DROP OWNED BY {name} CASCADE")
    for name in roles:
        admin().run(f"DROP ROLE {name}")


def server_version():
    return admin().connection.server_version


# Retention.

def kept(session, stream):
    """How many chunks are stored, whatever is visible to whom. For a superuser."""
    return session.value("SELECT count(*) FROM stream_chunk c JOIN stream s USING (stream_id) WHERE s.name = %s", stream)


def retention_works(session, deadline=None, stream=None):
    """A new stream that keeps one chunk is trimmed to it. For a superuser of the database to be asked about."""
    stream = stream or f"kept {next(counter)}"
    session.run("SELECT stream_create(%s, max_chunks => 1)", stream)
    session.run("SELECT stream_append(%s, 'x') FROM generate_series(1, 5)", stream)
    return wait_until(lambda: kept(session, stream) == 1, deadline)


# Every call of the extension that a program can make, with {s} for a stream. Attacks make all of them.

READING = (
    "SELECT count(*) FROM stream_read_since('{s}', 0)",
    "SELECT stream_read_since('{s}', 0)",
    "SELECT count(*) FROM stream_read_many('{{{s}}}', '{{0}}')",
    "SELECT stream_wait('{s}', 0, '0')",
    "SELECT count(*) FROM stream_wait_many('{{{s}}}', '{{0}}', '0')",
    "CALL stream_await('{s}', 0, '0')",
    "CALL stream_await_many('{{{s}}}', '{{0}}', '0')",
    "SELECT stream_head('{s}')",
    "SELECT chunk_id FROM stream_seek('{s}', 1)",
    "SELECT stream_seek_time('{s}', now())",
    "SELECT stream_verify('{s}', 0, 0)",
    "SELECT count(*) FROM stream_names(ARRAY[1, 2, 3])",
    "SELECT stream_touch('{s}')",
    "SELECT head_id FROM stream_status('{s}')",
    "SELECT chunks FROM stream_size('{s}')",
    "SELECT count(*) FROM stream_info WHERE name = '{s}'",
    "SELECT count(*) FROM stream_fetch('{{{s}}}', '{{0}}')",
    "CALL stream_fetch_await('{{{s}}}', '{{0}}', '0')",
)
WRITING = (
    "SELECT stream_append('{s}', 'x')",
    "SELECT stream_append_many('{s}', '{{x,y}}')",
    "SELECT stream_append_text('{s}', 'x')",
    "SELECT stream_append('{s}', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)",
    "SELECT outcome FROM stream_try_append('{s}', '{{x}}', writer_seq => 'w')",
    "SELECT producer_seq FROM stream_producer_state('{s}', 'p')",
    "SELECT stream_create('{s}')",
    "SELECT stream_create('{s}', max_chunks => 3)",
    "SELECT stream_set_limits('{s}', max_chunks => 3)",
    "SELECT stream_set_metadata('{s}', '{{\"a\": 1}}')",
    "SELECT stream_trim('{s}', 2)",
)
ENDING = ("SELECT stream_close('{s}')", "SELECT stream_append('{s}', 'x')")
DELETING = ("SELECT stream_delete('{s}')", "SELECT stream_append('{s}', 'x')", "SELECT stream_delete('{s}')")


def call_everything(session, stream):
    """Each call once on an existing, a closed and a deleted stream. Returns {call: answer or SQLSTATE}."""
    answers = {}
    for call in WRITING + READING + ENDING + READING + DELETING:
        answers[call] = session.attempt(call.format(s=stream))
        if answers[call] == "lost":
            break
    return answers


def exercise_retention(session, deadline=5.0):
    """Gives the retention worker something of each kind to do, and waits until it is done or the deadline is over."""
    n = next(counter)
    prepare = (
        f"SELECT stream_create('trimmed {n}', max_chunks => 1), stream_create('aged {n}', max_age => '10 ms')",
        f"SELECT stream_create('small {n}', max_bytes => 1), stream_create('ending {n}', delete_after_close => '0')",
        f"SELECT stream_create('expiring {n}', expires_at => now()), stream_create('idle {n}', max_idle => '10 ms')",
        f"SELECT stream_append(kind || ' {n}', 'x') FROM unnest('{{trimmed,aged,small,ending,purged}}'::text[]) kind, generate_series(1, 3)",
        f"SELECT stream_close('ending {n}')",
        f"SELECT stream_append_many('purged {n}', array_fill('x'::bytea, ARRAY[15000]))",
        f"SELECT stream_delete('purged {n}')")
    for sql in prepare:
        session.attempt(sql)
    names = [f"{kind} {n}" for kind in ("trimmed", "aged", "small", "ending", "expiring", "idle")]

    def left():
        return session.rows("SELECT s.name, count(c) FROM stream s LEFT JOIN stream_chunk c USING (stream_id)"
                            " WHERE s.name = ANY (%s) GROUP BY 1 ORDER BY 1", names)
    wait_until(lambda: left() == [(f"aged {n}", 0), (f"small {n}", 1), (f"trimmed {n}", 1)], deadline)
    return left()


class Canary:
    """Tells in whose name code of an attacker ran. note(tag) counts in a sequence, which no rollback takes back.

    The attacker owns the functions; they also try to get back the rights of the session's user and to make the attacker
    a superuser. They are made IMMUTABLE, so that they fit into every expression, and then changed to VOLATILE."""

    def __init__(self, session, attacker, tags, others):
        self.session = session
        self.attacker = attacker
        self.tags = list(tags)
        session.run(f"CREATE SCHEMA IF NOT EXISTS evil; ALTER SCHEMA evil OWNER TO {attacker}; GRANT USAGE ON SCHEMA evil TO PUBLIC")
        session.run("CREATE SCHEMA canary; GRANT USAGE ON SCHEMA canary TO PUBLIC")
        for tag in self.tags:
            for name in [attacker, os.environ["PGUSER"], *others, "somebody else"]:
                session.run(f'CREATE SEQUENCE canary."{tag}:{name}"')
        session.run("GRANT ALL ON ALL SEQUENCES IN SCHEMA canary TO PUBLIC")
        session.run(f"""
            CREATE FUNCTION evil.count(tag text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                PERFORM pg_catalog.nextval(pg_catalog.format('canary.%I', tag || ':' || current_user)::pg_catalog.regclass);
            EXCEPTION WHEN undefined_table THEN
                PERFORM pg_catalog.nextval(pg_catalog.format('canary.%I', tag || ':somebody else')::pg_catalog.regclass);
            END $$;
            CREATE FUNCTION evil.note(tag text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                PERFORM evil.count(tag);
                BEGIN
                    PERFORM pg_catalog.set_config('role', 'none', true);
                    PERFORM evil.count(tag);
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
                BEGIN
                    EXECUTE 'ALTER ROLE {attacker} SUPERUSER';
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
                RETURN true;
            END $$;
            CREATE FUNCTION evil.row() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM evil.note(TG_ARGV[0]);
                RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
            END $$;
            ALTER FUNCTION evil.count(text) OWNER TO {attacker};
            ALTER FUNCTION evil.note(text) OWNER TO {attacker};
            ALTER FUNCTION evil.row() OWNER TO {attacker}""")

    def arm(self):
        """After the expressions have been made: from now on the functions may write."""
        self.session.run("ALTER FUNCTION evil.count(text) VOLATILE; ALTER FUNCTION evil.note(text) VOLATILE")
        self.forget()

    def forget(self):
        self.session.run("SELECT setval(format('canary.%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'canary'")

    def ran_as(self, tag):
        """The roles in whose name the code with this tag ran."""
        return {name.split(":", 1)[1] for (name,) in self.session.rows(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = 'canary' AND last_value IS NOT NULL AND starts_with(sequencename, %s)",
            tag + ":")}

    def check(self, tag, allowed, name=None):
        ran = self.ran_as(tag)
        return check(name or f"{tag}: runs as nobody but {' and '.join(sorted(allowed)) or '(nobody)'}", ran <= set(allowed),
                     f"ran as {', '.join(sorted(ran))}")

    def is_superuser(self):
        return self.session.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", self.attacker)


def short(name):
    """A role's name without the prefix of this run."""
    return re.sub(rf"^{PREFIX}_", "", name)
