#!/usr/bin/env python3
"""writer_seq under concurrency: 6 sessions append to one stream, with a writer_seq, with a producer of their own, with both,
or plainly, in transactions of several appends that commit, roll back, roll back to a savepoint or lose their connection. In
the end the committed chunks that have a writer_seq are in its order, and each session's answers agree with what is stored.
The seed is printed; set RILL_TEST_SEED to repeat a run.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import random
import sys
import threading

import psycopg2

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import PREFIX, Session, check, database, main, note, same, wait_for_lock  # noqa: E402

SESSIONS, TRANSACTIONS, DIGITS = 6, 150, 6
SEED = os.environ.get("RILL_TEST_SEED") or str(random.SystemRandom().randrange(10**9))
RETRY = {"40001", "40P01"}
COMMAND = ("SELECT outcome, chunk_id, producer_seq FROM stream_try_append('race', %s::bytea[], false, null, %s, %s, %s, %s)")


class Writer:
    """One session. It knows what it committed."""

    def __init__(self, number, name):
        self.dice = random.Random(f"{SEED}/{number}")
        self.number = number
        self.database = name
        self.producer = f"producer {number}"
        self.sequence = 0           # the last one that is committed
        self.stored = {}            # committed: last chunk id -> (writer_seq or None, sequence or None, chunks)
        self.counts = {}
        self.problems = []
        self.session = None

    def connect(self):
        self.session = Session(database=self.database, net="60s")

    def append(self, pending, sequence):
        """One append of a transaction; returns the producer's sequence after it."""
        dice = self.dice
        # Mostly above what is there, sometimes below; of several lengths, so that one can be the beginning of another.
        value = None
        if dice.random() < 0.7:
            value = f"{max(0, self.highest() + dice.randrange(-8, 50)):0{DIGITS}d}"[:DIGITS - dice.choice((0, 0, 0, 1))]
        number = None
        if dice.random() < 0.4:
            number = sequence + dice.choice((1, 1, 1, 1, 0, 2))
            number = max(number, 1)
        count = dice.choice((1, 1, 2, 5))
        data = [f"{value or '-'}/{self.number}/{number or 0}/{n}".encode() for n in range(count)]
        outcome, chunk_id, last = self.session.row(COMMAND, data, None if number is None else self.producer, None if number is None else 1,
                                                   number, value)
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if number is not None and number <= sequence:
            wanted = {"repeat"}
        elif number is not None and number > sequence + 1:
            wanted = {"gap"}
        else:
            wanted = {"stored"} if value is None else {"stored", "stale"}
        if outcome not in wanted:
            self.problems.append(f"{outcome} instead of {wanted} ({number}, {sequence}, {value})")
        if outcome == "repeat":
            known = {seq: chunk for chunk, (_, seq, _) in list(self.stored.items()) + list(pending.items())}
            if known.get(number) != chunk_id:
                self.problems.append(f"the repeat of {number} returned {chunk_id} instead of {known.get(number)}")
        if outcome == "stored":
            pending[chunk_id] = (value, number, data)
            sequence = number or sequence
        if number is not None and last != (sequence or None):
            self.problems.append(f"{outcome}: producer_seq {last} instead of {sequence}")
        return sequence

    def highest(self):
        last = self.session.value("SELECT max(writer_seq) FROM stream_producer WHERE producer = ''") or ""
        return int(last.ljust(DIGITS, "0"))

    def transaction(self):
        dice = self.dice
        pending, sequence = {}, self.sequence
        self.session.run("BEGIN ISOLATION LEVEL " + dice.choice(("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")))
        for _ in range(dice.choice((1, 1, 2, 3))):
            if dice.random() < 0.2:
                self.session.run("SAVEPOINT s")
                self.append(dict(pending), sequence)
                self.session.run("ROLLBACK TO s")
            else:
                sequence = self.append(pending, sequence)
        end = dice.random()
        if end < 0.2:
            self.session.run("ROLLBACK")
        elif end < 0.25:
            self.session.close()
            self.connect()
        else:
            self.session.run("COMMIT")
            self.stored.update(pending)
            self.sequence = sequence

    def run(self):
        try:
            self.connect()
            for _ in range(TRANSACTIONS):
                try:
                    self.transaction()
                except psycopg2.Error as error:
                    if error.pgcode not in RETRY:
                        raise
                    self.counts[error.pgcode] = self.counts.get(error.pgcode, 0) + 1
                    self.session.run("ROLLBACK")
        except Exception as error:      # any other error fails the test
            self.problems.append(repr(error))


def race():
    """Six writers of one stream."""
    note(f"RILL_TEST_SEED={SEED}")
    name = database()
    writers = [Writer(number, name) for number in range(SESSIONS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session = Session(database=name)
    problems = [f"session {w.number}: {problem}" for w in writers for problem in w.problems]
    check("every answer was one that it could be", not problems, "\n".join(problems[:10]))
    chunks = session.rows("SELECT chunk_id, data FROM stream_read_since('race', 0, max_chunks => null, max_bytes => null)")
    wanted = {}
    for writer in writers:
        for last, (_, _, data) in writer.stored.items():
            for n, bytes_of in enumerate(data):
                wanted[last - len(data) + 1 + n] = bytes_of
    same("what is stored is what was committed", [(chunk, bytes(data)) for chunk, data in chunks], sorted(wanted.items()))
    order = [value for _, value in sorted((last, value) for w in writers for last, (value, _, _) in w.stored.items() if value is not None)]
    check("each writer_seq is above the one before", all(a.encode() < b.encode() for a, b in zip(order, order[1:])), order)
    counts = {key: sum(w.counts.get(key, 0) for w in writers) for w in writers for key in w.counts}
    note(f"{len(order)} with a writer_seq; {counts}")
    check("every outcome was met", {"stored", "stale", "repeat", "gap"} <= set(counts), counts)
    for writer in writers:
        state = session.row("SELECT producer_seq FROM stream_producer_state('race', %s)", writer.producer)
        same(f"the state of {writer.producer}", state, (writer.sequence,) if writer.sequence else None)
    same("the last writer_seq is remembered", session.value("SELECT writer_seq FROM stream_producer WHERE producer = '' ORDER BY seq DESC LIMIT 1"),
         order[-1])


def prepared():
    """A prepared transaction is undecided: its writer_seq, producer and EOF are waited for, whoever decides them."""
    name = database()
    first, second, observer = Session(database=name), Session(database=name), Session(database=name)
    calls = (
        ("writer_seq", "'{a}', writer_seq => 'b'", "'{b}', writer_seq => 'a'", "stale"),
        ("a producer", "'{a}', producer => 'p', producer_epoch => 2, producer_seq => 1", "'{a}', producer => 'p', producer_epoch => 1, producer_seq => 1",
         "fenced"),
        ("its repeat", "'{a}', producer => 'p', producer_epoch => 1, producer_seq => 1", "'{a}', producer => 'p', producer_epoch => 1, producer_seq => 1",
         "repeat"),
        ("an EOF", "'{}', true", "'{a}', create_stream => false", "closed"),
        ("expected", "'{a}'", "'{a}', expected => 1", "mismatch"),
    )
    for what, held, asked, outcome in calls:
        for end, wanted in (("COMMIT", outcome), ("ROLLBACK", "stored")):
            stream = f"{what}, {end}"
            gid = f"{PREFIX} {stream}"
            first.run("SELECT stream_append(%s, 'first')", stream)
            first.run("BEGIN")
            first.run(f"SELECT stream_try_append('{stream}', {held})")
            first.run(f"PREPARE TRANSACTION '{gid}'")
            waiting = second.start(f"SELECT outcome FROM stream_try_append('{stream}', {asked})")
            check(f"{what} of a prepared transaction is waited for", wait_for_lock(observer, second.pid))
            observer.run(f"{end} PREPARED '{gid}'")
            same(f"after {end} PREPARED", waiting.answer(), wanted)


main(race, prepared)
