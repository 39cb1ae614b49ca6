#!/usr/bin/env python3
"""What ALTER ROLE and ALTER DATABASE set for sessions changes neither what the calls answer nor what the workers do.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from attack import call_everything, exercise_retention  # noqa: E402
from harness import Refused, Session, alter_system, check, database, kept, main, note, retention_works, same, wait_until  # noqa: E402

SETTINGS = {
    "search_path": "pg_temp", "DateStyle": "'SQL, DMY'", "IntervalStyle": "sql_standard", "TimeZone": "'America/New_York'",
    "bytea_output": "escape", "standard_conforming_strings": "off", "escape_string_warning": "off", "array_nulls": "off",
    "transform_null_equals": "on", "quote_all_identifiers": "on", "extra_float_digits": "-15", "default_transaction_isolation": "'repeatable read'",
    "default_transaction_deferrable": "on", "synchronous_commit": "off", "enable_indexscan": "off", "enable_bitmapscan": "off",
    "enable_indexonlyscan": "off", "random_page_cost": "1e9", "plan_cache_mode": "force_custom_plan", "work_mem": "'64kB'",
    "force_parallel_mode": "on", "parallel_setup_cost": "0", "default_toast_compression": "pglz", "check_function_bodies": "off",
    "session_replication_role": "origin", "client_encoding": "LATIN1",
}
# Only for the workers: sessions would be ended, or could not write, as they are meant to.
HARD = {"statement_timeout": "1", "lock_timeout": "1", "idle_in_transaction_session_timeout": "1", "idle_session_timeout": "60000",
        "default_transaction_read_only": "on", "row_security": "off", "role": "nobody_of_pg_rill"}


def set_for(superuser, name, settings):
    for setting, value in settings.items():
        error = superuser.error(f"ALTER DATABASE {name} SET {setting} = {value}")
        if error is not None:
            note(f"{setting}: {str(error).splitlines()[0]}")


def calls():
    """Every call answers the same under odd settings."""
    answers = []
    for settings in ({}, SETTINGS):
        name = database()
        superuser = Session(database=name)
        set_for(superuser, name, settings)
        with Session(database=name, search_path="public" if not settings else "pg_temp,public") as session:
            session.run("SELECT stream_append_many('{0}', '{{a,b,c}}')".format("s"))
            answers.append(call_everything(session, "s"))
    same("as many calls", len(answers[1]), len(answers[0]))
    for call, plain in answers[0].items():
        odd = answers[1][call]
        good = isinstance(plain, Refused) == isinstance(odd, Refused) and (not isinstance(plain, Refused) or plain == odd)
        check(call, good, f"{odd!r} instead of {plain!r}")


def workers():
    """Retention and wake-ups go on in a database with settings that would stop them."""
    name = database()
    superuser = Session(database=name, search_path="public", statement_timeout="0", lock_timeout="0", default_transaction_read_only="off",
                        default_transaction_isolation="read\\ committed", row_security="on", role="none")
    superuser.run("CREATE ROLE nobody_of_pg_rill")
    try:
        set_for(superuser, name, SETTINGS | HARD)
        check("retention does everything", exercise_retention(superuser, 30))
        superuser.run("SELECT stream_listen()")
        superuser.run("SELECT stream_append('news', 'x')")

        def notified():
            superuser.run("SELECT 1")
            superuser.connection.poll()
            return superuser.connection.notifies
        check("a listener is notified", wait_until(notified))
    finally:
        superuser.run("RESET ALL")
        superuser.run(f"ALTER DATABASE {name} RESET ALL; DROP ROLE nobody_of_pg_rill")


def errors():
    """Errors at streams, more than are remembered, do not end the worker where the database says so."""
    superuser = Session(database=database())
    name = superuser.connection.info.dbname
    superuser.run(f"ALTER DATABASE {name} SET exit_on_error = on")
    superuser.run("ALTER TABLE stream_state ADD CONSTRAINT unlucky CHECK (max_bytes IS NULL OR trimmed_through = 0)")
    superuser.run("SELECT stream_create('bad ' || i, max_bytes => 1), stream_append_many('bad ' || i, '{xx,xx}') FROM generate_series(1, 40) i")
    check("retention goes on beside them", retention_works(superuser, rounds=2))


def days():
    """A day of a limit has 24 hours, whatever time zone the database sets."""
    superuser = Session(database=database())
    name = superuser.connection.info.dbname
    wanted = None
    for zone in ("America/New_York", "Australia/Sydney"):
        superuser.run(f"SET TimeZone = '{zone}'")
        wanted = wanted or superuser.row("SELECT %s, d FROM generate_series(30, 330, 10) d WHERE now() - make_interval(days => d)"
                                         " < now() - make_interval(hours => 24 * d) LIMIT 1", zone)
    zone, count = wanted
    superuser.run(f"ALTER DATABASE {name} SET TimeZone = '{zone}'")
    superuser.run("SELECT stream_append_many('s', '{old,new}')")
    superuser.run("UPDATE stream_chunk SET appended_at = now() - make_interval(hours => 24 * %s, mins => 30) WHERE chunk_id = 1", count)
    superuser.run("SELECT stream_set_limits('s', max_age => make_interval(days => %s))", count)
    check(f"max_age of {count} days in {zone}", wait_until(lambda: kept(superuser, "s") == 1))


def prepare():
    """Retention each second."""
    alter_system(pg_rill__retention_interval="1s")


main(calls, workers, errors, days, setup=prepare)
