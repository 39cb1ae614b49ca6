"""P8: the cost of a chunk as streams, waiting sessions and chunks grow. For comparison, the plain table with the same
rows, where only the cost of the B-tree grows."""

from appends import SCRIPTS
from report import Figure, show_values
from runner import PAYLOAD, progress, ratios

SIZES = (16, 256, 4096, 65536, 1048576)
WAITERS = (0, 1, 50, 200)
# No waiting for the disk: work is what grows, not the latency of the disk.
UNSYNCED = "-c synchronous_commit=off"


def p8(runner, most_streams):
    counts = [n for n in (1000, 10_000, 100_000, 1_000_000) if n <= most_streams]
    streams, figures = grow_streams(runner, counts)
    waiters = grow_waiters(runner)
    sizes = grow_chunks(runner)
    last = waiters[WAITERS[-1]]["pg_rill"]
    figures.append(Figure("P8", f"append rate, {WAITERS[-1]} waiting sessions / none", ratios(last, waiters[0]["pg_rill"]), None))
    for size in SIZES:
        figures.append(Figure("P8", f"chunks of {size:,} bytes, / plain INSERT", ratios(sizes[size]["pg_rill"], sizes[size]["plain"]), None))
    return {"streams": streams, "waiters": waiters, "sizes": sizes}, figures


def grow_streams(runner, counts):
    runner.fresh_database("p8_streams")
    runner.psql("CREATE EXTENSION pageinspect; ALTER SEQUENCE plain_id RESTART 1000")
    appends, reads, depth, have = {}, {}, {}, 0
    for count in counts:
        progress(f"P8: {count} streams")
        runner.psql(f"""
            SET synchronous_commit = off;
            DO $$BEGIN
              FOR i IN {have + 1} .. {count} LOOP
                PERFORM stream_append('bench-' || i, '{PAYLOAD}');
                IF i % 1000 = 0 THEN COMMIT; END IF;
              END LOOP;
            END$$;
            INSERT INTO plain_chunk SELECT i, 1, 1, now(), false, '{PAYLOAD}' FROM generate_series({have + 1}, {count}) i;""")
        runner.psql("VACUUM ANALYZE stream, stream_chunk, plain_chunk")
        have = count
        depth[count] = 1 + int(runner.psql("SELECT level FROM bt_metap('stream_chunk_pkey')"))
        rates = runner.alternate(f"P8, {count} streams, append", {
            name: lambda kind=kind: runner.load(kind, 1, count, len(PAYLOAD), UNSYNCED)
            for kind, name in (("rill", "pg_rill"), ("plain", "plain"))})
        appends[count] = microseconds(rates)
        some = f"\\set s random(1, {count})\n"
        rates = runner.alternate(f"P8, {count} streams, read", {
            "pg_rill": lambda: runner.pgbench(some + "SELECT chunk_id, data FROM stream_read_since('bench-' || :s, 0, 1);", 1),
            "plain": lambda: runner.pgbench(some + "SELECT chunk_id, data FROM plain_chunk WHERE stream_id = :s AND chunk_id > 0 "
                                                   "ORDER BY chunk_id LIMIT 1;", 1)})
        reads[count] = microseconds(rates)
    show_values("P8  an append to one of this many streams, one writer, no fsync", "µs", appends)
    show_values("P8  a read of one chunk of one of this many streams, one reader", "µs", reads)
    print("     depth of the index: " + ", ".join(f"{d} at {n:,}" for n, d in depth.items()))
    figures = []
    if len(counts) > 1:
        deeper = depth[counts[-1]] / depth[counts[0]]
        for what, values in (("append", appends), ("read", reads)):
            figures.append(Figure("P8", f"{what}: cost at {counts[-1]:,} streams / at {counts[0]:,}; goal: the index's depth",
                                  ratios(values[counts[-1]]["pg_rill"], values[counts[0]]["pg_rill"]), deeper, "less"))
            figures.append(Figure("P8", f"{what}: the same for the plain table",
                                  ratios(values[counts[-1]]["plain"], values[counts[0]]["plain"]), None, "less"))
    return {"append_us": appends, "read_us": reads, "depth": depth}, figures


def microseconds(rates):
    return {name: [1e6 / rate for rate in values] for name, values in rates.items()}


def grow_waiters(runner):
    runner.fresh_database("p8_waiters")

    def run(count):
        with runner.readers("sessions" if count else None, count, 1001, max(count, 1)):
            return runner.pgbench(SCRIPTS["pg_rill"], 8, payload=PAYLOAD)
    rates = runner.alternate("P8, waiting sessions", {count: lambda count=count: run(count) for count in WAITERS}, seldom=WAITERS)
    values = {count: {"pg_rill": rates[count]} for count in WAITERS}
    show_values("P8  appends by 8 writers while this many sessions wait on other streams", "chunks/s", values)
    return values


def grow_chunks(runner):
    runner.fresh_database("p8_sizes")
    values = {size: runner.alternate(f"P8, chunks of {size} bytes", {
        name: lambda kind=kind: runner.load(kind, 8, 64, size) for kind, name in (("rill", "pg_rill"), ("plain", "plain"))},
        seldom=("pg_rill", "plain")) for size in SIZES}
    show_values("P8  appends by 8 writers, by bytes a chunk", "chunks/s", values)
    return values
