#!/usr/bin/env python3
"""Random schedules of writers and readers: every committed chunk arrives exactly once, in order, at every reader.

8 writers append to 4 streams in transactions of random shape: several streams, batches, savepoints, failing statements,
sleeps; ended by commit, rollback, or PREPARE TRANSACTION followed by either; READ COMMITTED or REPEATABLE READ. 4 readers
follow all streams with random page sizes, ways of waiting and isolation levels. Meanwhile a "holder" keeps a transaction
open that has appended to every stream, and ends it only when the writers have completed a number of appends that began
later: if any append waited for an open transaction, the test would hang.

The PG* variables name the server. The amount of work is fixed, not the time. The seed is printed; set RILL_TEST_SEED to
repeat a run (each thread makes the same choices; how the threads interleave is not repeated).
"""
import os
import random
import sys
import threading
import time

import psycopg2
import psycopg2.errors

WRITERS, READERS, STREAMS = 8, 4, ["r0", "r1", "r2", "r3"]
TRANSACTIONS = 120          # per writer
HELD_APPENDS = 60           # the holder ends its transaction after this many
DEADLINE = 240              # seconds; generous, for a run that hangs
APPEND_LOCK = 29289         # objsubid of the streams' append locks
SEED = os.environ.get("RILL_TEST_SEED") or str(random.SystemRandom().randrange(10**9))

end_of_time = time.monotonic() + DEADLINE


class Failure(Exception):
    pass


class Shared:
    """State shared by the threads; protected by `changed`."""

    def __init__(self):
        self.changed = threading.Condition()
        self.problems = {}          # check -> first message
        self.committed = {stream: {} for stream in STREAMS}  # id -> token
        self.undone = set()         # tokens that must never arrive
        self.hold = 0               # number of the holder's current transaction, 0 between two
        self.held_appends = 0       # appends that began and completed during it
        self.most_held_appends = []
        self.writers_left = WRITERS
        self.repeated_reads = 0
        self.grown = []             # (reader, stream, last id, next id): a second read under one snapshot continued there
        self.stopped = False

    def problem(self, check, message):
        with self.changed:
            self.problems.setdefault(check, message)

    def stop(self):
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def check_time(self):
        if self.stopped:
            raise Failure("another thread has failed")
        if time.monotonic() > end_of_time:
            raise Failure(f"not finished after {DEADLINE} s")


shared = Shared()


def connect(name):
    connection = psycopg2.connect("", application_name=name)
    connection.autocommit = True
    cursor = connection.cursor()
    # An append that waits this long waits for something that does not end. A detected deadlock is an error, too.
    cursor.execute("SET lock_timeout = '60s'")
    return cursor


def one(cursor, sql, *arguments):
    cursor.execute(sql, arguments)
    return cursor.fetchone()[0]


class Writer:
    def __init__(self, number):
        self.name = f"writer {number}"
        self.random = random.Random(f"{SEED}/{self.name}")
        self.cursor = connect(self.name)
        self.serial = 0

    def append(self, levels):
        """One append to a random stream; the list of the innermost savepoint gets the stored chunks."""
        stream = self.random.choice(STREAMS)
        batch = self.random.choice([0, 0, 0, 1, 3, 3, 7, 150 if self.random.random() < 0.1 else 2])
        tokens = []
        for _ in range(max(batch, 1)):
            self.serial += 1
            tokens.append(f"{self.name}.{self.serial}")
        with shared.changed:
            hold = shared.hold
        if batch == 0:
            last = one(self.cursor, "SELECT stream_append(%s, %s)", stream, tokens[0].encode())
        else:
            last = one(self.cursor, "SELECT stream_append_many(%s, %s::bytea[])", stream, [t.encode() for t in tokens])
        with shared.changed:
            if hold != 0 and hold == shared.hold:
                shared.held_appends += 1
                shared.changed.notify_all()
        levels[-1] += [(stream, last - len(tokens) + 1 + i, token) for i, token in enumerate(tokens)]
        if self.random.random() < 0.3 and one(self.cursor, "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
                                              " AND locktype = 'advisory' AND objsubid = %s", APPEND_LOCK) > 0:
            shared.problem("append lock", f"{self.name} holds the append lock of {stream} between two statements")

    def undo(self, chunks):
        with shared.changed:
            shared.undone.update(token for _, _, token in chunks)

    def transaction(self, number):
        shared.check_time()
        level = self.random.choice(["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ"])
        self.cursor.execute(f"BEGIN ISOLATION LEVEL {level}")
        levels = [[]]               # per open savepoint: chunks stored and not rolled back
        for _ in range(self.random.randint(1, 8)):
            step = self.random.random()
            if step < 0.60:
                self.append(levels)
            elif step < 0.72:
                self.cursor.execute(f"SAVEPOINT s{len(levels)}")
                levels.append([])
            elif step < 0.85 and len(levels) > 1:
                if self.random.random() < 0.3:
                    try:
                        self.cursor.execute("SELECT 1 / 0")
                    except psycopg2.errors.DivisionByZero:
                        pass
                self.cursor.execute(f"ROLLBACK TO SAVEPOINT s{len(levels) - 1}")
                self.undo(levels[-1])
                levels[-1] = []
            elif step < 0.92 and len(levels) > 1:
                self.cursor.execute(f"RELEASE SAVEPOINT s{len(levels) - 1}")
                chunks = levels.pop()
                levels[-1] += chunks
            else:
                time.sleep(self.random.random() * 0.01)
        chunks = [chunk for level_chunks in levels for chunk in level_chunks]
        end = self.random.random()
        if end < 0.65:
            self.cursor.execute("COMMIT")
        elif end < 0.80:
            self.cursor.execute("ROLLBACK")
        else:
            gid = f"random_schedule {self.name} {number}"
            self.cursor.execute("PREPARE TRANSACTION %s", (gid,))
            time.sleep(self.random.random() * 0.01)
            self.cursor.execute(f"{'COMMIT' if end < 0.93 else 'ROLLBACK'} PREPARED %s", (gid,))
        if end < 0.65 or 0.80 <= end < 0.93:
            with shared.changed:
                for stream, chunk_id, token in chunks:
                    if shared.committed[stream].setdefault(chunk_id, token) != token:
                        shared.problems.setdefault("delivery", f"{stream} gave id {chunk_id} twice")
        else:
            self.undo(chunks)

    def run(self):
        try:
            for number in range(TRANSACTIONS):
                self.transaction(number)
        finally:
            with shared.changed:
                shared.writers_left -= 1
                shared.changed.notify_all()


class Holder(Writer):
    """Keeps a transaction open that has appended to every stream, again and again until the writers are done."""

    def __init__(self):
        super().__init__(0)
        self.name = "holder"
        self.random = random.Random(f"{SEED}/holder")
        self.round = 0

    def hold(self):
        self.round += 1
        self.cursor.execute("BEGIN")
        self.cursor.execute("SAVEPOINT held")
        chunks = []
        for stream in STREAMS:
            token = f"holder.{self.round}.{stream}"
            chunks.append((stream, one(self.cursor, "SELECT stream_append(%s, %s)", stream, token.encode()), token))
        way = self.random.choice(["COMMIT", "ROLLBACK", "ROLLBACK TO SAVEPOINT held", "PREPARED"])
        gid = f"random_schedule holder {self.round}"
        if way == "PREPARED":
            self.cursor.execute("PREPARE TRANSACTION %s", (gid,))
        with shared.changed:
            shared.hold = self.round
            shared.held_appends = 0
            while shared.held_appends < HELD_APPENDS and shared.writers_left > 0:
                if not shared.changed.wait(timeout=max(0, end_of_time - time.monotonic())) or shared.stopped:
                    shared.problems.setdefault("waiting", f"appends stalled while a transaction was open: only "
                                               f"{shared.held_appends} of {HELD_APPENDS}")
                    break
            shared.most_held_appends.append(shared.held_appends)
            shared.hold = 0
        if way == "PREPARED":
            self.cursor.execute("COMMIT PREPARED %s", (gid,))
        else:
            self.cursor.execute(way)
        if way.startswith("ROLLBACK"):
            self.undo(chunks)
            self.cursor.execute("COMMIT")
        else:
            with shared.changed:
                for stream, chunk_id, token in chunks:
                    shared.committed[stream][chunk_id] = token

    def run(self):
        while shared.writers_left > 0:
            shared.check_time()
            self.hold()


class Reader:
    def __init__(self, number):
        self.name = f"reader {number}"
        self.random = random.Random(f"{SEED}/{self.name}")
        self.cursor = connect(self.name)
        self.position = dict.fromkeys(STREAMS, 0)
        self.ended = set()
        self.chunks = {stream: [] for stream in STREAMS}

    def take(self, stream, rows):
        for chunk_id, data, eof in rows:
            if chunk_id <= self.position[stream]:
                shared.problem("delivery", f"{self.name}: {stream} {chunk_id} came after {self.position[stream]}")
            if stream in self.ended:
                shared.problem("delivery", f"{self.name}: {stream} {chunk_id} came behind EOF")
            self.position[stream] = chunk_id
            if eof:
                self.ended.add(stream)
            else:
                self.chunks[stream].append((chunk_id, bytes(data).decode()))

    def page(self):
        return self.random.choice([1, 2, 5, 20, 1000]), self.random.choice([1, 50, 1000, 8 << 20])

    def timeout(self):
        return f"{self.random.choice([0, 0, 1, 20, 200])} ms"

    def read(self, stream, timeout="0"):
        self.cursor.execute("SELECT chunk_id, data, eof FROM stream_read_since(%s, %s, %s, %s, %s)",
                            (stream, self.position[stream], *self.page(), timeout))
        self.take(stream, self.cursor.fetchall())

    def read_twice(self, stream):
        """Reads under one snapshot repeat, whatever is committed in between. The second read may continue where the first
        stopped at a chunk that was rolled back meanwhile, since the server may remove such a row at any time."""
        self.cursor.execute(f"BEGIN ISOLATION LEVEL {self.random.choice(['REPEATABLE READ', 'SERIALIZABLE'])}")
        seen = []
        for _ in range(2):
            self.cursor.execute("SELECT chunk_id, data, eof FROM stream_read_since(%s, %s, null, null)",
                                (stream, self.position[stream]))
            seen.append([(chunk_id, bytes(data), eof) for chunk_id, data, eof in self.cursor.fetchall()])
            time.sleep(self.random.random() * 0.01)
        self.cursor.execute("COMMIT")
        if seen[0] != seen[1][:len(seen[0])]:
            shared.problem("repeat", f"{self.name}: {stream} after {self.position[stream]}: {len(seen[0])} chunks, then others")
        with shared.changed:
            shared.repeated_reads += 1
            if len(seen[0]) < len(seen[1]):
                last = seen[0][-1][0] if seen[0] else self.position[stream]
                shared.grown.append((self.name, stream, last, seen[1][len(seen[0])][0]))
        self.take(stream, seen[self.random.randrange(2)])

    def read_many(self):
        streams = [stream for stream in STREAMS if stream not in self.ended]
        self.cursor.execute("SELECT stream, chunk_id, data, eof FROM stream_read_many(%s, %s::bigint[], %s, %s, %s)",
                            (streams, [self.position[stream] for stream in streams], *self.page(), self.timeout()))
        for stream, *row in self.cursor.fetchall():
            self.take(stream, [row])

    def wait_many(self):
        self.cursor.execute("SELECT stream, head FROM stream_wait_many(%s, %s::bigint[], %s) WHERE NOT ended",
                            (STREAMS, [self.position[stream] for stream in STREAMS], self.timeout()))
        for stream, head in self.cursor.fetchall():
            self.read_up_to(stream, head)

    def read_up_to(self, stream, head):
        """Everything up to the head that a wait has returned can be read."""
        self.cursor.execute("SELECT chunk_id, data, eof FROM stream_read_since(%s, %s, null, null)", (stream, self.position[stream]))
        rows = self.cursor.fetchall()
        if not rows or rows[-1][0] < head:
            shared.problem("delivery", f"{self.name}: {stream} promised {head}, gave {rows[-1][0] if rows else 'nothing'}")
        self.take(stream, rows)

    def step(self):
        stream = self.random.choice([stream for stream in STREAMS if stream not in self.ended])
        way = self.random.random()
        if way < 0.4:
            self.read(stream, self.timeout())
        elif way < 0.55:
            self.read_twice(stream)
        elif way < 0.65:
            self.read_many()
        elif way < 0.75:
            self.wait_many()
        else:
            sql = "SELECT stream_wait(%s, %s, %s)" if way < 0.9 else "CALL stream_await(%s, %s, %s)"
            head = one(self.cursor, sql, stream, self.position[stream], self.timeout())
            if head is not None:
                self.read_up_to(stream, head)

    def run(self):
        while len(self.ended) < len(STREAMS):
            shared.check_time()
            self.step()


def watch(finished):
    """Samples what the writers wait for: never the end of another transaction."""
    cursor = connect("watcher")
    while not finished.wait(timeout=0.05):
        cursor.execute("SELECT application_name, wait_event, query FROM pg_stat_activity"
                       " WHERE application_name LIKE 'writer%%' AND wait_event_type = 'Lock'"
                       " AND wait_event IN ('transactionid', 'virtualxid', 'tuple')")
        for name, event, query in cursor.fetchall():
            shared.problem("waiting", f"{name} waits for {event}: {query}")


def guarded(worker):
    def run():
        try:
            worker.run()
        except Failure as failure:
            shared.problem("errors", f"{worker.name}: {failure}")
            shared.stop()
        except Exception as error:  # a server error, such as a deadlock or a lock timeout, or a fault of this test
            shared.problem("errors", f"{worker.name}: {type(error).__name__}: {error}")
            shared.stop()
    return threading.Thread(target=run, daemon=True)


def check_grown():
    for name, stream, last, following in shared.grown:
        if all(chunk_id in shared.committed[stream] for chunk_id in range(last + 1, following)):
            shared.problem("repeat", f"{name}: {stream} ended with {last}, then continued with {following} under the same snapshot")


def check_deliveries(readers):
    for reader in readers:
        for stream in STREAMS:
            wanted = sorted(shared.committed[stream].items())
            got = reader.chunks[stream]
            ghosts = [chunk for chunk in got if chunk[1] in shared.undone]
            if ghosts:
                shared.problem("ghosts", f"{reader.name}: {stream} gave {ghosts[0]}, which was rolled back")
            if got != wanted:
                lost = sorted(set(wanted) - set(got))
                more = sorted(set(got) - set(wanted))
                shared.problem("delivery", f"{reader.name}: {stream}: {len(lost)} of {len(wanted)} chunks lost {lost[:3]}, "
                               f"{len(got) - len(set(got))} delivered twice, {len(more)} unknown {more[:3]}")


def main():
    print(f"# RILL_TEST_SEED={SEED}", flush=True)
    setup = connect("setup")
    for stream in STREAMS:
        one(setup, "SELECT stream_create(%s)", stream)
    writers = [Writer(number + 1) for number in range(WRITERS)]
    readers = [Reader(number + 1) for number in range(READERS)]
    finished = threading.Event()
    watcher = threading.Thread(target=watch, args=(finished,), daemon=True)
    watcher.start()
    writing = [guarded(worker) for worker in [*writers, Holder()]]
    reading = [guarded(reader) for reader in readers]
    for thread in [*reading, *writing]:
        thread.start()
    for thread in writing:
        thread.join(max(0, end_of_time - time.monotonic()) + 30)
    if not shared.stopped:
        for stream in STREAMS:
            one(setup, "SELECT stream_close(%s)", stream)
    for thread in reading:
        thread.join(max(0, end_of_time - time.monotonic()) + 30)
    finished.set()
    watcher.join()
    if any(thread.is_alive() for thread in [*writing, *reading]):
        shared.problem("errors", "a session hangs")
    if shared.stopped:
        for check in ("delivery", "ghosts", "repeat"):
            shared.problem(check, "unknown: the run was aborted")
    else:
        check_deliveries(readers)
        check_grown()

    total = sum(len(chunks) for chunks in shared.committed.values())
    held = shared.most_held_appends
    if not held or max(held) < HELD_APPENDS:
        shared.problem("waiting", "the writers were done before the holder had kept a transaction open for long enough")
    if shared.repeated_reads == 0:
        shared.problem("repeat", "no snapshot was read twice")
    print(f"# {total} chunks committed, {len(shared.undone)} rolled back, {sum(held)} appends in {len(held)} transactions held open, "
          f"{shared.repeated_reads} snapshots read twice ({len(shared.grown)} continued)")
    checks = [("errors", "no deadlock, no lock timeout, no error, no hang"),
              ("delivery", "every committed chunk arrives exactly once and in order at every reader"),
              ("ghosts", "no chunk of a rolled-back transaction or savepoint arrives"),
              ("repeat", "reads under one snapshot repeat"),
              ("waiting", "no append waits for another open transaction"),
              ("append lock", "no append lock is held between statements")]
    for number, (check, description) in enumerate(checks, 1):
        message = shared.problems.get(check)
        print(f"{'not ok' if message else 'ok'} {number} - {description}")
        if message:
            print(f"# {message}".replace("\n", "\n# "))
    print(f"1..{len(checks)}", flush=True)
    return 1 if shared.problems else 0


status = main()
sys.stdout.flush()
os._exit(status)  # threads of a run that hangs are not waited for
