"""Judges the history of an episode: what DESIGN promises, asked of every chunk, every reader and every stall.

Pure: history and tables in, findings out; no server, no clock. checker_test.py plants one fault after the other in a small history.

Right because it believes no function of the extension: a table is what a plain SELECT found when nobody wrote any more, an append's
fate is what its writer was told, and each token says which append a chunk claims to be. It allows a loss only where something
covers it: a removal that had begun, a crash after which a `loose` append (synchronous_commit = off) may be gone, or a promotion
that lost what was acknowledged after `loses_after`. Then readers have to be told.
"""
import bisect
import hashlib
import itertools
from collections import defaultdict

from history import ACKED, UNDONE

FOREVER = float("inf")
LOOSE = 5.0     # seconds after which a commit with synchronous_commit = off has to be on disk


class Finding:
    def __init__(self, kind, text, stream=None, chunk_id=None, when=None, who=None):
        self.kind, self.text, self.stream, self.id, self.when, self.who = kind, text, stream, chunk_id, when, who

    def __str__(self):
        return f"{self.kind}: {self.text}"


KINDS = ("lost", "duplicated", "reordered", "rolled back and seen", "id reused", "altered", "behind EOF", "not ended", "not told",
         "told without reason", "prefix hash", "expected", "caps", "retention", "stall", "trouble")


def judge(history, tables, bounds, slack=()):
    """All findings. `tables`: stream -> rows (id, token, epoch, eof) in the order of ids. `bounds`: the longest stall for each kind
    of reader, in seconds. `slack`: intervals (from, to) during which the machine itself stood still."""
    findings = [Finding(kind, f"{who}: {text}", when=when, who=who) for when, who, text, kind in history.troubles]
    by_stream = defaultdict(lambda: ([], [], []))
    for append in history.appends:
        by_stream[append.stream][0].append(append)
    for reading in history.readings:
        by_stream[reading.stream][1].append(reading)
    for removal in history.removals:
        by_stream[removal.stream][2].append(removal)
    pauses = sorted([(f.began, f.ended if f.ended is not None else FOREVER) for f in history.faults] + list(slack))
    for stream, (appends, readings, removals) in by_stream.items():
        findings += Stream(stream, tables.get(stream, []), appends, removals, history.faults).judge(readings, bounds, pauses)
    return findings


class Stream:
    def __init__(self, name, table, appends, removals, faults):
        self.name, self.table, self.appends, self.removals = name, table, appends, removals
        self.crashes = [f for f in faults if f.crashes]
        self.losses = [f for f in faults if f.loses_after is not None]
        self.findings = []
        self.gives_again = bool(self.losses) or (bool(self.crashes) and any(a.loose for a in appends))    # ids
        self.by_token = {a.token: a for a in appends if a.token}
        self.rows = {row[0]: row for row in table}
        self.row_of = {row[1]: row for row in table if row[1]}
        for append in appends:      # by HTTP, an append is not told its id
            if append.state == ACKED and append.id is None and append.token in self.row_of:
                append.id = self.row_of[append.token][0]
        self.acked = sorted((a for a in appends if a.state == ACKED and a.id is not None), key=lambda a: a.id)
        self.acked_by_id = {a.id: a for a in self.acked}
        self.given = sorted(a.id for a in appends if a.id is not None and a.state != UNDONE and a.token)
        self.certain = sorted({a.id for a in self.acked if not self.may_be_lost(a)} | set(self.rows))

    def find(self, kind, text, chunk_id=None, when=None, who=None):
        self.findings.append(Finding(kind, f"{self.name}: {text}", self.name, chunk_id, when, who))

    # What excuses.

    def may_be_lost(self, append):
        # The WAL writer flushes what did not wait for its flush within three times wal_writer_delay (0.2 s).
        return any(append.loose and f.began <= append.ended + LOOSE and append.began <= (f.ended or FOREVER) for f in self.crashes) or \
            any(append.ended >= f.loses_after and append.began <= (f.ended or FOREVER) for f in self.losses)

    def removed(self, chunk_id, before=FOREVER, sent=-FOREVER):
        """Some removal that began before this time, and was not over when the chunk was sent, may have removed it. A
        deletion takes what an open transaction has appended, too."""
        return any(r.began < before and r.done is not False and (r.ended is None or r.ended > sent or r.keep is not None) and
                   (chunk_id < r.below if r.below is not None else r.keep is None or self.behind(chunk_id) >= r.keep)
                   for r in self.removals)

    def behind(self, chunk_id):
        """How many data chunks of higher ids writers may have stored."""
        return len(self.given) - bisect.bisect_right(self.given, chunk_id)

    # The judgement.

    def judge(self, readings, bounds, pauses):
        self.writers()
        for reading in readings:
            self.reader(reading)
        self.identities(readings)
        self.stalls(readings, bounds, pauses)
        return self.findings

    def writers(self):
        twice = defaultdict(list)
        for chunk_id, token, _, eof in self.table:
            append = self.by_token.get(token)
            if token == "" and eof:
                continue
            if append is None:
                self.find("altered", f"the table has chunk {chunk_id} with {token!r}, which nobody appended", chunk_id)
                continue
            twice[token].append(chunk_id)
            if append.state == UNDONE:
                self.find("rolled back and seen", f"the table has {append}", chunk_id, append.ended, append.who)
            if append.state == ACKED and append.id not in (None, chunk_id):
                self.find("altered", f"{append} has the id {chunk_id} in the table", chunk_id, append.ended, append.who)
        for token, ids in twice.items():
            if len(ids) > 1:
                self.find("duplicated", f"{self.by_token[token]} is stored as {ids}", ids[-1], self.by_token[token].ended)
        for append in self.acked:
            row = self.rows.get(append.id)
            if append.token == "" and row is not None and row[3]:
                continue
            if (row is None or row[1] != append.token) and not self.may_be_lost(append) \
                    and not self.removed(append.id, sent=append.began):
                self.find("lost", f"{append} is not in the table" + (f", but {row[1]}" if row else ""), append.id, append.ended, append.who)
        for append in self.appends:
            if append.state == ACKED and append.id is None and not self.may_be_lost(append) and not self.removed(0, sent=append.began):
                self.find("lost", f"{append} is not in the table", None, append.ended, append.who)
        for append, following in itertools.pairwise(self.acked):
            if append.id == following.id and append.token != following.token and not self.gives_again:
                self.find("id reused", f"{append} and {following}", append.id, following.ended, following.who)
        eof = next((row[0] for row in self.table if row[3]), None)
        if eof is not None:
            for row in self.table:
                if row[0] > eof:
                    self.find("behind EOF", f"{row[1]} has the id {row[0]}, behind the EOF {eof}", row[0])
            for append in self.acked:
                if append.id > eof and append.token:
                    self.find("behind EOF", f"{append}, behind the EOF {eof}", append.id, append.ended)
        for append in self.acked:
            if append.expected is not None:
                between = [a for a in self.acked if append.expected < a.id < append.id and (a.tied is None or a.tied != append.tied)]
                if between or append.id <= append.expected:
                    self.find("expected", f"{append} expected {append.expected}, but there is {between}", append.id, append.ended, append.who)

    def reader(self, reading):
        for number, segment in enumerate(reading.segments):
            self.segment(reading, segment, last=number == len(reading.segments) - 1)

    def segment(self, reading, segment, last):
        who = reading.who
        highest, seen, behind_eof = segment.cursor, set(), False
        for chunk_id, token, epoch, eof, when in segment.chunks:
            if chunk_id is None:
                chunk_id = self.id_of(token)
            append = self.by_token.get(token)
            if behind_eof:
                self.find("behind EOF", f"{who} got {chunk_id} ({token}) behind the EOF", chunk_id, when, who)
            if token in seen and token:
                self.find("duplicated", f"{who} got {chunk_id} ({token}) again", chunk_id, when, who)
            elif chunk_id is not None and chunk_id <= highest:
                self.find("reordered", f"{who} got {chunk_id} ({token}) after {highest}", chunk_id, when, who)
            seen.add(token)
            if append is None and not (token == "" and eof):
                self.find("altered", f"{who} got {chunk_id} with {token!r}, which nobody appended", chunk_id, when, who)
            elif append is not None and append.state == UNDONE:
                self.find("rolled back and seen", f"{who} got {append}", chunk_id, when, who)
            elif append is not None and append.state == ACKED and None not in (chunk_id, append.id) and append.id != chunk_id:
                self.find("altered", f"{who} got {append} as {chunk_id}", chunk_id, when, who)
            if chunk_id is not None:
                self.passed_over(reading, segment, highest, chunk_id, when)
                highest = max(highest, chunk_id)
            behind_eof = behind_eof or eof
        if segment.told and not (self.removals or self.gives_again):
            self.find("told without reason", f"{who} was told {segment.told} at {highest}", highest, segment.told_at, who)
        if segment.ended or (last and not segment.told):
            self.to_the_end(reading, segment, highest, behind_eof)
        if segment.ended and not self.removals and not self.gives_again and segment.cursor == 0:
            self.prefix(reading, segment)

    def id_of(self, token):
        row, append = self.row_of.get(token), self.by_token.get(token)
        return row[0] if row else append.id if append else None

    def passed_over(self, reading, segment, highest, chunk_id, when):
        """Nothing certain lies between two chunks that were delivered one after the other. Before the first one
        of a reader from the start, what was removed by then may be missing; later the reader would have been told."""
        first = highest == segment.cursor == 0
        for between in self.between(highest, chunk_id):
            row, append = self.rows.get(between), self.acked_by_id.get(between)
            if row is not None and row[1] == "" and row[3]:
                continue
            stored = append or self.by_token.get(row[1])
            if self.gives_again and stored is not None and stored.began > when:
                continue    # of the history after the crash or promotion
            if first and self.removed(between, when, append.began if append else -FOREVER):
                continue
            kind = "not told" if self.removed(between, when) or self.gives_again else "lost"
            self.find(kind, f"{reading.who} went from {highest} to {chunk_id}, past {between} ({append or row})", between, when, reading.who)
            return

    def between(self, low, high):
        return self.certain[bisect.bisect_right(self.certain, low):bisect.bisect_left(self.certain, high)]

    def to_the_end(self, reading, segment, highest, behind_eof):
        tail = [row for row in self.table if row[0] > highest and not (row[1] == "" and row[3])]
        if segment.ended and tail:
            self.find("lost", f"{reading.who} ended at {highest}, but there is {tail[0][0]} ({tail[0][1]})", tail[0][0], None, reading.who)
        elif not segment.ended:
            self.find("not ended", f"{reading.who} is at {highest}, the table ends with {self.table[-1][:2] if self.table else None}",
                      highest, segment.chunks[-1][4] if segment.chunks else segment.began, reading.who)
        for chunk_id, token, _, eof, when in segment.chunks:
            row = self.rows.get(chunk_id) if chunk_id is not None else self.row_of.get(token)
            if token == "" and eof:
                continue
            if (row is None or row[1] != token) and not self.removed(chunk_id or 0):
                self.find("not told", f"{reading.who} got {chunk_id} ({token}); the table has {row[1] if row else 'nothing'} there, and nobody told it",
                          chunk_id, when, reading.who)

    def prefix(self, reading, segment):
        """The hash of all that it got is that of the table."""
        def digest(tokens):
            return hashlib.sha256("\n".join(token for token in tokens if token).encode()).hexdigest()
        if digest(chunk[1] for chunk in segment.chunks) != digest(row[1] for row in self.table):
            self.find("prefix hash", f"{reading.who}'s is not the table's", who=reading.who)

    def identities(self, readings):
        """(id, epoch) is one chunk, whoever meets it; an id is one chunk unless ids can be given again."""
        met = {}
        def meet(chunk_id, token, epoch, who, when):
            if chunk_id is None or (epoch is None and self.gives_again):
                return
            key = (chunk_id, epoch) if self.gives_again else chunk_id
            known = met.setdefault(key, (token, epoch, who))
            if known[:2] != (token, epoch) and epoch is not None and known[1] is not None:
                self.find("id reused", f"{chunk_id} of epoch {epoch} is {token} for {who}, of {known[1]} {known[0]} for {known[2]}", chunk_id, when, who)
        for row in self.table:
            meet(row[0], row[1], row[2], "the table", None)
        for reading in readings:
            for segment in reading.segments:
                for chunk_id, token, epoch, _, when in segment.chunks:
                    meet(chunk_id, token, epoch, reading.who, when)

    def stalls(self, readings, bounds, pauses):
        """From the moment at which a chunk could be read, to its delivery: the bound of the reader's kind, not counting
        faults and the time in which the reader had no connection. An undecided append before it holds a chunk back."""
        open_times = sorted((a.began, a.ended) for a in self.appends if a.ended is not None)
        starts = [began for began, _ in open_times]
        latest = list(itertools.accumulate((ended for _, ended in open_times), max))
        acked_at = {a.token: a for a in self.acked}
        for reading in readings:
            bound = bounds.get(reading.kind)
            if bound is None:
                continue
            interruptions = sorted(pauses + reading.gaps)
            worst = None
            for segment in reading.segments:
                for chunk_id, token, _, _, when in segment.chunks:
                    append = acked_at.get(token)
                    if append is None:
                        continue
                    n = bisect.bisect_left(starts, append.ended)
                    clear = max(append.ended, segment.began, latest[n - 1] if n else 0)
                    if when <= clear + bound:
                        continue
                    for began, ended in interruptions:
                        if began <= clear + bound and ended > clear:
                            clear = ended
                    if when > clear + bound and (worst is None or when - clear > worst[0]):
                        worst = (when - clear, chunk_id, token, when)
            if worst:
                self.find("stall", f"{reading.who} ({reading.kind}) got {worst[1]} ({worst[2]}) {worst[0]:.1f} s late; the bound is {bound:.1f} s",
                          worst[1], worst[3], reading.who)


def story(history, finding, limit=40):
    """The events around what was found: faults of the seconds before, and all that concerns that chunk and its neighbours."""
    when = None if finding.when is None else finding.when - history.began
    def near(event):
        at, what, who, stream, first, last, _ = event
        if what == "fault":
            return when is not None and when - 10 <= at <= when + 1
        if stream is None or stream != finding.stream:
            return finding.stream is None and when is not None and abs(at - when) < 0.5
        if what in ("told", "remove", "removed", "start", "ended"):
            return who == finding.who or what.startswith("remove")
        if finding.id is None or first is None:
            return who == finding.who and when is not None and abs(at - when) < 0.3
        return first - 1 <= finding.id <= last + 1 and (what != "read" or who == finding.who or last - first < 3)
    events = [event for event in history.events if near(event)]
    if when is not None and len(events) > limit:
        events = sorted(sorted(events, key=lambda e: abs(e[0] - when))[:limit])
    return [f"{at:9.3f} s  {what:8} {who:22} {stream or '':12} {'' if first is None else first}{'' if last in (None, first) else f'–{last}'} {text}"
            for at, what, who, stream, first, last, text in events[:limit]]
