#!/usr/bin/env python3
"""Caps of calls over many streams are totals: at least one chunk in all, not one of each stream; shared out fairly, so
that every stream is served in turn; and a page's memory is what the cap allows.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, check, database, main, same  # noqa: E402


def names(prefix, count):
    return [f"{prefix}{i}" for i in range(count)]


def read_many(session, streams, cursors, **caps):
    """The chunks of one call as (stream, chunk_id, size)."""
    options = "".join(f", {name} => {'null' if value is None else value}" for name, value in caps.items())
    return session.rows(f"SELECT stream, chunk_id, length(data) FROM stream_read_many(%s, %s::bigint[]{options})", streams, cursors)


def fetched(session, streams, cursors, **caps):
    """Pages and their bytes of one stream_fetch."""
    options = "".join(f", {name} => {'null' if value is None else value}" for name, value in caps.items())
    return session.row(f"SELECT count(page), coalesce(sum(length(page)), 0) FROM stream_fetch(%s, %s::bigint[]{options})", streams, cursors)


def totals():
    """max_bytes and max_chunks are for all streams together."""
    session = Session(database=database())
    small = names("small", 10)
    for stream in small:
        session.run("SELECT stream_append(%s, convert_to(repeat('x', 1000), 'UTF8')) FROM generate_series(1, 3)", stream)
    start = [0] * 10
    same("10 streams of 1,000-byte chunks, max_bytes 10: one chunk in all", len(read_many(session, small, start, max_bytes=10)), 1)
    same("max_bytes 1000: one chunk", len(read_many(session, small, start, max_bytes=1000)), 1)
    same("max_bytes 2999: two chunks", len(read_many(session, small, start, max_bytes=2999)), 2)
    same("max_bytes 5000: five chunks", len(read_many(session, small, start, max_bytes=5000)), 5)
    same("max_chunks 1: one chunk", len(read_many(session, small, start, max_chunks=1)), 1)
    same("max_chunks 4: four chunks", len(read_many(session, small, start, max_chunks=4)), 4)
    same("both caps: the smaller one counts", len(read_many(session, small, start, max_chunks=4, max_bytes=2000)), 2)
    same("no cap: all", len(read_many(session, small, start, max_chunks=None, max_bytes=None)), 30)
    same("stream_fetch, max_bytes 10: one chunk in all", [fetched(session, small, start, max_bytes=10)[0],
         fetched(session, small, start, max_bytes=10)[1] < 1100], [1, True])
    same("stream_fetch, max_chunks 1: one page", fetched(session, small, start, max_chunks=1)[0], 1)
    pages, size = fetched(session, small, start, max_bytes=5000)
    check("stream_fetch, max_bytes 5000: five chunks", 5000 <= size < 5000 + 500 and pages <= 5, f"{pages} pages of {size} bytes")


def large_chunks():
    """64 streams with large chunks: one call's data stay within the cap."""
    session = Session(database=database())
    large = names("large", 64)
    for stream in large:
        session.run("SELECT stream_append(%s, convert_to(repeat('x', 500000), 'UTF8'))", stream)
    start = [0] * 64
    sizes = [row[2] for row in read_many(session, large, start, max_bytes=1_000_000)]
    check("stream_read_many: no more than max_bytes", 0 < sum(sizes) <= 1_000_000, f"{len(sizes)} chunks, {sum(sizes)} bytes")
    size = fetched(session, large, start, max_bytes=1_000_000)[1]
    check("stream_fetch: no more than max_bytes and the pages' heads", 0 < size <= 1_000_000 + 64 * 64, f"{size} bytes")
    sizes = [row[2] for row in read_many(session, large, start, max_bytes=1)]
    same("a chunk larger than the cap comes alone", sizes, [500000])


def drain(session, streams, **caps):
    """Reads everything by call after call; returns the calls' chunks, and when each stream was served first."""
    cursors = dict.fromkeys(streams, 0)
    calls, first = [], {}
    while len(calls) < 1000:
        chunks = read_many(session, streams, [cursors[s] for s in streams], **caps)
        if not chunks:
            break
        calls.append(chunks)
        for stream, chunk, _ in chunks:
            if chunk != cursors[stream] + 1:
                check("no chunk is left out", False, f"{stream}: {chunk} after {cursors[stream]}")
            cursors[stream] = chunk
            first.setdefault(stream, len(calls))
    return calls, first, cursors


def fairness():
    """A stream with much does not starve one with little, whatever their order in the array."""
    session = Session(database=database())
    little = names("little", 9)
    session.run("SELECT stream_append('much', 'x') FROM generate_series(1, 300)")
    for stream in little:
        session.run("SELECT stream_append(%s, 'x')", stream)
    for what, streams in (("first", ["much"] + little), ("last", little + ["much"])):
        calls, first, cursors = drain(session, streams, max_chunks=10)
        same(f"much {what}: call after call brings everything", [cursors["much"]] + [cursors[s] for s in little], [300] + [1] * 9)
        check(f"much {what}: each stream was served early", max(first[s] for s in streams) <= 20, first)
        check(f"much {what}: no call goes beyond the cap", max(len(c) for c in calls) <= 10, max(len(c) for c in calls))
        calls, first, cursors = drain(session, streams, max_chunks=1)
        same(f"much {what}, one chunk a call: everything comes", sum(cursors.values()), 309)
        check(f"much {what}, one chunk a call: each stream was served in turn", max(first[s] for s in streams) <= 40, first)
        check(f"much {what}, one chunk a call: and no more", {len(c) for c in calls} == {1}, {len(c) for c in calls})


main(totals, large_chunks, fairness)
