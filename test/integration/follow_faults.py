#!/usr/bin/env python3
"""Streams are followed through every fault that we know how to make, and each reader gets each chunk once, in order, the EOF last.

Each phase makes one kind of fault under running writers and readers (test/faults/main.cpp), until a condition says that it has been
met and overcome; then the checker compares what each reader got with the table, and the table with what writers were told. The table
at the end shows the longest stall of each kind: the time from an acknowledgement to the delivery to the last reader.

FAULTS_STREAMS and FAULTS_READERS (of each stream) set the size, FAULTS_SECONDS how long the repeated faults are repeated. RILL_TEST_SEED
repeats the writers' and readers' choices; when a fault comes depends on the machine. Names of phases as arguments run those.
Servers, proxies, poolers are the test's own. FAULTS_PROGRAM names the program that test/run.sh has built.
"""
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback

import psycopg2

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../lib"), os.path.join(HERE, "../faults")]
from harness import DEADLINE, check, note, wait_until  # noqa: E402
from machinery import Network, Pooler, Program, Proxy, Server, run, send, started, stop_all  # noqa: E402

STREAMS = int(os.environ.get("FAULTS_STREAMS", "12"))
READERS = int(os.environ.get("FAULTS_READERS", "5"))
SECONDS = int(os.environ.get("FAULTS_SECONDS", "2"))
THREADS = 4 if STREAMS < 50 else 8
SEED = int(os.environ.get("RILL_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
PROGRAM = os.environ["FAULTS_PROGRAM"]
BLAMES = ("lost", "duplicated", "reordered", "altered", "not_ended", "writes_lost", "writes_duplicated", "writes_unknown",
          "streams_not_closed")

STREAMS_GONE = object()     # what a phase returns after which there is nothing to be followed

table = []
directory = tempfile.mkdtemp(prefix="faults", dir=os.environ.get("TMPDIR"))
server = None


def faults(kind):
    """Marks a phase: a generator that has the keywords of its Program in `yield`, gets the Program, and makes the faults."""
    def mark(phase):
        phase.kind = kind
        return phase
    return mark


def carry_out(phase):
    began = time.monotonic()
    faulty = phase()
    arguments = {"phase": phase.__name__, "seed": SEED, "streams": STREAMS, "readers": READERS, "threads": THREADS,
                 "write": [server.conninfo()] * 2, "read": server.conninfo(), "check": server.conninfo("postgres")}
    arguments.update(next(faulty))
    program = Program(PROGRAM, DEADLINE, arguments.pop("inside", ()), **arguments)
    try:
        same_moved(phase, program, "before the fault")
        try:
            faulty.send(program)
        except StopIteration as stop:
            if stop.value is STREAMS_GONE:
                return
        same_moved(phase, program, "behind the fault")
        report(phase, program.verdict(), time.monotonic() - began)
    finally:
        program.end()
        started.remove(program)


def same_moved(phase, program, when):
    answer = program.moved()
    return check(f"{phase.kind}: all writers and readers move on {when}", answer == "moved", answer)


def report(phase, verdict, seconds):
    counts = {name: verdict[name] for name in BLAMES}
    check(f"{phase.kind}: lost 0, duplicated 0, reordered 0, the EOF last, for every reader", verdict["good"],
          f"{counts}\n" + "\n".join(verdict["problems"]))
    table.append((phase.kind, verdict, seconds))


def print_table():
    note(f"{STREAMS} streams, {READERS} readers each")
    note(f"{'fault':34} {'stored':>8} {'delivered':>10} {'lost':>5} {'dupl.':>5} {'reord.':>6} {'no EOF':>6} {'reconnects':>10} {'by poll':>8}"
         f" {'longest stall':>13}")
    for kind, v, seconds in table:
        clients = v["clients"]
        note(f"{kind:34} {v['stored']:8} {v['delivered']:10} {v['lost'] + v['writes_lost']:5} {v['duplicated'] + v['writes_duplicated']:5}"
             f" {v['reordered']:6} {v['not_ended']:6} {sum(c['reconnects'] for c in clients):10} {sum(c['by_poll'] for c in clients):8}"
             f" {v['stall_ms']:10} ms   ({seconds:.0f} s)")


# Conditions.

def counted(program, *names):
    """For wait_until: every reading client has counted each of these up by one since now."""
    before = program.stats()["clients"]

    def all_have():
        now = program.stats()["clients"]
        return all(client[name] > old[name] for client, old in zip(now, before) for name in names)
    return all_have


def all_reading(program):
    return all(client["reading"] for client in program.stats()["clients"])


def notifiers():
    return server.pids("pg_rill notifier")


def noticed(phase, what, condition, deadline=None):
    return check(f"{phase.kind}: {what}", wait_until(condition, deadline))


# The phases.

@faults("no fault")
def quiet():
    yield {}


@faults("sessions terminated every second")
def terminated():
    program = yield {}
    for _ in range(max(2, SECONDS)):
        at = time.monotonic() + 1
        back = counted(program, "reconnects")
        server.terminate("faults")
        noticed(terminated, "every client has connected again", back)
        wait_until(lambda: time.monotonic() >= at)


@faults("notifier killed")
def notifier():
    program = yield {}
    for _ in range(max(2, SECONDS // 2)):
        noticed(notifier, "there is a notifier", notifiers)
        before = notifiers()
        check(f"{notifier.kind}: it is terminated", server.terminate("pg_rill notifier") >= 1)
        noticed(notifier, "there is another notifier", lambda: set(notifiers()) - set(before))
        same_moved(notifier, program, "with another notifier")


@faults("notifier killed by signal 9")
def notifier_9():
    program = yield {}
    noticed(notifier_9, "there is a notifier", notifiers)
    pids = notifiers()
    check(f"{notifier_9.kind}: it is killed", pids)
    back = counted(program, "reconnects")
    send(pids, signal.SIGKILL)
    noticed(notifier_9, "every client has connected again, to the server that has started again", back)


@faults("NOTIFY suppressed")
def suppressed():
    program = yield {}
    server.configure(pg_rill__wakeups="off")
    try:
        same_moved(suppressed, program, "without NOTIFY")
    finally:
        server.configure(pg_rill__wakeups=None)


@faults("server restarted, fast")
def fast():
    program = yield {}
    back = counted(program, "reconnects")
    server.restart("fast")
    noticed(fast, "every client has connected again", back)


@faults("server restarted, immediate")
def immediate():
    program = yield {}
    back = counted(program, "reconnects")
    server.restart("immediate")
    noticed(immediate, "every client has connected again", back)


def unplug(phase, program, line):
    """Longer than every client's patience, and then for a moment that none has noticed."""
    lost = counted(program, "lost_read", "lost_listen")
    line.hold()
    noticed(phase, "every client has given up both connections", lost)
    line.release()
    same_moved(phase, program, "with the network back")
    line.hold()
    time.sleep(0.2)     # no condition can say that nothing happened
    line.release()


def socket_path():
    return os.path.join(server.directory, f".s.PGSQL.{server.port}")


@faults("black-holed network, proxy")
def black_hole():
    proxy = Proxy(socket_path())
    program = yield {"read": proxy.conninfo(), "write": [server.conninfo(), proxy.conninfo()]}
    unplug(black_hole, program, proxy)


@faults("black-holed network, namespace")
def namespace():
    network = Network(socket_path())
    program = yield {"read": network.conninfo(), "write": [server.conninfo(), network.conninfo()], "inside": network.inside_client}
    unplug(namespace, program, network)


@faults("backends stopped")
def stopped():
    program = yield {}
    for what, loss in (("faults reader", lambda: counted(program, "lost_read", "lost_listen")),
                       ("faults writer", lambda: writer_waits(program))):
        has_lost = loss()   # since now: what came before has another reason
        pids = server.pids(what)
        send(pids, signal.SIGSTOP)
        try:
            noticed(stopped, f"who does not get an answer from a {what} notices", has_lost)
        finally:
            send(pids, signal.SIGCONT)
        same_moved(stopped, program, f"with each {what} going on")


def writer_waits(program):
    """For wait_until: appends have run out of time."""
    before = program.stats()
    return lambda: (lambda now: now["retries"] + now["unknown"] > before["retries"] + before["unknown"])(program.stats())


def through_pooler(phase, mode):
    pooler = Pooler(server, mode, 30)
    program = yield {"read": pooler.conninfo(), "write": [server.conninfo(), pooler.conninfo()]}
    for how in (signal.SIGKILL, signal.SIGTERM):
        back = counted(program, "reconnects")
        pooler.restart(how)
        noticed(phase, "every client has connected again", back)
        same_moved(phase, program, "through another pooler")


@faults("pooler restarted, session mode")
def pooler_session():
    yield from through_pooler(pooler_session, "session")


@faults("pooler restarted, transaction mode")
def pooler_transaction():
    yield from through_pooler(pooler_transaction, "transaction")


@faults("idle_session_timeout")
def idle_sessions():
    program = yield {}
    server.configure(idle_session_timeout="300ms")
    try:
        for _ in range(max(2, SECONDS // 2)):
            noticed(idle_sessions, "every LISTEN session has ended", counted(program, "lost_listen"))
        same_moved(idle_sessions, program, "while idle sessions end")
    finally:
        server.configure(idle_session_timeout=None)


@faults("connections exhausted")
def exhausted():
    program = yield {}
    held = []

    def refused_everywhere():
        """Whatever is free is taken, what the clients have ends."""
        server.terminate("faults")
        try:
            while True:
                held.append(server.connect(user="follower"))
        except psycopg2.OperationalError:
            return failed()
    failed = counted(program, "failures")
    noticed(exhausted, "every client is refused", refused_everywhere)
    for connection in held:
        connection.close()


@faults("schema of the extension renamed")
def moved_schema():
    program = yield {}
    for old, new in (("rill", "rill_moved"), ("rill_moved", "rill")):
        server.sql(f"ALTER SCHEMA {old} RENAME TO {new}")
        same_moved(moved_schema, program, f"in schema {new}")


@faults("all of them, at random")
def mixed():
    """One on top of the other, without waiting for recovery. Half of the clients come through the proxy."""
    proxy = Proxy(socket_path())
    yield {"read": [server.conninfo(), proxy.conninfo()], "write": [server.conninfo(), proxy.conninfo()]}
    chance = random.Random(SEED)
    schema = ["rill", "rill_moved"]
    halted = []

    def halt():
        pids = server.pids("faults")
        pids = chance.sample(pids, min(5, len(pids)))
        halted.extend(pids)     # only grows: a timer may be under way, and to continue what runs is harmless
        send(pids, signal.SIGSTOP)
        threading.Timer(5, send, (pids, signal.SIGCONT)).start()    # one of them may hold a lock that the next fault needs

    def go_on():
        send(halted, signal.SIGCONT)

    def rename():
        server.sql("SET lock_timeout = '3s'; ALTER SCHEMA {} RENAME TO {}".format(*schema))
        schema.reverse()
    usual = [lambda: server.terminate("faults reader"), lambda: server.terminate("faults writer"), lambda: server.terminate("pg_rill notifier"),
             lambda: server.configure(pg_rill__wakeups=chance.choice(["on", "off"])), proxy.hold, proxy.release, halt, go_on, rename,
             lambda: server.configure(idle_session_timeout=chance.choice(["100ms", "0"])), lambda: server.restart("immediate")]
    done = []
    try:
        for _ in range(20 * max(2, SECONDS)):
            done.append(chance.randrange(len(usual)))
            if usual[done[-1]] == usual[-1]:
                go_on()     # a stopped process would not end
            usual[done[-1]]()
            time.sleep(chance.random() * 0.2)
    except psycopg2.Error as error:
        go_on()
        check("mixed: the faults can be made", False, error)
    finally:
        note(f"mixed: {done}")
        go_on()
        proxy.release()
        server.configure(pg_rill__wakeups=None, idle_session_timeout=None)
        if schema[0] != "rill":
            rename()


@faults("extension dropped and made again")
def dropped():
    """The chunks are gone, and others get their ids. Each reader is told so, and none continues with them."""
    program = yield {}
    server.sql("BEGIN; DROP EXTENSION pg_rill; CREATE EXTENSION pg_rill SCHEMA rill;"
               "GRANT SELECT, INSERT, UPDATE ON rill.stream TO follower; COMMIT")

    def told():
        ended = program.stats()["ended"]
        return sum(ended.get(code, 0) for code in ("RL002", "RL003", "RL007")) == STREAMS * READERS
    noticed(dropped, "every reader is told that its chunks are gone", told) or note(program.stats()["ended"])
    return STREAMS_GONE


@faults("standby promoted")
def promoted():
    """The standby is synchronous, so nothing acknowledged is lost. Half of the clients follow on the standby all the time."""
    global server
    standby = Server(directory, "standby", 5433, source=server, primary_slot_name="")
    server.configure(synchronous_standby_names="standby")
    noticed(promoted, "the standby is synchronous",
            lambda: server.sql("SELECT true FROM pg_stat_replication WHERE sync_state = 'sync'"))
    either = f"host={directory},{directory} port={server.port},{standby.port} user=follower dbname=faults connect_timeout=2 " \
        "target_session_attrs=read-write"
    yield {"read": [either, standby.conninfo()], "write": [either, either], "check": standby.conninfo("postgres")}
    server.stop("immediate")
    standby.promote()
    server = standby


PHASES = (quiet, terminated, notifier, notifier_9, suppressed, fast, immediate, black_hole, namespace, stopped, pooler_session,
          pooler_transaction, idle_sessions, exhausted, moved_schema, mixed, dropped, promoted)


def planted():
    """The checker finds what is not so: a chunk that the program drops, repeats, swaps with the next one, alters, an EOF it keeps."""
    for how, blame in (("drop", "lost"), ("repeat", "duplicated"), ("swap", "reordered"), ("alter", "altered"), ("cut", "not_ended")):
        program = Program(PROGRAM, DEADLINE, phase=f"planted_{how}", seed=SEED, streams=2, readers=2, threads=2, pause_ms=1,
                          write=server.conninfo(), read=server.conninfo(), check=server.conninfo("postgres"), spoil=how)
        program.moved()
        program.moved()
        verdict = program.verdict()
        found = {name: verdict[name] for name in BLAMES if verdict[name]}
        check(f"planted fault: {how}", found == {blame: 1} and not verdict["good"], f"{found} {verdict['problems']}")
        program.end()
        started.remove(program)


def why_not(phase):
    """Why this machine cannot run the phase; None if it can."""
    if phase in (pooler_session, pooler_transaction):
        return None if shutil.which("pgbouncer") else "there is no pgbouncer"
    if phase is namespace:
        try:
            run("unshare", "--user", "--map-root-user", "--net", "ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1")
        except (OSError, RuntimeError) as error:
            return f"this machine allows no network namespaces: {str(error).strip()}"
    return None


def main():
    global server
    note(f"RILL_TEST_SEED={SEED}")
    chosen = [phase for phase in PHASES if phase.__name__ in sys.argv[1:]] or PHASES
    try:
        server = Server(directory, "primary", 5432)
        if len(chosen) == len(PHASES) or "planted" in sys.argv[1:]:
            planted()
        for phase in chosen:
            if reason := why_not(phase):
                check(f"{phase.kind} # SKIP {reason}", True)
                note(f"NOT TESTED: {phase.kind}: {reason}")
                continue
            try:
                carry_out(phase)
            except Exception:
                check(f"{phase.kind}: runs to its end", False, traceback.format_exc())
    finally:
        stop_all()
    print_table()
    from harness import failures, number
    print(f"1..{number}", flush=True)
    if failures == 0:
        shutil.rmtree(directory)
    else:
        note(f"servers' logs are in {directory}")
    sys.stdout.flush()
    os._exit(1 if failures else 0)      # a thread may still wait


main()
