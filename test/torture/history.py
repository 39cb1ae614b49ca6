"""What happened in one episode of the torture test: every append with its fate, what each reader got, what was removed, every fault.

The actors write it, the checker (checker.py) judges it, and a failure's story is cut out of it. Each event is also a line of JSON
in a file, written at once, so that nothing is lost when the test itself dies.

Right because an append is noted before it is sent, and decided only by what its writer was told: ACKED by a COMMIT that was
answered, UNDONE by a rollback or by a connection lost before COMMIT was sent, UNKNOWN when COMMIT was sent and no answer came.
Every payload names its append (`payload`), so a chunk that is met anywhere says which append it claims to be.
Thread-safety: all methods from any thread; plain fields of an Append belong to its writer until it has decided it.
Times are CLOCK_MONOTONIC, which the C++ driver shares.
"""
import json
import threading
import time

PENDING, OPEN, PREPARED, ACKED, UNDONE, UNKNOWN = "pending", "open", "prepared", "acked", "undone", "unknown"


def payload(token):
    """The data of the append `token`, whose last component is how long it is to be."""
    size = int(token.rsplit(".", 1)[1])
    head = (token + "|").encode()
    return head + (head * (size // len(head) + 1))[:max(0, size - len(head))]


def token_of(data):
    """The token of a chunk, or None when the data is not what the token says. An empty chunk has the token ''. A chunk may be a line."""
    data = bytes(data).removesuffix(b"\n")
    if not data:
        return ""
    token = data.split(b"|", 1)[0].decode("utf-8", "replace")
    try:
        return token if data == payload(token) else None
    except (ValueError, IndexError):
        return None


class Append:
    """One chunk. `tied` numbers its transaction; `began` is before the call was sent, `ended` after the fate was known."""
    __slots__ = ("stream", "token", "who", "began", "ended", "state", "id", "eof", "loose", "expected", "step", "tied")

    def __init__(self, stream, token, who, began, eof=False, loose=False, expected=None, step=None, tied=None):
        self.stream, self.token, self.who, self.began = stream, token, who, began
        self.eof, self.loose, self.expected, self.step, self.tied = eof, loose, expected, step, tied
        self.ended, self.state, self.id = None, PENDING, None

    def __repr__(self):
        return f"{self.token} of {self.stream} ({self.state}, id {self.id})"


class Segment:
    """What a reader got from one start on: from `cursor`, until it was told that it cannot go on, if it was."""
    __slots__ = ("began", "cursor", "chunks", "told", "told_at", "ended")

    def __init__(self, began, cursor):
        self.began, self.cursor = began, cursor
        self.chunks = []            # (id, token, epoch, eof, when)
        self.told = self.told_at = None
        self.ended = False


class Reading:
    """One reader of one stream. `kind` names the bound of its stalls. Ids may be None (an SSE reader knows none)."""

    def __init__(self, who, stream, kind):
        self.who, self.stream, self.kind = who, stream, kind
        self.segments = []
        self.gaps = []              # (from, to): when it had no connection, through no fault of the extension


class Removal:
    """A trim (ids below `below`), a deletion (below is None) or limits that retention may apply (keeps the newest `keep`)."""
    __slots__ = ("stream", "what", "below", "keep", "began", "ended", "done")

    def __init__(self, stream, what, began, below=None, keep=None):
        self.stream, self.what, self.began, self.below, self.keep = stream, what, began, below, keep
        self.ended, self.done = None, None      # done: True, False, or None when no answer came


class Fault:
    """`crashes`: a server's end without a shutdown. `loses_after`: what was acknowledged after this time may be lost."""
    __slots__ = ("what", "began", "ended", "crashes", "loses_after", "whom")

    def __init__(self, what, began, crashes=False, loses_after=None, whom=None):
        self.what, self.began, self.crashes, self.loses_after, self.whom = what, began, crashes, loses_after, whom
        self.ended = None


class History:
    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="utf-8", buffering=1 << 16)
        self.path = path
        self.events = []
        self.appends, self.readings, self.removals, self.faults, self.troubles = [], [], [], [], []
        self.began = time.monotonic()
        self.transactions = 0

    def event(self, what, who, stream=None, first=None, last=None, text="", when=None):
        when = time.monotonic() if when is None else when
        event = (round(when - self.began, 4), what, who, stream, first, last, text)
        line = json.dumps(event, ensure_ascii=False)
        with self.lock:
            self.events.append(event)
            self.file.write(line + "\n")

    def transaction(self):
        with self.lock:
            self.transactions += 1
            return self.transactions

    # Appends.

    def append(self, stream, token, who, **facts):
        """Before the call is sent."""
        append = Append(stream, token, who, time.monotonic(), **facts)
        with self.lock:
            self.appends.append(append)
        return append

    def stored(self, append, chunk_id):
        """The call has answered; the transaction is open."""
        append.id, append.state = chunk_id, OPEN

    def decide(self, appends, state, why=""):
        now = time.monotonic()
        for append in appends:
            append.state = state
            append.ended = now
        by_stream = {}
        for append in appends:
            by_stream.setdefault(append.stream, []).append(append)
        for stream, those in by_stream.items():
            ids = [a.id for a in those if a.id is not None]
            self.event(state, those[0].who, stream, min(ids, default=None), max(ids, default=None),
                       f"{those[0].token}{'…' + those[-1].token if len(those) > 1 else ''}{' ' + why if why else ''}", now)

    # Readers.

    def reader(self, who, stream, kind):
        reading = Reading(who, stream, kind)
        with self.lock:
            self.readings.append(reading)
        return reading

    def start(self, reading, cursor=0):
        reading.segments.append(Segment(time.monotonic(), cursor))
        self.event("start", reading.who, reading.stream, cursor, cursor)

    def got(self, reading, chunks, when=None):
        """Chunks (id, token, epoch, eof) in the order in which they came."""
        when = time.monotonic() if when is None else when
        if chunks:
            reading.segments[-1].chunks.extend((*chunk, when) for chunk in chunks)
            self.event("read", reading.who, reading.stream, chunks[0][0], chunks[-1][0],
                       f"{len(chunks)}: {chunks[0][1]}" + (f"…{chunks[-1][1]}" if len(chunks) > 1 else ""), when)

    def told(self, reading, sqlstate, text=""):
        segment = reading.segments[-1]
        segment.told, segment.told_at = sqlstate, time.monotonic()
        self.event("told", reading.who, reading.stream, text=f"{sqlstate} {text}")

    def ended(self, reading):
        reading.segments[-1].ended = True
        self.event("ended", reading.who, reading.stream)

    # The rest.

    def removal(self, stream, what, **facts):
        removal = Removal(stream, what, time.monotonic(), **facts)
        with self.lock:
            self.removals.append(removal)
        self.event("remove", what, stream, text=str({k: v for k, v in facts.items() if v is not None}))
        return removal

    def removed(self, removal, done):
        removal.ended, removal.done = time.monotonic(), done
        self.event("removed", removal.what, removal.stream, text=str(done))

    def fault(self, what, **facts):
        fault = Fault(what, time.monotonic(), **facts)
        with self.lock:
            self.faults.append(fault)
        self.event("fault", what, text="begins")
        return fault

    def over(self, fault):
        fault.ended = time.monotonic()
        self.event("fault", fault.what, text="over")

    def trouble(self, who, text, kind="trouble"):
        """Something that no fault explains."""
        with self.lock:
            self.troubles.append((time.monotonic(), who, text, kind))
        self.event("trouble", who, text=text)

    def close(self):
        with self.lock:
            self.file.close()
