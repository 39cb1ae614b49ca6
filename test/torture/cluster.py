"""The servers of a torture run: a primary, a standby, a pooler, a wall clock that can be set, a file system that can be full.

The primary's files are in TORTURE_SMALL when the runner could mount one; TORTURE_CLOCK is the library of test/lib/stepped_clock.c.
Both are optional: without them those faults are left out, and the run says so.
"""
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import psycopg2

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults")]
from harness import wait_until  # noqa: E402
from machinery import DATABASE, ROLE, Pooler, Proxy, Server, started  # noqa: E402

SMALL = os.environ.get("TORTURE_SMALL")
CLOCK = os.environ.get("TORTURE_CLOCK")
SETTINGS = {"max_connections": 200, "max_prepared_transactions": 60, "log_line_prefix": "%m %e %b %a %p ", "max_wal_size": "64MB", "min_wal_size": "32MB",
            "wal_keep_size": "128MB", "max_standby_streaming_delay": "1s", "max_standby_archive_delay": "1s", "wal_retrieve_retry_interval": "200ms", "pg_rill.retention_interval": "1s", "shared_buffers": "64MB",
            "autovacuum_naptime": "5s", "deadlock_timeout": "200ms", "wal_receiver_status_interval": "1s", "max_worker_processes": 16}
# In a server's log, whatever the faults.
IMPOSSIBLE = re.compile(r"TRAP:|terminated by signal (?![69]\b)|^\S+ \S+ \S+ XX\d{3} |invalid memory alloc|stuck spinlock")
PANIC = re.compile(r"PANIC|terminated by signal 6\b")


class Node(Server):
    """A server whose wall clock can be set."""

    def control(self, *words):
        if CLOCK:
            os.environ["LD_PRELOAD"] = CLOCK
        try:
            super().control(*words)
        finally:
            os.environ.pop("LD_PRELOAD", None)

    def connect(self, user="postgres", database=DATABASE, name="torture", **settings):
        settings = {"statement_timeout": "20s", **settings}
        options = " ".join("-c " + f"{name}={value}".replace("\\", "\\\\").replace(" ", "\\ ") for name, value in settings.items())
        connection = psycopg2.connect(f"host={self.directory} port={self.port} user={user} dbname={database}", connect_timeout=5,
                                      application_name=name, options=options)
        connection.autocommit = True
        return connection

    @property
    def target(self):
        return os.path.join(self.directory, f".s.PGSQL.{self.port}")

    def log_since(self, offset):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            return file.read()

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0


class Cluster:
    def __init__(self, directory, small_tables):
        """`small_tables`: of shared memory, so that they overflow."""
        self.directory = directory
        sizes = {"pg_rill.cached_streams": 64, "pg_rill.max_waits": 64, "pg_rill.wake_queue_size": 64} if small_tables else {}
        self.clock = os.environ.get("PG_RILL_TEST_CLOCK")
        self.ahead = 0
        self.next_port = 5432
        self.standby = None
        self.generation = 0
        home = SMALL or directory
        self.primary = Node(home, "node0", self.port(), **SETTINGS, **sizes)
        self.primary.sql(f"GRANT DELETE ON rill.stream TO {ROLE}")
        self.pooler = None
        self.make_pooler()
        self.proxy = Proxy(self.primary.target)

    def port(self):
        self.next_port += 1
        return self.next_port

    def make_pooler(self):
        if not shutil.which("pgbouncer"):
            return
        if self.pooler:
            self.pooler.end()
            started.remove(self.pooler)
            shutil.rmtree(self.pooler.directory)
        self.pooler = Pooler(self.primary, "transaction", 15)

    def make_standby(self):
        """A new one. It is where the primary is not, so that the next primary is again in the small file system, or not."""
        self.drop_standby()
        self.generation += 1
        home = self.directory if self.primary.directory == SMALL or not SMALL else SMALL
        for old in os.listdir(home):
            if old.startswith("node") and os.path.isdir(os.path.join(home, old)) and os.path.join(home, old) != self.primary.data:
                shutil.rmtree(os.path.join(home, old))
        self.standby = Node(home, f"node{self.generation}", self.port(), source=self.primary, unix_socket_directories=home,
                            hot_standby_feedback="off")

    def drop_standby(self):
        if self.standby:
            self.standby.end()
            started.remove(self.standby)
            self.standby = None

    def either(self):
        """For libpq: whichever of the two is the primary."""
        nodes = [node for node in (self.primary, self.standby) if node]
        return f"host={','.join(node.directory for node in nodes)} port={','.join(str(node.port) for node in nodes)} user={ROLE} dbname={DATABASE}" \
            " connect_timeout=2 target_session_attrs=read-write"

    def caught_up(self):
        if not self.standby:
            return True
        try:
            lsn = self.primary.sql("SELECT pg_catalog.pg_current_wal_lsn()::text")[0][0]
            return wait_until(lambda: self.replayed(lsn), 30)
        except psycopg2.Error:
            return False

    def replayed(self, lsn):
        try:
            return self.standby.sql("SELECT pg_catalog.pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn)[0][0]
        except psycopg2.Error:
            return False

    def promote(self):
        """The standby is the primary; what was the primary is stopped."""
        old, new = self.primary, self.standby
        old.stop("immediate")
        self.standby = None
        new.promote()
        self.primary = new
        self.proxy.target = new.target
        started.remove(old)
        new.sql("ALTER SYSTEM RESET synchronous_standby_names")
        new.sql("ALTER SYSTEM RESET primary_conninfo")
        new.sql("SELECT pg_reload_conf()")
        self.make_pooler()

    def step_clock(self, seconds):
        self.ahead += seconds
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("q", self.ahead))

    def kill_postmaster(self):
        """As a machine does that loses power, but for what the kernel keeps."""
        with open(os.path.join(self.primary.data, "postmaster.pid"), encoding="utf-8") as file:
            os.kill(int(file.readline()), signal.SIGKILL)
        end = time.monotonic() + 60
        while True:
            try:
                self.primary.start()
                return
            except subprocess.CalledProcessError:   # its children are still there
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    @property
    def ballast(self):
        return os.path.join(SMALL, "ballast") if SMALL and self.primary.directory == SMALL else None

    def fill(self):
        """All but nothing of the small file system."""
        try:
            with open(self.ballast, "wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 65536)
        except OSError:
            pass

    def empty(self):
        for home in filter(None, [SMALL]):
            path = os.path.join(home, "ballast")
            if os.path.exists(path):
                os.unlink(path)
