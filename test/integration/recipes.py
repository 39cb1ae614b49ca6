#!/usr/bin/env python3
"""The programs of doc/recipes.md for psql, Python and Node, taken from the page and run as they stand there, with their
connections cut and their processes killed. Each one is a process of its own; what it prints is compared with the stream.

Runs in a database with the extension; see test/lib/harness.py. Node is found by PATH, its packages in RILL_NODE_MODULES
(test/setup_node.sh); where there is none, the programs for Node are skipped, which is said."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from harness import Session, alter_system, check, database, main, note, same, wait_until  # noqa: E402
from recipes_page import programs  # noqa: E402

folder = tempfile.mkdtemp(prefix="recipes")
for name, text in programs().items():
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
modules = os.environ.get("RILL_NODE_MODULES", "")
if modules:
    os.symlink(modules, os.path.join(folder, "node_modules"))
RUNNERS = {"py": "python3", "mjs": "node", "sh": "sh"}


class Program:
    """A recipe that runs. Its connections have its own application_name, so that they can be found and cut."""

    def __init__(self, where, name, *arguments):
        self.where, self.name = where, f"{name} {id(self)}"
        self.process = subprocess.Popen(
            [RUNNERS[name.split(".")[1]], os.path.join(folder, name), *arguments],
            env={**os.environ, "PGDATABASE": where, "PGAPPNAME": self.name}, cwd=folder, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.output = [b"", b""]
        self.threads = [threading.Thread(target=self._collect, args=pair, daemon=True)
                        for pair in ((0, self.process.stdout), (1, self.process.stderr))]
        for thread in self.threads:
            thread.start()
        programs_running.append(self)

    def _collect(self, which, pipe):
        while data := pipe.read(65536):
            self.output[which] += data

    @property
    def out(self):
        return self.output[0].decode()

    def rows(self):
        """Lines of JSON; the last one may not be whole yet."""
        return [json.loads(line) for line in self.out.split("\n")[:-1]]

    def send(self, text):
        self.process.stdin.write(text.encode())

    def close_input(self):
        self.process.stdin.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, timeout=60):
        """The exit status; None if it does not end."""
        try:
            status = self.process.wait(timeout)
            for thread in self.threads:
                thread.join(timeout)
            return status
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def cut(self, session):
        """Ends its connections, once it has some; they are gone afterwards. Returns how many there were."""
        pids = []

        def find():
            pids[:] = [pid for (pid,) in session.rows("SELECT pid FROM pg_stat_activity WHERE application_name = %s", self.name)]
            return pids or self.process.poll() is not None
        wait_until(find)
        session.run("SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s::int[]) pid", pids)
        return len(pids)

    def waits(self, session, what="%"):
        """Until one of its sessions is idle in such a query, or in the wait of one."""
        return wait_until(lambda: session.value(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query LIKE %s AND (state = 'idle' OR wait_event_type = 'Extension')",
            self.name, what))


programs_running = []


def texts(session, stream):
    return [[stream, chunk_id, bytes(data).decode()] for chunk_id, data in
            session.rows("SELECT chunk_id, data FROM stream_read_since(%s, 0, NULL, NULL)", stream)]


def as_read(rows, stream):
    """What a program has printed of one stream, ids as numbers."""
    return [[s, int(i), t] for s, i, t in rows if s == stream]


def psql():
    """psql and the shell."""
    where = database()
    session = Session(database=where)
    done = subprocess.run(["psql", "-Xq", "-f", os.path.join(folder, "session.sql")], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PGDATABASE": where})
    same("session.sql prints what the page shows", done.stdout + done.stderr, programs("output of session.sql")["output of session.sql"])
    awkward = ["a line\nand another", "  spaces ", r"\x41 and C:\temp", "", '"quoted"', "é😀", "$(date) `date`"]
    for text in awkward:
        session.run("SELECT stream_append_text('sh', %s)", text)
    program = Program(where, "follow.sh", "sh")
    wait_until(lambda: program.out.count("\n") == len(awkward))
    session.run("SELECT stream_append_text('sh', 'live')")
    wait_until(lambda: program.out.count("\n") == len(awkward) + 1)
    session.run("SELECT stream_close('sh')")
    same("follow.sh ends at the end", program.end(), 0)
    same("with every chunk", [json.loads(line) for line in program.out.splitlines()], [*awkward, "live", ""])
    same("and the cursor", program.output[1].decode(), "cursor 9\n")
    program = Program(where, "follow.sh", "sh", "7")
    same("follow.sh continues", (program.end(), program.out), (0, '"live"\n""\n'))
    program = Program(where, "follow.sh", "sh", "99")
    check("follow.sh fails at an error", program.end() not in (0, None) and b"not part of the history" in program.output[1], program.output)


def follow_one():
    """Python: follow one stream, through lost connections."""
    where = database()
    session = Session(database=where)
    program = Program(where, "follow.py", "s")
    wanted = ""
    for number in range(30):
        if number % 10 == 5:
            check("a connection is cut", program.cut(session) == 1)
        session.run("SELECT stream_append_text('s', %s)", f"{number},")
        wanted += f"{number},"
        if number % 10 == 3:
            check("it follows live", wait_until(lambda: program.out == wanted), program.output)
    session.run("SELECT stream_close('s')")
    same("follow.py ends", program.end(), 0)
    same("with everything once", program.out, wanted)
    program = Program(where, "follow.py", "s", "28")
    same("it continues after a cursor", (program.end(), program.out), (0, "28,29,"))


def follow_many(name):
    """Streams on one connection, cut again and again; a wake-up that does not come."""
    where = database()
    session = Session(database=where)
    streams = [f"s{n}" for n in range(20)]
    program = Program(where, name, *streams)
    check(f"{name} listens and is idle", program.waits(session, "%stream_read_many%"), program.output)
    for round_ in range(4):
        for stream in streams:
            session.run("SELECT stream_append_text(%s, %s)", stream, f"{round_}")
        check("it follows live", wait_until(lambda: len(program.rows()) >= 20 * (2 * round_ + 1)), program.output)
        same("over one connection", program.cut(session), 1)
        for stream in streams:      # while it is away
            session.run("SELECT stream_append_text(%s, %s)", stream, f"{round_} away")
        check("it resumes", wait_until(lambda: len(program.rows()) >= 20 * (2 * round_ + 2)), program.output)
    # Notifications that never come.
    alter_system(pg_rill__wakeups="off")
    try:
        with Session(database=where) as writer:
            for stream in streams:
                writer.run("SELECT stream_append_text(%s, 'unannounced')", stream)
        check("it polls", wait_until(lambda: len(program.rows()) >= 20 * 9), program.output)
    finally:
        session.run("ALTER SYSTEM RESET pg_rill.wakeups")
        session.run("SELECT pg_reload_conf()")
    for stream in streams:
        session.run("SELECT stream_close(%s)", stream)
    same(f"{name} ends when all streams have", program.end(), 0)
    rows = program.rows()
    same("nothing lost, doubled or out of order", [as_read(rows, s) for s in streams], [texts(session, s) for s in streams])
    # Without the poll every chunk must be announced, however its notification falls between read and wait.
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        text, changed = re.subn(r"\bPOLL = \d+", "POLL = 2000000", file.read())
    with open(os.path.join(folder, f"deaf_{name}"), "w", encoding="utf-8") as file:
        file.write(text)
    same("the poll can be turned off", changed, 1)
    live = [f"live {n}" for n in range(200)]
    program = Program(where, f"deaf_{name}", *live)
    program.waits(session, "%stream_read_many%")
    done = 0
    for n in range(150):        # the second one's notification comes before, during or after the read for the first one
        session.run("SELECT stream_append_text(%s, 'x')", live[n])
        end = time.monotonic() + n % 50 / 5000
        while time.monotonic() < end:
            pass
        session.run("SELECT stream_append_text(%s, 'y')", live[-1])
        if not wait_until(lambda: len(program.rows()) >= 2 * n + 2):
            break
        done += 1
    same("it is woken", done, 150)
    program.kill()
    # The stream's history changes while it is away.
    session.run("SELECT stream_append_text('h', 'x') FROM generate_series(1, 3)")
    program = Program(where, name, "h")
    check("three chunks", wait_until(lambda: len(program.rows()) == 3))
    session.run("UPDATE stream_chunk SET epoch = epoch + 1 WHERE stream_id = (SELECT stream_id FROM stream WHERE name = 'h')")
    program.cut(session)    # the update may have woken it before
    check("another history is an error", program.end() not in (0, None) and b"not part of the history" in program.output[1], program.output)


def listen_python():
    """Python: follow many streams with LISTEN."""
    follow_many("listen.py")


def once():
    """Python: exactly once, a source that can be read again."""
    where = database()
    session = Session(database=where)
    path = os.path.join(folder, "lines")
    lines = [f"line {n}\n" for n in range(2000)]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines)
    for round_ in range(3):
        pair = [Program(where, "lines.py", "s", path) for _ in range(2)]
        wait_until(lambda: session.value("SELECT stream_head('s')") >= 200 * (round_ + 1))
        pair[0].cut(session)
        pair[1].kill()
        wait_until(lambda: session.value("SELECT stream_head('s')") >= 200 * (round_ + 1) + 50)
        pair[0].kill()
    same("lines.py ends", Program(where, "lines.py", "s", path).end(), 0)
    same("and again", Program(where, "lines.py", "s", path).end(), 0)
    same("each line once", [t for _, _, t in texts(session, "s")], lines)
    same("and the end", session.value("SELECT closed FROM stream_status('s')"), True)


def worker():
    """Python: exactly once, a worker that another one replaces."""
    where = database()
    session = Session(database=where)
    first = Program(where, "worker.py", "s")
    for n in range(50):
        first.send(f"first {n}\n")
        if n in (10, 30):
            first.cut(session)
    check("all are stored", wait_until(lambda: session.value("SELECT stream_head('s')") >= 50), first.output)
    second = Program(where, "worker.py", "s")
    second.send("second 0\n")
    check("the second works", wait_until(lambda: session.value("SELECT data FROM stream_read_since('s', 0) ORDER BY chunk_id DESC LIMIT 1")
                                         .tobytes() == b"second 0\n"), second.output)
    first.send("first 50\n")
    check("the first is fenced off", first.end() == 1 and b"fenced" in first.output[1], first.output)
    second.send("second 1\n")
    second.close_input()
    same("the second ends", second.end(), 0)
    same("each line once", [t for _, _, t in texts(session, "s")],
         [f"first {n}\n" for n in range(50)] + ["second 0\n", "second 1\n"])


def count_words():
    """Python: exactly once, a reader that stores results."""
    where = database()
    session = Session(database=where)
    program = Program(where, "count_words.py", "s")
    for n in range(300):
        session.run("SELECT stream_append_text('s', 'two words ')")
        if n % 60 == 30:
            wait_until(lambda: session.attempt("SELECT words > 0 FROM word_count") is True)
            program.kill()
            program = Program(where, "count_words.py", "s")
    other = Program(where, "count_words.py", "s")
    session.run("SELECT stream_append_text('s', 'end', true)")
    same("count_words.py ends", (program.end(), other.end()), (0, 0))
    same("each chunk was counted once", session.rows("SELECT words, chunk_id FROM word_count"), [(601, 301)])


def node_is_here():
    if shutil.which("node") and modules:
        return True
    check("recipes for Node # skip there is no node with pg (test/setup_node.sh)", True)
    return False


def node_append():
    """Node: append from a pool."""
    if not node_is_here():
        return
    where = database()
    session = Session(database=where)
    program = Program(where, "append.mjs")
    wanted = {f"s{n}": [] for n in range(10)}
    for n in range(2000):
        stream = f"s{n * 7 % 10}"
        wanted[stream].append(f"{n} é {n * n}")
        program.send(f"{stream} {n} é {n * n}\n")
    program.close_input()
    same("append.mjs ends", program.end(), 0)
    same("every line, in order", {s: [t for _, _, t in texts(session, s)] for s in wanted}, {s: [*t, ""] for s, t in wanted.items()})
    session.run("SELECT stream_close('closed')")
    program = Program(where, "append.mjs")
    program.send("closed x\n")
    program.close_input()
    check("an error ends it", program.end() not in (0, None) and b"RL001" in program.output[1], program.output)


def node_follow_many():
    """Node: follow many streams over one connection."""
    if node_is_here():
        follow_many("follow_many.mjs")


def node_follow_set():
    """Node: the set of streams changes while the connection waits."""
    if not node_is_here():
        return
    where = database()
    session = Session(database=where)
    program = Program(where, "follow_set.mjs")
    streams = [f"s{n}" for n in range(30)]
    # Only the interrupt ends a wait for the quiet streams that are there already: its own end comes after ten minutes.
    for n, stream in enumerate(streams):
        session.run("SELECT stream_append_text(%s, 'x')", stream)
        if n % 3 == 0 and n > 0:
            wait_until(lambda: session.value("SELECT waiters > 0 FROM stream_info WHERE name = 's0'"))
        program.send(stream + "\n")
        if n % 3 == 0 and not wait_until(lambda: len(program.rows()) > n):
            break
    check("new streams are read at once", wait_until(lambda: len(program.rows()) == len(streams)), program.output)
    program.cut(session)
    for stream in streams:
        session.run("SELECT stream_append_text(%s, 'y')", stream)
    program.close_input()
    check("after a lost connection", wait_until(lambda: len(program.rows()) == 60), program.output)
    for stream in streams:
        session.run("SELECT stream_close(%s)", stream)
    same("follow_set.mjs ends", program.end(), 0)
    rows = program.rows()
    same("nothing lost, doubled or out of order", [as_read(rows, s) for s in streams], [texts(session, s) for s in streams])


def node_values():
    """Node: what the reference says about its values."""
    if not node_is_here():
        return
    script = """import pg from 'pg';
        const client = new pg.Client(); await client.connect();
        const code = (...q) => client.query(...q).then(r => Object.values(r.rows[0])[0], e => e.code);
        console.log(JSON.stringify([await code('SELECT stream_append_many($1, $2)', ['s', [Buffer.from('a'), Buffer.from('\\\\')]]),
            await code('SELECT stream_append_many($1, $2)', ['s', ['\\\\ab']]), await code('SELECT stream_append_many($1, $2)', ['s', Buffer.from('xyz')]),
            await code('SELECT stream_append_many($1, ARRAY[$2])', ['s', Buffer.from('x')]),
            await code('SELECT stream_append_many($1, ARRAY[$2::bytea])', ['s', Buffer.from('x')])]));
        await client.end();"""
    with open(os.path.join(folder, "values.mjs"), "w", encoding="utf-8") as file:
        file.write(script)
    program = Program(database(), "values.mjs")
    same("node ends", program.end(), 0)
    same("bytes, text and arrays", program.rows(), [["2", "22P02", "08P01", "42883", "3"]])


def clean():
    """Nothing is left."""
    for program in programs_running:
        if program.process.poll() is None:
            program.kill()
    shutil.rmtree(folder)
    note("done")


main(psql, follow_one, listen_python, once, worker, count_words, node_append, node_follow_many, node_follow_set, node_values, clean)
