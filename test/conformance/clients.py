#!/usr/bin/env python3
"""The protocol's own clients against rill serve while sessions, the database, and the gateway itself are killed, and through a failover.
    clients.py CLIENT…

A client (client.mjs, client.py) has on each of three streams, of text, JSON and bytes, an idempotent producer and readers by Server-Sent
Events, by long-poll, and by repeated catch-up. Messages are numbered. After each fault every producer and every reader must move on; at
the end each reader has had every number once, in order, and so does the table. While the gateway lives, nobody must even notice: no
answer but 200 and 204, no stream of events that ends. After a failover that lost chunks, who has read one is told (410), and never gets
another chunk in its place; who has not goes on.

Runs as a user that may start servers, with node, rill and the server's programs on the PATH; run.sh prepares that.
RILL_TEST_DEADLINE (seconds, 30) is how long a condition may take to become true."""
import faulthandler
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../lib"), os.path.join(HERE, "../faults")]
import harness  # noqa: E402
from harness import DEADLINE, check, note, same, wait_until  # noqa: E402
from machinery import DATABASE, ROLE, Server, started, stop_all  # noqa: E402

COMMANDS = {"JavaScript": ["node", os.path.join(HERE, "client.mjs")], "Python": ["python3", "-B", os.path.join(HERE, "client.py")]}
KILLS, EVERY = 10, 0.7      # of all sessions of the gateway; seconds
PATIENCE = 10               # seconds that the gateway repeats a request to a database that is away
AFTER = 1_000_000           # the number of the first message after the failover
BLAMES = ("lost", "repeated", "reordered")

directory = tempfile.mkdtemp(prefix="clients", dir=os.environ.get("TMPDIR"))


class Gateway:
    def __init__(self, conninfo, port=0):
        self.conninfo = conninfo
        self.log = open(os.path.join(directory, "gateway.log"), "a", encoding="utf-8")
        self.process = subprocess.Popen(["rill", "serve", "-d", conninfo, "--http-port", str(port)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        started.append(self)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"rill serve does not start: {line}")
        self.url = line.split()[-1]

    def restart(self, how):
        """Another gateway at the same address; returns the exit code of this one."""
        self.process.send_signal(how)
        code = self.process.wait(DEADLINE)
        started.remove(self)
        self.__init__(self.conninfo, int(self.url.rsplit(":", 1)[1]))
        return code

    def end(self):
        self.process.kill()
        self.process.wait(DEADLINE)


class Client:
    def __init__(self, name, url, prefix):
        self.name, self.prefix = name, prefix
        self.process = subprocess.Popen([*COMMANDS[name], url, prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(self)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        if (answer := self._line()) != "running":
            raise RuntimeError(f"the {name} client does not start: {answer}")

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(f"it has ended, status {self.process.wait()}")

    def _line(self):
        try:
            return self.lines.get(timeout=DEADLINE)
        except queue.Empty:
            return "no answer"

    def ask(self, command, **argument):
        self.process.stdin.write(f"{command} {json.dumps(argument)}\n" if argument else command + "\n")
        self.process.stdin.flush()
        answer = self._line()
        try:
            return json.loads(answer)
        except ValueError:
            raise RuntimeError(f"{self.name} client, {command}: {answer}") from None

    def moved(self, only=""):
        """What has not moved on since the first call; empty when all have."""
        before = progress(self.ask("stats"), only)
        still = set(before)

        def all_have():
            still.difference_update([name for name, value in progress(self.ask("stats"), only).items() if value > before[name]])
            return not still
        wait_until(all_have)
        return sorted(still)

    def end(self):
        self.process.kill()
        self.process.wait(DEADLINE)


def progress(stats, only=""):
    given = {f"producer {name}": sum(producer["answers"].get(status, 0) for status in ("200", "204"))
             for name, producer in stats["producers"].items()}
    given.update({f"reader {name}": reader["got"] for name, reader in stats["readers"].items()})
    return {name: value for name, value in given.items() if only in name}


def moved(clients, when):
    for client in clients:
        same(f"{client.name}: every producer and reader moves on {when}", client.moved(), [])


def nobody_noticed(clients, fault):
    """The gateway lived on, so a client had an answer to every request, and no stream of events has ended."""
    for client in clients:
        stats = client.ask("stats")
        odd = {f"producer {name}": {**producer["answers"], "busy": producer["busy"]} for name, producer in stats["producers"].items()
               if not set(producer["answers"]) <= {"200", "204", "409"}}
        odd.update({f"reader {name}": {**reader["requests"], "failures": reader["failures"]} for name, reader in stats["readers"].items()
                    if reader["failures"] or any(not request.endswith((" 200", " 204")) for request in reader["requests"])})
        # The Python client ends a stream of events by itself when it has caught up.
        if client.name == "JavaScript":
            odd.update({f"reader {name}": reader["requests"] for name, reader in stats["readers"].items()
                        if name.endswith("sse") and reader["requests"].get("sse 200") != 1})
        check(f"{client.name}: nobody notices: {fault}", not odd, json.dumps(odd, indent=1))


def in_order(client):
    """A request that overtakes the one before it waits for it. On a slow machine that may be in vain, but not most of the time."""
    def counts():
        answers = [producer["answers"] for producer in client.ask("stats")["producers"].values()]
        return [sum(answer.get(status, 0) for answer in answers) for status in ("200", "409")]
    wait_until(lambda: counts()[0] >= 200)
    stored, refused = counts()
    check(f"{client.name}: requests that arrive in another order are stored, not refused", stored >= 200 and refused < stored / 2,
          f"{stored} stored, {refused} refused")


def gateway_restarts(gateway, clients, how, code):
    def counts(client):
        """Of requests without an answer, of each producer; of streams of events that began, of each reader."""
        stats = client.ask("stats")
        given = {f"producer {name}": producer["answers"].get("none", 0) for name, producer in stats["producers"].items()}
        given.update({f"reader {name}": reader["requests"].get("sse 200", 0) for name, reader in stats["readers"].items() if name.endswith("sse")})
        return given

    def unhurt(client, before):
        return [name for name, value in counts(client).items() if value <= before[name]]
    before = [counts(client) for client in clients]
    same(f"{how.name}: the gateway's exit code", gateway.restart(how), code)
    moved(clients, f"behind {how.name} at the gateway")
    for client, then in zip(clients, before):
        wait_until(lambda: not unhurt(client, then))
        same(f"{client.name}: {how.name} cost every producer an answer, and every stream of events", unhurt(client, then), [])


def numbers(server, stream):
    rows = server.sql("SELECT convert_from(data, 'UTF8') FROM stream_read_since(%s, 0, max_chunks => null, max_bytes => null)", stream)
    return [int(number) for (data,) in rows for number in re.findall(r"\d+", data)]


def head(server, stream):
    return server.sql("SELECT stream_head(%s)", stream)[0][0]


def verdict(client, server):
    client.ask("end")
    wait_until(lambda: all(reader["ended"] for reader in client.ask("stats")["readers"].values()))
    stats = client.ask("stats")
    for name, producer in stats["producers"].items():
        same(f"{client.name}: the producer of {name} has had no failure", producer["failures"], [])
        stored, sent = numbers(server, client.prefix + name), producer["sent"]
        check(f"{client.name}: the table has each message of {name} once, in order", stored == list(range(sent)),
              f"{sent} sent, {len(stored)} stored, {len(set(stored))} of them different")
    sums = dict.fromkeys(BLAMES, 0)
    for name, reader in stats["readers"].items():
        sent = stats["producers"][name.split()[0]]["sent"]
        bad = {"sent": sent, **reader} if any(reader[blame] for blame in BLAMES) or reader["got"] != sent or not reader["ended"] else ""
        check(f"{client.name}: the reader {name}: lost 0, repeated 0, reordered 0, to the end", not bad, bad)
        for blame in BLAMES:
            sums[blame] += reader[blame] + (sent - reader["next"] if blame == "lost" else 0)
    answers = {}
    for producer in stats["producers"].values():
        for status, count in producer["answers"].items():
            answers[status] = answers.get(status, 0) + count
    note(f"{client.name}: {sum(p['sent'] for p in stats['producers'].values())} messages, "
         f"{sum(r['got'] for r in stats['readers'].values())} delivered, {sums}; answers to producers: {answers}")


def faults(names):
    """Sessions killed every 0.7 s, an immediate restart of the database, two restarts of the gateway"""
    server = Server(directory, "one", 5432)
    gateway = Gateway(server.conninfo())
    clients = [Client(name, gateway.url, f"{name} ") for name in names]
    moved(clients, "before the first fault")
    for client in clients:
        in_order(client)

    killed = []
    for _ in range(KILLS):
        at = time.monotonic() + EVERY
        wait_until(lambda: len(server.pids("rill serve")) >= 2)
        killed.append(server.terminate("rill serve"))
        wait_until(lambda: time.monotonic() >= at)
    check("each time there were sessions to kill", min(killed) >= 2, killed)
    note(f"sessions killed: {killed}")
    moved(clients, "behind killed sessions")
    nobody_noticed(clients, "sessions killed")

    began = time.monotonic()
    server.restart("immediate")
    outage = time.monotonic() - began
    moved(clients, "behind a restart of the database")
    if outage < PATIENCE / 2:
        nobody_noticed(clients, "the database restarted")
    else:
        note(f"NOT TESTED: whether clients notice a restart of the database: it took {outage:.0f} s")

    gateway_restarts(gateway, clients, signal.SIGKILL, -signal.SIGKILL)
    gateway_restarts(gateway, clients, signal.SIGTERM, 128 + signal.SIGTERM)
    for client in clients:
        verdict(client, server)
    stop_all()


def failover():
    """A standby without the last chunks is promoted: who has read them is told, who has not goes on"""
    primary = Server(directory, "primary", 5433)
    standby = Server(directory, "standby", 5434, source=primary)
    gateway = Gateway(f"host={directory},{directory} port={primary.port},{standby.port} user={ROLE} dbname={DATABASE} connect_timeout=2"
                      " target_session_attrs=read-write")
    client = Client("JavaScript", gateway.url, "failover ")
    moved([client], "before the failover")
    standby_has = primary.sql("SELECT pg_current_wal_lsn()")[0][0]
    marked = client.ask("mark")["marked"]
    check("the standby has what was read at the mark",
          wait_until(lambda: primary.sql("SELECT coalesce(bool_or(replay_lsn >= %s), false) FROM pg_stat_replication", standby_has)[0][0])
          and all(numbers(standby, "failover " + kind)[-1] >= number - 1 for kind, number in marked.items()), marked)
    standby.stop("fast")
    moved([client], "without the standby")
    stats = client.ask("stop")
    sent = {name: producer["sent"] for name, producer in stats["producers"].items()}
    # What is lost has been acknowledged, and read by everybody.
    check("every reader has everything", wait_until(lambda: all(
        reader["next"] == sent[name.split()[0]] for name, reader in client.ask("stats")["readers"].items())), client.ask("stats"))
    heads = {kind: head(primary, "failover " + kind) for kind in sent}
    client.ask("hold")

    primary.stop("immediate")
    standby.start()
    standby.promote()
    at = {kind: numbers(standby, "failover " + kind)[-1] + 1 for kind in sent}
    check("chunks are lost", all(marked[kind] <= at[kind] < sent[kind] for kind in sent), f"marks {marked}, on the standby {at}, sent {sent}")
    resumed = list(client.ask("resume", at=at, to=AFTER)["readers"])[-len(sent):]
    same("a reader of each stream has not read a lost chunk", len([name for name in resumed if name.endswith("resumed")]), len(sent))
    same("it goes on", client.moved(only="resumed"), [])

    def not_told(without):
        return [name for name, reader in client.ask("stats")["readers"].items() if not name.endswith(without) and reader["told"] != 410]
    wait_until(lambda: not not_told(("resumed", "catch-up")))
    same("who has read a lost chunk is told", not_told(("resumed", "catch-up")), [])
    # These come back when there is another chunk in the place of theirs, and more behind it.
    check("the new history is longer", wait_until(lambda: all(head(standby, "failover " + kind) > heads[kind] + 10 for kind in sent)), heads)
    client.ask("release")
    wait_until(lambda: not not_told("resumed"))
    same("who comes back behind a longer history is told", not_told("resumed"), [])
    stats = client.ask("stop")
    wait_until(lambda: all(client.ask("stats")["readers"][name]["next"] == AFTER + stats["producers"][name]["sent"] for name in resumed))
    stats = client.ask("stats")
    for name, reader in stats["readers"].items():
        wanted = AFTER + stats["producers"][name]["sent"] if name in resumed else sent[name.split()[0]]
        check(f"the reader {name}: none of another history, lost 0, repeated 0, reordered 0",
              reader["next"] == wanted and not any(reader[blame] for blame in BLAMES), {"wanted": wanted, **reader})
    # The server knows a producer only as far as the standby did.
    client.ask("again")
    check("a producer whose messages are lost is told: 409", wait_until(lambda: all(
        client.ask("stats")["producers"][kind]["answers"].get("409") for kind in sent)), stats["producers"])
    note(f"failover: {sum(sent.values()) - sum(at.values())} messages lost, {len(stats['readers']) - len(resumed)} readers told")
    stop_all()


def main(names):
    faulthandler.dump_traceback_later(20 * DEADLINE, exit=True)
    try:
        for phase, arguments in ((faults, [names]), *([(failover, [])] if "JavaScript" in names else [])):
            note(phase.__doc__)
            began = time.monotonic()
            try:
                phase(*arguments)
            except Exception:
                check(f"{phase.__name__} runs to its end", False, traceback.format_exc())
            stop_all()
            note(f"{phase.__name__}: {time.monotonic() - began:.0f} s")
    finally:
        stop_all()
    if not harness.failures:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"1..{harness.number}", flush=True)
    os._exit(1 if harness.failures else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
