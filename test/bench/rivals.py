"""The rivals that need setting up: Redis and NATS, and PgQ inside PostgreSQL. Each is as durable as an append: on disk
before it is acknowledged. Private instances in the scratch directory, reachable only from this machine.

Must survive: a rival that is not installed or cannot be made durable (it is skipped, with the reason), and ^C."""

import os
import shutil
import socket
import subprocess
import time


def wait_until(ready, process, what):
    deadline = time.monotonic() + 60
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            return f"{what} did not start"
        time.sleep(0.05)
    return None


def accepts(family, address):
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


class Rivals:
    """skipped: {kind: reason}; these kinds are left out everywhere."""

    def __init__(self, directory, driver):
        self.directory, self.driver = directory, driver
        self.processes, self.skipped, self.settings = [], {}, {}
        self.variables = {}

    def __enter__(self):
        for kind, start in (("redis", self.start_redis), ("nats", self.start_nats)):
            reason = start()
            if reason:
                self.skipped[kind] = reason
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()

    def environment(self):
        return self.variables

    def has(self, kind):
        return kind not in self.skipped

    def built_in(self, kind):
        """The driver reports "not built in" if the library's development files were missing."""
        done = subprocess.run([self.driver, "load", kind, "1", "0", "1", "1"], capture_output=True, text=True)
        return "not built in" not in done.stderr

    def start(self, *command):
        with open(os.path.join(self.directory, os.path.basename(command[0]) + ".log"), "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_redis(self):
        program = shutil.which("redis-server")
        if not program:
            return "not installed (redis-server)"
        if not self.built_in("redis"):
            return "not installed (libhiredis-dev)"
        path = os.path.join(self.directory, "redis.sock")
        process = self.start(program, "--port", "0", "--unixsocket", path, "--dir", self.directory, "--save", "",
                             "--appendonly", "yes", "--appendfsync", "always")
        self.variables["BENCH_REDIS"] = path
        self.settings["redis"] = {"version": version(program), "appendonly": "yes", "appendfsync": "always", "transport": "unix socket"}
        return wait_until(lambda: accepts(socket.AF_UNIX, path), process, "redis-server")

    def start_nats(self):
        program = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin")
        if not program:
            return "not installed (nats-server)"
        if not self.built_in("nats"):
            return "not installed (libnats-dev)"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        configuration = os.path.join(self.directory, "nats.conf")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{self.directory}/nats", sync_interval: always }}\n')
        if subprocess.run([program, "-t", "-c", configuration], capture_output=True).returncode != 0:
            return f"{version(program)} cannot sync each message (2.10 and newer can), so it would not be as durable"
        process = self.start(program, "-c", configuration)
        self.variables["BENCH_NATS"] = f"nats://127.0.0.1:{port}"
        self.settings["nats"] = {"version": version(program), "sync_interval": "always", "transport": "TCP"}
        return wait_until(lambda: accepts(socket.AF_INET, ("127.0.0.1", port)), process, "nats-server")

    def prepare_pgq(self, runner, streams):
        """PgQ in the current database, one queue for each stream."""
        try:
            runner.psql("CREATE EXTENSION pgq;"
                        f"SELECT count(pgq.create_queue('bench-' || i)) FROM generate_series(1, {streams}) i;")
            self.settings["pgq"] = {"version": runner.psql("SELECT extversion FROM pg_extension WHERE extname = 'pgq'")}
        except Exception:  # whatever the reason
            self.skipped["pgq"] = "not installed (postgresql-NN-pgq3)"


def version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    return done.stdout.strip().replace("Redis server ", "")
