#!/usr/bin/env python3
"""stream_status() and a row of stream_info are of one moment, beside a writer too; their cost is that of the rows selected
and does not grow with the streams' chunks; stream_size() counts under one snapshot.

Costs are counted in pages, not measured in time. Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, check, database, main, one_of, same  # noqa: E402

STATUS = "SELECT first_id, head_id, last_data_id, closed, trimmed_through, metadata ->> 'head' FROM stream_status('s')"
INFO = "SELECT first_id, head_id, last_data_id, closed, trimmed_through, metadata ->> 'head' FROM stream_info WHERE name = 's'"
KEPT = 5


class Writer:
    """Transactions that each append a chunk, trim the stream to the last five, and say the head in the metadata; every
    20th closes the stream, the next one deletes it and creates it again. Until stop()."""

    def __init__(self, name):
        self.session = Session(database=name)
        self.stopped = threading.Event()
        self.transactions = 0
        self.error = None
        self.session.run("SELECT stream_append('s', 'x') FROM generate_series(1, 5)")
        self.session.attempt("SELECT stream_set_metadata('s', '{\"head\": 5}')")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            head = 5
            while not self.stopped.is_set():
                self.transactions += 1
                self.session.run("BEGIN")
                if self.transactions % 20 == 0:
                    head = self.session.value("SELECT stream_close('s')")
                elif self.transactions % 20 == 1 and self.transactions > 1:
                    self.session.run("SELECT stream_delete('s')")
                    head = self.session.value("SELECT max(stream_append('s', 'x')) FROM generate_series(1, 5)")
                else:
                    head = self.session.value("SELECT stream_append('s', 'x')")
                    self.session.run(f"SELECT stream_trim('s', {head - KEPT + 1})")
                self.session.run("SELECT stream_set_metadata('s', %s)", f'{{"head": {head}}}')
                self.session.run("COMMIT")
        except Exception as error:
            self.error = error

    def stop(self):
        self.stopped.set()
        self.thread.join(30)
        self.session.attempt("ROLLBACK")


def true_together(row):
    first, head, last_data, closed, trimmed, said = row
    return (said == str(head) and last_data == head - closed and first == trimmed + 1 and head - trimmed == KEPT + closed)


def one_moment():
    """What a row says was true together, beside a writer that changes all of it in each transaction."""
    name = database()
    writer = Writer(name)
    reader = Session(database=name)
    for what, sql in (("stream_status", STATUS), ("stream_info", INFO)):
        seen, wrong = set(), []
        end = time.monotonic() + 20
        try:
            while (len(seen) < 400 or not any(row[3] for row in seen)) and time.monotonic() < end and writer.error is None:
                row = reader.row(sql)
                seen.add(row)
                if not true_together(row):
                    wrong.append(row)
        except Exception as error:
            wrong.append(error)
        check(f"{what}: every row was true at one moment", not wrong and len(seen) > 50, f"{len(wrong)} of {len(seen)} rows: {wrong[:3]}")
        check(f"{what}: open and closed were seen", {row[3] for row in seen} == {True, False}, f"{len(seen)} rows")
    writer.stop()
    check("the writer wrote", writer.error is None and writer.transactions > 100, f"{writer.transactions} transactions, {writer.error!r}")

    # Under REPEATABLE READ: of the transaction's own moment.
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    before = reader.attempt("SELECT head_id FROM stream_status('s')")
    writer.session.attempt("SELECT stream_delete('s')")
    writer.session.run("SELECT stream_append('s', 'x') FROM generate_series(1, 3)")
    same("REPEATABLE READ: the snapshot's own state", reader.attempt("SELECT head_id FROM stream_status('s')"), before)
    reader.attempt("COMMIT")


def counted():
    """stream_status and stream_size of a stream in each state."""
    session = Session(database=database())
    status = "SELECT first_id, head_id, last_data_id, closed, trimmed_through FROM stream_status('{}')"
    size = "SELECT chunks, bytes FROM stream_size('{}', {})"

    def row(sql):
        try:
            return session.row(sql)
        except Exception as error:
            return getattr(error, "pgcode", error)
    same("a stream that is not there", row("SELECT (s IS NULL) FROM (SELECT stream_id, created_at, first_id, last_data_id, first_at, last_at,"
         " metadata, max_chunks FROM stream_status('none')) s"), (True,))
    same("its head and closed", row("SELECT head_id, closed FROM stream_status('none')"), (0, False))
    session.run("SELECT stream_create('s')")
    one_of("an empty stream", row(status.format("s")), ((None, 0, None, False, 0), (None, 0, 0, False, 0)))
    session.run("SELECT stream_append('s', 'abc') FROM generate_series(1, 4)")
    session.run("BEGIN; SELECT stream_append('s', 'gone'); ROLLBACK")
    session.run("SELECT stream_append('s', 'abc')")
    same("four chunks, a gap, one chunk", row(status.format("s")), (1, 6, 6, False, 0))
    same("its size", row(size.format("s", 0)), (5, 15))
    same("its size after a cursor", row(size.format("s", 3)), (2, 6))
    session.run("SELECT stream_trim('s', 3)")
    same("trimmed", row(status.format("s")), (3, 6, 6, False, 2))
    session.run("SELECT stream_close('s')")
    same("closed: an empty EOF is no data", row(status.format("s")), (3, 7, 6, True, 2))
    same("the EOF does not count", row(size.format("s", 0)), (3, 9))
    session.run("SELECT stream_append('t', 'abc', eof => true)")
    same("closed by a chunk with data", row(status.format("t")), (1, 1, 1, True, 0))
    session.run("SELECT stream_trim('s', 100)")
    one_of("trimmed to the EOF", row(status.format("s")), ((7, 7, None, True, 6), (7, 7, 0, True, 6)))
    other = Session(database=session.connection.info.dbname)
    other.run("SELECT stream_append('u', 'a')")
    other.run("BEGIN; SELECT stream_append('u', 'b')")
    session.run("SELECT stream_append('u', 'c')")
    same("an append that is not decided holds back what is readable", row(status.format("u")), (1, 1, 1, False, 0))
    same("and what is counted", row(size.format("u", 0)), (1, 1))
    other.run("COMMIT")
    same("until it is committed", row(status.format("u")), (1, 3, 3, False, 0))


def pages(session, sql):
    """Pages that a query touched, by EXPLAIN: the second time, when the catalogue is known."""
    plan = None
    for _ in range(3):
        plan = session.value(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}")[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def cost():
    """The cost of a row does not grow with the stream, nor that of a prefix with the streams that do not match."""
    name = database()
    session = Session(database=name, net="120s")
    queries = {
        "stream_status": "SELECT * FROM stream_status('{s}')",
        "closed of stream_info": "SELECT closed FROM stream_info WHERE name = '{s}'",
        "a whole row of stream_info": "SELECT * FROM stream_info WHERE name = '{s}'",
    }
    for stream, count in (("little", 10), ("much", 30000)):
        session.run(f"SELECT stream_append_many('{stream}', array_fill(convert_to(repeat('x', 100), 'UTF8'), ARRAY[{count}]))")
    session.run("VACUUM ANALYZE")
    for what, sql in queries.items():
        try:
            little, much = pages(session, sql.format(s="little")), pages(session, sql.format(s="much"))
        except Exception as error:
            check(f"{what}: as many pages for 30,000 chunks as for 10", False, error)
            continue
        check(f"{what}: as many pages for 30,000 chunks as for 10", much <= little + 20, f"{little} and {much}")
    try:
        few = pages(session, "SELECT chunks FROM stream_size('much', 29990)")
        check("stream_size: its cost is that of what it counts", few <= 60, few)
    except Exception as error:
        check("stream_size: its cost is that of what it counts", False, error)

    session.run("SELECT stream_append(format('run-%s/%s', i / 10, i % 10), 'x') FROM generate_series(0, 4999) i")
    session.run("VACUUM ANALYZE")
    prefix = "SELECT name, closed, head_id FROM stream_info WHERE name ^@ 'run-42/'"
    same("the streams of a prefix", len(session.rows(prefix)), 10)
    plan = session.value(f"EXPLAIN (FORMAT JSON) {prefix}")
    check("a prefix uses the index of names", "stream_name_key" in str(plan) and "Seq Scan" not in str(plan), plan)
    some = pages(session, prefix)
    check("its cost is that of its ten streams", some < 400, some)
    every = pages(session, "SELECT count(*) FROM (SELECT * FROM stream_info OFFSET 0) i")
    check("all streams: by the stream, not by the chunk", every < 5002 * 40, every)


main(counted, one_moment, cost)
