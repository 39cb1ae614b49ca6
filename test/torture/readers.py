"""Readers by SQL, on the primary and on a standby: all streams at once in every way, or one stream by one long wait after the other.

As the reference tells users to, a reader keeps the epoch of its last chunk and verifies its cursors after each new connection. One
that is told that it cannot go on starts again before the first retained chunk.
"""
import select
import time

import psycopg2

from actors import Actor, random_settings
from history import token_of

TOLD = ("RL002", "RL003", "RL007")


class Cursor:
    """Where a reader is in one stream."""

    def __init__(self, history, who, stream, kind):
        self.history, self.stream = history, stream
        self.too_far = 0        # planted: how often
        self.reading = history.reader(who, stream, kind)
        self.restart()

    def restart(self):
        self.id, self.epoch, self.ended = 0, None, False
        self.history.start(self.reading)

    def take(self, rows):
        """Rows (chunk_id, data, eof, epoch)."""
        self.history.got(self.reading, [(chunk_id, token_of(data), epoch, eof) for chunk_id, data, eof, epoch in rows])
        if rows:
            self.id, _, self.ended, self.epoch = rows[-1]
            if self.too_far and not self.ended and len(self.reading.segments[-1].chunks) > 20:
                self.id, self.too_far = self.id + 3, self.too_far - 1
        if self.ended:
            self.history.ended(self.reading)

    def told(self, error_or_code):
        code = getattr(error_or_code, "pgcode", error_or_code)
        self.history.told(self.reading, code, f"at {self.id} {error_or_code if code is not error_or_code else ''}".strip())
        self.restart()


class Reader(Actor):
    def __init__(self, episode, name, streams, where, kind):
        super().__init__(episode, name)
        self.where = where          # of "primary" and "standby", the places that it goes to
        self.cursors = {stream: Cursor(self.history, name, stream, kind) for stream in streams}
        if name == "waiter 1":
            self.cursors[streams[0]].too_far = episode.cursor_too_far

    def finished(self):
        return self.episode.over.is_set() or (self.episode.writing_over.is_set() and not self.open_cursors() and self.episode.closed.is_set())

    def open_cursors(self):
        return [cursor for cursor in self.cursors.values() if not cursor.ended]

    def place(self):
        return self.random.choice(self.where), random_settings(self.random, "default_transaction_isolation", "statement_timeout")

    def connected(self, place):
        """Is the chunk at each cursor the one that was read?"""
        for cursor in self.cursors.values():
            if cursor.id and not cursor.ended:
                self.checked(cursor, "SELECT rill.stream_verify(%s, %s, %s)", cursor.stream, cursor.id, cursor.epoch)

    def absent(self, began, ended):
        for cursor in self.cursors.values():
            cursor.reading.gaps.append((began, ended))

    def explained(self, code):
        # 55000: a wait under a snapshot that can never show what comes.
        return code in TOLD or code == "55000"

    def checked(self, cursor, sql, *values):
        """The rows, or None when the cursor was told that it cannot go on."""
        try:
            return self.run_sql(sql, *values)
        except psycopg2.Error as error:
            if error.pgcode not in TOLD:
                raise
            cursor.told(error)
            return None

    def caps(self):
        return self.random.choice((1, 2, 5, 20, 1000, None)), self.random.choice((1, 50, 1000, 8 << 20, None))

    def within(self, rows, caps, what):
        """Rows begin with chunk_id, data; caps are totals, and there is at least one."""
        chunks, size = caps
        if (chunks is not None and len(rows) > chunks) or (size is not None and len(rows) > 1 and sum(len(row[1]) for row in rows) > size):
            self.history.trouble(self.name, f"{what} with {caps} returned {len(rows)} chunks of {sum(len(row[1]) for row in rows)} bytes", "caps")

    def read(self, cursor, timeout="0"):
        caps = self.caps()
        rows = self.checked(cursor, "SELECT chunk_id, data, eof, epoch FROM rill.stream_read_since(%s, %s, %s, %s, %s)",
                            cursor.stream, cursor.id, *caps, timeout)
        if rows is not None:
            self.within(rows, caps, "stream_read_since")
            cursor.take(rows)

    def read_up_to(self, cursor, head):
        """What a wait has promised can be read, but for removals and a cursor that is another server's."""
        rows = self.checked(cursor, "SELECT chunk_id, data, eof, epoch FROM rill.stream_read_since(%s, %s, null, null)", cursor.stream, cursor.id)
        if rows is None:
            return
        if (not rows or rows[-1][0] < head) and cursor.stream not in self.episode.removable:
            self.history.trouble(self.name, f"{cursor.stream} promised {head}, gave {rows[-1][0] if rows else 'nothing'} after {cursor.id}")
        cursor.take(rows)


class Follower(Reader):
    """All streams, by whatever function there is."""

    def __init__(self, episode, number, streams, where=("primary",)):
        super().__init__(episode, f"follower {number}", streams, where, "standby" if "standby" in where else "follower")

    def step(self):
        cursors = self.open_cursors()
        if not cursors:
            time.sleep(0.02)
            return
        cursor = self.random.choice(cursors)
        way = self.random.random()
        if way < 0.45:
            self.read_many(cursors)
        elif way < 0.6:
            self.wait_many(cursors)
        elif way < 0.75:
            self.read(cursor, self.timeout())
        elif way < 0.85:
            self.read_twice(cursor)
        else:
            sql = "SELECT rill.stream_wait(%s, %s, %s)" if way < 0.92 else "CALL rill.stream_await(%s, %s, %s)"
            rows = self.checked(cursor, sql, cursor.stream, cursor.id, self.timeout())
            if rows and rows[0][0] is not None:
                self.read_up_to(cursor, rows[0][0])

    def timeout(self):
        return f"{self.random.choice((0, 0, 1, 20, 200))} ms"

    def read_many(self, cursors):
        caps = self.caps() if self.random.random() < 0.5 else (None, None)
        epochs = [cursor.epoch for cursor in cursors]
        try:
            rows = self.run_sql("SELECT chunk_id, data, eof, epoch, stream FROM rill.stream_read_many(%s, %s::bigint[], %s, %s, %s, %s::int[])",
                                [cursor.stream for cursor in cursors], [cursor.id for cursor in cursors], *caps, self.timeout(),
                                epochs if None not in epochs else None)
        except psycopg2.Error as error:
            if error.pgcode not in TOLD:
                raise
            self.recover()
            for cursor in cursors:      # which one it was
                if cursor.id and self.connection:
                    self.checked(cursor, "SELECT rill.stream_verify(%s, %s, %s)", cursor.stream, cursor.id, cursor.epoch)
                    if cursor.id:
                        self.read(cursor)
            return
        self.within(rows, caps, "stream_read_many")
        for cursor in cursors:
            cursor.take([row[:4] for row in rows if row[4] == cursor.stream])

    def wait_many(self, cursors):
        rows = self.run_sql("SELECT stream, head, sqlstate FROM rill.stream_wait_many(%s, %s::bigint[], %s)",
                            [cursor.stream for cursor in cursors], [cursor.id for cursor in cursors], self.timeout())
        for stream, head, sqlstate in rows:
            cursor = self.cursors[stream]
            if sqlstate is not None:
                cursor.told(sqlstate)
            elif head is not None and head > cursor.id:
                self.read_up_to(cursor, head)

    def read_twice(self, cursor):
        """Under one snapshot. The second read may go on where the first one stopped at a chunk that was rolled back
        meanwhile; a trim may show, since retained chunks are not a matter of the snapshot."""
        level = self.random.choice(("REPEATABLE READ", "SERIALIZABLE")) if self.where == ("primary",) else "REPEATABLE READ"
        self.run_sql(f"BEGIN ISOLATION LEVEL {level}")
        seen = []
        try:
            for _ in range(2):
                seen.append(self.run_sql("SELECT chunk_id, data, eof, epoch FROM rill.stream_read_since(%s, %s, null, null)", cursor.stream, cursor.id))
                time.sleep(self.random.random() * 0.01)
            self.run_sql("COMMIT")
        except psycopg2.Error as error:
            if error.pgcode not in TOLD:
                raise
            self.recover()
            cursor.told(error)
            return
        if [row[0] for row in seen[0]] != [row[0] for row in seen[1]][:len(seen[0])]:
            self.history.trouble(self.name, f"{cursor.stream} after {cursor.id}: {len(seen[0])} chunks, then others under the same snapshot")
        cursor.take(seen[self.random.randrange(2)])


class Waiter(Reader):
    """One stream. Nothing but a wake-up or the recheck ends its waits in time."""

    def __init__(self, episode, number, stream, where=("primary",)):
        super().__init__(episode, f"waiter {number}", [stream], where, "standby" if "standby" in where else "waiter")
        self.number = number

    def place(self):
        settings = random_settings(self.random, "default_transaction_isolation", "statement_timeout", "idle_in_transaction_session_timeout")
        return self.random.choice(self.where), {**settings, "statement_timeout": "60s"}

    def step(self):
        cursor, = self.cursors.values()
        if cursor.ended:
            time.sleep(0.02)
            return
        way = (self.number + (self.random.random() < 0.2)) % 4
        if way == 0:
            self.read(cursor, "30 s")
        elif way == 1:
            rows = self.checked(cursor, "SELECT stream, head, sqlstate FROM rill.stream_wait_many(%s, %s::bigint[], '30 s')", [cursor.stream], [cursor.id])
            if rows:
                if rows[0][2] is not None:
                    cursor.told(rows[0][2])
                elif rows[0][1] is not None and rows[0][1] > cursor.id:
                    self.read_up_to(cursor, rows[0][1])
        else:
            rows = self.checked(cursor, "SELECT rill.stream_wait(%s, %s, '30 s')" if way == 2 else "CALL rill.stream_await(%s, %s, '30 s')",
                                cursor.stream, cursor.id)
            if rows and rows[0][0] is not None:
                self.read_up_to(cursor, rows[0][0])


class Listener(Reader):
    """Reads when it connects and when it is notified, and never else: a NOTIFY that is lost is a stall."""

    def __init__(self, episode, number, streams):
        super().__init__(episode, f"follower l{number}", streams, ("primary",), "listener")
        self.poked = 0

    def place(self):
        return "primary", random_settings(self.random, "default_transaction_isolation", "statement_timeout")

    def connected(self, place):
        channel = self.one("SELECT rill.stream_listen()")
        if channel != "pg_rill":
            self.history.trouble(self.name, f"stream_listen() returned {channel!r}")
        super().connected(place)
        self.fresh = True

    def step(self):
        if not self.fresh:
            ready, _, _ = select.select([self.connection], [], [], 0.2)
            self.connection.poll()
            told = bool(self.connection.notifies)
            del self.connection.notifies[:]
            # Nothing is promised while wake-ups are turned off.
            if not told and self.poked == self.episode.pokes:
                return
        self.poked, self.fresh = self.episode.pokes, False
        for cursor in self.open_cursors():
            while not cursor.ended:
                rows = self.checked(cursor, "SELECT chunk_id, data, eof, epoch FROM rill.stream_read_since(%s, %s)", cursor.stream, cursor.id)
                if rows:
                    cursor.take(rows)
                if rows is not None and len(rows) < 1000:
                    break
