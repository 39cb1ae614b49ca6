"""P10: rill serve, and the reference server of its protocol beside it. README.md describes what is measured.

Must survive: a reference server that cannot be installed or started (it is left out, and the output says so), a limit of
open files too low for the idle clients (these are left out), and ^C (both servers end)."""

import contextlib
import http.client
import os
import re
import resource
import socket
import subprocess

from latency import COUNT, GAP_US, SIZE, percentile
from report import Figure, show_values, spread
from runner import BenchError, PAYLOAD, progress, ratios

STREAMS, LONG = 64, 1_000
IDLE, IDLE_STREAMS = 10_000, 1_000
LATENCY = {"rill-client": "SQL, librill", "serve-read": "SQL, event of rill serve", "serve": "POST, event of rill serve",
           "reference": "POST, event of the reference server"}
SERVERS = {"serve": "rill serve", "reference": "reference server"}


@contextlib.contextmanager
def server(variable, *command, **environment):
    """A server that prints "listening on URL"; the driver finds it in `variable`. Ends when the block does."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **environment})
    try:
        line = process.stdout.readline()
        while line and not line.startswith("listening on "):
            line = process.stdout.readline()
        if not line:
            raise BenchError(f"{command[0]}: {process.communicate()[1].strip()[-2000:]}")
        url = line.split()[-1]
        os.environ[variable] = url.removeprefix("http://")
        yield url, process.pid
        if process.poll() is not None:
            raise BenchError(f"{command[0]} has ended: {process.stderr.read().strip()[-2000:]}")
    finally:
        process.terminate()
        process.communicate()
        os.environ.pop(variable, None)


class Requests:
    """On one connection that is kept."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def __call__(self, method, stream, body=None):
        """The offset behind it."""
        self.connection.request(method, f"/v1/stream/{stream}", body, {"Content-Type": "text/plain"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {stream}: {answer.status} {text.decode()}")
        return answer.headers["Stream-Next-Offset"]


def prepare(url):
    """The streams of the driver's writers; a long one, and one of 100 chunks. Returns the targets to get."""
    request = Requests(url)
    for name in [f"bench-{n + 1}" for n in range(STREAMS)] + ["short", "long"]:
        request("PUT", name)
    for _ in range(100):
        request("POST", "short", PAYLOAD.encode())
    offsets = [request("POST", "long", PAYLOAD.encode()) for _ in range(LONG)]
    return {"100 chunks from the beginning": "/v1/stream/short?offset=-1",
            f"the last 10 of {LONG:,} chunks": f"/v1/stream/long?offset={offsets[-11]}"}


def idle_clients(url, pid):
    """Megabytes resident with IDLE clients of events that have caught up and wait; None if so many cannot be opened."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < IDLE + 100:
        return None
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + 100, hard))
    request = Requests(url)
    for i in range(IDLE_STREAMS):
        request("PUT", f"idle-{i}")
    host, port = url.removeprefix("http://").rsplit(":", 1)
    clients = []
    try:
        for i in range(IDLE):
            clients.append(socket.create_connection((host, int(port)), timeout=60))
            clients[-1].sendall(f"GET /v1/stream/idle-{i % IDLE_STREAMS}?offset=-1&live=sse HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        for client in clients:
            got = b""
            while b"upToDate" not in got:
                part = client.recv(4096)
                if not part:
                    raise BenchError(f"an idle client was sent away: {got[:500]}")
                got += part
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024
    finally:
        for client in clients:
            client.close()


def p10(runner):
    runner.fresh_database("p10")
    build = os.path.dirname(runner.driver_path)
    modules = os.path.join(build, "reference")
    figures, result = [], {}
    with contextlib.ExitStack() as servers:
        found = {"serve": servers.enter_context(server("BENCH_SERVE", os.path.join(build, "../client/rill"), "serve", "--http-port", "0"))}
        try:
            found["reference"] = servers.enter_context(server(
                "BENCH_REFERENCE", "node", os.path.join(runner.here, "reference.mjs"), os.path.join(runner.rivals.directory, "reference"), modules))
        except (BenchError, OSError) as error:
            runner.rivals.skipped["reference"] = f"P10 without it: {str(error).splitlines()[-1] if str(error) else error}"
        targets = {}
        for kind, (url, _) in found.items():
            progress(f"P10: filling {SERVERS[kind]}")
            targets[kind] = prepare(url)

        kinds = [kind for kind in LATENCY if kind != "reference" or kind in found]
        raw = runner.alternate("P10", {k: lambda k=k: runner.driver("latency", k, COUNT, GAP_US, SIZE)["arrived"] for k in kinds})
        values = {f"p{part}": {LATENCY[k]: [percentile(run, part) for run in raw[k]] for k in kinds} for part in (50, 99)}
        show_values("P10  append call to delivery", "µs", values)
        for kind in ("serve-read", "serve"):
            figures.append(Figure("P10", f"p50, {LATENCY[kind]} / librill", ratios(values["p50"][LATENCY[kind]], values["p50"][LATENCY["rill-client"]]),
                                  2.0, "less"))
        if "reference" in found:
            figures.append(Figure("P10", "p50, POST to event, rill serve / reference", ratios(values["p50"][LATENCY["serve"]], values["p50"][LATENCY["reference"]]),
                                  1.0, "less"))
        result["latency"] = values

        posts = {writers: runner.alternate("P10", {k: lambda k=k, w=writers: runner.load(k, w, STREAMS, SIZE) for k in found}) for writers in (1, 32)}
        show_values(f"P10  POST of {SIZE} bytes to {STREAMS} streams, by connections", "POSTs/s",
                    {writers: {SERVERS[k]: runs for k, runs in given.items()} for writers, given in posts.items()})
        reads = {what: runner.alternate("P10", {k: lambda k=k, what=what: percentile(runner.driver("get", k, targets[k][what], COUNT)["us"], 50) for k in found})
                 for what in targets["serve"]}
        show_values("P10  GET, p50", "µs", {what: {SERVERS[k]: runs for k, runs in given.items()} for what, given in reads.items()})
        if "reference" in found:
            figures += [Figure("P10", f"POSTs/s, rill serve / reference, {writers} connections", ratios(given["serve"], given["reference"]), 1.0)
                        for writers, given in posts.items()]
            figures += [Figure("P10", f"GET p50, {what}, rill serve / reference", ratios(given["serve"], given["reference"]), 1.0, "less")
                        for what, given in reads.items()]
        result.update(posts=posts, reads=reads)

        progress(f"P10: {IDLE} idle clients")
        result["idle"] = idle_clients(*found["serve"])
        if result["idle"] is None:
            runner.rivals.skipped["serve"] = f"P10 without idle clients: the limit of open files is below {IDLE + 100}"
        else:
            figures.append(Figure("P10", f"{IDLE:,} idle clients of events [MB resident]", spread([result["idle"]]), 200, "less"))
        progress("")
    return result, figures
