"""The HTTP half: `rill serve`, a producer that posts, and readers of events that come back at their last offset.

A post that got no answer is posted again with the same producer's number, so it is stored once. Posts are lines, since
events join chunks: a reader cuts them at line ends again, and knows no ids.
"""
import http.client
import json
import random
import signal
import socket
import subprocess
import threading
import time

from history import ACKED, UNKNOWN, payload, token_of

TEXT = {"Content-Type": "text/plain"}
SIZES = (20, 40, 100, 300, 2_500)


class Gateway:
    def __init__(self, conninfo, log):
        self.conninfo, self.log = conninfo, log
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.ending, self.lock = threading.Event(), threading.Lock()
        self.start()
        threading.Thread(target=self.supervise, daemon=True).start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["rill", "serve", "--http-port", str(self.port), "-d", self.conninfo], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def supervise(self):
        """A gateway that finds no server when it begins ends; whoever runs it begins it again."""
        while not self.ending.wait(0.2):
            with self.lock:
                if self.process.poll() is not None and not self.ending.is_set():
                    self.start()

    def stop(self, how):
        self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)

    def restart(self, how):
        with self.lock:
            self.stop(how)
            self.start()

    def end(self):
        self.ending.set()
        with self.lock:
            self.stop(signal.SIGTERM)

    def request(self, method, stream, body=None, timeout=15, **headers):
        """status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, "/v1/stream/" + stream, body, {name.replace("_", "-"): value for name, value in {**TEXT, **headers}.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


class WebThread(threading.Thread):
    def __init__(self, episode, name, stream):
        super().__init__(name=name, daemon=True)
        self.episode, self.history, self.stream = episode, episode.history, stream
        self.random = random.Random(f"{episode.seed}/{episode.number}/{name}")

    @property
    def gateway(self):
        return self.episode.gateway


class Poster(WebThread):
    """One producer of one stream."""

    def run(self):
        seq = epoch = 0
        while not self.episode.writing_over.is_set():
            token = f"e{self.episode.number}h{self.name.split()[1]}.{epoch}.{seq}.{self.random.choice(SIZES)}"
            append = self.history.append(self.stream, token, self.name)
            while True:
                status, headers = self.post(payload(token) + b"\n", epoch, seq)
                if status in (200, 204):
                    if status == 200:   # stored by this post; its offset begins with the chunk's id
                        self.history.stored(append, int(headers["Stream-Next-Offset"].split("_")[0], 16))
                    self.history.decide([append], ACKED, f"{status} {headers['Stream-Next-Offset']}")
                    seq += 1
                    break
                if status is not None and status != 503:
                    self.history.decide([append], UNKNOWN, str(status))
                    if status in (404, 409) and self.episode.lossy:     # what was accepted before is lost
                        epoch, seq = epoch + 1, 0
                    else:
                        self.history.trouble(self.name, f"POST {epoch}/{seq} was answered {status} {headers}")
                        seq += 1
                    self.create()
                    break
                time.sleep(0.05)
                append.state, append.ended = UNKNOWN, time.monotonic()
                if self.episode.over.is_set():
                    return
            time.sleep(self.random.random() * max(0.02, self.episode.pace))

    def create(self):
        try:
            self.gateway.request("PUT", self.stream)
        except (OSError, http.client.HTTPException):
            pass

    def post(self, body, epoch, seq):
        try:
            status, headers, _ = self.gateway.request("POST", self.stream, body, Producer_Id="h", Producer_Epoch=str(epoch), Producer_Seq=str(seq))
            return status, headers
        except (OSError, http.client.HTTPException):
            return None, None


class Listener(WebThread):
    """Events, or long polls."""

    def __init__(self, episode, number, stream, live):
        super().__init__(episode, f"listener {number}", stream)
        self.live = live
        self.reading = self.history.reader(self.name, stream, "http")
        self.offset = "-1"
        self.history.start(self.reading)
        self.ended = False

    def run(self):
        lost_at = None
        while not self.ended and not self.episode.over.is_set():
            try:
                answer, connection = self.ask()
                if answer.status == 410:
                    self.history.told(self.reading, "410", answer.read()[:200].decode())
                    self.offset = "-1"
                    self.history.start(self.reading)
                elif answer.status in (200, 204):
                    if lost_at is not None:
                        self.reading.gaps.append((lost_at, time.monotonic()))
                        lost_at = None
                    self.events(answer) if self.live == "sse" else self.page(answer)
                elif answer.status not in (503, 404):
                    self.history.trouble(self.name, f"GET {self.offset} was answered {answer.status} {answer.read()[:200]}")
                else:
                    time.sleep(0.1)
                connection.close()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.history.event("error", self.name, self.stream, text=repr(error)[:150])
                lost_at = lost_at or time.monotonic()
                time.sleep(0.1)

    def ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30)
        connection.request("GET", f"/v1/stream/{self.stream}?offset={self.offset}&live={self.live}")
        return connection.getresponse(), connection

    def lines(self, text):
        if text and not text.endswith("\n"):
            self.history.trouble(self.name, f"a chunk is cut before offset {self.offset}: {text[-100:]!r}")
        self.history.got(self.reading, [(None, token_of(line.encode()), None, False) for line in text.split("\n")[:-1]])

    def end_of_stream(self):
        self.ended = True
        self.history.ended(self.reading)

    def page(self, answer):
        text = answer.read().decode()
        self.lines(text)
        self.offset = answer.headers["Stream-Next-Offset"] or self.offset
        if answer.headers["Stream-Closed"] == "true" and answer.status == 204 or (answer.headers["Stream-Closed"] == "true" and answer.headers["Stream-Up-To-Date"] == "true"):
            self.end_of_stream()

    def events(self, answer):
        kind, lines, pending = "", [], ""
        while line := answer.readline():
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data:"):
                lines.append(line[6:] if line[5:6] == " " else line[5:])
            elif not line:
                text, lines = "\n".join(lines), []
                if kind == "data":
                    pending += text
                elif kind == "control":     # only this makes what came before it certain
                    control = json.loads(text)
                    self.lines(pending)
                    pending, self.offset = "", control["streamNextOffset"]
                    if control.get("streamClosed"):
                        self.end_of_stream()
                        return
            if self.episode.over.is_set():
                return
