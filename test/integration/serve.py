#!/usr/bin/env python3
"""rill serve: what the protocol's own suite (make conformance) does not try. Outages, trimmed and lost history, text
that is cut within a character, bodies of several chunks, hostile clients, foreign origins, the end by a signal.

Runs in a database with the extension, with rill on the PATH; see test/lib/harness.py."""
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import DEADLINE, Session, admin, check, main, note, one_of, role, same, wait_until  # noqa: E402

SEED = os.environ.get("RILL_TEST_SEED") or str(random.SystemRandom().randrange(10**9))
MAX_BODY = 3_000_000
OPTIONS = ("--max-body", str(MAX_BODY), "--cors", "https://friend.example")
TEXT = {"Content-Type": "text/plain"}


class Gateway:
    def __init__(self, *options, port=0, files=0, log=None, **environment):
        self.log = log or tempfile.TemporaryFile()
        limited = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh"] if files else []
        self.process = subprocess.Popen([*limited, "rill", "serve", "--http-port", str(port), *OPTIONS, *options],
                                        stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, **environment})
        line = self.process.stdout.readline().decode()
        self.port = int(line.rsplit(":", 1)[1]) if line.startswith("listening on ") else 0
        check("rill serve says where it listens", self.port, line)

    def __call__(self, method, path, body=None, timeout=DEADLINE, **headers):
        """status, headers, body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path if path.startswith("/") else "/v1/stream/" + path, body,
                               {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def raw(self, data, timeout=DEADLINE):
        """Everything that is answered to these bytes, until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def lines(self):
        """What it has written to standard error."""
        return os.pread(self.log.fileno(), 10_000_000, 0).decode().splitlines()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


gateway = None


def begin():
    """The gateway"""
    global gateway
    gateway = Gateway()
    note(f"RILL_TEST_SEED={SEED}")


class Follower:
    """A client of events that connects again at its last offset, as the protocol says, until the stream has ended."""

    def __init__(self, stream, offset="-1"):
        self.stream, self.offset, self.text = stream, offset, ""
        self.ended, self.connects, self.complaint = False, 0, ""
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended and not self.complaint:
            try:
                self.connects += 1
                self.connect()
            except (OSError, http.client.HTTPException):
                pass

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)
        connection.request("GET", f"/v1/stream/{self.stream}?offset={self.offset}&live=sse")
        answer = connection.getresponse()
        if answer.status == 503:
            return
        if answer.status != 200:
            self.complaint = f"{answer.status} {answer.read()}"
            return
        kind, lines, pending = "", [], ""
        while line := answer.readline():
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data:"):
                lines.append(line[6:] if line[5:6] == " " else line[5:])
            elif not line:
                payload, lines = "\n".join(lines), []
                if kind == "data":
                    pending += payload
                else:
                    # Only a control event makes what came before it certain.
                    control = json.loads(payload)
                    self.text, pending, self.offset = self.text + pending, "", control["streamNextOffset"]
                    self.ended = control.get("streamClosed", False)
        connection.close()


def outages():
    """A follower and a producer lose, repeat and reorder nothing while sessions and the gateway itself are killed"""
    gateway("PUT", "outage", **TEXT)
    follower = Follower("outage")
    end = threading.Event()
    killed, restarts = [], []

    def restart():
        global gateway
        gateway.process.kill()
        gateway.process.wait()
        restarts.append(gateway)
        gateway = Gateway(port=gateway.port)

    def kill():
        chance = random.Random(SEED)
        while not end.wait(chance.uniform(0.02, 0.2)):
            if len(killed) % 10 == 9:
                restart()
            killed.append(admin().value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                        " WHERE application_name LIKE 'rill serve%'"))

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes, seq, status = {}, 0, 200
    # What got no answer is repeated until it has one, also at the end.
    while status in (None, 503) or ((len(restarts) < 4 or sum(killed) < 40) and seq < 50_000):
        try:
            status = gateway("POST", "outage", f"{seq}\n", Producer_Id="p", Producer_Epoch="0", Producer_Seq=str(seq), **TEXT)[0]
        except (OSError, http.client.HTTPException):
            status = None   # no answer: the same again
        outcomes[status] = outcomes.get(status, 0) + 1
        if status in (200, 204):
            seq += 1
        elif status not in (None, 503):
            break
    end.set()
    killer.join()
    check("the stream is closed in the end", wait_until(lambda: gateway("POST", "outage", Stream_Closed="true")[0] == 204))
    wait_until(lambda: follower.ended or follower.complaint)
    got = follower.text.splitlines()
    wrong = next((n for n, line in enumerate(got) if line != str(n)), len(got))
    check("every line once, in order", len(got) == wrong == seq,
          f"{len(got)} of {seq}, ended: {follower.ended}, {follower.complaint}: {got[max(0, wrong - 5):wrong + 5]}")
    check("only answers of the protocol", set(outcomes) <= {200, 204, 503, None}, outcomes)
    check("sessions were killed", sum(killed) >= 40, killed)
    note(f"{outcomes}, {sum(killed)} sessions and {len(restarts)} gateways killed, {follower.connects} connections of the follower")


def reports():
    """A lost database, and that it is back, is one line each on standard error"""
    reporting = Gateway(PGAPPNAME="reporting")

    def lines():
        return [line.split(",")[0] for line in os.pread(reporting.log.fileno(), 1_000_000, 0).decode().splitlines()]

    for times in (1, 2):
        admin().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'reporting%'")
        check("reported", wait_until(lambda: lines() == ["rill: connection lost", "rill: connected again"] * times), lines())
    same("it ends", reporting.stop(), 128 + signal.SIGTERM)


def history():
    """An offset whose chunk is not there any more, or is another one, is 410, never other data"""
    _, headers, _ = gateway("PUT", "history", "one", **TEXT)
    first = headers["Stream-Next-Offset"]
    for word in ("two", "three"):
        gateway("POST", "history", word, **TEXT)
    same("resumes", gateway("GET", f"history?offset={first}")[2], b"twothree")
    epoch = int(first[17:], 16)
    for live in ("", "&live=long-poll", "&live=sse"):
        same(f"another epoch{live}", gateway("GET", f"history?offset={first[:17]}{epoch ^ 1:016x}{live}")[0], 410)
        same(f"ahead of the head{live}", gateway("GET", f"history?offset=00000000000000ff_{epoch:016x}{live}")[0], 410)
    admin().run("SELECT stream_trim('history', 3)")
    for live in ("", "&live=long-poll", "&live=sse"):
        same(f"behind retention{live}", gateway("GET", f"history?offset={first}{live}")[0], 410)
        same(f"offset zero behind retention{live}", gateway("GET", f"history?offset={'0' * 16}_{'0' * 16}{live}")[0], 410)
    same("the beginning is what is retained", gateway("GET", "history?offset=-1")[2], b"three")
    gateway("POST", "history", Stream_Closed="true")
    gateway("DELETE", "history")
    same("a deleted stream", gateway("GET", f"history?offset={first}")[0], 404)
    gateway("PUT", "history", "new", **TEXT)
    same("an offset of the deleted stream", gateway("GET", f"history?offset={first}")[0], 410)
    same("the new stream", gateway("GET", "history")[2], b"new")
    same("of a stream made in SQL", admin().value("SELECT stream_append('sql/ü', 'x')"), 1)
    status, headers, body = gateway("GET", "sql/%C3%BC")
    same("its type and data", (status, headers["Content-Type"], body), (200, "application/octet-stream", b"x"))


def bodies():
    """A long body is stored whole, in several chunks; JSON keeps its bytes; a cut character is whole in an event"""
    chance = random.Random(SEED)
    body = "".join(chance.choice("aé€😀") for _ in range(800_000)).encode()
    gateway("PUT", "long", **TEXT)
    gateway("POST", "long", body, **TEXT)
    sizes = [size for (size,) in admin().rows("SELECT length(data) FROM stream_read_since('long', 0, max_bytes => null)")]
    check("several chunks", len(sizes) > 1 and sum(sizes) == len(body), sizes)
    same("of one transaction", admin().value("SELECT count(DISTINCT c.xmin::text) FROM stream_chunk c JOIN stream USING (stream_id) WHERE name = 'long'"), 1)
    got, offset = b"", "-1"
    while True:
        _, headers, part = gateway("GET", f"long?offset={offset}")
        got, offset = got + part, headers["Stream-Next-Offset"]
        if "Stream-Up-To-Date" in headers:
            break
    check("the pages joined are the body", got == body)

    odd = '{"a":1.00, "a":"\\u00e9",\t"n":123456789012345678901234567890}'
    gateway("PUT", "json", Content_Type="application/json")
    gateway("POST", "json", f' [ {odd} , [1 , 2]]\n', Content_Type="application/json")
    same("JSON as it was sent", gateway("GET", "json")[2].decode(), f"[{odd},[1 , 2]]")

    gateway("PUT", "cut", **TEXT)
    follower = Follower("cut")
    for part in ("a".encode(), "é".encode()[:1], "é".encode()[1:] + "€".encode()[:2], "€".encode()[2:]):
        gateway("POST", "cut", part, **TEXT)
        if part == b"a":
            check("whole text is shown at once", wait_until(lambda: follower.text == "a"), follower.text)
    gateway("POST", "cut", b"\xff\xf0\x9f", Stream_Closed="true", **TEXT)
    wait_until(lambda: follower.ended or follower.complaint)
    same("characters are whole, what is none is marked", follower.text, "aé€\ufffd\ufffd")


def sessions_that(state):
    """How many of this database's other sessions are in a state, which is an expression over pg_stat_activity."""
    return admin().value(f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {state}")


def producers():
    """A producer's request that overtakes the one before it waits for it; one that never comes is a gap"""
    gateway("PUT", "order", **TEXT)
    answers = {}

    def start(producer, seq):
        def send():
            answers[producer, seq] = gateway("POST", "order", f"{producer}.{seq} ", Producer_Id=producer, Producer_Epoch="0", Producer_Seq=str(seq), **TEXT)[0]
        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def overtakes():
        """Whether the request that came and was judged first was stored behind the other."""
        producer = f"p{len(answers)}"
        begun = admin().value("SELECT clock_timestamp()")
        first = start(producer, 1)
        judged = wait_until(lambda: sessions_that(f"query LIKE '%stream_try_append%' AND state = 'idle' AND query_start > '{begun}'"))
        start(producer, 0).join()
        first.join()
        return judged and answers[producer, 1] == answers[producer, 0] == 200

    # Slow machines may take longer than the gateway waits: then it is a gap.
    check("in order", wait_until(overtakes), list(answers.items())[-6:])
    last = gateway("GET", "order")[2].decode().split()[-2:]
    same("both are stored", [part.split(".")[1] for part in last], ["0", "1"])
    status, headers, _ = gateway("POST", "order", "x", Producer_Id="q", Producer_Epoch="0", Producer_Seq="9", **TEXT)
    same("a gap", (status, headers["Producer-Expected-Seq"], headers["Producer-Received-Seq"]), (409, "0", "9"))
    big = str(2**53 - 1)
    same("the highest epoch", gateway("POST", "order", "y", Producer_Id="q", Producer_Epoch=big, Producer_Seq="0", **TEXT)[0], 200)
    status, headers, _ = gateway("POST", "order", "x", Producer_Id="q", Producer_Epoch="1", Producer_Seq="0", **TEXT)
    same("fenced", (status, headers["Producer-Epoch"]), (403, big))


def lifetimes():
    """A time to live of centuries is one like any other, and following it costs one touch"""
    counting = Gateway(PGAPPNAME="counting", PGOPTIONS="-c track_functions=all")
    ttls = ("30000000000", "100000000000", "150000000000")
    for ttl in ttls:
        same("a stream", counting("PUT", "ttl" + ttl, "x", Stream_TTL=ttl, **TEXT)[0], 201)
        same("says so", counting("HEAD", "ttl" + ttl)[1]["Stream-TTL"], ttl)
        with socket.create_connection(("127.0.0.1", counting.port), timeout=DEADLINE) as follower:
            follower.sendall(f"GET /v1/stream/ttl{ttl}?offset=-1&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            same("is followed", follower.recv(12), b"HTTP/1.1 200")
            same("others are served", [counting("GET", "/health")[0] for _ in range(50)], [200] * 50)
        same("a page", counting("GET", f"ttl{ttl}?offset=now")[0], 200)
    same("it ends", counting.stop(), 128 + signal.SIGTERM)
    # A session reports its counts at its end, and before it leaves pg_stat_activity.
    wait_until(lambda: not admin().value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counting'"))
    same("touches", admin().value("SELECT sum(calls)::int FROM pg_stat_user_functions WHERE funcname = 'stream_touch'"), len(ttls))

    # Reading does not depend on it: it cannot be made on a standby.
    untouching = role("untouching")
    admin().run(f"GRANT SELECT ON stream TO {untouching}; REVOKE EXECUTE ON FUNCTION stream_touch FROM PUBLIC")
    gateway("PUT", "kept", "x", Stream_TTL="3600", **TEXT)
    reader = Gateway(PGUSER=untouching)
    for query in ("?offset=-1", "?offset=now", "?offset=-1&live=long-poll"):
        same(f"{query} where no touch can be made", reader("GET", "kept" + query)[0], 200)
    admin().run("GRANT EXECUTE ON FUNCTION stream_touch TO PUBLIC")
    reader.stop()


def empty_chunks():
    """A chunk without data, which SQL can store, is a position for every kind of read"""
    gateway("PUT", "empty", "a", **TEXT)
    admin().run("SELECT stream_append('empty', '')")
    tail = gateway("HEAD", "empty")[1]["Stream-Next-Offset"]
    same("a page", gateway("GET", "empty")[1]["Stream-Next-Offset"], tail)
    follower = Follower("empty")
    check("events", wait_until(lambda: follower.offset == tail), (follower.offset, tail))
    behind = Follower("empty", tail)
    gateway("POST", "empty", "b", Stream_Closed="true", **TEXT)
    check("both go on", wait_until(lambda: follower.ended and behind.ended), (follower.complaint, behind.complaint))
    same("and lose nothing", (follower.text, behind.text), ("ab", "b"))


def expiry():
    """Times are kept only in the range that librill's clock has, and judged by the server's clock"""
    for time, status in (("1500-01-01T00:00:00Z", 400), ("9999-01-01T00:00:00Z", 400), ("2200-01-01T00:00:00Z", 201)):
        same(time, gateway("PUT", "until" + time[:4], Stream_Expires_At=time, **TEXT)[0], status)
    admin().run("SELECT stream_create('gone', expires_at => now())")
    same("expired", gateway("HEAD", "gone")[0], 404)
    with tempfile.TemporaryDirectory() as place:
        library, ahead = os.path.join(place, "clock.so"), os.path.join(place, "ahead")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/stepped_clock.c")
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
        with open(ahead, "wb") as file:
            file.write((24 * 3600).to_bytes(8, sys.byteorder))
        tomorrow = Gateway(LD_PRELOAD=" ".join(filter(None, (os.environ.get("LD_PRELOAD"), library))), PG_RILL_TEST_CLOCK=ahead)
    admin().run("SELECT stream_create('soon', expires_at => now() + interval '1 hour')")
    same("by a gateway whose clock is a day ahead", tomorrow("HEAD", "soon")[0], 200)
    same("and written to", tomorrow("POST", "soon", "x", Content_Type="application/octet-stream")[0], 204)
    # Its cursors count 20 seconds.
    cursors = [int(one("GET", "soon?offset=-1&live=long-poll")[1]["Stream-Cursor"]) for one in (gateway, tomorrow)]
    check("whose clock is ahead", 4_310 <= cursors[1] - cursors[0] <= 4_330, cursors)
    tomorrow.stop()


def half_made():
    """A PUT is repeated after the gateway died between its two transactions: the body is stored, or refused, never lost"""
    half = '{"content_type": "text/plain", "initial": true}'
    for name in ("half", "closed half"):
        admin().run("SELECT stream_create(%s, metadata => %s::jsonb)", name, half)
    same("stored", gateway("PUT", "half", "x", **TEXT)[0], 200)
    same("once", gateway("PUT", "half", "x", **TEXT)[0], 200)
    same("is there", gateway("GET", "half")[2], b"x")
    admin().run("SELECT stream_close('closed half')")
    status, headers, _ = gateway("PUT", "closed%20half", "x", Stream_Closed="true", **TEXT)
    same("closed meanwhile", (status, headers["Stream-Closed"]), (409, "true"))
    same("without a body nothing is lost", gateway("PUT", "closed%20half", Stream_Closed="true", **TEXT)[0], 200)


def refusals():
    """Forks, subscriptions, foreign origins, names and requests that cannot be"""
    same("a fork", gateway("PUT", "fork", Stream_Forked_From="/v1/stream/a")[0], 501)
    same("a subscription", gateway("PUT", "__ds/subscriptions/a")[0], 501)
    same("a foreign page may not even write", gateway("PUT", "evil", Origin="https://evil.example", **TEXT)[0], 403)
    same("nothing was made", gateway("HEAD", "evil")[0], 404)
    status, headers, _ = gateway("PUT", "kind", Origin="https://friend.example", **TEXT)
    same("an allowed page", (status, headers["Access-Control-Allow-Origin"]), (201, "https://friend.example"))
    same("its images", headers["Cross-Origin-Resource-Policy"], "cross-origin")
    for site in ("cross-site", "same-site"):
        fetch = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}
        same(f"an image on a {site} page", gateway("GET", "kind?offset=-1", **fetch)[0], 403)
        same("in a frame", gateway("GET", "kind?offset=-1", **{**fetch, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"})[0], 403)
        same("a link", gateway("GET", "kind?offset=-1", **{**fetch, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"})[0], 200)
    status, headers, _ = gateway("GET", "kind?offset=-1", Sec_Fetch_Site="none", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    same("its address, typed", (status, headers["Cross-Origin-Resource-Policy"]), (200, "same-origin"))
    same("a page of this server", gateway("PUT", "own", Origin=f"http://127.0.0.1:{gateway.port}", **TEXT)[0], 201)
    same("another name for this address", gateway("GET", "own", Host="evil.example")[0], 421)
    same("an allowed one", gateway("GET", "own", Host="friend.example")[0], 200)
    for name in ("", "%00", "%zz", "a" * 513):
        same(f"the name {name[:9]!r}", gateway("PUT", "/v1/stream/" + name, **TEXT)[0], 400)
    same("a name that is not UTF-8", gateway("PUT", "%ff", **TEXT)[0], 400)
    check("health", gateway("GET", "/health")[::2] == (200, b"ok\n"))
    check("metrics", re.search(rb'rill_serve_requests_total\{method="PUT",status="501"\} 2\n', gateway("GET", "/metrics")[2]))
    everywhere = Gateway("--listen", "0.0.0.0", "--insecure")
    for name, status in (("evil.example", 421), ("127.0.0.1.evil.example", 421), ("localhost", 200), ("192.0.2.1:80", 200), ("[2001:db8::1]", 200), ("friend.example", 200)):
        same(f"named {name} beyond loopback", everywhere("GET", "own", Host=name)[0], status)
    everywhere.stop()
    same("more than loopback needs --insecure", subprocess.run(["rill", "serve", "--listen", "0.0.0.0"], capture_output=True).returncode, 2)


def tokens():
    """With tokens a request has the rights of its token's role, and no others"""
    writer, reader = role("writer"), role("reader")
    admin().run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO {writer}; GRANT SELECT ON stream TO {reader}")
    keys = {"writer": "write-0123456789abcdef", "reader": "read-0123456789abcdef"}
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"# a comment\n{keys['writer']} {writer}\n{keys['reader']}\t{reader}\n")
        file.flush()
        guarded = Gateway("--tokens", file.name)
        os.chmod(file.name, 0o644)
        same("a file that everybody can read", subprocess.run(["rill", "serve", "--tokens", file.name], capture_output=True).returncode, 1)
    write = {"Authorization": "Bearer " + keys["writer"], **TEXT}
    read = {"Authorization": "Bearer " + keys["reader"], **TEXT}
    status, headers, _ = guarded("PUT", "guarded", "x", **TEXT)
    same("no token", (status, headers["WWW-Authenticate"]), (401, "Bearer"))
    same("a wrong one", guarded("GET", "guarded", Authorization="Bearer " + keys["reader"][:-1] + "0")[0], 401)
    for begun in ("PUT /v1/stream/x", "POST /", "POST /health", "DELETE /health"):
        head = f"{begun} HTTP/1.1\r\nHost: localhost:{guarded.port}\r\nContent-Length: 1000000\r\n"
        for kind, field in (("a body", ""), ("leave to send one", "Expect: 100-continue\r\n")):
            check(f"{begun} without a token, and {kind} is not waited for", guarded.raw((head + field + "\r\n").encode()).startswith(b"HTTP/1.1 401"))
    check("nor is one taken where nobody needs a token", guarded.raw(
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n").startswith(b"HTTP/1.1 413"))
    same("no token, no counts", guarded("GET", "/metrics")[0], 401)
    same("health is for everybody", guarded("GET", "/health")[0], 200)
    same("a writer creates", guarded("PUT", "guarded", "x", **write)[0], 201)
    same("and appends", guarded("POST", "guarded", "y", **write)[0], 204)
    same("a reader reads", guarded("GET", "guarded", **read)[2], b"xy")
    same("but does not append", guarded("POST", "guarded", "z", **read)[0], 403)
    same("create", guarded("PUT", "other", **read)[0], 403)
    same("or delete", guarded("DELETE", "guarded", **read)[0], 403)
    same("the owner of the stream", admin().value("SELECT owner::text FROM stream WHERE name = 'guarded'"), writer)
    admin().run(f"REVOKE ALL ON stream FROM {reader}")
    one_of("rights that are taken away", guarded("GET", "guarded", **read)[0], (403, 404))
    guarded.stop()
    guarded.log.seek(0)
    check("no token on standard error", not any(key in guarded.log.read().decode() for key in keys.values()))


def hostile():
    """Clients that send too much, nonsense, or read nothing, hurt only themselves"""
    host = f"Host: 127.0.0.1:{gateway.port}\r\n"

    def status(text):
        answer = gateway.raw(text.encode("latin1"))
        return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.") else answer

    same("a long header", status(f"GET /health HTTP/1.1\r\n{host}X: {'x' * 100_000}\r\n\r\n"), 431)
    same("a long body", status(f"PUT /v1/stream/h HTTP/1.1\r\n{host}Content-Length: {MAX_BODY + 1}\r\n\r\n"), 413)
    chunk = f"10000\r\n{'x' * 65536}\r\n"
    same("a long body without a length", status(f"PUT /v1/stream/h HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{chunk * 50}"), 413)
    chunked = f"GET /health HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"
    same("a chunk's size that does not end", status(f"{chunked}1;{'a' * 200_000}"), 431)
    same("a trailer that does not end", status(f"{chunked}0\r\nX: {'a' * 200_000}"), 431)
    for coding in ("chunked, x", "xchunked", "gzip, chunked", "chunked\r\nTransfer-Encoding: chunked", "identity"):
        smuggled = f"POST /v1/stream/h HTTP/1.1\r\n{host}Transfer-Encoding: {coding}\r\n\r\n"
        answers = gateway.raw(f"{smuggled}0\r\n\r\nGET /health HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
        same(f"the coding {coding!r}, and nothing behind it", re.findall(rb"HTTP/1\.1 (\d+)", answers), [b"400"])
    same("a length and a coding", status(f"POST /v1/stream/h HTTP/1.1\r\n{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400)
    same("two lengths", status(f"POST /v1/stream/h HTTP/1.1\r\n{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400)
    same("two names", status(f"GET /health HTTP/1.1\r\n{host}Host: localhost\r\n\r\n"), 400)
    same("no HTTP", status("hello\r\n\r\n"), 400)
    same("HTTP/1.0 is answered and closed", status(f"GET /health HTTP/1.0\r\n{host}\r\n"), 200)
    answers = gateway.raw(f"GET /health HTTP/1.1\r\n{host}\r\n".encode() * 3 + f"GET /health HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
    same("pipelined requests", answers.count(b"HTTP/1.1 200 OK"), 4)

    gateway("PUT", "flood", **TEXT)
    sleeper = socket.create_connection(("127.0.0.1", gateway.port))
    sleeper.sendall(f"GET /v1/stream/flood?offset=-1&live=sse HTTP/1.1\r\n{host}\r\n".encode())
    with open(f"/proc/{gateway.process.pid}/status") as before:
        memory = int(re.search(r"VmRSS:\s+(\d+)", before.read())[1])
    part = b"x" * 2_000_000
    for _ in range(60):
        gateway("POST", "flood", part, **TEXT)
    follower = Follower("flood")
    check("others read on", wait_until(lambda: len(follower.text) == 60 * len(part)), len(follower.text))
    with open(f"/proc/{gateway.process.pid}/status") as after:
        grown = int(re.search(r"VmRSS:\s+(\d+)", after.read())[1]) - memory
    check("what a client does not read is not kept for it", grown < 60_000, f"{grown} kB more")
    sleeper.close()
    gateway("POST", "flood", Stream_Closed="true")
    wait_until(lambda: follower.ended)


def many_clients():
    """Clients that do nothing leave the database its file descriptors"""
    small = Gateway(files=128, PGAPPNAME="small")
    first = http.client.HTTPConnection("127.0.0.1", small.port, timeout=DEADLINE)

    def request(method, path):
        first.request(method, path, None, TEXT)
        answer = first.getresponse()
        answer.read()
        return answer.status

    same("served", request("PUT", "/v1/stream/small"), 201)
    idle = [socket.create_connection(("127.0.0.1", small.port), timeout=DEADLINE) for _ in range(128)]
    closed = sum(1 for client in idle[64:] if client.recv(1) == b"")
    same("what is too many is closed", closed, 64)
    admin().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'small%'")
    same("who is connected is served by new connections to the database",
         [request("GET", path) for path in ("/health", "/v1/stream/small", "/v1/stream/small")], [200] * 3)
    for client in idle:
        client.close()
    same("it ends", small.stop(), 128 + signal.SIGTERM)


def blocked():
    """A session that keeps the end of a stream uncommitted holds up that stream's writers and nobody else"""
    for name in ("held", "free"):
        gateway("PUT", name, "x", **TEXT)

    def round_passes():
        """Whether all of another stream was served while the writers of this one were held up."""
        answers = []
        with Session() as session:
            session.run("BEGIN")
            session.run("SELECT stream_append('held', 'x', true)")
            writers = [threading.Thread(target=lambda: answers.append(gateway("POST", "held", "y", timeout=4 * DEADLINE, **TEXT)[0])) for _ in range(20)]
            for writer in writers:
                writer.start()
            wait_until(lambda: sessions_that("wait_event_type = 'Lock'") == 4)
            one_of("another stream's writer", gateway("POST", "free", "y", **TEXT)[0], (204,))
            same("its reader", gateway("GET", "held")[2][:1], b"x")
            same("the health", {gateway("GET", "/health")[0] for _ in range(20)}, {200})
            unaffected = not answers
            session.run("ROLLBACK")
            for writer in writers:
                writer.join()
        check("each of the others is stored or told to come again", set(answers) <= {204, 503} and len(answers) == 20, answers)
        stored.append(answers.count(204))
        return unaffected

    stored = []
    # A slow machine may need longer than the writers wait.
    check("nobody else has waited for them", wait_until(round_passes))
    check("what was acknowledged is stored", len(gateway("GET", "held")[2]) >= 1 + sum(stored))


ENTRY = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 (\S+) ([!-~]+) ([!-~]+) (\d{3}|-) (\d+) (\d+)")


def access_log():
    """--access-log: one line for each request, however it ends; neither tokens nor what a client sends can spoil it"""
    owner, token, wrong = role("logged"), "logged-0123456789abcdef", "wrong-0123456789abcdef"
    admin().run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO {owner}")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"{token} {owner}\n")
        file.flush()
        logging = Gateway("--access-log", "--long-poll", "0.1", "--tokens", file.name)
    mine = {"Authorization": "Bearer " + token, **TEXT}
    head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nX: hidden-value\r\nConnection: close\r\n"
    seen = []

    def entry(what, who, method, target, status, size=None):
        """The next line is the one of this request."""
        check(f"{what} has a line", wait_until(lambda: len(logging.lines()) > len(seen)), logging.lines()[-3:])
        seen.append(logging.lines()[len(seen)])
        found = ENTRY.fullmatch(seen[-1])
        same(f"{what}: its line", found and found.groups()[:4], (who, method, target, status))
        if size is not None:
            same(f"{what}: bytes sent", found and int(found[5]), size)

    def plain(what, who, method, target, status, **headers):
        same(what, str(logging(method, target, **headers)[0]), status)
        entry(what, who, method, target, status)

    def raw(what, who, method, target, status, data):
        entry(what, who, method, target, status, len(logging.raw(data.encode("latin1") if isinstance(data, str) else data)))

    stream = "/v1/stream/logged"
    plain("creating", owner, "PUT", stream, "201", **mine)
    plain("appending", owner, "POST", stream, "400", **mine)
    same("data", logging("POST", stream, "x", **mine)[0], 204)
    entry("data", owner, "POST", stream, "204")
    plain("describing", owner, "HEAD", stream, "200", **mine)
    plain("reading", owner, "GET", stream + "?offset=-1", "200", **mine)
    plain("a long-poll", owner, "GET", stream + "?offset=now&live=long-poll", "204", **mine)
    plain("a preflight", "-", "OPTIONS", stream, "204")
    plain("the page", "-", "GET", "/", "200")
    plain("no stream", owner, "GET", "/v1/stream/none", "404", **mine)
    plain("no such method", owner, "PATCH", stream, "405", **mine)
    plain("no token", "-", "GET", stream, "401")
    plain("a wrong token", "-", "GET", stream, "401", Authorization="Bearer " + wrong)
    plain("a foreign page", owner, "GET", stream, "403", Origin="https://evil.example", **mine)
    # Its length is judged before its token is.
    raw("a long body", "-", "PUT", stream, "413", f"PUT {stream} HTTP/1.1\r\n{head}Content-Length: {MAX_BODY + 1}\r\n\r\n")
    raw("a long header", "-", "GET", stream, "431", f"GET {stream} HTTP/1.1\r\n{head}Y: {'y' * 100_000}\r\n\r\n")
    raw("no HTTP", "-", "-", "-", "400", "hello\r\n\r\n")
    raw("bytes that are no text", owner, "GET", "/%E9", "404", f"GET /\xe9 HTTP/1.1\r\n{head}\r\n")
    raw("a long target", owner, "GET", "/" + "a" * 1023 + "...", "404", f"GET /{'a' * 5000} HTTP/1.1\r\n{head}\r\n")
    raw("a long method", owner, "M" * 192 + "...", "/", "405", f"{'M' * 5000} / HTTP/1.1\r\n{head}\r\n")
    for odd in "\x00\x01\x1b\x7f\x9b\r\n":
        logging.raw(f"GET /{odd}2026-01-01T00:00:00.000Z HTTP/1.1\r\n{head}\r\n".encode("latin1"))
        check(f"a control character {odd!r} has a line", wait_until(lambda: len(logging.lines()) > len(seen)))
        seen.append(logging.lines()[len(seen)])
        check(f"a control character {odd!r} spoils none", ENTRY.fullmatch(seen[-1]), seen[-1])

    # Pipelined requests have a line each.
    logging.raw(f"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\n{head}\r\n".encode())
    entry("the first of two", "-", "GET", "/a", "401")
    entry("the second", owner, "GET", "/b", "404")
    with socket.create_connection(("127.0.0.1", logging.port), timeout=DEADLINE) as leaving:
        leaving.sendall(f"POST {stream} HTTP/1.1\r\n{head}Content-Length: 10\r\n\r\nx".encode())
    entry("a client that leaves within its body", owner, "POST", stream, "-", 0)
    events = f"GET {stream}?offset=-1&live=sse HTTP/1.1\r\n{head}\r\n".encode()
    with socket.create_connection(("127.0.0.1", logging.port), timeout=DEADLINE) as leaving:
        leaving.sendall(events)
        same("events", leaving.recv(12), b"HTTP/1.1 200")
        check("have no line before they end", len(logging.lines()) == len(seen), logging.lines()[len(seen):])
    entry("events that nobody reads on", owner, "GET", stream + "?offset=-1&live=sse", "200")
    closed = threading.Thread(target=lambda: raw("events to their end", owner, "GET", stream + "?offset=-1&live=sse", "200", events))
    closed.start()
    check("are followed", wait_until(lambda: re.search(rb"rill_serve_live_reads 1\n", gateway_metrics(logging, mine, seen))))
    admin().run("SELECT stream_close('logged')")
    closed.join()
    plain("deleting", owner, "DELETE", stream, "204", **mine)
    same("it ends", logging.stop(), 128 + signal.SIGTERM)
    text = "\n".join(logging.lines())
    same("no line but these", len(logging.lines()), len(seen))
    check("no token and no header in them", not any(secret in text for secret in (token, wrong, "hidden-value", "evil.example", "Bearer")))
    same("none without the option", [line for line in gateway.lines() if ENTRY.match(line)], [])


def gateway_metrics(server, headers, seen):
    """/metrics of a server that logs, whose line is skipped."""
    body = server("GET", "/metrics", **headers)[2]
    wait_until(lambda: len(server.lines()) > len(seen))
    seen.append(server.lines()[len(seen)])
    return body


def stalled_log():
    """Whoever does not read standard error keeps nobody from being answered, and is told how many lines were dropped"""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        stalled = Gateway("--access-log", log=pipe, PGAPPNAME="stalled")
        # Of its own, to be non-blocking while the gateway's is not.
        filler = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
    dropped = lambda: int(re.search(rb"log_lines_dropped_total (\d+)\n", stalled("GET", "/metrics")[2])[1])  # noqa: E731
    stalled("PUT", "stalled", "x", **TEXT)
    asked = 1
    connection = http.client.HTTPConnection("127.0.0.1", stalled.port, timeout=DEADLINE)
    while asked < 20_000 and (asked % 200 or not dropped()):
        connection.request("GET", "/" + "a" * 2000)
        connection.getresponse().read()
        asked += 1
    check("lines are dropped", dropped() > 0)
    # What is told of the database waits for no reader, either, although not a byte fits into the pipe.
    try:
        while os.write(filler, b"\n"):
            pass
    except BlockingIOError:
        os.close(filler)
    for _ in range(3):
        admin().run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'stalled%'")
    same("reads go on", [stalled("GET", "stalled?offset=-1")[2] for _ in range(3)], [b"x"] * 3)
    same("it ends", stalled.stop(), 128 + signal.SIGTERM)
    os.close(reading)

    # Once more, with a reader that comes back.
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        stalled = Gateway("--access-log", log=pipe)
    connection = http.client.HTTPConnection("127.0.0.1", stalled.port, timeout=DEADLINE)
    asked = 2_000
    for _ in range(asked):
        connection.request("GET", "/" + "a" * 2000)
        connection.getresponse().read()
    connection.close()
    parts = []
    with os.fdopen(reading, "rb") as file:
        collector = threading.Thread(target=lambda: parts.append(file.read()))
        collector.start()
        same("it ends when it is read again", stalled.stop(), 128 + signal.SIGTERM)
        collector.join()
    got = b"".join(parts).decode().splitlines()
    told = [int(line.rsplit(" ", 1)[1]) for line in got if line.startswith("rill: lines dropped")]
    check("it is told how many are missing", told and sum(told) + sum(bool(ENTRY.fullmatch(line)) for line in got) == asked, (told, len(got)))


def many_bodies():
    """Bodies that are under way take so much memory and no more; then others are turned away, for so long"""
    gateway("PUT", "bodies", **TEXT)
    head = f"POST /v1/stream/bodies HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {MAX_BODY}\r\n\r\n"
    refused = lambda: gateway("POST", "bodies", b"x" * MAX_BODY, **TEXT)[0] == 503  # noqa: E731
    check("one alone is stored", not refused())
    clients = []

    def full():
        clients.append(socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE))
        try:
            clients[-1].sendall(head.encode() + b"x" * (MAX_BODY - 1))
        except OSError:     # answered and closed
            pass
        return refused()

    check("too many are not", wait_until(full), len(clients))
    same("requests without one are served", gateway("GET", "/health")[0], 200)
    for client in clients:
        client.close()
    check("until those have gone", wait_until(lambda: not refused()))
    gateway("PUT", "messages", Content_Type="application/json")
    same("too many messages", gateway("POST", "messages", "[1" + ",1" * 100_000 + "]", Content_Type="application/json")[0], 413)
    gateway("DELETE", "bodies")


def stopping():
    """SIGTERM: followers are sent away with a whole answer, and the process ends"""
    gateway("PUT", "last", "x", **TEXT)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)
    connection.request("GET", "/v1/stream/last?offset=-1&live=sse")
    answer = connection.getresponse()
    answer.readline()
    # Of HTTP/1.0, whose answer ends with the connection.
    old = [socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE) for _ in range(10)]
    for follower in old:
        follower.sendall(b"GET /v1/stream/last?offset=-1&live=sse HTTP/1.0\r\nHost: localhost\r\n\r\n")
        same("is followed", follower.recv(12), b"HTTP/1.0 200")
    same("the exit code is the signal's", gateway.stop(), 128 + signal.SIGTERM)
    check("the answer has an end, which says nothing of the stream's", b"streamClosed" not in answer.read())
    for follower in old:
        with follower.makefile("rb") as rest:
            check("so has one of HTTP/1.0", rest.read().endswith(b"\n\n"))
        follower.close()
    gateway.log.seek(0)
    reports = gateway.log.read().decode().splitlines()
    same("nothing on standard error but what became of the connection",
         [line for line in reports if not re.match("rill: (connection lost, retrying: .|connected again$)", line)], [])


main(outages, reports, history, bodies, producers, lifetimes, empty_chunks, expiry, half_made, refusals, tokens, hostile, many_clients, blocked, access_log, stalled_log, many_bodies, stopping, setup=begin)
