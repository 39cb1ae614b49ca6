"""The checker finds each kind of fault in a small history, and finds nothing in the same history without it. Takes no server."""
import os
import sys
import tempfile

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib")]
from checker import judge, story  # noqa: E402
from harness import check  # noqa: E402
from history import ACKED, UNDONE, UNKNOWN, History  # noqa: E402

BOUNDS = {"follower": 5.0}


class Small:
    """Five chunks and an EOF by one writer, one of them rolled back, and a reader who got them all."""

    def __init__(self, path):
        self.history = History(path)
        self.history.began = 0.0
        self.appends = {}
        for n in range(1, 7):
            append = self.history.append("s", f"w.{n}.40" if n < 6 else "", "w", eof=n == 6)
            append.began, append.id = n * 10.0, n
            append.state, append.ended = (UNDONE if n == 3 else ACKED), n * 10.0 + 1
            self.appends[n] = append
        self.table = [(n, a.token, 7, a.eof) for n, a in self.appends.items() if n != 3]
        self.reading = self.history.reader("r", "s", "follower")
        self.history.start(self.reading)
        self.segment = self.reading.segments[0]
        self.segment.began = 0.0
        self.segment.chunks = [(*row, row[0] * 10.0 + 2) for row in self.table]
        self.segment.ended = True

    def kinds(self):
        return sorted({finding.kind for finding in judge(self.history, {"s": self.table}, BOUNDS)})

    def fault(self, **facts):
        fault = self.history.fault("fault", **facts)
        fault.began, fault.ended = 44.0, 45.0
        return fault

    def remove(self, **facts):
        removal = self.history.removal("s", "trim", **facts)
        removal.began, removal.ended, removal.done = 44.0, 45.0, True


def reader_lost(s): del s.segment.chunks[1]
def reader_stops(s): del s.segment.chunks[3:]; s.segment.ended = False
def reader_twice(s): s.segment.chunks.insert(2, s.segment.chunks[1])
def reader_swaps(s): s.segment.chunks[1:3] = reversed(s.segment.chunks[1:3])
def reader_alters(s): s.segment.chunks[1] = (2, None, 7, False, 22.0)
def reader_sees_undone(s): s.segment.chunks.insert(2, (3, "w.3.40", 7, False, 32.0))
def behind_eof(s): s.segment.chunks.append((7, "w.5.40", 7, False, 72.0))
def late(s): s.segment.chunks[1] = (*s.segment.chunks[1][:4], 29.0)
def told_for_nothing(s): s.segment.told, s.segment.told_at, s.segment.ended = "RL002", 70.0, False
def table_lost(s): del s.table[1]
def table_twice(s): s.table.append((6, "w.2.40", 7, False)); s.table.pop(-2)
def table_undone(s): s.table.insert(2, (3, "w.3.40", 7, False))
def table_foreign(s): s.table.insert(2, (3, "other.1.40", 7, False))
def table_behind_eof(s): s.table.append((7, "w.5.40", 7, False))
def another_epoch(s): s.segment.chunks[1] = (2, "w.2.40", 8, False, 22.0)
def id_again(s): s.appends[4].id = 2
def expected(s): s.appends[4].expected = 1
def not_told(s): table_lost(s); s.remove(below=1)
def undone_unknown(s): s.appends[2].state = UNKNOWN; del s.table[1]; del s.segment.chunks[1]
def removed(s): s.remove(below=3); del s.table[:2]
def removed_too_much(s): s.remove(below=2); del s.table[:2]
def removed_told(s): removed(s); del s.segment.chunks[1:]; s.segment.ended = False; s.segment.told, s.segment.told_at = "RL002", 46.0
def crash_takes_loose(s): s.appends[4].loose = True; s.fault(crashes=True); del s.table[2]; del s.segment.chunks[2]
def crash_takes_loose_untold(s): s.appends[4].loose = True; s.fault(crashes=True); del s.table[2]
def crash_takes_durable(s): s.fault(crashes=True); del s.table[2]
def promotion_takes_late(s): s.fault(loses_after=40.0); del s.table[2]; del s.segment.chunks[2]
def promotion_takes_early(s): s.fault(loses_after=42.0); del s.table[2]; del s.segment.chunks[2]
def late_in_fault(s): s.fault().began = 21.0; s.history.faults[0].ended = 28.0; late(s)


CASES = {
    lambda s: None: [], undone_unknown: [], removed: [], removed_told: [], crash_takes_loose: [], promotion_takes_late: [], late_in_fault: [],
    reader_lost: ["lost", "prefix hash"], reader_stops: ["not ended"], reader_twice: ["duplicated", "prefix hash"],
    reader_swaps: ["lost", "prefix hash", "reordered"], reader_alters: ["altered", "id reused", "not told", "prefix hash"],
    reader_sees_undone: ["not told", "prefix hash", "rolled back and seen"], behind_eof: None, late: ["stall"],
    told_for_nothing: ["told without reason"], table_lost: ["lost", "not told", "prefix hash"], table_twice: None,
    table_undone: None, table_foreign: None, table_behind_eof: None, another_epoch: ["id reused"], id_again: None,
    expected: ["expected"], not_told: None, removed_too_much: None, crash_takes_loose_untold: ["not told"], crash_takes_durable: None,
    promotion_takes_early: None}
MAIN = {behind_eof: "behind EOF", table_twice: "duplicated", table_undone: "rolled back and seen", table_foreign: "altered",
        table_behind_eof: "behind EOF", id_again: "id reused", not_told: "lost", removed_too_much: "lost", crash_takes_durable: "lost",
        promotion_takes_early: "lost"}


def run():
    good = True
    with tempfile.TemporaryDirectory() as directory:
        for case, wanted in CASES.items():
            small = Small(os.path.join(directory, "history"))
            case(small)
            got = small.kinds()
            right = got == wanted if wanted is not None else MAIN[case] in got
            for finding in judge(small.history, {"s": small.table}, BOUNDS):
                story(small.history, finding)
            if not right:
                good = check(f"the checker: {case.__name__}", False, f"{got} instead of {wanted or MAIN[case]}")
            small.history.close()
    return check(f"the checker finds what is wrong in {len(CASES)} small histories, and nothing else", good)


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
