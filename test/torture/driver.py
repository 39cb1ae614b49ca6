"""The librill half: starts driver.cpp's program and makes history of what it says."""
import json
import os
import random
import subprocess
import threading
import time

from actors import EXPLAINED
from cluster import CLOCK
from history import ACKED, UNDONE, UNKNOWN

PROGRAM = os.environ.get("TORTURE_DRIVER")
TOLD = ("RL002", "RL003", "RL007")


class Driver:
    """One process. `lossy` and `may_deadlock` of the episode say which errors have a reason."""

    def __init__(self, episode, number, read, write, follow, append=(), produce=(), kind="librill", small=False):
        self.episode, self.history, self.name = episode, episode.history, f"rill{number}"
        self.readings = {stream: self.history.reader(self.name, stream, kind) for stream in follow}
        self.appends, self.finished, self.ended = {}, threading.Event(), set()
        self.lost_at = None
        chance = random.Random(f"{episode.seed}/{episode.number}/{self.name}")
        words = [f"name={self.name}", f"read={read}", f"write={write}", f"token=e{episode.number}{self.name}", f"seed={chance.randrange(1 << 32)}",
                 f"pause_ms={chance.choice((2, 10, 30))}", f"small={'yes' if small else 'no'}"]
        words += [f"{what}={stream}" for what, streams in (("follow", follow), ("append", append), ("produce", produce)) for stream in streams]
        environment = {**os.environ, **({"LD_PRELOAD": CLOCK} if CLOCK else {})}
        self.process = subprocess.Popen([PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            try:
                getattr(self, "on_" + said["e"])(said)
            except Exception as error:
                self.history.trouble(self.name, f"{error!r} at {line[:300]}")
        if status := self.process.wait():
            self.history.trouble(self.name, f"the driver has ended with status {status}")
        self.finished.set()

    # What it says.

    def on_running(self, said):
        pass

    def on_finished(self, said):
        self.finished.set()

    def on_trouble(self, said):
        self.history.trouble(self.name, said["x"])

    def on_event(self, said):
        self.history.event("event", self.name, text=f"{'read' if said['read'] else 'listen'} {said['x']} {said['why']}"[:200], when=said["t"])
        if said["read"] and said["x"] == "disconnected" and self.lost_at is None:
            self.lost_at = said["t"]
        if said["read"] and said["x"] == "connected" and self.lost_at is not None:
            for reading in self.readings.values():
                reading.gaps.append((self.lost_at, said["t"]))
            self.lost_at = None

    def on_begin(self, said):
        for token in said["k"]:
            append = self.history.append(said["s"], token, f"{self.name}/{said['w']}")
            append.began = said["t"]
            self.appends[token] = append

    def on_acked(self, said):
        appends = [self.appends[token] for token in said["k"]]
        for offset, append in enumerate(reversed(appends)):
            append.id = said["id"] - offset
        self.decide(appends, ACKED, said)

    def on_undone(self, said):
        self.failed(said, UNDONE)

    def on_unknown(self, said):
        self.failed(said, UNKNOWN)

    def failed(self, said, state):
        appends = [self.appends[token] for token in said["k"]]
        code = said["code"]
        if not (said["explained"] or code in EXPLAINED or code == "RL001" or (code == "40P01" and appends[0].stream in self.episode.born)
                or (code == "RL006" and self.episode.lossy) or (code == "40P01" and self.episode.maintained_lately())):
            self.history.trouble(self.name, f"{code} {said['x']}")
        if said["decided"]:
            self.decide(appends, state, said, f"{code} {said['x'][:120]}")
        else:
            # It tries again; until then the outcome is not known.
            self.history.event("again", appends[0].who, appends[0].stream, text=f"{appends[0].token} {code} {said['x'][:120]}", when=said["t"])
            for append in appends:
                append.state, append.ended = UNKNOWN, said["t"]

    def decide(self, appends, state, said, why=""):
        self.history.decide(appends, state, why)
        for append in appends:
            append.ended = said["t"]

    def on_start(self, said):
        self.history.start(self.readings[said["s"]])
        self.readings[said["s"]].segments[-1].began = said["t"]

    def on_read(self, said):
        self.history.got(self.readings[said["s"]], [tuple(chunk) for chunk in said["c"]], said["t"])

    def on_told(self, said):
        self.history.told(self.readings[said["s"]], said["code"], said["x"])
        if said["code"] not in TOLD:
            self.history.trouble(self.name, f"reader of {said['s']}: {said['code']} {said['x']}")

    def on_ended(self, said):
        self.history.ended(self.readings[said["s"]])
        self.ended.add(said["s"])

    # What it is told.

    def tell(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except OSError:
            pass

    def finish(self, timeout):
        """The writers."""
        self.tell("finish")
        if not self.finished.wait(timeout):
            self.history.trouble(self.name, f"its writers do not end within {timeout} s")

    def reading(self):
        return self.process.poll() is None and set(self.readings) - self.ended

    def end(self):
        self.tell("end")
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.thread.join(20)
        if self.lost_at is not None:
            for reading in self.readings.values():
                reading.gaps.append((self.lost_at, time.monotonic()))
