"""Writers by SQL: transactions of random shape, exactly-once steps that are repeated, and appends with `expected`.

What they note is what they were told, and no more: see history.py.
"""
import re
import threading
import time

import psycopg2

from actors import UNKNOWN_COMMIT, Actor, random_settings
from history import ACKED, PREPARED, UNDONE, UNKNOWN, payload

SIZES = (20, 20, 40, 100, 300, 2_500, 9_000)


class Writer(Actor):
    """Every kind of stream, every way to end a transaction."""

    def __init__(self, episode, number, streams, loose=False, pooled=False):
        super().__init__(episode, f"writer {number}")
        self.streams, self.loose, self.pooled = list(streams), loose, pooled
        self.serial = self.prepared = 0

    def finished(self):
        return self.episode.writing_over.is_set()

    def place(self):
        if self.pooled and self.random.random() < 0.7:
            return "pooler", {}
        return "primary", {**random_settings(self.random), "synchronous_commit": "off" if self.loose else self.episode.commit(self.random)}

    def explained(self, code):
        # Where a stream is created by two at once, each may wait for the other: that is in the nature of names. So it is with DDL.
        return code in ("RL001", "40P01") and (code == "RL001" or self.may_deadlock)

    may_deadlock = False

    def step(self):
        self.may_deadlock = self.episode.maintained_lately()
        if self.random.random() < 0.35:
            self.alone()
        else:
            self.transaction()
        if self.episode.pace:
            time.sleep(self.random.random() * self.episode.pace)

    def next_token(self):
        self.serial += 1
        return f"e{self.episode.number}w{self.name.split()[1]}.{self.serial}.{self.random.choice(SIZES)}"

    def choose(self):
        stream = self.random.choice(self.streams)
        self.may_deadlock = self.may_deadlock or stream in self.episode.born
        return stream

    def call(self, tied):
        """One append: notes it, sends it, returns what was stored. Raises with the appends noted in self.sent."""
        stream = self.choose()
        count = self.random.choice((1, 1, 1, 1, 2, 3, 7, 150 if self.random.random() < 0.1 else 2))
        eof = stream in self.episode.early and self.random.random() < 0.002
        tokens = [self.next_token() for _ in range(count)]
        self.sent = [self.history.append(stream, token, self.name, eof=eof and token is tokens[-1], loose=self.loose, tied=tied) for token in tokens]
        data = [payload(token) for token in tokens]
        if count == 1:
            last = self.one("SELECT rill.stream_append(%s, %s, eof => %s)", stream, data[0], eof)
        elif self.random.random() < 0.5:
            last = self.one("SELECT rill.stream_append_many(%s, %s::bytea[], eof => %s)", stream, data, eof)
        else:
            outcome, last = self.run_sql("SELECT outcome, chunk_id FROM rill.stream_try_append(%s, %s::bytea[], eof => %s)", stream, data, eof)[0]
            if outcome == "closed":
                self.history.decide(self.sent, UNDONE, "closed")
                return []
            if outcome != "stored":
                self.history.trouble(self.name, f"outcome {outcome}")
        for offset, append in enumerate(reversed(self.sent)):
            self.history.stored(append, last - offset)
        return self.sent

    def alone(self):
        """A statement that is a transaction of its own."""
        self.sent = []
        try:
            if stored := self.call(None):
                self.history.decide(stored, ACKED if not self.half_committed() else UNKNOWN)
        except psycopg2.Error:
            self.history.decide(self.sent, UNKNOWN if self.connection.closed else UNDONE)
            raise

    def half_committed(self):
        """A commit that was cancelled while it waited for the standby is no acknowledgement."""
        notices = self.connection.notices
        found = any(UNKNOWN_COMMIT in notice for notice in notices)
        del notices[:]
        return found

    def transaction(self):
        tied = self.history.transaction()
        levels = [[]]
        self.sent = []
        committing = False
        try:
            self.run_sql(self.random.choice(("BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN ISOLATION LEVEL REPEATABLE READ",
                                             "BEGIN ISOLATION LEVEL SERIALIZABLE")))
            deep = self.random.random() < 0.03     # a snapshot lists 64 subtransactions
            for n in range(self.random.randint(70, 150) if deep else self.random.randint(1, 8)):
                if deep and n % 2:
                    self.run_sql(f"SAVEPOINT s{len(levels)}")
                    levels.append([])
                try:
                    self.part(levels, tied)
                except psycopg2.Error as error:
                    if self.connection.closed or len(levels) == 1 or self.random.random() < 0.5:
                        raise
                    self.explain(error)
                    self.run_sql(f"ROLLBACK TO SAVEPOINT s{len(levels) - 1}")
                    self.history.decide(levels[-1] + self.sent, UNDONE, "savepoint")
                    levels[-1], self.sent = [], []
            chunks = [chunk for level in levels for chunk in level]
            way = self.random.random()
            if way < 0.68:
                committing = True
                status = self.run_sql("COMMIT")
                self.history.decide(chunks, UNDONE if status != "COMMIT" else UNKNOWN if self.half_committed() else ACKED)
            elif way < 0.85:
                self.run_sql("ROLLBACK")
                self.history.decide(chunks, UNDONE, "rollback")
            else:
                committing = True
                self.prepare(chunks)
        except psycopg2.Error:
            chunks = [chunk for level in levels for chunk in level] + self.sent
            self.history.decide(chunks, UNKNOWN if committing and self.connection.closed else UNDONE)
            raise

    def part(self, levels, tied):
        step = self.random.random()
        if step < 0.62:
            levels[-1] += self.call(tied)
            self.sent = []
        elif step < 0.72:
            self.run_sql(f"SAVEPOINT s{len(levels)}")
            levels.append([])
        elif step < 0.84 and len(levels) > 1:
            self.run_sql(f"ROLLBACK TO SAVEPOINT s{len(levels) - 1}")
            self.history.decide(levels[-1], UNDONE, "savepoint")
            levels[-1] = []
        elif step < 0.9 and len(levels) > 1:
            self.run_sql(f"RELEASE SAVEPOINT s{len(levels) - 1}")
            chunks = levels.pop()
            levels[-1] += chunks
        else:
            time.sleep(self.random.random() * 0.02)

    def prepare(self, chunks):
        self.prepared += 1
        gid = f"torture {self.episode.number} {self.name} {self.prepared}"
        if self.run_sql("PREPARE TRANSACTION %s", gid) != "PREPARE TRANSACTION":
            self.history.decide(chunks, UNDONE)
            return
        if not chunks:
            self.run_sql("ROLLBACK PREPARED %s", gid)
            return
        self.history.decide(chunks, PREPARED, gid)
        self.episode.resolver.hold(self.random.choice((0, 0.02, 0.2, 1.5)), gid, chunks, self.random.random() < 0.65)


class Resolver(Actor):
    """Ends prepared transactions, each when its time has come. Not their writers: an append may wait for one of its own writer's."""

    def __init__(self, episode):
        super().__init__(episode, "resolver")
        self.lock = threading.Lock()
        self.held = []          # (when, gid, appends, commit)
        self.writers_over = threading.Event()

    def hold(self, seconds, gid, chunks, commit):
        with self.lock:
            self.held.append((time.monotonic() + seconds, gid, chunks, commit))

    def finished(self):
        return self.writers_over.is_set() and not self.held

    def place(self):
        return "primary", {"synchronous_commit": self.episode.commit(self.random), "lock_timeout": "1s"}

    def step(self):
        time.sleep(0.01)
        with self.lock:
            due = [held for held in self.held if held[0] < time.monotonic() or self.writers_over.is_set()]
        for held in due:
            self.resolve(*held[1:])
            with self.lock:
                self.held.remove(held)

    half_committed = Writer.half_committed

    explained = Writer.explained
    may_deadlock = True

    def resolve(self, gid, chunks, commit):
        """Until it is decided: the transaction is there until its end was done."""
        sent = False
        command = f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED %s"
        while True:
            try:
                if self.connection is None and not self.connect():
                    continue
                if not self.run_sql("SELECT 1 FROM pg_catalog.pg_prepared_xacts WHERE gid = %s", gid):
                    # A promotion can take it: all, or one that was prepared with synchronous_commit = off.
                    excused = self.episode.lossy or (self.episode.promotes is not None and chunks[0].loose)
                    if not sent and not excused:
                        self.history.trouble(self.name, f"the prepared transaction {gid} has vanished")
                    self.history.decide(chunks, UNKNOWN if excused else ACKED if commit else UNDONE, gid)
                    return
                sent = True
                self.run_sql(command, gid)
                self.history.decide(chunks, (UNKNOWN if self.half_committed() else ACKED) if commit else UNDONE, gid)
                return
            except psycopg2.Error as error:
                self.explain(error)
                self.recover()
                time.sleep(0.02)


class Producer(Actor):
    """Exactly-once steps: each one is sent until it is known to be stored, and sometimes again long after. A rolled-back try is no step."""

    def __init__(self, episode, number, stream):
        super().__init__(episode, f"producer {number}")
        self.stream = stream
        self.epoch, self.seq = 1, 0
        self.under_way = None
        self.done = []          # (epoch, seq, appends)

    def finished(self):
        return self.episode.writing_over.is_set() and self.under_way is None

    def place(self):
        return "primary", {**random_settings(self.random, "default_transaction_read_only"), "synchronous_commit": "on"}

    def step(self):
        if self.under_way is None and self.done and self.random.random() < 0.2:
            self.repeat(*self.random.choice(self.done[-900:]))
            return
        if self.under_way is None:
            if self.random.random() < 0.01:
                self.epoch, self.seq = self.epoch + 1, 0
            self.seq += 1
            tokens = [f"e{self.episode.number}p{self.name.split()[1]}.{self.epoch}.{self.seq}.{n}.{self.random.choice(SIZES)}"
                      for n in range(self.random.choice((1, 1, 3)))]
            self.under_way = [self.history.append(self.stream, token, self.name, step=(self.name, self.epoch, self.seq)) for token in tokens]
        last, outcome = self.send(self.epoch, self.seq, self.under_way)
        if outcome in ("stored", "repeat") and not self.half_committed():
            for offset, append in enumerate(reversed(self.under_way)):
                # A repeat names the first try's first id or its last one, as its first answer would have: see repeat().
                self.history.stored(append, last - offset)
            self.history.decide(self.under_way, ACKED, outcome)
            self.done.append((self.epoch, self.seq, self.under_way))
            self.under_way = None
        elif outcome not in ("stored", "repeat"):
            if outcome == "gap" and self.episode.lossy:     # the steps before this one are lost
                self.epoch, self.seq, self.done = self.epoch + 1, 0, []
            else:
                self.history.trouble(self.name, f"step {self.epoch}/{self.seq}: {outcome} {last}")
            self.history.decide(self.under_way, UNKNOWN)
            self.under_way = None
        if self.episode.pace:
            time.sleep(self.random.random() * self.episode.pace)

    half_committed = Writer.half_committed

    def send(self, epoch, seq, appends):
        outcome, last = self.run_sql("SELECT outcome, chunk_id FROM rill.stream_try_append(%s, %s::bytea[], producer => 'p', producer_epoch => %s, "
                                     "producer_seq => %s)", self.stream, [payload(a.token) for a in appends], epoch, seq)[0]
        return last, outcome

    def repeat(self, epoch, seq, appends):
        last, outcome = self.send(epoch, seq, appends)
        fenced = epoch < self.epoch
        if self.episode.lossy:
            return
        if outcome == "stored":
            self.history.trouble(self.name, f"a repeat of {appends} was stored again as {last}", "duplicated")
        elif outcome == "repeat" and last != appends[-1].id:
            self.history.trouble(self.name, f"a repeat of {appends} was given the id {last}")
        elif outcome not in (("repeat", "fenced") if fenced else ("repeat",)):
            self.history.trouble(self.name, f"a repeat of {appends}: {outcome}")


class Swapper(Actor):
    """Appends only what nobody has come before: `expected`."""

    def __init__(self, episode, number, stream):
        super().__init__(episode, f"swapper {number}")
        self.stream, self.head, self.serial = stream, 0, 0

    def finished(self):
        return self.episode.writing_over.is_set()

    def place(self):
        return "primary", {**random_settings(self.random, "default_transaction_isolation"), "synchronous_commit": "on"}

    def step(self):
        self.serial += 1
        token = f"e{self.episode.number}s{self.name.split()[1]}.{self.serial}.{self.random.choice(SIZES)}"
        append = self.history.append(self.stream, token, self.name, expected=self.head, tied=self.history.transaction())
        try:
            self.head = self.one("SELECT rill.stream_append(%s, %s, expected => %s)", self.stream, payload(token), self.head)
            self.history.stored(append, self.head)
            self.history.decide([append], ACKED if not Writer.half_committed(self) else UNKNOWN)
        except psycopg2.Error as error:
            self.history.decide([append], UNKNOWN if self.connection.closed else UNDONE, error.pgcode or "lost")
            if error.pgcode != "RL004":
                raise
            real = re.search(r"\d+", error.diag.message_detail or "")
            if not real:
                self.history.trouble(self.name, f"RL004 without the id: {error}")
            self.head = int(re.findall(r"\d+", error.diag.message_detail)[-1])
        time.sleep(self.random.random() * max(self.episode.pace, 0.01))
