"""P4: time from the call of an append until the chunk is delivered to a reader that was waiting for it."""

import statistics

from report import Figure, show_values, spread
from runner import ratios

COUNT, GAP_US, SIZE = 500, 1000, 100
KINDS = {"rill": "pg_rill, stream_wait", "rill-read": "pg_rill, read with timeout", "rill-client": "pg_rill, librill",
         "notify": "NOTIFY + SELECT", "redis": "Redis Streams", "nats": "NATS JetStream"}


def percentile(values, part):
    return statistics.quantiles(values, n=100, method="inclusive")[part - 1]


def p4(runner):
    runner.fresh_database("p4")
    kinds = [k for k in KINDS if runner.rivals.has(k)]
    raw = runner.alternate("P4", {k: lambda k=k: runner.driver("latency", k, COUNT, GAP_US, SIZE) for k in kinds})
    values = {f"p{part}": {KINDS[k]: [percentile(run["arrived"], part) for run in raw[k]] for k in kinds} for part in (50, 99)}
    values["append returned, p50"] = {KINDS[k]: [percentile(run["returned"], 50) for run in raw[k]] for k in kinds}
    show_values("P4  append call to delivery", "µs", values)
    figures = []
    for kind in ("rill", "rill-read", "rill-client"):
        name = KINDS[kind]
        for part in ("p50", "p99"):
            if "redis" in kinds:
                figures.append(Figure("P4", f"{part}, {name} / Redis Streams", ratios(values[part][name], values[part][KINDS["redis"]]), 1.0, "less"))
        figures.append(Figure("P4", f"p50, {name} / NOTIFY + SELECT", ratios(values["p50"][name], values["p50"][KINDS["notify"]]), 0.8, "less"))
        figures.append(Figure("P4", f"p50 after the append has returned, {name} [µs]",
                              spread([percentile(run["arrived"], 50) - percentile(run["returned"], 50) for run in raw[kind]]), None, "less"))
    behind = [c - r for c, r in zip(values["p50"][KINDS["rill-client"]], values["p50"][KINDS["rill-read"]])]
    figures.append(Figure("P4", "p50 of librill, beyond the read with timeout [µs]", spread(behind), 25, "less"))
    return {"values": values, "samples": {KINDS[k]: [run["arrived"] for run in raw[k]] for k in kinds}}, figures
