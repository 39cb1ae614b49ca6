"""Ways to put load on the private server: psql, pgbench, the C++ driver, background readers; and rounds in which rivals
take turns.

Must survive: a command that fails (BenchError with its message; no figure comes from it) and ^C (children end)."""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

PAYLOAD = "x" * 100


class BenchError(Exception):
    pass


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text[:150]}", end="", file=sys.stderr, flush=True)


class Runner:
    def __init__(self, bin_directory, driver, source, seconds, rounds, rivals):
        self.bin, self.driver_path, self.source = bin_directory, driver, source
        self.seconds, self.rounds, self.rivals = seconds, rounds, rivals
        self.here = os.path.dirname(os.path.abspath(__file__))
        self.scratch = tempfile.TemporaryDirectory()
        self.database = None

    # --- the server -----------------------------------------------------------------------------------------------

    def psql(self, sql, database=None):
        done = subprocess.run([f"{self.bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database or self.database or "postgres",
                               "-f", "-"], input=sql, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"psql: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def fresh_database(self, name):
        """Creates a database for a section and drops the previous one, where sessions of the last run may linger."""
        previous, self.database = self.database, None
        if previous:
            self.psql(f"DROP DATABASE {previous} WITH (FORCE)")
        self.psql(f"CREATE DATABASE {name}")
        with open(os.path.join(self.here, "schema.sql"), encoding="utf-8") as file:
            self.psql(file.read(), name)
        self.database = name
        os.environ["PGDATABASE"] = name

    def checkpoint(self):
        """Before each run, so that no checkpoint hits one run and spares its rival's."""
        self.psql("CHECKPOINT")

    # --- work -----------------------------------------------------------------------------------------------------

    def pgbench(self, script, writers, **variables):
        """Transactions per second, after a warm-up of one second in which sessions connect, prepare and fill their caches."""
        path = os.path.join(self.scratch.name, "script.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script + "\n")
        command = [f"{self.bin}/pgbench", "-n", "-M", "prepared", "-c", str(writers), "-j", str(min(writers, 2)),
                   "-T", str(1 + self.seconds), "-P", "1", "-f", path]
        for name, value in variables.items():
            command += ["-D", f"{name}={value}"]
        done = subprocess.run(command, capture_output=True, text=True)
        first = re.search(r"^progress: ([\d.]+) s, ([\d.]+) tps", done.stderr, re.MULTILINE)
        all_of_it = re.search(r"actually processed: (\d+).*tps = ([\d.]+)", done.stdout, re.DOTALL)
        if done.returncode != 0 or not first or not all_of_it:
            raise BenchError(f"pgbench with {writers} writers:\n{script}\n{done.stderr.strip()[-2000:]}")
        count, rate, warm_up = int(all_of_it[1]), float(all_of_it[2]), float(first[1])
        return (count - float(first[2]) * warm_up) / (count / rate - warm_up)

    def driver(self, *arguments, options=""):
        """The driver's output as a dictionary; `options` are settings for its sessions."""
        done = subprocess.run([self.driver_path, *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, **self.rivals.environment(), "PGOPTIONS": options})
        if done.returncode != 0:
            raise BenchError(done.stderr.strip()[-2000:])
        return json.loads(done.stdout)

    def load(self, kind, writers, streams, size, options=""):
        """Chunks per second, appended by the driver's threads."""
        said = self.driver("load", kind, writers, self.seconds, streams, size, options=options)
        return said["chunks"] / said["seconds"]

    @contextlib.contextmanager
    def readers(self, kind, count, first, streams):
        """Readers that wait while the block runs: "sessions" or "client" (see readers.cpp), or None."""
        if kind is None:
            yield
            return
        command = [self.driver_path, "readers", kind, str(count), str(first), str(streams)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if process.stdout.readline().strip() != "ready":
                raise BenchError(f"readers: {process.communicate()[1].strip()[-2000:]}")
            yield
            if process.poll() is not None:
                raise BenchError(f"readers ended early: {process.communicate()[1].strip()[-2000:]}")
        finally:
            process.communicate()  # closes its input

    # --- rounds ---------------------------------------------------------------------------------------------------

    def alternate(self, title, cases, seldom=()):
        """Runs {name: function} once per round, each round starting with another one; returns {name: [results]}. Those
        in `seldom`, which have no goal, run in every third round."""
        given = {name: [] for name in cases}
        for turn in range(self.rounds):
            names = [name for name in cases if name not in seldom or turn % 3 == 0]
            for i in range(len(names)):
                name = names[(turn + i) % len(names)]
                progress(f"{title}: round {turn + 1} of {self.rounds}, {name}")
                self.checkpoint()
                given[name].append(cases[name]())
        progress("")
        return given


def ratios(ours, theirs):
    """Of the same rounds: median, lowest, highest."""
    pairs = [a / b for a, b in zip(ours, theirs)]
    return {"median": statistics.median(pairs), "least": min(pairs), "greatest": max(pairs)}
