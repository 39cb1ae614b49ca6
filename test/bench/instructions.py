#!/usr/bin/env python3
"""make bench-check: counts the instructions that a backend executes for one append, wait and read, and compares them with
instructions.json. It fails when a count has grown by more than 5 %.

The server runs under callgrind, which writes one file per process when it exits. Two sessions make a call N and 2 N
times; the difference of their counts, divided by N, is one call: connecting, preparing and warming up cancel out.
Called by "run.sh check", which starts the server.

Must survive: a busy machine (nothing here depends on time), a server version without kept counts (the counts are shown,
not judged), and a session whose file is still being written."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time

MARGIN = 0.05
CHUNK = "x" * 100
BATCH = "{" + ",".join([CHUNK] * 100) + "}"
INSERT = "INSERT INTO plain_chunk (stream_id, epoch, appended_at, eof, data) "

# name: (N, SQL, parameters, the call it is compared with)
CALLS = {
    "plain INSERT": (1000, INSERT + "VALUES ($1, 1, clock_timestamp(), false, $2)", ["1", CHUNK], None),
    "append": (1000, "SELECT stream_append($1, $2)", ["bench-1", CHUNK], "plain INSERT"),
    "append, waiting sessions elsewhere": (1000, "SELECT stream_append($1, $2)", ["bench-1", CHUNK], "plain INSERT"),
    "plain INSERT, 100 rows": (50, INSERT + "SELECT 2, 1, clock_timestamp(), false, d FROM unnest($1::bytea[]) d", [BATCH], None),
    "append_many, 100 chunks": (50, "SELECT stream_append_many($1, $2)", ["bench-2", BATCH], "plain INSERT, 100 rows"),
    "plain SELECT, 1 row": (1000, "SELECT chunk_id, data FROM plain_chunk WHERE stream_id = $1 AND chunk_id > $2 "
                                  "ORDER BY chunk_id LIMIT 1000", ["3", "9999"], None),
    "read_since, 1 chunk": (1000, "SELECT chunk_id, data FROM stream_read_since($1, $2)", ["bench-3", "9999"], "plain SELECT, 1 row"),
    "plain SELECT, 10,000 rows": (3, "SELECT chunk_id, data FROM plain_chunk WHERE stream_id = $1 AND chunk_id > $2 "
                                     "ORDER BY chunk_id LIMIT 10000", ["3", "0"], None),
    "read_since, 10,000 chunks": (3, "SELECT chunk_id, data FROM stream_read_since($1, $2, 10000)", ["bench-3", "0"],
                                  "plain SELECT, 10,000 rows"),
    "fetch (librill), 10,000 chunks": (3, "SELECT n, stream_id, page FROM stream_fetch($1, $2, NULL, 10000)", ["{bench-3}", "{0}"],
                                       "plain SELECT, 10,000 rows"),
    "wait, ready at once": (1000, "SELECT stream_wait($1, $2)", ["bench-3", "9999"], None),
    # Registers, checks, sleeps until its timeout, and checks again.
    "wait, to its timeout": (200, "SELECT stream_wait($1, $2, '1 ms')", ["bench-3", "10000"], None),
}
SETUP = f"""
SELECT count(stream_append_many('bench-3', array_fill('{CHUNK}'::bytea, ARRAY[1000]))) FROM generate_series(1, 10);
INSERT INTO plain_chunk SELECT 3, i, 1, now(), false, '{CHUNK}' FROM generate_series(1, 10000) i;
VACUUM ANALYZE;
"""


class CheckError(Exception):
    pass


class Counter:
    def __init__(self, options):
        self.options = options

    def psql(self, sql):
        done = subprocess.run([f"{self.options.bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=sql,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise CheckError(f"psql: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def wait_for_server(self):
        deadline = time.monotonic() + 300
        while subprocess.run([f"{self.options.bin}/pg_isready", "-q"]).returncode != 0:
            if time.monotonic() > deadline:
                with open(self.options.log, encoding="utf-8", errors="replace") as log:
                    raise CheckError("the server under valgrind did not start:\n" + log.read()[-2000:])
            time.sleep(0.2)

    def session(self, count, sql, parameters):
        """Instructions of a whole session that makes the call this often."""
        done = subprocess.run([self.options.driver, "calls", str(count), "SET plan_cache_mode = force_generic_plan", sql, *parameters], capture_output=True, text=True)
        if done.returncode != 0:
            raise CheckError(done.stderr.strip()[-2000:])
        path = os.path.join(self.options.counts, str(json.loads(done.stdout)["pid"]))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    if total := re.search(r"^totals: (\d+)", file.read(), re.MULTILINE):
                        return int(total.group(1))
            time.sleep(0.05)
        raise CheckError(f"callgrind left no count in {path}")

    def call(self, count, sql, parameters):
        self.session(count, sql, parameters)  # warms up shared caches
        return (self.session(2 * count, sql, parameters) - self.session(count, sql, parameters)) / count

    def measure(self):
        counts = {}
        for name, (count, sql, parameters, _) in CALLS.items():
            if sys.stderr.isatty():
                print(f"\r\033[Kcounting: {name}", end="", file=sys.stderr, flush=True)
            waiting = None
            if "waiting sessions" in name:
                waiting = subprocess.Popen([self.options.driver, "readers", "sessions", "20", "1001", "20"], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                if waiting.stdout.readline().strip() != "ready":
                    raise CheckError("the waiting sessions did not start")
            counts[name] = round(self.call(count, sql, parameters))
            if waiting:
                waiting.communicate()
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--bin", "--driver", "--counts", "--kept", "--log"):
        parser.add_argument(name, required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    counter = Counter(options)
    counter.wait_for_server()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.sql"), encoding="utf-8") as file:
        counter.psql(file.read())
    counter.psql(SETUP)
    counts = counter.measure()

    # Counts depend on the compiler and the server version; each has its own.
    place = f"PostgreSQL {int(counter.psql('SHOW server_version_num')) // 10000}, {platform.machine()}"
    kept = {}
    if os.path.exists(options.kept):
        with open(options.kept, encoding="utf-8") as file:
            kept = json.load(file)
    before = kept.get(place, {})
    print(f"\n{place}: backend instructions per call")
    print(f"{'call':<38}{'now':>12}{'kept':>12}{'change':>9}   {'/ plain':>7}")
    worse = []
    for name, count in counts.items():
        rival = CALLS[name][3]
        relative = f"{count / counts[rival]:.2f}" if rival else ""
        change = f"{100 * (count / before[name] - 1):+.1f} %" if name in before else ""
        grown = name in before and count > before[name] * (1 + MARGIN)
        # Plain statements are the server's own: shown, not judged.
        if grown and not name.startswith("plain"):
            worse.append(name)
        print(f"{name:<38}{count:>12,}{before.get(name, ''):>12}{change:>9}   {relative:>7}{'  MORE' if name in worse else ''}".rstrip())
    if options.update:
        kept[place] = counts
        with open(options.kept, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)
            file.write("\n")
        print(f"kept in {os.path.basename(options.kept)}")
    elif not before:
        print(f"{os.path.basename(options.kept)} has no counts for {place}, so nothing is compared; UPDATE=1 keeps these")
    elif worse:
        sys.exit(f"bench-check: more than {MARGIN:.0%} above what is kept: {', '.join(worse)}.\n"
                 "Take it out again; or, when it is worth it, keep the new figures with \"make bench-check UPDATE=1\" and say why in the commit.")
    else:
        print("bench-check: no call has grown by more than 5 %")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except CheckError as error:
        sys.exit(f"bench-check: {error}")
