"""What goes wrong during an episode, one thing after the other, with quiet in between so that the bounds of stalls are tested, too.

Each fault is noted from before it is made until it is overcome. After an episode everything is as it was before.
"""
import signal
import subprocess
import threading
import time

import psycopg2

from actors import Actor
from cluster import CLOCK
from harness import wait_until
from machinery import send

MAINTENANCE = (
    "VACUUM (FREEZE) rill.stream_chunk", "VACUUM rill.stream_chunk", "VACUUM (FULL) rill.stream_chunk", "VACUUM (INDEX_CLEANUP ON) rill.stream_state",
    "VACUUM FULL rill.stream", "VACUUM FULL rill.stream_state", "VACUUM FULL rill.stream_producer", "ANALYZE",
    "CLUSTER rill.stream_chunk USING stream_chunk_pkey", "CLUSTER rill.stream USING stream_pkey", "CLUSTER rill.stream_state USING stream_state_pkey",
    "REINDEX TABLE rill.stream_chunk", "REINDEX TABLE CONCURRENTLY rill.stream_chunk", "REINDEX INDEX CONCURRENTLY rill.stream_chunk_pkey",
    "REINDEX TABLE CONCURRENTLY rill.stream", "REINDEX INDEX rill.stream_name_key", "REINDEX TABLE rill.stream_state", "REINDEX TABLE CONCURRENTLY rill.stream_producer",
    "CREATE INDEX torture_time ON rill.stream_chunk (appended_at)", "CREATE INDEX CONCURRENTLY torture_size ON rill.stream_chunk (length(data))",
    "CREATE INDEX torture_hash ON rill.stream_chunk USING hash (chunk_id)", "DROP INDEX IF EXISTS rill.torture_time, rill.torture_hash",
    "DROP INDEX CONCURRENTLY IF EXISTS rill.torture_size", "DROP INDEX CONCURRENTLY IF EXISTS rill.torture_time",
    "ALTER TABLE rill.stream_chunk SET (fillfactor = 60)", "ALTER TABLE rill.stream_chunk RESET (fillfactor)", "ALTER TABLE rill.stream_chunk ADD COLUMN IF NOT EXISTS extra int DEFAULT 7",
    "ALTER TABLE rill.stream_chunk DROP COLUMN IF EXISTS extra", "ALTER TABLE rill.stream_chunk ALTER data SET STORAGE EXTERNAL", "ALTER TABLE rill.stream_chunk ALTER data SET STORAGE EXTENDED",
    "ALTER TABLE rill.stream_chunk SET LOGGED", "CHECKPOINT", "SELECT pg_catalog.pg_switch_wal()")
# A dot is written as two underscores.
SERVER_SETTINGS = {
    "pg_rill__recheck_interval": ("10ms", "1s", "3s"), "pg_rill__wakeups": ("off",), "pg_rill__retention_interval": ("0", "1s", "1min"),
    "idle_session_timeout": ("300ms", "2s"), "idle_in_transaction_session_timeout": ("200ms",), "max_parallel_workers": ("0",), "checkpoint_timeout": ("30s",),
    "hot_standby_feedback": ("on",), "commit_delay": ("10000",), "wal_writer_delay": ("10ms",), "bgwriter_delay": ("10ms",), "synchronize_seqscans": ("off",),
    "default_transaction_isolation": ("serializable",), "lock_timeout": ("1ms",), "default_toast_compression": ("pglz",), "work_mem": ("64kB",),
    "track_activities": ("off",), "log_error_verbosity": ("terse",), "vacuum_freeze_min_age": ("0",)}


class Chaos(Actor):
    """`small`: makes only what servers survive, beside another one that makes everything."""

    def __init__(self, episode, name="chaos", small=False):
        super().__init__(episode, name)
        self.mine, self.sessions_hit = [], 0
        self.cluster = episode.cluster
        self.stopping = threading.Event()
        # How often, and what.
        self.choices = [
            (6, self.terminate), (4, self.cancel), (3, self.interrupt), (1, self.kill_backend), (3, self.end_worker), (1, self.kill_worker), (2, self.restart_fast),
            (2, self.restart_immediate), (1, self.kill_postmaster), (8, self.maintain), (4, self.configure), (2, self.stop_backends), (2, self.hold_locks),
            (2, self.long_snapshot)]
        if CLOCK:
            self.choices.append((3, self.step_clock))
        if self.cluster.ballast:
            self.choices.append((2, self.disk_full))
        if self.cluster.pooler:
            self.choices.append((2, self.restart_pooler))
        if episode.drivers:
            self.choices.append((2, self.black_hole))
        if episode.gateway:
            self.choices.append((2, self.restart_gateway))
        if self.cluster.standby:
            self.choices += [(1, self.restart_standby), (1, self.pause_replay), (2, self.terminate_standby)]
        if small:
            self.choices = [(6, self.terminate), (3, self.cancel), (3, self.interrupt), (3, self.end_worker), (4, self.maintain)]
            if self.cluster.standby:
                self.choices.append((2, self.terminate_standby))
        self.choices = [choice for choice in self.choices if not episode.only or choice[1].__name__ in episode.only]

    def finished(self):
        return self.stopping.is_set()

    def fault(self, what, **facts):
        fault = self.history.fault(what, **facts)
        self.mine.append(fault)
        return fault

    def connect(self):
        self.connection = True      # its sessions are made as needed
        return True

    def drop(self):
        self.connection = None

    def recover(self):
        pass

    def step(self):
        quiet = self.random.choice((0, 0, 0.05, 0.1, 0.3, 1, 4))
        if self.stopping.wait(quiet):
            return
        weights, makers = zip(*self.choices)
        maker, = self.random.choices(makers, weights)
        self.sessions_hit = 0
        try:
            maker()
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            self.history.event("error", self.name, text=f"{maker.__name__}: {str(error).strip()[:200]}")
        for fault in self.mine:
            if fault.ended is None:
                self.history.over(fault)
        self.episode.count(maker.__name__, max(1, self.sessions_hit))

    def explain(self, error):
        self.history.event("error", self.name, text=str(error).strip()[:200])

    def sql(self, command, *values, node=None):
        return (node or self.cluster.primary).sql(command, *values)

    def sessions(self, node=None):
        """(pid, application) of the actors' sessions."""
        return self.sql("SELECT pid, application_name FROM pg_stat_activity WHERE application_name ~ '^(writer|producer|swapper|follower|waiter|remover|torture|rill)'"
                        " AND pid <> pg_backend_pid()", node=node)

    def some(self, most, node=None):
        sessions = self.sessions(node)
        chosen = self.random.sample(sessions, min(len(sessions), self.random.randint(1, most)))
        self.sessions_hit += len(chosen)
        return chosen

    def up(self):
        if not wait_until(self.cluster.primary.up, 60):
            self.history.trouble(self.name, "the server does not come back within 60 s")

    # Sessions and processes.

    def terminate(self):
        chosen = self.some(4)
        self.history.event("fault", "terminate", text=str(chosen))
        self.sql("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [pid for pid, _ in chosen])

    def cancel(self):
        for _ in range(self.random.randint(1, 15)):
            chosen = self.some(3)
            self.sql("SELECT pg_cancel_backend(pid) FROM unnest(%s::int[]) pid", [pid for pid, _ in chosen])
            time.sleep(self.random.random() * 0.03)
        self.history.event("fault", "cancel", text=str(chosen))

    def interrupt(self):
        chosen = self.some(6)
        self.sql("SELECT rill.stream_interrupt(pid) FROM unnest(%s::int[]) pid", [pid for pid, _ in chosen])
        self.history.event("fault", "interrupt", text=str(chosen))

    def kill_backend(self):
        chosen = self.some(1)
        self.fault(f"kill -9 {chosen}", crashes=True)
        send([pid for pid, _ in chosen], signal.SIGKILL)
        time.sleep(0.1)
        self.up()

    def stop_backends(self):
        """Who holds a lock meanwhile, holds up others."""
        chosen = self.some(2)
        self.fault(f"SIGSTOP {chosen}")
        pids = [pid for pid, _ in chosen]
        send(pids, signal.SIGSTOP)
        try:
            time.sleep(self.random.choice((0.1, 1, 3)))
        finally:
            send(pids, signal.SIGCONT)

    def workers(self):
        kind = self.random.choice(("pg_rill notifier", "pg_rill retention", "pg_rill"))
        return kind, self.cluster.primary.pids(kind)

    def end_worker(self):
        kind, pids = self.workers()
        self.history.event("fault", "end_worker", text=f"{kind} {pids}")
        self.sql("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", pids)

    def kill_worker(self):
        kind, pids = self.workers()
        self.fault(f"kill -9 {kind} {pids}", crashes=True)
        send(pids, signal.SIGKILL)
        time.sleep(0.1)
        self.up()

    def restart_fast(self):
        self.fault("restart fast")
        self.cluster.primary.restart("fast")
        self.up()

    def restart_immediate(self):
        self.fault("restart immediate", crashes=True)
        self.cluster.primary.restart("immediate")
        self.up()

    def kill_postmaster(self):
        self.fault("kill -9 postmaster", crashes=True)
        self.cluster.kill_postmaster()
        self.up()

    def restart_pooler(self):
        self.fault("pooler restarted")
        self.cluster.pooler.restart(self.random.choice((signal.SIGKILL, signal.SIGTERM)))

    def restart_gateway(self):
        self.fault("gateway restarted")
        self.episode.gateway.restart(self.random.choice((signal.SIGKILL, signal.SIGTERM)))

    def black_hole(self):
        """Nothing moves between the server and who comes through the proxy; afterwards, what was under way arrives."""
        self.fault("black hole")
        self.cluster.proxy.hold()
        try:
            time.sleep(self.random.choice((0.3, 2, 5)))
        finally:
            self.cluster.proxy.release()

    # The standby.

    def terminate_standby(self):
        node = self.cluster.standby
        chosen = self.some(3, node)
        self.history.event("fault", "terminate on the standby", text=str(chosen))
        self.sql("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [pid for pid, _ in chosen], node=node)

    def restart_standby(self):
        self.fault("standby restarted")
        self.cluster.standby.restart(self.random.choice(("fast", "immediate")))
        wait_until(self.cluster.standby.up, 60)
        self.cluster.caught_up()

    def pause_replay(self):
        self.fault("replay paused")
        self.sql("SELECT pg_wal_replay_pause()", node=self.cluster.standby)
        try:
            time.sleep(self.random.choice((0.5, 2)))
        finally:
            self.sql("SELECT pg_wal_replay_resume()", node=self.cluster.standby)
            self.cluster.caught_up()

    # Tables, settings, locks, the disk, the clock.

    def maintain(self):
        command = self.random.choice(MAINTENANCE)
        self.fault(command)
        self.episode.maintained_at = time.monotonic() + 30
        try:
            connection = self.cluster.primary.connect(lock_timeout="2s", name="maintenance")
            try:
                with connection.cursor() as cursor:
                    cursor.execute(command)
            finally:
                connection.close()
        except psycopg2.Error as error:
            if error.pgcode not in (None, "55P03", "57014", "40P01", "42P07", "53100", "57P01", "57P02", "55000"):
                self.history.trouble(self.name, f"{command}: {error.pgcode} {error}")
            self.history.event("error", "maintenance", text=str(error).strip()[:200])
            if "CONCURRENTLY" in command:
                self.drop_invalid()
        finally:
            self.episode.maintained_at = time.monotonic() + 5

    def drop_invalid(self):
        """What a failed CONCURRENTLY leaves."""
        for name, in self.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"):
            try:
                self.sql(f"SET lock_timeout = '5s'; DROP INDEX {name}")
            except psycopg2.Error:
                pass

    def configure(self):
        name = self.random.choice(list(SERVER_SETTINGS))
        value = self.random.choice(SERVER_SETTINGS[name])
        self.fault(f"{name} = {value}")
        self.cluster.primary.configure(**{name: value})
        time.sleep(self.random.choice((0.3, 2)))
        self.cluster.primary.configure(**{name: None})
        self.episode.pokes += 1

    def hold_locks(self):
        """Locks that a user can take, by a session that does nothing else."""
        command = self.random.choice(("LOCK TABLE rill.stream IN SHARE ROW EXCLUSIVE MODE", "LOCK TABLE rill.stream_chunk IN SHARE MODE", "LOCK TABLE rill.stream_state IN ACCESS EXCLUSIVE MODE",
                                      "SELECT 1 FROM rill.stream FOR UPDATE", "SELECT 1 FROM rill.stream_state FOR UPDATE"))
        self.fault(command)
        self.episode.maintained_at = time.monotonic() + 30
        try:
            self.sql(f"SET lock_timeout = '2s'; BEGIN; {command}; SELECT pg_sleep({self.random.choice((0.2, 1.5))}); COMMIT")
        except psycopg2.Error as error:
            self.history.event("error", "hold_locks", text=str(error).strip()[:200])
        self.episode.maintained_at = time.monotonic() + 5

    def long_snapshot(self):
        """Nothing to be noticed by anybody."""
        self.history.event("fault", "a snapshot is held")
        self.sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM rill.stream_chunk; SELECT pg_sleep(1); COMMIT")

    def disk_full(self):
        """The table cannot be extended, or the server cannot write its log and panics."""
        fault = self.fault("disk full", crashes=True)
        self.cluster.fill()
        try:
            time.sleep(self.random.choice((0.5, 2)))
        finally:
            self.cluster.empty()
        if not wait_until(self.cluster.primary.up, 5):
            # It may have given up.
            try:
                if subprocess.run(["pg_ctl", "-D", self.cluster.primary.data, "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
                    self.cluster.primary.start()
            except subprocess.CalledProcessError as error:
                self.history.event("error", "disk_full", text=str(error))
        self.up()
        self.history.over(fault)

    def step_clock(self):
        """PostgreSQL's own timeouts are late by as much as the clock was set back, so it is set forward again soon."""
        seconds = self.random.choice((-7200, -60, -3, 2, 3600))
        self.fault(f"clock stepped by {seconds} s")
        self.cluster.step_clock(seconds)
        time.sleep(self.random.choice((0.5, 3)))
        if seconds < 0:
            self.cluster.step_clock(-seconds)

    # A promotion, in the middle of an episode.

    def promotion(self, lossy):
        node = self.cluster.standby
        if lossy:
            before = time.monotonic()
            self.cluster.caught_up()
            fault = self.fault("promotion that loses commits", crashes=True, loses_after=before)
            self.episode.lossy = True
            node.configure(primary_conninfo="")     # it receives nothing any more
            time.sleep(self.random.choice((0.3, 1.5)))
        else:
            fault = self.fault("promotion", crashes=True)
        self.cluster.promote()
        self.up()
        self.history.over(fault)
        self.episode.count("promotion")
