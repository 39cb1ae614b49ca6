#!/usr/bin/env python3
"""make torture: writers and readers of every kind through random faults, and a checker that knows what became of each chunk.

A run is a row of episodes until MINUTES are over. In each one, actors write to and read streams of several kinds while Chaos makes
faults; then everything is repaired, the streams are closed, every reader has to come to their ends, and the checker
(checker.py) judges the episode's history. SEED repeats the choices of every actor; how they interleave is the machine's affair. EPISODE=n
begins with that episode. FAULTS='name …' makes only these faults; PLANT=name breaks something on purpose (plants.py).

Streams: `plain` ones lose nothing; `kept` ones are trimmed, by hand or by retention; `born` ones are deleted and made again; `loose`
ones are written with synchronous_commit = off; `once` by an exactly-once producer, `swap` with `expected`.
"""
import faulthandler
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib"), os.path.join(HERE, "../faults")]
import checker_test  # noqa: E402
import plants  # noqa: E402
from checker import story  # noqa: E402
from cluster import CLOCK, SMALL, Cluster  # noqa: E402
from episode import PLANT, Episode  # noqa: E402
from harness import note  # noqa: E402
from history import ACKED  # noqa: E402
from machinery import stop_all  # noqa: E402

MINUTES = float(os.environ.get("MINUTES") or 2)
SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(10**9))
EPISODE = int(os.environ.get("EPISODE") or 1)
OUT = os.environ.get("TORTURE_OUT") or tempfile.gettempdir()


class Pulse(threading.Thread):
    """Notes when this process itself was not run."""

    def __init__(self):
        super().__init__(daemon=True)
        self.pauses = []

    def run(self):
        while True:
            before = time.monotonic()
            time.sleep(0.05)
            if time.monotonic() - before > 0.3:
                self.pauses.append((before, time.monotonic()))


def describe(episode, findings):
    history = episode.history
    acked = sum(1 for a in history.appends if a.state == ACKED)
    delivered = sum(len(s.chunks) for r in history.readings for s in r.segments)
    told = sum(1 for r in history.readings for s in r.segments if s.told)
    total["chunks"] += acked
    total["appended"] += len(history.appends)
    total["delivered"] += delivered
    total["faults"] += sum(episode.made.values())
    total["findings"] += len(findings)
    total["kinds"] |= {finding.kind for finding in findings}
    note(f"episode {episode.number}: {len(history.appends)} appends, {acked} acknowledged, {delivered} delivered, {told} times told,"
         f" {sum(episode.made.values())} faults {dict(sorted(episode.made.items()))}, {len(findings)} findings")
    shown = {}
    for finding in findings:
        shown.setdefault(finding.kind, []).append(finding)
    for kind, those in shown.items():
        for finding in those[:3]:
            note(f"FOUND {finding}")
        if len(those) > 3:
            note(f"FOUND {kind}: {len(those) - 3} more")
        note("  the story of the first one:\n  " + "\n  ".join(story(history, those[0])))


def main():
    faulthandler.dump_traceback_later(MINUTES * 60 + 900, exit=True)
    note(f"SEED={SEED} MINUTES={MINUTES:g}" + (f" PLANT={PLANT}" if PLANT else ""))
    if not checker_test.run():
        return 1
    for what, there in (("a clock that can be set", CLOCK), ("a small file system", SMALL), ("pgbouncer", shutil.which("pgbouncer"))):
        if not there:
            note(f"NOT TESTED: this run has not {what}")
    end = time.monotonic() + MINUTES * 60
    directory = tempfile.mkdtemp(prefix="torture", dir=os.environ.get("TMPDIR"))
    cluster = None
    try:
        cluster = Cluster(directory, small_tables=random.Random(SEED).random() < 0.5)
        number = EPISODE
        while number == EPISODE or time.monotonic() < end:
            if cluster.standby is None or not cluster.caught_up():
                cluster.make_standby()
            episode = Episode(cluster, number, SEED, directory)
            findings = episode.run(pulse.pauses)
            describe(episode, findings)
            if findings:
                kept = os.path.join(OUT, f"torture-{SEED}-{number}.jsonl")
                episode.history.file.flush()
                shutil.copy(episode.history.path, kept)
                note(f"its history: {kept}; the same choices again: make torture SEED={SEED} EPISODE={number}" + (f" PLANT={PLANT}" if PLANT else ""))
            episode.clean()
            os.unlink(episode.history.path)
            number += 1
    except Exception:
        note("the test itself has failed:\n" + traceback.format_exc())
        total["findings"] += 1
    finally:
        good = total["findings"] == 0
        if not good and cluster:
            for node in (cluster.primary, cluster.standby):
                if node and os.path.exists(node.log):
                    shutil.copy(node.log, os.path.join(OUT, f"torture-{SEED}-{os.path.basename(node.log)}"))
        stop_all()
        shutil.rmtree(directory, ignore_errors=True)
    note(f"{total['appended']} appends, {total['chunks']} acknowledged, {total['delivered']} delivered, {total['faults']} faults: {total['findings']} findings; SEED={SEED}")
    if PLANT:
        kinds = sorted(set(plants.PLANTS[PLANT][2]) & total["kinds"])
        print(f"the planted fault {PLANT} was {'found as ' + ', '.join(kinds) if kinds else 'NOT found'}", flush=True)
        return 0 if kinds else 1
    return 0 if good else 1


pulse = Pulse()
pulse.start()
total = {"kinds": set(), "chunks": 0, "appended": 0, "delivered": 0, "faults": 0, "findings": 0}
status = main()
sys.stdout.flush()
os._exit(status)    # a thread may still wait
