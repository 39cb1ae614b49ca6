"""What every actor of the torture test is: a thread with a random sequence of its own, sessions that come and go, and errors
that either some fault explains or that are a trouble.
"""
import random
import threading
import time
import traceback

import psycopg2

# What sessions may be told at any time, since faults are made at any time: timeouts and cancels, sessions ended, servers that stop,
# start or recover, no connection or disk left, a read-only transaction, a snapshot that is too old.
EXPLAINED = {"57014", "57P01", "57P02", "57P03", "55P03", "25006", "53100", "53300", "40001", "08006", "08003", "08P01", "25P03", "25P04"}
UNKNOWN_COMMIT = "synchronous replication"      # of the notice that a commit was cancelled while it waited for the standby

SETTINGS = {
    "search_path": ("rill", "pg_catalog", "public", "pg_temp,rill", "nowhere"),
    "default_transaction_isolation": ("read committed", "read committed", "repeatable read", "serializable"),
    "statement_timeout": ("20s", "20s", "20s", "500ms", "30ms"),
    "lock_timeout": ("0", "0", "1s", "20ms"),
    "idle_in_transaction_session_timeout": ("0", "0", "0", "200ms"),
    "enable_indexscan": ("on", "off"), "enable_seqscan": ("on", "off"), "enable_bitmapscan": ("on", "off"),
    "work_mem": ("4MB", "64kB"), "bytea_output": ("hex", "escape"), "row_security": ("on", "off"),
    "standard_conforming_strings": ("on", "on", "off"), "array_nulls": ("on", "off"), "DateStyle": ("ISO", "German", "SQL"),
    "IntervalStyle": ("postgres", "iso_8601", "sql_standard"), "TimeZone": ("UTC", "Pacific/Apia"),
    "exit_on_error": ("off", "off", "off", "on"), "jit": ("off", "on"), "jit_above_cost": ("-1", "0"),
    "check_function_bodies": ("on", "off"), "constraint_exclusion": ("on", "off"), "enable_indexonlyscan": ("on", "off"),
    "default_transaction_read_only": ("off", "off", "off", "off", "on"), "default_transaction_deferrable": ("off", "on"),
}


def random_settings(chance, *without):
    """A few settings of a session, each to something that a user might have set."""
    names = [name for name in SETTINGS if name not in without]
    return {name: chance.choice(SETTINGS[name]) for name in chance.sample(names, chance.randrange(5))}


class Actor(threading.Thread):
    def __init__(self, episode, name):
        super().__init__(name=name, daemon=True)
        self.episode, self.history = episode, episode.history
        self.random = random.Random(f"{episode.seed}/{episode.number}/{name}")
        self.connection = None
        self.pid = None
        self.lost_at = None

    def run(self):
        while not self.finished():
            try:
                if self.connection is None and not self.connect():
                    continue
                self.step()
            except psycopg2.Error as error:
                self.explain(error)
                self.recover()
            except Exception:   # of this test
                self.history.trouble(self.name, traceback.format_exc())
                self.drop()
                time.sleep(0.2)
        try:
            self.finish()
        except Exception:
            self.history.trouble(self.name, traceback.format_exc())
        self.drop()

    def finished(self):
        raise NotImplementedError

    def step(self):
        raise NotImplementedError

    def finish(self):
        pass

    # Sessions.

    def place(self):
        """Where to connect to, and with which settings."""
        return "primary", {}

    def connect(self):
        """False after a moment in which there was no connection to be had."""
        place, settings = self.place()
        if self.lost_at is None:
            self.lost_at = time.monotonic()
        try:
            self.connection = self.episode.connect(place, self.name, **settings)
        except psycopg2.OperationalError as error:
            if "parameter" in str(error):
                self.history.trouble(self.name, f"{settings}: {error}")
            time.sleep(0.05)
            return False
        self.pid = self.connection.info.backend_pid
        self.history.event("connect", self.name, text=f"{place} {settings}")
        self.connected(place)
        self.absent(self.lost_at, time.monotonic())
        self.lost_at = None
        return True

    def connected(self, place):
        """After each connect."""

    def absent(self, began, ended):
        """There was no connection in this time."""

    def drop(self):
        if self.lost_at is None:
            self.lost_at = time.monotonic()
        if self.connection is not None:
            try:
                self.connection.close()
            except psycopg2.Error:
                pass
        self.connection = None

    def recover(self):
        """After an error: rolls back, or lets the connection go."""
        if self.connection is None:
            return
        try:
            if self.connection.closed:
                raise psycopg2.OperationalError
            self.run_sql("ROLLBACK")
        except psycopg2.Error:
            self.drop()

    def run_sql(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else cursor.statusmessage

    def one(self, sql, *values):
        return self.run_sql(sql, *values)[0][0]

    def explained(self, code):
        """Errors that are an answer for this actor."""
        return False

    def explain(self, error):
        code = error.pgcode
        self.history.event("error", self.name, text=f"{code or 'lost'} {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}")
        if code is None:
            if "closed" not in str(error) and not isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
                self.history.trouble(self.name, repr(error))
        elif code not in EXPLAINED and not self.explained(code):
            self.history.trouble(self.name, f"{code} {error}")
