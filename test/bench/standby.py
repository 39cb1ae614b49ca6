"""S: readers on a hot standby: the time from an append to delivery to a reader that waits there, and the speed of one
that catches up. The standby shares this machine's CPUs with the primary."""

import contextlib
import os
import shlex
import subprocess

from latency import COUNT, GAP_US, SIZE, percentile
from report import Figure, show_values, spread
from runner import BenchError, PAYLOAD, progress, ratios
from catchup import PAGE, STREAM, rate

CHUNKS = 300_000
KINDS = {"rill": "stream_wait", "rill-read": "read with timeout", "rill-client": "librill"}


@contextlib.contextmanager
def standby(runner):
    """A streaming standby of the server; yields its socket directory."""
    prefix, home = shlex.split(os.environ["BENCH_AS_SERVER"]), os.path.join(os.environ["BENCH_SCRATCH"], "standby")
    data = os.path.join(home, "data")

    def run(*command):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"{command[0]}: {done.stderr.strip()[-2000:]}")
    run("mkdir", "-m", "700", home)
    run(f"{runner.bin}/pg_basebackup", "-D", data, "-R", "-c", "fast")
    run("sh", "-c", f"echo \"unix_socket_directories = '{home}'\" >> '{data}/postgresql.conf'")
    run(f"{runner.bin}/pg_ctl", "-D", data, "-l", os.path.join(home, "log"), "-w", "-s", "start")
    try:
        yield home
    finally:
        run(f"{runner.bin}/pg_ctl", "-D", data, "-m", "immediate", "-w", "-s", "stop")


def s(runner):
    runner.fresh_database("standby")
    progress(f"S: storing {CHUNKS} chunks")
    runner.psql(f"SELECT count(stream_append_many('bench-{STREAM + 1}', array_fill('{PAYLOAD}'::bytea, ARRAY[1000])))"
                f" FROM generate_series(1, {CHUNKS // 1000}); VACUUM stream_chunk")
    with standby(runner) as home:
        places = {"primary": "", "standby": f"host={home}"}

        def waiting(kind, place):
            os.environ["BENCH_READER"] = places[place]
            try:
                return runner.driver("latency", kind, COUNT, GAP_US, SIZE)["arrived"]
            finally:
                del os.environ["BENCH_READER"]

        def reading(place):
            here = os.environ["PGHOST"]
            os.environ["PGHOST"] = home if place == "standby" else here
            try:
                return rate(runner.driver("catchup", "client", STREAM + 1, CHUNKS, PAGE))
            finally:
                os.environ["PGHOST"] = here
        cases = {(kind, place): lambda k=kind, p=place: waiting(k, p) for kind in KINDS for place in places}
        raw = runner.alternate("S", cases, seldom=cases)
        rates = runner.alternate("S", {place: lambda p=place: reading(p) for place in places}, seldom=places)
    arrived = {f"{KINDS[kind]}, p{part}": {place: [percentile(run, part) for run in raw[kind, place]] for place in places}
               for kind in KINDS for part in (50, 99)}
    show_values("S  append call on the primary to delivery to a reader of the", "µs", arrived)
    show_values(f"S  librill's catch-up of {CHUNKS:,} chunks from the", "chunks/s", {PAGE: rates})
    figures = [Figure("S", f"p50 later on the standby than on the primary, {KINDS[kind]} [ms]",
                      spread([(percentile(b, 50) - percentile(a, 50)) / 1000 for a, b in zip(raw[kind, "primary"], raw[kind, "standby"])]),
                      20, "less") for kind in KINDS]
    figures.append(Figure("S", "catch-up, standby / primary", ratios(rates["standby"], rates["primary"]), None))
    return {"arrived": arrived, "rates": rates}, figures
