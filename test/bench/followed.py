"""P7: one client that follows 100,000 streams, half of which do not exist yet."""

from latency import COUNT, GAP_US, SIZE, percentile
from report import Figure, show_values, spread
from runner import progress, ratios

SAMPLES = 200


def p7(runner, count):
    runs, beside = [], []
    for turn in range(min(3, runner.rounds)):
        progress(f"P7: round {turn + 1}")
        runner.fresh_database(f"p7_{turn}")  # without the streams that the last round created
        runner.psql(f"""
            SET synchronous_commit = off;
            SELECT count(*) FROM (SELECT stream_append('bench-' || i, 'first') FROM generate_series(1, {count // 2}) i) a;""")
        runner.psql("VACUUM ANALYZE stream, stream_chunk, stream_state")
        runner.checkpoint()
        runs.append(runner.driver("followed", count, SAMPLES))
        beside.append(runner.driver("latency", "rill-client", COUNT, GAP_US, SIZE))
    progress("")
    first = [percentile(run["arrived"], 50) for run in runs]
    values = {"opening them all [s]": [run["open"] for run in runs],
              "memory for each [bytes]": [run["bytes"] for run in runs],
              "one poll, time of its session [ms]": [run["poll_ms"] for run in runs],
              "append to a new stream until its reader has it, p50 [µs]": first,
              "the append alone, p50 [µs]": [percentile(run["returned"], 50) for run in runs]}
    show_values(f"P7  {count:,} streams followed by one client, half of them not there yet", "unit in the row",
                {label: {"librill": measured} for label, measured in values.items()})
    usual = [percentile(run["arrived"], 50) for run in beside]
    return {"values": values, "usual": usual}, [
        Figure("P7", "opening them all [s]", spread(values["opening them all [s]"]), 2.0, "less"),
        Figure("P7", "memory for each [bytes]", spread(values["memory for each [bytes]"]), 1024, "less"),
        Figure("P7", "one poll, time of its session [ms]", spread(values["one poll, time of its session [ms]"]), 50, "less"),
        Figure("P7", "an append to a stream that was not there / P4 of librill", ratios(first, usual), 2.0, "less"),
    ]
