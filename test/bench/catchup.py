"""P6: a reader that catches up from the beginning: 1 M chunks of 100 bytes in pages of 10,000."""

from report import Figure, show_values, spread
from runner import PAYLOAD, progress, ratios

STREAM, PAGE = 1, 10_000
KINDS = {"client": "librill", "read_since": "stream_read_since", "plain": "plain SELECT"}


def p6(runner, chunks):
    runner.fresh_database("p6")
    progress(f"P6: storing {chunks} chunks")
    runner.psql(f"""
        SET synchronous_commit = off;
        SELECT count(stream_append_many('bench-{STREAM}', array_fill('{PAYLOAD}'::bytea, ARRAY[1000])))
          FROM generate_series(1, {chunks // 1000});
        INSERT INTO plain_chunk SELECT {STREAM}, chunk_id, epoch, appended_at, eof, data
          FROM stream_chunk ORDER BY stream_id, chunk_id;
        VACUUM ANALYZE stream_chunk, plain_chunk;""")
    values = {PAGE: runner.alternate("P6", {
        name: lambda kind=kind: rate(runner.driver("catchup", kind, STREAM, chunks, PAGE)) for kind, name in KINDS.items()})}
    show_values(f"P6  catch-up of {chunks:,} chunks of {len(PAYLOAD)} bytes, by chunks a page", "chunks/s", values)
    by_kind = values[PAGE]
    return {"values": values, "chunks": chunks}, [
        Figure("P6", "librill / plain SELECT", ratios(by_kind["librill"], by_kind["plain SELECT"]), 1.0),
        Figure("P6", "stream_read_since / plain SELECT", ratios(by_kind["stream_read_since"], by_kind["plain SELECT"]), 0.9),
        Figure("P6", "librill, chunks/s", spread(by_kind["librill"]), 1_000_000),
    ]


def rate(said):
    return said["chunks"] / said["seconds"]
