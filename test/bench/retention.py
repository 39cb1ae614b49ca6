"""P9: appends beside retention, in a steady state. Autovacuum is on, with its default settings.

Two loads: one chunk a commit to one of 64 streams, at half of what the machine can do, max_age 30 s; and batches of 100 to
100 streams, 30,000 chunks a second, max_age 10 s. Each runs without limits, with them, and the first also while another
session holds a transaction open for the middle half of the run: dead rows then stay, and the run shows that they go when it
ends. Once a second: the oldest chunk, sizes, dead rows.

Must survive: a machine that cannot keep up (pgbench then reports less than the rate asked for)."""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import time

from report import Figure, number
from runner import PAYLOAD, BenchError, progress

STREAMS = 64
SINGLE = f"\\set s random(1, {STREAMS})\nSELECT stream_append('r-' || :s, :payload);"
BATCH_STREAMS, BATCH_RATE, BATCH_AGE = 100, 300, 10
BATCH = f"\\set s random(1, {BATCH_STREAMS})\nSELECT stream_append_many('r-' || :s, array_fill(:payload::bytea, ARRAY[100]));"
AGE, INTERVAL = 30, 60
STEADY = INTERVAL + 15  # s; before that retention may not have come yet
WRITERS = 32
SAMPLE = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(first_at)), 0), pg_table_size('stream_chunk'),
       pg_indexes_size('stream_chunk'), pg_stat_get_dead_tuples('stream_chunk'::regclass)
  FROM stream_info;
SELECT coalesce(sum(trimmed_chunks), 0), extract(epoch FROM max(retention_lag)) FROM stream_stat;
SELECT read_us();
"""
# The median time of a read of one chunk from cursor 0.
READ = """
CREATE FUNCTION read_us() RETURNS float LANGUAGE plpgsql AS $$
DECLARE times float[]; began timestamptz; name text;
BEGIN
  FOR name IN SELECT 'r-' || i FROM generate_series(1, 16) i LOOP
    began := clock_timestamp();
    PERFORM FROM stream_read_since(name, 0, 1);
    times := times || 1000000 * extract(epoch FROM clock_timestamp() - began)::float;
  END LOOP;
  RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(times) t);
END $$;
"""


def settings(runner, on):
    """The server's own defaults, as long as a section lasts."""
    for name, value in (("autovacuum", "on"), ("pg_rill.retention_interval", f"{INTERVAL}s")):
        runner.psql(f"ALTER SYSTEM SET {name} = '{value}'" if on else f"ALTER SYSTEM RESET {name}", "postgres")
    runner.psql("SELECT pg_reload_conf()", "postgres")


@contextlib.contextmanager
def held_transaction(runner, begin, seconds):
    """A snapshot that is held from `begin` on, in seconds from now."""
    steps = (f"SELECT pg_sleep({begin})", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT FROM stream LIMIT 1",
             f"SELECT pg_sleep({seconds})", "COMMIT")
    command = [f"{runner.bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", runner.database,
               *(word for step in steps for word in ("-c", step))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield
        if process.poll() != 0:  # it ends at three quarters of the run
            raise BenchError(f"P9: the transaction was not held open: exit status {process.returncode}")
    finally:
        process.terminate()
        said = process.communicate()[1]
        if said:
            print(said, file=sys.stderr)


def steady(runner, name, script, streams, rate, seconds, max_age=None, held=None):
    """One run: {"rate", "latency" (ms by second), "samples"}; a sample is [s, age, table, indexes, dead, trimmed, lag, read us]."""
    runner.fresh_database("p9")
    runner.psql(READ)
    if max_age:
        runner.psql(f"SELECT stream_create('r-' || i, max_age => '{max_age} s') FROM generate_series(1, {streams}) i")
    path = os.path.join(runner.scratch.name, "p9.sql")
    with open(path, "w", encoding="utf-8") as file:
        file.write(script + "\n")
    command = [f"{runner.bin}/pgbench", "-n", "-M", "prepared", "-c", str(WRITERS), "-j", "2", "-T", str(seconds), "-P", "1",
               "-f", path, "-D", f"payload={PAYLOAD}", *(["-R", str(rate)] if rate else [])]
    samples, began = [], time.monotonic()
    with held_transaction(runner, *held) if held else contextlib.nullcontext():
        with open(os.path.join(runner.scratch.name, "p9.out"), "w+", encoding="utf-8") as out:
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            while process.poll() is None:
                progress(f"P9: {name}, {time.monotonic() - began:.0f} of {seconds} s")
                values = [float(v or 0) for v in re.split(r"[|\n]", runner.psql(SAMPLE))]
                samples.append([round(time.monotonic() - began, 1), *values])
                time.sleep(1)
            out.seek(0)
            said = out.read()
    done = re.search(r"tps = ([\d.]+)", said)
    if process.returncode != 0 or not done:
        raise BenchError(f"pgbench in P9:\n{said[-2000:]}")
    latency = [float(ms) for ms in re.findall(r"lat ([\d.]+) ms", said)]
    return {"rate": float(done[1]), "latency": latency, "samples": samples}


def column(run, i, since=0.0, until=float("inf")):
    return [s[i] for s in run["samples"] if since <= s[0] <= until]


def dead(run, while_):
    """The mean number of dead rows then."""
    return max(statistics.mean(column(run, 4, *while_)), 1)


def growth(run, i, seconds):
    """The size at the end relative to that at two thirds of the run."""
    last = column(run, i)
    middle = column(run, i, seconds * 0.6, seconds * 0.7)
    return last[-1] / max(middle) if middle and max(middle) > 0 else 1.0


def show(name, run, seconds):
    print(f"\nP9  {name}: {run['rate']:,.0f} appends/s")
    print(f"{'s':>8}{'oldest [s]':>12}{'table [MB]':>12}{'index [MB]':>12}{'dead rows':>12}{'removed':>14}{'lag [s]':>10}{'read [us]':>11}{'append [ms]':>13}")
    step = max(1, len(run["samples"]) // 12)
    for sample in run["samples"][::step] + run["samples"][-1:]:
        at = min(int(sample[0]), len(run["latency"]) - 1)
        latency = run["latency"][at] if run["latency"] else float("nan")
        print(f"{sample[0]:>8.0f}{sample[1]:>12.1f}{sample[2] / 1e6:>12.0f}{sample[3] / 1e6:>12.0f}{sample[4]:>12,.0f}{sample[5]:>14,.0f}"
              f"{sample[6]:>10.1f}{sample[7]:>11.0f}{latency:>13.2f}", flush=True)


def p9(runner):
    seconds = runner.options.retention_seconds
    settings(runner, True)
    try:
        most = steady(runner, "the most", SINGLE, STREAMS, None, min(10, seconds))["rate"]
        rate = round(most / 2)
        runs = {
            "one chunk a commit, no limits": steady(runner, "no limits", SINGLE, STREAMS, rate, seconds),
            f"one chunk a commit, max_age {AGE} s": steady(runner, "max_age", SINGLE, STREAMS, rate, seconds, AGE),
            "the same, a transaction held open": steady(runner, "held", SINGLE, STREAMS, rate, seconds, AGE,
                                                        (seconds / 4, seconds / 2)),
            "batches of 100, no limits": steady(runner, "batches", BATCH, BATCH_STREAMS, BATCH_RATE, seconds),
            f"batches of 100, max_age {BATCH_AGE} s": steady(runner, "batches, max_age", BATCH, BATCH_STREAMS, BATCH_RATE, seconds,
                                                             BATCH_AGE),
        }
    finally:
        settings(runner, False)
    progress("")
    for name, run in runs.items():
        show(name, run, seconds)
    free, limited, held, batches, limited_batches = runs.values()
    at_release, at_end = (seconds * 0.7, seconds * 0.75), (seconds * 0.9, seconds + 1)
    figures = [Figure("P9", f"appends at {rate:,}/s with retention / without", one(limited["rate"] / free["rate"]), 0.9),
               Figure("P9", f"oldest chunk [s], max_age {AGE} s", one(max(column(limited, 1, STEADY))), 2 * AGE + INTERVAL, "less"),
               Figure("P9", "table at the end / at two thirds", one(growth(limited, 2, seconds)), 1.1, "less"),
               Figure("P9", "indexes at the end / at two thirds", one(growth(limited, 3, seconds)), 1.1, "less"),
               Figure("P9", "transaction held open: appends / without retention", one(held["rate"] / free["rate"]), 0.9),
               Figure("P9", "transaction held open: oldest chunk [s]", one(max(column(held, 1, STEADY))), 2 * AGE + INTERVAL, "less"),
               Figure("P9", "transaction held open: dead rows at its end / without it", one(dead(held, at_release) / dead(limited, at_release)), 1.5),
               Figure("P9", "transaction held open: dead rows at the end / without it", one(dead(held, at_end) / dead(limited, at_end)), 2.0, "less"),
               Figure("P9", "transaction held open: table at the end / at its end",
                      one(column(held, 2)[-1] / max(column(held, 2, *at_release))), 1.1, "less"),
               Figure("P9", "transaction held open: read from 0 [us], longest / without",
                      one(max(column(held, 7, 5)) / max(max(column(limited, 7, 5)), 1)), None),
               Figure("P9", "batches of 100: with retention / without", one(limited_batches["rate"] / batches["rate"]), 0.9),
               Figure("P9", f"batches of 100: oldest chunk [s], max_age {BATCH_AGE} s", one(max(column(limited_batches, 1, STEADY))),
                      2 * BATCH_AGE, "less")]
    print(f"\nthe most: {number(most)} appends/s")
    return {"most": most, "runs": runs}, figures


def one(value):
    return {"median": value}
