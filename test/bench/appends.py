"""P1, P2, P3: chunks appended per second, one call per commit, and in batches of 100."""

import contextlib
import subprocess

from report import Figure, show_values
from runner import PAYLOAD, ratios

STREAMS = 64
ANY = f"\\set s random(1, {STREAMS})\n"
BATCH = "{" + ",".join([PAYLOAD] * 100) + "}"


def insert(table, stream):
    return (f"INSERT INTO {table} (stream_id, epoch, appended_at, eof, data) "
            f"VALUES ({stream}, 1, clock_timestamp(), false, :payload);")


SCRIPTS = {
    "pg_rill": ANY + "SELECT stream_append('bench-' || :s, :payload);",
    "plain": ANY + insert("plain_chunk", ":s"),
    "notify": ANY + insert("notify_chunk", ":s"),
    "pgq": ANY + "SELECT pgq.insert_event('bench-' || :s, 'chunk', :payload);",
}
# Relative to a plain INSERT without readers. Sessions that wait on these very streams have no goal of their own.
GOALS = {"64 sessions wait on these streams": None, "200 sessions wait on others": 0.97, "a client follows these streams": 0.95}
HOT = {"pg_rill, one stream": f"SELECT stream_append('bench-{STREAMS + 1}', :payload);",
       "plain, one stream": insert("plain_chunk", STREAMS + 1)}
BATCHES = {"pg_rill": "SELECT stream_append_many('bench-1', :batch);",
           "plain": "INSERT INTO plain_chunk (stream_id, epoch, appended_at, eof, data) "
                    "SELECT 1, 1, clock_timestamp(), false, d FROM unnest(:batch::bytea[]) AS d;"}


def case(runner, rival, writers):
    if rival in ("redis", "nats"):
        return lambda: runner.load(rival, writers, STREAMS, len(PAYLOAD))
    return lambda: runner.pgbench({**SCRIPTS, **HOT}[rival], writers, payload=PAYLOAD)


def p1(runner):
    runner.fresh_database("p1")
    runner.rivals.prepare_pgq(runner, STREAMS)
    rivals = [r for r in ("pg_rill", "plain", "notify", "redis", "nats", "pgq") if runner.rivals.has(r)]
    values, figures = {}, []
    for writers in (1, 8, 32, 64):
        values[writers] = runner.alternate(f"P1, {writers} writers", {r: case(runner, r, writers) for r in rivals},
                                          seldom=("redis", "nats", "pgq"))
        figures.append(Figure("P1", f"{writers} writers, / plain INSERT", ratios(values[writers]["pg_rill"], values[writers]["plain"]), 0.97))
        figures.append(Figure("P1", f"{writers} writers, / NOTIFY trigger", ratios(values[writers]["pg_rill"], values[writers]["notify"]),
                              4.0 if writers >= 32 else None))
    show_values("P1  one chunk a commit, 64 streams, by writers", "chunks/s", values)
    return {"values": values}, figures


def p1_readers(runner):
    """The same with readers. The plain INSERT has none, so it shows the rate without readers."""
    runner.fresh_database("p1_readers")
    writers, values, figures = 32, {}, []
    situations = {
        "64 sessions wait on these streams": ("sessions", STREAMS, 1, STREAMS),
        "200 sessions wait on others": ("sessions", 200, 1001, 200),
        "a client follows these streams": ("client", STREAMS, 1, STREAMS),
    }
    for label, readers in situations.items():
        def ours(readers=readers):
            with runner.readers(*readers):
                return runner.pgbench(SCRIPTS["pg_rill"], writers, payload=PAYLOAD)

        def notify():
            with listener(runner):
                return runner.pgbench(SCRIPTS["notify"], writers, payload=PAYLOAD)
        values[label] = runner.alternate(f"P1, {label}", {"pg_rill": ours, "plain": case(runner, "plain", writers), "notify": notify})
        figures.append(Figure("P1", f"{writers} writers, {label}, / plain INSERT",
                              ratios(values[label]["pg_rill"], values[label]["plain"]), GOALS[label]))
        figures.append(Figure("P1", f"{writers} writers, {label}, / NOTIFY", ratios(values[label]["pg_rill"], values[label]["notify"]), 4.0))
    show_values("P1  the same with readers, 32 writers", "chunks/s", values)
    return {"values": values}, figures


@contextlib.contextmanager
def listener(runner):
    """One session that listens to the NOTIFY trigger. It reads no chunks."""
    psql = subprocess.Popen([f"{runner.bin}/psql", "-XAtq"], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    psql.stdin.write("LISTEN chunks;\nSELECT 1 \\watch 0.1\n")  # \watch makes psql receive notifications
    psql.stdin.close()
    try:
        yield
    finally:
        psql.terminate()
        psql.wait()


def p2(runner):
    runner.fresh_database("p2")
    values = {32: runner.alternate("P2, 32 writers", {r: case(runner, r, 32) for r in ("pg_rill, one stream", "pg_rill", "plain, one stream")})}
    show_values("P2  one hot stream, by writers", "chunks/s", values)
    return {"values": values}, [Figure("P2", "32 writers, one stream / 64 streams", ratios(values[32]["pg_rill, one stream"], values[32]["pg_rill"]), 0.9)]


def p3(runner):
    runner.fresh_database("p3")
    values = {1: runner.alternate("P3", {r: lambda r=r: 100 * runner.pgbench(BATCHES[r], 1, batch=BATCH) for r in BATCHES})}
    show_values("P3  batches of 100 (plain: INSERT … SELECT unnest), by writers", "chunks/s", values)
    return {"values": values}, [Figure("P3", "batches of 100, / INSERT … SELECT unnest", ratios(values[1]["pg_rill"], values[1]["plain"]), 1.0)]
