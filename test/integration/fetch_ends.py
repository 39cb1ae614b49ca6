#!/usr/bin/env python3
"""stream_fetch describes the end of each stream (head, its epoch, last data chunk, closed) under the snapshot of the pages
that it returns, at a cost that is that of the pages.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Session, check, database, main, same  # noqa: E402

FETCH = "SELECT n, page, more, sqlstate, head_id, head_epoch, last_data_id, closed FROM stream_fetch({})"
STATUS = "SELECT head_id, last_data_id, closed FROM stream_status(%s)"


def scene():
    return Session(database=database())


def last_of(page):
    """The last chunk of a page: its id, epoch and EOF flag. See extension/src/core/page.hpp."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = page[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    at = 1
    count, chunk, epoch, eof = varint(), 0, None, False
    for _ in range(count):
        flags = page[at]
        at += 1
        delta = varint()
        chunk += delta
        if flags & 2:
            epoch = int.from_bytes(page[at:at + 4], "little", signed=True)
            at += 4
        varint()
        size = varint()
        at += size
        eof = bool(flags & 1)
    assert at == len(page)
    return chunk, epoch, eof


def ends(session, arguments):
    """Of each stream: number, id of its last page's last chunk, more, SQLSTATE, head, last data chunk, closed."""
    result = {}
    for n, page, more, sqlstate, head, epoch, data, closed in session.rows(FETCH.format(arguments)):
        last = last_of(bytes(page)) if page is not None else (None, None, None)
        if n in result:
            assert result[n][3] is None, "only the last row of a stream describes its end"
        result[n] = (last[0], more, sqlstate, head, data, closed)
        if head is not None and head == last[0]:
            assert (epoch, closed) == last[1:], (epoch, closed, last)
    return [result[n] for n in sorted(result)]


def described():
    """Every kind of answer."""
    session = scene()
    session.run("SELECT stream_append_many('open', array_fill('x'::bytea, ARRAY[100]))")
    session.run("SELECT stream_append_many('ended', '{a,b}', eof => true); SELECT stream_append('closed', 'a'), stream_close('closed')")
    session.run("SELECT stream_create('empty'); SELECT stream_close('only EOF')")
    session.run("SELECT stream_append_many('trimmed', '{a,b,c}'); SELECT stream_append('all gone', 'x')")
    session.run("SELECT stream_trim('trimmed', 3), stream_trim('all gone', 9), stream_create('held')")
    session.run("SELECT stream_append('large', convert_to(repeat('x', 40000), 'UTF8')) FROM generate_series(1, 5)")
    for what, arguments, wanted in (
            ("all of it", "'{open}', '{0}'", [(100, False, None, 100, 100, False)]),
            ("a page that the caps end", "'{open}', '{0}', max_chunks => 10", [(10, True, None, 100, 100, False)]),
            ("one from the middle", "'{open}', '{50}', max_chunks => 10", [(60, True, None, 100, 100, False)]),
            ("an EOF with data", "'{ended}', '{0}'", [(2, False, None, 2, 2, True)]),
            ("an empty EOF", "'{closed}', '{0}'", [(2, False, None, 2, 1, True)]),
            ("the empty EOF alone", "'{closed}', '{1}'", [(2, False, None, 2, 1, True)]),
            ("before the empty EOF", "'{closed}', '{0}', max_chunks => 1", [(1, True, None, 2, 1, True)]),
            ("only an EOF", "'{\"only EOF\"}', '{0}'", [(1, False, None, 1, 0, True)]),
            ("several pages", "'{large}', '{0}'", [(5, False, None, 5, 5, False)]),
            ("trimmed", "'{trimmed}', '{0}'", [(3, False, None, 3, 3, False)]),
            ("behind what is kept", "'{trimmed}', '{1}'", [(None, False, "RL002", 3, 3, False)]),
            ("ahead", "'{open}', '{500}'", [(None, False, "RL003", 100, 100, False)]),
            ("no such stream", "'{none}', '{5}'", [(None, False, "RL007", 0, None, False)]),
            ("nothing new", "'{open,closed}', '{100,2}'", []),
            ("nothing new, cursors verified", "'{open,closed,empty,none}', '{100,2,0,0}', '{null,null,null,null}'",
             [(None, False, None, 100, 100, False), (None, False, None, 2, 1, True), (None, False, None, 0, 0, False), (None, False, None, 0, None, False)]),
            ("everything trimmed", "'{\"all gone\"}', '{1}', '{null}'", [(None, False, None, 0, 0, False)]),
            ("a transaction with its own chunks", "'{open}', '{100}'", [(101, False, None, 101, 101, False)])):
        if what.startswith("a transaction"):
            session.run("BEGIN; SELECT stream_append('open', 'own')")
        same(what, ends(session, arguments), wanted)
    session.run("ROLLBACK")
    rows = ends(session, "'{large,open,ended}', '{0,0,0}', max_chunks => 2")
    check("streams that the caps leave out", all(end[3:] == (head, head, head == 2) and (end[0] is not None or end[1])
                                                 for end, head in zip(rows, (5, 100, 2))) and len(rows) == 3, rows)
    other = Session(database=session.connection.info.dbname)
    other.run("BEGIN; SELECT stream_append('held', 'a')")
    session.run("SELECT stream_append('held', 'b')")
    same("held back by an open transaction", ends(session, "'{held}', '{0}', '{null}'"), [(None, False, None, 0, 0, False)])
    same("which is head for the others, too", session.value("SELECT head_id FROM stream_status('held')"), 0)
    other.run("ROLLBACK")
    same("and when it has ended", ends(session, "'{held}', '{0}'"), [(2, False, None, 2, 2, False)])


def one_moment():
    """Beside writers: what the rows say is true under one snapshot, which stream_status confirms."""
    session = scene()
    name = session.connection.info.dbname
    stop = threading.Event()
    errors = []

    def write(n):
        with Session(database=name) as writer:
            for i in range(100000):
                if stop.is_set():
                    return
                answer = writer.error(("SELECT stream_append('s', 'x')", "BEGIN; SELECT stream_append('s', 'x'); ROLLBACK",
                                       "SELECT stream_append_many('s', array_fill('x'::bytea, ARRAY[7]))",
                                       "SELECT stream_trim('s', greatest(stream_head('s') - 3000, 0))")[(i + n) % 4])
                if answer is not None:
                    errors.append(answer)
                    return
    session.run("SELECT stream_append('s', 'x')")
    writers = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in writers:
        thread.start()
    wrong, cursor, cut = [], 0, 0
    for i in range(400):
        most = (3, 50, 100000)[i % 3]
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ" if i % 2 else "BEGIN")
        if i % 2:
            session.run("SELECT 1")
        end = ends(session, f"'{{s}}', '{{{0 if i % 5 else cursor}}}', '{{null}}', {most}")[0]
        status = session.row(STATUS, "s") if i % 2 else None
        session.run("COMMIT")
        last, more, sqlstate, head, data, closed = end
        cut += more
        good = sqlstate == "RL002" or (head == data and not closed and (last is None or last <= head) and (more or last in (None, head)))
        if not good or (status is not None and (head, data, closed) != status):
            wrong.append((end, status))
        cursor = head if i % 7 else max(head - 2000, 0)
    stop.set()
    for thread in writers:
        thread.join()
    same("no answer mixes two moments", wrong[:3], [])
    check("some of them were cut by the caps", cut > 20, cut)
    same("the writers had no error", errors, [])


def cost():
    """The end costs an index access or two, however long the stream is: also the first time, while nobody else writes."""
    session = scene()
    session.run("SELECT stream_append_many('long', array_fill('x'::bytea, ARRAY[100000])) FROM generate_series(1, 2)")
    for what, arguments in (("the first page", "'{long}', '{0}', max_chunks => 10"), ("a page in the middle", "'{long}', '{100000}', max_chunks => 10"),
                            ("the last page", "'{long}', '{199995}'"), ("nothing new", "'{long}', '{200000}', '{null}'")):
        plan = session.value(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM stream_fetch({arguments})")[0]["Plan"]
        blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        check(f"{what} of 200,000 chunks: few blocks", blocks < 120, blocks)
    plan = session.value("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM stream_status('long')")[0]["Plan"]
    check("stream_status: few blocks", plan["Shared Hit Blocks"] < 120, plan)


main(described, one_moment, cost)
