#!/usr/bin/env python3
"""The steps of doc/recipes.md from a table with NOTIFY to streams, taken from the page, with writers and readers at work
all the time. At the end the streams are compared with what the writers have committed and the readers have seen: lost,
doubled and reordered chunks, each 0.

A run with one writer also has a reader of the old kind, which selects above its last id and switches in step 3. Where
several write to one run, such a reader loses chunks before any migration; those runs are compared as a whole.
Random; prints its seed and takes it from RILL_TEST_SEED. Runs in a database with the extension; see test/lib/harness.py."""
import collections
import os
import random
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from harness import Session, check, database, main, note, same, wait_until  # noqa: E402
from recipes_page import programs  # noqa: E402

SEED = int(os.environ.get("RILL_TEST_SEED") or random.randrange(2**31))
steps = programs()
where = None


def step(name):
    """As the page says: again if it fails with a lock timeout."""
    for _ in range(100):
        done = subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1"], input=steps[name], capture_output=True, text=True,
                              timeout=120, env={**os.environ, "PGDATABASE": where})
        if "lock timeout" not in done.stderr:
            break
    check(f"{name} succeeds", done.returncode == 0, done.stderr)
    return done.stdout


class Worker(threading.Thread):
    """A thread with a session, which works until it is told to stop. What went wrong is kept."""

    def __init__(self, number):
        super().__init__(daemon=True)
        self.session = Session(database=where)
        self.random = random.Random(SEED * 1000 + number)
        self.failure = None
        self.stop, self.switch, self.switched = (threading.Event() for _ in range(3))
        self.rounds = 0
        self.start()

    def run(self):
        try:
            while not self.stop.is_set():
                if self.switch.is_set() and not self.switched.is_set():
                    self.convert()
                    self.switched.set()
                self.work()
                self.rounds += 1
            self.finish()
        except Exception as error:
            self.failure = error

    def convert(self):
        pass

    def finish(self):
        pass


class Writer(Worker):
    """Transactions of one to four chunks, some rolled back. `written`: what was committed in each run, in its order."""

    def __init__(self, number, runs):
        self.name_, self.runs, self.count = f"w{number}", runs, 0
        self.written = collections.defaultdict(list)
        super().__init__(number)

    def work(self, done=False, runs=None):
        sql = "SELECT stream_append(%s, %s, eof => %s)" if self.switched.is_set() else "INSERT INTO chunk (run, body, done) VALUES (%s, %s, %s)"
        runs = runs or [self.random.choice(self.runs) for _ in range(self.random.choice((1, 1, 1, 4)))]
        give_up = not done and self.random.random() < 0.1
        isolation = self.random.choice(("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ"))
        bodies = []
        for run in runs:
            self.count += 1
            bodies.append((run, f"{self.name_}:{self.count}"))
        while True:
            self.session.run(f"BEGIN ISOLATION LEVEL {isolation}")
            codes = [self.session.attempt(sql, run, body.encode(), done) for run, body in bodies]
            bad = [str(code) for code in codes if isinstance(code, str)]
            self.session.run("ROLLBACK" if bad or give_up else "COMMIT")
            if not set(bad) - {"40001", "40P01", "25P02"}:
                if not bad:
                    break
                continue        # as an application does
            raise AssertionError(f"{bad} in {bodies}")
        if not give_up:
            for run, body in bodies:
                self.written[run].append(body)

    def finish(self):
        """The end of the runs that it alone writes to."""
        for run in self.runs:
            if run.startswith("alone"):
                self.work(True, [run])


class Reader(Worker):
    """Of the old kind, and after the switch of the new."""

    def __init__(self, number, run):
        self.of, self.cursor, self.seen = run, 0, []
        super().__init__(number)

    def work(self):
        if self.switched.is_set():
            rows = self.session.rows("SELECT chunk_id, data FROM stream_read_since(%s, %s, 7, timeout => '50 ms')", self.of, self.cursor)
        else:
            rows = self.session.rows("SELECT id, body FROM chunk WHERE run = %s AND id > %s ORDER BY id LIMIT 7", self.of, self.cursor)
        for self.cursor, data in rows:
            self.seen.append(bytes(data).decode())

    def convert(self):
        self.cursor = self.session.value("SELECT cursor_of(%s, %s)", self.of, self.cursor)

    def finish(self):
        for _ in range(100000):
            before = len(self.seen)
            self.work()
            if len(self.seen) == before:
                break


def faults(got, wanted_by_writer):
    """Lost, doubled and reordered: of the lists of each writer, in what a stream has."""
    counted = collections.Counter(got)
    wanted = {body for bodies in wanted_by_writer for body in bodies}
    places = {body: n for n, body in reversed(list(enumerate(got)))}
    reordered = sum(places.get(a, 0) > places.get(b, len(got)) for bodies in wanted_by_writer for a, b in zip(bodies, bodies[1:]))
    return {"lost": len(wanted - set(got)), "doubled": sum(n - 1 for n in counted.values()), "reordered": reordered,
            "invented": len(set(got) - wanted)}


NONE = {"lost": 0, "doubled": 0, "reordered": 0, "invented": 0}


def migrate():
    """From table to streams, under writers and readers at work."""
    global where
    note(f"RILL_TEST_SEED={SEED}")
    where = database()
    session = Session(database=where, net="120s")
    step("old.sql")
    # Runs that nobody writes to any more, of all sizes around a page of the copy.
    still = {f"still {n}": [f"{n}:{i}" for i in range(n)] for n in (1, 999, 1000, 1001, 3500)}
    for run, bodies in still.items():
        session.run("INSERT INTO chunk (run, body, done) SELECT %s, convert_to(b, 'UTF8'), n = %s FROM unnest(%s) WITH ORDINALITY u(b, n) ORDER BY n",
                    run, len(bodies), bodies)
    alone = [f"alone {n}" for n in range(6)]
    shared = ["shared 0", "shared 1"]
    writers = [Writer(n, [run, *shared]) for n, run in enumerate(alone)]
    readers = [Reader(100 + n, run) for n, run in enumerate(alone)]

    def goes_on(workers, rounds=5):
        marks = [w.rounds + rounds for w in workers]
        good = wait_until(lambda: all(w.failure or w.rounds >= m for w, m in zip(workers, marks)))
        return check("everybody works on", good and not any(w.failure for w in workers), [w.failure for w in workers])

    goes_on(writers + readers, 30)
    same("no row after an end", step("migrate_0.sql").strip().split("\n")[-1], "(0 rows)")
    old = Session(database=where)
    old.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
    old.run("SELECT 1")     # its snapshot is older than the trigger
    session.run("INSERT INTO chunk (run, body) VALUES ('snapshot', 'before')")
    step("migrate_1.sql")
    same("an old snapshot is refused", old.attempt("INSERT INTO chunk (run, body) VALUES ('snapshot', 'after')"), "40001")
    old.run("ROLLBACK")
    old.run("INSERT INTO chunk (run, body) VALUES ('snapshot', 'after')")
    same("and works in its next transaction", [bytes(d) for (d,) in session.rows("SELECT data FROM stream_read_since('snapshot', 0)")],
         [b"before", b"after"])
    goes_on(writers + readers)
    step("migrate_2.sql")
    step("migrate_2.sql")
    goes_on(writers + readers)
    for run, bodies in still.items():
        got = [bytes(d).decode() for (d,) in session.rows("SELECT data FROM stream_read_since(%s, 0, NULL, NULL)", run)]
        same(f"{run}: the chunks in their order", got, bodies)
        same(f"{run}: the end", session.value("SELECT closed FROM stream_status(%s)", run), True)
    step("migrate_3.sql")
    wrong = session.rows("""SELECT c.run, c.id FROM chunk c, LATERAL cursor_of(c.run, c.id) AS cursor
        WHERE c.run LIKE 'still%' AND (c.id % 97 = 0 OR c.done)
          AND c.body IS DISTINCT FROM (SELECT data FROM stream_chunk k JOIN stream s USING (stream_id) WHERE s.name = c.run AND k.chunk_id = cursor)""")
    same("a row's cursor is the same chunk", wrong, [])
    for reader in readers:      # one by one
        reader.switch.set()
        goes_on(writers + readers, 2)
    for writer in writers:
        writer.switch.set()
        goes_on(writers + readers, 2)
    same("all have switched", [w.name for w in writers + readers if not w.switched.is_set()], [])
    step("migrate_5.sql")
    goes_on(writers + readers)
    for workers in (writers, readers):
        for worker in workers:
            worker.stop.set()
        for worker in workers:
            worker.join(60)
    same("no failure", [w.failure for w in writers + readers if w.failure], [])
    total = dict(NONE)
    for run in alone + shared:
        got = [bytes(d).decode() for (d,) in session.rows("SELECT data FROM stream_read_since(%s, 0, NULL, NULL)", run)]
        found = faults(got, [w.written[run] for w in writers])
        same(f"{run}: {len(got)} chunks", found, NONE)
        total = {name: total[name] + found[name] for name in total}
    for reader in readers:
        found = faults(reader.seen, [w.written[reader.of] for w in writers])
        same(f"reader of {reader.of}: {len(reader.seen)} chunks", found, NONE)
        total = {name: total[name] + found[name] for name in total}
    note(", ".join(f"{name} {n}" for name, n in total.items()))


main(migrate)
