"""P5: the cost of readers that have nothing to read. They wait on streams without appends."""

import time

from appends import SCRIPTS
from report import Figure, show_values, spread
from runner import PAYLOAD, progress, ratios

WRITERS, FIRST = 32, 1001
SITUATIONS = {"no readers": (None, 0), "200 sessions in stream_wait": ("sessions", 200), "1,000 readers of one client": ("client", 1000)}
IDLE_SECONDS = 11  # holds two of librill's polls, which come every 5 s
SETTLE_SECONDS = 12  # an idle session reports its counts up to 10 s late


def p5(runner):
    runner.fresh_database("p5")

    def writing(kind, count):
        def run():
            with runner.readers(kind, count, FIRST, max(count, 1)):
                return runner.pgbench(SCRIPTS["pg_rill"], WRITERS, payload=PAYLOAD)
        return run
    values = {WRITERS: runner.alternate("P5", {name: writing(*readers) for name, readers in SITUATIONS.items()})}
    show_values("P5  appends while readers are idle, by writers", "chunks/s", values)
    figures = []
    for name in list(SITUATIONS)[1:]:
        ratio = ratios(values[WRITERS][name], values[WRITERS]["no readers"])
        loss = {"median": 100 * (1 - ratio["median"]), "least": 100 * (1 - ratio["greatest"]), "greatest": 100 * (1 - ratio["least"])}
        figures.append(Figure("P5", f"{name}: writers lose [%]", loss, 3.0, "less"))

    queries = {name: [idle_transactions(runner, *readers)] for name, readers in SITUATIONS.items() if readers[0]}
    show_values(f"P5  transactions in {IDLE_SECONDS} s without appends", "transactions", {"": queries})
    for name, counts in queries.items():
        # Each poll is one transaction on the read connection and one health check on the LISTEN connection.
        polls = 2 * (IDLE_SECONDS // 5 + 1) if "client" in name else 0
        figures.append(Figure("P5", f"{name}: transactions in {IDLE_SECONDS} idle s", spread(counts), polls, "less"))
    return {"values": values, "idle_transactions": queries}, figures


def idle_transactions(runner, kind, count):
    """Counted by pg_stat_database, queried from another database so that the query does not count."""
    ask = f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{runner.database}'"
    with runner.readers(kind, count, FIRST, count):
        progress(f"P5: {kind} idle")
        time.sleep(SETTLE_SECONDS)
        before = int(runner.psql(ask, "postgres"))
        time.sleep(IDLE_SECONDS)  # the length of the measurement
        after = int(runner.psql(ask, "postgres"))
    progress("")
    return after - before
