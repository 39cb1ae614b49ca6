#!/usr/bin/env python3
"""Measures pg_rill and its rivals in alternating rounds; prints medians and a table of figures and goals; writes raw
results as JSON. Called by run.sh, which provides the server (PGHOST and so on). README.md describes what is measured.

Must survive: a rival that is not installed (skipped and reported), one that fails (everything stops, so that no figure
comes from a failure), a section left out by BENCH_ONLY, and ^C (no result is written)."""

import argparse
import contextlib
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import time

import appends
import catchup
import followed
import growth
import idle
import latency
import retention
import serve
import standby
from report import NAMES, show_figures
from rivals import Rivals
from runner import BenchError, Runner

SECTIONS = {
    "P1": [("P1", appends.p1), ("P1 readers", appends.p1_readers)],
    "P2": [("P2", appends.p2)],
    "P3": [("P3", appends.p3)],
    "P4": [("P4", latency.p4)],
    "P5": [("P5", idle.p5)],
    "P6": [("P6", lambda runner: catchup.p6(runner, runner.options.chunks))],
    "P7": [("P7", lambda runner: followed.p7(runner, runner.options.followed))],
    "P8": [("P8", lambda runner: growth.p8(runner, runner.options.streams))],
    "P9": [("P9", retention.p9)],
    "P10": [("P10", serve.p10)],
    "S": [("S", standby.s)],
}


def surroundings(runner, rivals):
    def output(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    cpu = None
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), None)
    settings = runner.psql("SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', "
                           "'full_page_writes', 'wal_sync_method', 'shared_buffers', 'autovacuum', 'max_connections')")
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output("git", "-C", runner.source, "describe", "--always", "--dirty"),
        "server": runner.psql("SELECT version()"), "settings": json.loads(settings),
        "kernel": platform.release(), "cpu": cpu, "cpus": os.cpu_count(), "load": os.getloadavg(),
        "file system": output("stat", "-f", "-c", "%T", runner.psql("SHOW data_directory")),
        "seconds": runner.seconds, "rounds": runner.rounds,
        "rivals": rivals.settings, "skipped": rivals.skipped,
    }


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--bin", "--driver", "--out", "--source", "--scratch"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--streams", type=int, default=1_000_000)
    parser.add_argument("--followed", type=int, default=100_000)
    parser.add_argument("--retention-seconds", type=int, default=600)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.retention_seconds < 120:
        parser.error("BENCH_RETENTION_SECONDS is at least 120: the steady state begins after 75 s")
    if options.seconds < 1 or options.rounds < 1:
        parser.error("BENCH_SECONDS and BENCH_ROUNDS are at least 1")
    # P9 takes most of an hour, so it runs only when it is asked for.
    options.only = [key for key in options.only.upper().replace(" ", "").split(",") if key] or [key for key in SECTIONS if key != "P9"]
    if unknown := [key for key in options.only if key not in SECTIONS]:
        parser.error(f"BENCH_ONLY: no section {unknown[0]}; the sections are {', '.join(SECTIONS)}")
    return options


def main():
    options = arguments()
    with Rivals(options.scratch, options.driver) as rivals:
        runner = Runner(options.bin, options.driver, options.source, options.seconds, options.rounds, rivals)
        runner.options = options
        start = time.monotonic()
        result = {"sections": {}, "figures": []}
        about = surroundings(runner, rivals)
        print(f"{about['server'].split(' on ')[0]}, {about['cpus']} CPUs ({about['cpu']}), {about['file system']}, fsync on; "
              f"{options.rounds} rounds of {options.seconds} s", flush=True)
        figures = []
        for key in options.only:
            for name, section in SECTIONS[key]:
                result["sections"][name], found = section(runner)
                figures += found
        show_figures(figures)
        for rival, reason in rivals.skipped.items():
            print(f"{NAMES[rival]}: skipped: {reason}")
        about.update({"rivals": rivals.settings, "skipped": rivals.skipped, "took": round(time.monotonic() - start)})
        result["surroundings"], result["figures"] = about, [figure.as_json() for figure in figures]

    os.makedirs(options.out, exist_ok=True)
    name = os.path.join(options.out, f"{about['at'].replace(':', '').replace('+0000', 'Z')}.json")
    with open(name, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    print(f"\n{about['took'] // 60} min {about['took'] % 60} s; raw results: {os.path.relpath(name, options.source)}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the rivals are stopped, too
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except BenchError as error:
        sys.exit(f"bench: {error}")
