"""One episode of the torture test: who takes part, how it ends, and what the server has to show then."""
import os
import random
import shutil
import sys
import threading
import time
import traceback

import psycopg2

import driver
import plants
import web
from actors import Actor
from checker import judge
from cluster import IMPOSSIBLE, PANIC
from faults import Chaos
from harness import wait_until
from history import History, token_of
from machinery import ROLE
from readers import Follower, Listener, Reader, Waiter
from writers import Producer, Resolver, Swapper, Writer

SECONDS = float(os.environ.get("TORTURE_SECONDS") or 25)    # of faults in an episode
FAULTS = (os.environ.get("FAULTS") or "").split()
PLANT = os.environ.get("PLANT") or ""
DRAIN = 90      # seconds after which every reader has to be at the end
# Seconds, on a machine that is busy with all of this: DESIGN's own are the recheck (1 s; 3 s while a fault says so) and the poll.
BOUNDS = {"waiter": 10.0, "follower": 10.0, "standby": 15.0, "listener": 10.0, "librill": 15.0, "http": 20.0}


class Remover(Actor):
    """Trims, deletes, and has them refused at times."""

    def __init__(self, episode):
        super().__init__(episode, "remover")

    def finished(self):
        return self.episode.writing_over.is_set()

    def place(self):
        return "primary", {"synchronous_commit": "on", "statement_timeout": self.random.choice(("20s", "1s"))}

    def explained(self, code):
        return code == "40P01"

    def step(self):
        time.sleep(self.random.choice((0.05, 0.2, 1.0)))
        if self.random.random() < 0.6:
            stream = self.episode.trimmed[0]
            before = max(0, self.one("SELECT rill.stream_head(%s)", stream) - self.random.choice((0, 3, 50, 200)) + self.random.choice((0, 1)))
            self.remove(stream, "trim", "SELECT rill.stream_trim(%s, %s) > 0", (stream, before), below=before)
        else:
            stream = self.random.choice(self.episode.born)
            self.remove(stream, "delete", "SELECT rill.stream_delete(%s)", (stream,))

    def remove(self, stream, what, sql, values, **facts):
        removal = self.history.removal(stream, what, **facts)
        try:
            end = self.random.random()
            if end < 0.7:
                self.history.removed(removal, self.one(sql, *values))
            else:
                self.run_sql("BEGIN")
                done = self.one(sql, *values)
                time.sleep(self.random.random() * 0.1)
                status = self.run_sql("COMMIT" if end < 0.9 else "ROLLBACK")
                self.history.removed(removal, done and status == "COMMIT")
        except psycopg2.Error:
            self.history.removed(removal, None if self.connection.closed else False)
            raise


class Episode:
    """One minute of torture, and its judgement: see torture.py."""

    def __init__(self, cluster, number, seed, directory):
        self.cluster, self.number, self.seed = cluster, number, seed
        self.history = History(os.path.join(directory, f"history-{number}.jsonl"))
        chance = random.Random(f"{seed}/{number}")
        self.chance = chance
        self.only = FAULTS
        self.made, self.pokes = {}, 0
        self.lossy, self.maintained_at = False, 0.0
        self.cursor_too_far, self.cut_short = 0, None       # planted
        self.pace = chance.choice((0, 0.005, 0.05))
        self.writing_over, self.closed, self.over = threading.Event(), threading.Event(), threading.Event()
        e = f"e{number}-"
        self.plain = [f"{e}plain{n}" for n in range(3)]
        self.early = self.plain[:1]
        self.trimmed = [f"{e}kept0", f"{e}kept1", f"{e}kept2"]
        self.born = [f"{e}born{n}" for n in range(2)]
        self.loose = [f"{e}loose"]
        self.once, self.swap = f"{e}once", f"{e}swap"
        self.made_by_rill = [f"{e}rill0", f"{e}rill1"]
        self.posted = f"{e}posted"
        self.streams = self.plain + self.trimmed + self.born + self.loose + self.made_by_rill + [self.once, self.swap, self.posted]
        self.drivers, self.gateway, self.web = [], None, []
        self.resolver = Resolver(self)
        self.removable = set(self.trimmed + self.born)
        # None, or whether the promotion loses commits.
        self.promotes = chance.choice((False, True)) if not FAULTS and chance.random() < 0.3 or "promotion" in FAULTS else None

    def connect(self, place, name, **settings):
        if place == "pooler":
            if self.cluster.pooler is None:
                raise psycopg2.OperationalError("no pooler")
            connection = psycopg2.connect(self.cluster.pooler.conninfo(), application_name=name)
            connection.autocommit = True
            return connection
        node = self.cluster.standby if place == "standby" else self.cluster.primary
        if node is None:
            node = self.cluster.primary
        return node.connect(user=ROLE, name=name, **settings)

    def commit(self, chance):
        """synchronous_commit of a session whose chunks must not be lost."""
        return "on" if self.promotes is False else chance.choice(("on", "on", "local"))

    def count(self, fault, times=1):
        self.made[fault] = self.made.get(fault, 0) + times

    def maintained_lately(self):
        return time.monotonic() < self.maintained_at

    def actors(self):
        general = self.plain + self.trimmed + self.born
        actors = [Writer(self, n, general if n else general + self.loose, pooled=n == 3) for n in range(4)]
        actors.append(Writer(self, 4, self.loose, loose=True))
        actors.append(Producer(self, 0, self.once))
        actors += [Swapper(self, n, self.swap) for n in range(2)]
        actors.append(Remover(self))
        both = ("standby",) if self.cluster.standby else ("primary",)
        actors += [Follower(self, 0, self.streams), Follower(self, 1, self.streams), Follower(self, 2, self.streams, both),
                   Follower(self, 3, self.streams, ("primary", *both))]
        actors.append(Listener(self, 0, self.streams))
        kinds = [self.plain[0], self.plain[1], self.trimmed[1], self.born[0], self.loose[0], self.once]
        actors += [Waiter(self, n, stream) for n, stream in enumerate(kinds)]
        actors += [Waiter(self, 6, self.plain[2], both), Waiter(self, 7, self.swap, both)]
        return actors

    def start_clients(self):
        """librill: one client straight to whoever is the primary, one through something, or on the standby. And HTTP."""
        either, through = self.cluster.either(), self.cluster.proxy.conninfo()
        if driver.PROGRAM:
            writable = self.plain + self.trimmed + self.born + self.made_by_rill
            self.drivers.append(driver.Driver(self, 0, either, either, self.streams, writable, self.made_by_rill[:1], small=self.chance.random() < 0.3))
            ways = [(through, through, "librill")]
            if self.cluster.pooler and self.promotes is None:
                ways.append((self.cluster.pooler.conninfo(), self.cluster.pooler.conninfo(), "librill"))
            if self.cluster.standby:
                ways.append((self.cluster.standby.conninfo(), through, "standby"))
            read, write, kind = self.chance.choice(ways)
            self.drivers.append(driver.Driver(self, 1, read, write, self.streams, writable, self.made_by_rill[1:], kind, small=self.chance.random() < 0.3))
        if shutil.which("rill"):
            self.gateway = web.Gateway(either, os.path.join(self.cluster.directory, "gateway.log"))
            created = wait_until(self.create_posted)
            if not created:
                self.history.trouble("gateway", "PUT is not answered with 201")
            self.web = [web.Poster(self, "poster 0", self.posted), web.Listener(self, 0, self.posted, "sse"), web.Listener(self, 1, self.posted, "long-poll")]
            for thread in self.web:
                thread.start()

    def create_posted(self):
        try:
            return self.gateway.request("PUT", self.posted)[0] in (200, 201)
        except (OSError, web.http.client.HTTPException):
            return False

    def prepare(self):
        primary = self.cluster.primary
        for stream in self.plain + self.loose + self.made_by_rill + [self.once, self.swap, self.trimmed[0]]:
            primary.sql("SELECT rill.stream_create(%s)", stream)
        self.keep(self.trimmed[1], 200, "max_chunks => 200")
        self.keep(self.trimmed[2], 0, "max_age => '2 s'")
        if self.promotes is False and self.cluster.standby:
            primary.configure(synchronous_standby_names="*", synchronous_commit="on")

    def keep(self, stream, keep, limits):
        self.history.removal(stream, "retention", keep=keep)
        self.cluster.primary.sql(f"SELECT rill.stream_create(%s, {limits})", stream)

    def run(self, pauses):
        """The findings. `pauses`: when the machine stood still."""
        began = time.monotonic()
        log = {node.log: node.log_size() for node in (self.cluster.primary, self.cluster.standby) if node}
        nodes = [node for node in (self.cluster.primary, self.cluster.standby) if node]
        self.prepare()
        plants.begin(PLANT, self)
        actors = self.actors()
        self.start_clients()
        for actor in [self.resolver, *actors]:
            actor.start()
        chaos = self.start_chaos("before")
        self.sleep(SECONDS / 2)
        if self.cut_short:
            self.cut_short()
        if self.promotes is not None and self.cluster.standby:
            self.halt(chaos)
            Chaos(self, "promotion").promotion(self.promotes)
            chaos = self.start_chaos("after")
        self.sleep(SECONDS / 2)
        self.halt(chaos)
        self.writing_over.set()
        writers = [actor for actor in actors if not isinstance(actor, Reader)]
        for actor in writers:
            self.join(actor, 60)
        for program in self.drivers:
            program.finish(60)
        self.resolver.writers_over.set()
        self.join(self.resolver, 60)
        for thread in self.web[:1]:
            self.join(thread, 60)
        self.end_streams()
        self.closed.set()
        readers = [actor for actor in actors if actor not in writers] + self.web[1:]
        wait_until(lambda: not any(actor.is_alive() for actor in readers) and not any(program.reading() for program in self.drivers), DRAIN)
        self.over.set()
        for program in self.drivers:
            program.end()
        for actor in readers:
            self.join(actor, 40)
        if self.gateway:
            self.gateway.end()
        plants.end(PLANT, self)
        self.logs(nodes, log)
        tables = self.tables()
        self.retention(tables)
        self.history.event("end", "episode", text=f"{time.monotonic() - began:.0f} s")
        began = time.monotonic()
        findings = judge(self.history, tables, BOUNDS, pauses)
        self.history.event("end", "checker", text=f"{time.monotonic() - began:.0f} s")
        return findings

    def sleep(self, seconds):
        time.sleep(seconds)

    def start_chaos(self, when):
        makers = [Chaos(self, f"chaos {when}"), Chaos(self, f"small chaos {when}", small=True)]
        makers = [maker for maker in makers if maker.choices]
        for maker in makers:
            maker.start()
        return makers

    def halt(self, makers):
        for maker in makers:
            maker.stopping.set()
        for maker in makers:
            self.join(maker, 150)
        self.cluster.empty()
        if not self.cluster.primary.up():
            try:
                self.cluster.primary.start()
            except Exception as error:
                self.history.trouble("chaos", f"the server does not start again: {error}")
        for fault in self.history.faults:
            if fault.ended is None:
                self.history.over(fault)

    def join(self, actor, timeout):
        actor.join(timeout)
        if actor.is_alive():
            frames = "".join(traceback.format_stack(sys._current_frames()[actor.ident])[-3:])
            activity = self.cluster.primary.sql("SELECT pid, state, wait_event_type, wait_event, left(query, 100), pg_blocking_pids(pid) FROM pg_stat_activity WHERE application_name = %s", actor.name)
            self.history.trouble(actor.name, f"hangs: {activity} in\n{frames}")

    def end_streams(self):
        """Nobody writes any more. Transactions that nobody knows of are rolled back: their outcome is unknown to their writer, too."""
        primary = self.cluster.primary
        for gid, in primary.sql("SELECT gid FROM pg_prepared_xacts"):
            self.history.event("fault", "leftover", text=gid)
            primary.sql("ROLLBACK PREPARED %s", gid)
        for stream in self.streams:
            for attempt in range(5):
                try:
                    last = primary.sql("SELECT rill.stream_close(%s)", stream)[0][0]
                    self.history.event("close", "episode", stream, last, last)
                    break
                except psycopg2.Error as error:
                    if attempt == 4:
                        self.history.trouble("episode", f"{stream} cannot be closed: {error}")
                    time.sleep(0.5)

    def tables(self):
        """By plain SELECTs, once by the index and once without, which have to agree; and by amcheck."""
        primary = self.cluster.primary
        found = []
        for settings in ("SET enable_seqscan = off; SET enable_bitmapscan = off", "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off"):
            rows = primary.sql(f"{settings}; SELECT s.name, c.chunk_id, c.data, c.epoch, c.eof FROM rill.stream s JOIN rill.stream_chunk c USING (stream_id)"
                               " WHERE s.name ^@ %s ORDER BY s.name, c.chunk_id", f"e{self.number}-")
            found.append(rows)
        if [(r[0], r[1]) for r in found[0]] != [(r[0], r[1]) for r in found[1]]:
            # Retention may have worked in between; kept streams are judged by what is there.
            gone = {(r[0], r[1]) for r in found[0]} ^ {(r[0], r[1]) for r in found[1]}
            if any(stream not in self.removable for stream, _ in gone):
                self.history.trouble("tables", f"the index and the table differ: {sorted(gone)[:5]}")
        try:
            primary.sql("CREATE EXTENSION IF NOT EXISTS amcheck")
            primary.sql("SELECT bt_index_parent_check(c.oid, true) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree'"
                        " WHERE c.relnamespace = 'rill'::regnamespace AND i.indisvalid")
        except psycopg2.Error as error:
            self.history.trouble("amcheck", str(error))
        tables = {}
        for stream, chunk_id, data, epoch, eof in found[1]:
            tables.setdefault(stream, []).append((chunk_id, token_of(data), epoch, eof))
        return tables

    def retention(self, tables):
        def count():
            return self.cluster.primary.sql("SELECT count(*) FROM rill.stream_read_since(%s, 0, null, null) WHERE NOT eof", self.trimmed[1])[0][0]
        if not wait_until(lambda: count() <= 200, 60):
            self.history.trouble("retention", f"{self.trimmed[1]} keeps {count()} chunks; its limit is 200", "retention")

    def logs(self, nodes, before):
        excused = "disk_full" in self.made      # PANIC, and the SIGABRT of it
        for node in nodes:
            for line in node.log_since(before.get(node.log, 0)).splitlines():
                if IMPOSSIBLE.search(line) or (PANIC.search(line) and not excused):
                    self.history.trouble("server's log", line[:300])

    def clean(self):
        primary = self.cluster.primary
        primary.sql("ALTER SYSTEM RESET ALL")
        primary.sql("SELECT pg_reload_conf()")
        for name in ("torture_time", "torture_hash", "torture_size"):
            primary.sql(f"DROP INDEX IF EXISTS rill.{name}")
        primary.sql("ALTER TABLE rill.stream_chunk DROP COLUMN IF EXISTS extra")
        for name, in primary.sql("SELECT name FROM rill.stream"):
            primary.sql("SELECT rill.stream_delete(%s)", name)
        primary.sql("VACUUM FULL rill.stream_chunk")
        self.history.close()
