#!/usr/bin/env python3
"""Rows of stream_chunk that others write: restored with triggers disabled, replicated, changed by hand, rewritten, and
loaded by a COPY that has not ended. Afterwards reads show every committed row, waiting sessions find it, and appends go on
above the highest id, at once and without an error.

Runs in a database with the extension, with pg_dump and pg_restore in PATH; see test/lib/harness.py."""
import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from harness import Refused, Session, check, database, main, one_of, same, wait_for_lock, wait_until  # noqa: E402

READ = "SELECT string_agg(chunk_id::text, ' ' ORDER BY chunk_id) FROM stream_read_since('s', 0, max_chunks => null)"
APPEND = "SELECT stream_append('s', 'appended')"


def ids(first, last):
    return " ".join(str(i) for i in range(first, last + 1))


class Sessions:
    """Sessions that know the stream before rows arrive: two that read and append, one that waits."""

    def __init__(self, name, cursor):
        self.reader, self.writer, self.waiter = (Session(database=name) for _ in range(3))
        self.reader.attempt(READ)
        self.writer.attempt("SELECT stream_head('s')")
        self.waiting = self.waiter.start(f"SELECT stream_wait('s', {cursor}, '15 s')")

    def check(self, what, last, read=None):
        """`last` is the highest id that is there now."""
        read = read or ids(1, last)
        for turn in ("once", "twice", "a third time"):
            same(f"{what}: read {turn}", self.reader.attempt(READ), read)
        same(f"{what}: the other session reads", self.writer.attempt(READ), read)
        same(f"{what}: the head", self.reader.attempt("SELECT stream_head('s')"), last)
        same(f"{what}: the waiting session was told", self.waiting.answer(), last)
        same(f"{what}: an append", self.reader.attempt(APPEND), last + 1)
        same(f"{what}: an append of the other session", self.writer.attempt(APPEND), last + 2)
        same(f"{what}: a batch", self.reader.attempt("SELECT stream_append_many('s', '{x,y}')"), last + 4)
        same(f"{what}: everything is read", self.writer.attempt(READ), f"{read} {ids(last + 1, last + 4)}")


def archive(name, directory, file):
    path = os.path.join(directory, file)
    subprocess.run(["pg_dump", "-Fc", "-f", path, name], check=True)
    return path


def restore(path, name, *options):
    subprocess.run(["pg_restore", "--data-only", "--disable-triggers", "--exit-on-error", "-d", name, *options, path], check=True)


def restored():
    """pg_restore --data-only --disable-triggers into a database whose sessions know the stream."""
    with tempfile.TemporaryDirectory() as directory:
        source = database("source")
        with Session(database=source) as session:
            session.run(f"{APPEND} FROM generate_series(1, 5)")
        everything = archive(source, directory, "everything")
        with Session(database=source) as session:
            session.run("SELECT stream_trim('s', 3)")
        later = archive(source, directory, "later")

        target = database("target")
        known = Sessions(target, 0)
        restore(everything, target)
        known.check("everything restored, the name was read before", 5)

        target = database("target")
        with Session(database=target) as session:
            session.run(f"SELECT stream_create('s'); {APPEND} FROM generate_series(1, 2)")
        known = Sessions(target, 2)
        restore(later, target, "-t", "stream_chunk")
        known.check("the chunks after one's own restored", 5)

        target = database("target")
        with Session(database=target) as session:
            session.run("SELECT stream_create('s')")
        known = Sessions(target, 0)
        restore(everything, target, "-t", "stream_chunk")
        known.check("all chunks of an empty stream restored", 5)


LOAD = """INSERT INTO stream_chunk (stream_id, chunk_id, epoch, appended_at, eof, data)
          SELECT stream_id, i, 1, now(), false, 'loaded' FROM stream, generate_series(4, 6) i WHERE name = 's'"""


def by_hand():
    """Triggers disabled by hand, session_replication_role, UPDATE of chunk_id, TRUNCATE, rewriting."""
    loads = (
        ("plain INSERT", LOAD, 6, None),
        ("triggers disabled for the load",
         f"BEGIN; ALTER TABLE stream_chunk DISABLE TRIGGER ALL; {LOAD}; ALTER TABLE stream_chunk ENABLE TRIGGER ALL; COMMIT", 6, None),
        ("user triggers disabled and left so", f"ALTER TABLE stream_chunk DISABLE TRIGGER USER; {LOAD}", 6, None),
        ("session_replication_role = replica", f"SET session_replication_role = replica; {LOAD}", 6, None),
        ("a chunk taken out and put back, triggers disabled",
         "BEGIN; ALTER TABLE stream_chunk DISABLE TRIGGER ALL; CREATE TEMP TABLE taken AS SELECT * FROM stream_chunk WHERE chunk_id = 2;"
         f" DELETE FROM stream_chunk WHERE chunk_id = 2; {LOAD}; COMMIT; INSERT INTO stream_chunk SELECT * FROM taken", 6, None),
        ("the last chunk's id raised by hand", "UPDATE stream_chunk SET chunk_id = 100 WHERE chunk_id = 3", 100, "1 2 100"),
        ("triggers disabled, the last chunk's id raised",
         "BEGIN; ALTER TABLE stream_chunk DISABLE TRIGGER ALL; UPDATE stream_chunk SET chunk_id = 100 WHERE chunk_id = 3;"
         " ALTER TABLE stream_chunk ENABLE TRIGGER ALL; COMMIT", 100, "1 2 100"),
    )
    for what, load, last, read in loads:
        name = database()
        with Session(database=name) as session:
            session.run(f"{APPEND} FROM generate_series(1, 3)")
        known = Sessions(name, 3)
        with Session(database=name) as loader:
            loader.run(load)
            known.check(what, last, read)

    name = database()
    session, other = Session(database=name), Session(database=name)
    session.run(f"{APPEND} FROM generate_series(1, 3)")
    other.run(READ)
    for n, rewrite in enumerate(("VACUUM FULL stream_chunk", "CLUSTER stream_chunk USING stream_chunk_pkey", "REINDEX TABLE stream_chunk",
                                 "ALTER TABLE stream_chunk SET UNLOGGED", "ALTER TABLE stream_chunk SET LOGGED")):
        session.run(rewrite)
        same(f"after {rewrite}: read", other.attempt(READ), ids(1, 3 + n))
        same(f"after {rewrite}: append", other.attempt(APPEND), 4 + n)

    # The catalog's rows about our triggers move: sessions that come later still share what is cached with earlier ones.
    moved = "SELECT string_agg(ctid::text, ' ' ORDER BY oid) FROM pg_trigger"
    before, cursor = session.value(moved), other.attempt("SELECT stream_head('s')")
    session.run("VACUUM FULL pg_trigger")
    check("VACUUM FULL pg_trigger moves rows", session.value(moved) != before)
    with Session(database=name) as later:
        same("after it: an append of a session that comes later", later.attempt(APPEND), cursor + 1)
        same("a session from before it reads that", other.attempt("SELECT max(chunk_id) FROM stream_read_since('s', %s)", cursor), cursor + 1)
        same("and waits for it", other.attempt("SELECT stream_wait('s', %s, '5 s')", cursor), cursor + 1)

    session.run("TRUNCATE stream_chunk")
    appended = other.attempt(APPEND)
    check("after TRUNCATE stream_chunk: an append is stored", not isinstance(appended, Refused), appended)
    same("after TRUNCATE stream_chunk: that is what is read", other.attempt(READ), str(appended))

    session.run("SELECT stream_append('closed', 'x'), stream_close('closed')")
    other.attempt("SELECT stream_append('closed', 'x')")
    session.run("DELETE FROM stream_chunk WHERE eof")
    one_of("an EOF deleted by hand no longer closes the stream", other.attempt("SELECT stream_append('closed', 'x')"), (2, 3))
    session.run("UPDATE stream_chunk SET eof = true WHERE chunk_id = (SELECT max(chunk_id) FROM stream_chunk JOIN stream USING (stream_id)"
                " WHERE name = 'closed') AND stream_id = (SELECT stream_id FROM stream WHERE name = 'closed')")
    same("one made by hand does", other.attempt("SELECT stream_append('closed', 'x')"), "RL001")


class SlowFile:
    """For COPY FROM STDIN: gives its rows at once, and the end only when it is told to."""

    def __init__(self, rows):
        self.data = "".join(rows)
        self.end = threading.Event()
        self.fail = False

    def read(self, size=-1):
        if not self.data:
            self.end.wait()
            if self.fail:
                raise RuntimeError("the loader gives up")
            return ""
        part, self.data = self.data[:size], self.data[size:]
        return part


class Copy:
    """A COPY of the chunks 4 to 2003 that has stored all its rows and not ended."""

    def __init__(self, name, observer):
        self.session = Session(database=name, net="60s")
        stream = self.session.value("SELECT stream_id FROM stream WHERE name = 's'")
        rows = [(stream, i) for i in range(4, 2004)] + [(10**15, i) for i in range(1, 999)]   # what follows pushes them out of the buffers
        self.file = SlowFile([f"{s}\t{i}\t1\t2020-01-01\tf\tloaded\n" for s, i in rows])
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        check("the COPY has stored its rows", wait_until(lambda: observer.value(
            "SELECT tuples_processed >= 2000 FROM pg_stat_progress_copy WHERE pid = %s", self.session.pid)))

    def _run(self):
        try:
            with self.session.connection.cursor() as cursor:
                cursor.copy_expert("COPY stream_chunk (stream_id, chunk_id, epoch, appended_at, eof, data) FROM STDIN", self.file)
        except Exception as error:
            self.error = error

    def end(self, fail=False):
        self.file.fail = fail
        self.file.end.set()
        self.thread.join(30)


def copy_beside_appends():
    """Appends to a stream that a COPY is loading neither wait for it nor fail."""
    for ending in ("commits", "fails"):
        name = database()
        session, other = Session(database=name, net="5s"), Session(database=name, net="5s")
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        other.run(READ)
        copy = Copy(name, session)
        same("an append beside the COPY goes above its rows", session.attempt(APPEND), 2004)
        same("the next one, too", other.attempt(APPEND), 2005)
        same("a batch, too", session.attempt("SELECT stream_append_many('s', '{x,y}')"), 2007)
        same("a read stops before the rows that are not decided", other.attempt(READ), "1 2 3")
        copy.end(fail=ending == "fails")
        same(f"the COPY {ending}", copy.error is None, ending == "commits")
        read = ids(1, 2007) if ending == "commits" else "1 2 3 2004 2005 2006 2007"
        check(f"when the COPY {ending}: everything committed is read", wait_until(lambda: other.attempt(READ) == read, 5),
              str(other.attempt(READ))[-60:])
        same("appends go on", [session.attempt(APPEND), other.attempt(APPEND)], [2008, 2009])

    # Statement ended, transaction open: the same with an INSERT.
    for ending in ("COMMIT", "ROLLBACK"):
        name = database()
        session, loader = Session(database=name, net="5s"), Session(database=name)
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        loader.run(f"BEGIN; {LOAD}")
        same("an append beside an open INSERT goes above its rows", session.attempt(APPEND), 7)
        same("a read stops before them", session.attempt(READ), "1 2 3")
        loader.run(ending)
        same(f"after its {ending}", session.attempt(READ), ids(1, 7) if ending == "COMMIT" else "1 2 3 7")

    # The rows are committed and no trigger told of them: the append sees them in the index.
    name = database()
    session, loader = Session(database=name, net="5s"), Session(database=name, session_replication_role="replica")
    session.run(f"{APPEND} FROM generate_series(1, 3)")
    loader.run("ALTER TABLE stream_chunk DISABLE TRIGGER ALL")
    loader.run(LOAD)
    same("an append beside committed rows that nothing told of", session.attempt(APPEND), 7)
    same("a read after it", session.attempt(READ), ids(1, 7))


def loaded_eof():
    """An EOF that others loaded, which no trigger told of, is met by the next append (I5)."""
    def load(session, first, last, eof):
        session.run("INSERT INTO stream_chunk SELECT stream_id, i, 1, now(), %s AND i = %s, 'loaded' FROM stream, generate_series(%s, %s) i"
                    " WHERE name = 's'", eof, last, first, last)
    for how, append in (("an append", APPEND), ("a batch", "SELECT stream_append_many('s', '{x,y}')"),
                        ("a close", "SELECT stream_close('s')"),
                        ("a producer", "SELECT stream_append('s', 'x', producer => 'p', producer_epoch => 0, producer_seq => 1)")):
        closed = 6 if how == "a close" else "RL001"
        for ending in ("COMMIT", "ROLLBACK"):
            name = database()
            session, loader, other = Session(database=name), Session(database=name), Session(database=name)
            session.run(f"{APPEND} FROM generate_series(1, 3)")
            loader.run("BEGIN")
            load(loader, 4, 6, True)
            session.run(f"SELECT stream_append('other', 'x')")
            pending = session.start(append)
            check(f"{how} waits for a loaded EOF that is undecided", wait_for_lock(other, session.pid))
            held = other.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = %s", session.pid)
            same(f"{how}: not under the append lock", held, 0)
            loader.run(ending)
            answer = pending.answer()
            if ending == "COMMIT":
                same(f"{how} after the loaded EOF was committed", answer, closed)
                same(f"{how}: the EOF is last", session.attempt(READ), ids(1, 6))
            else:
                check(f"{how} after it was rolled back is stored above it", answer >= 7 if not isinstance(answer, Refused) else False, answer)
        name = database()
        session, loader = Session(database=name), Session(database=name)
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        loader.run("ALTER TABLE stream_chunk DISABLE TRIGGER ALL")
        load(loader, 4, 6, True)
        same(f"{how} after an EOF that no trigger told of", session.attempt(append), closed)
        loader.run("ALTER TABLE stream_chunk ENABLE TRIGGER ALL")
        same(f"{how}, again", session.attempt(append), closed)


def expected():
    """`expected` beside rows of others: undecided ones are waited for, committed ones count, rolled-back ones do not."""
    for ending, answer in (("COMMIT", "RL004"), ("ROLLBACK", 7)):
        name = database()
        session, loader = Session(database=name), Session(database=name)
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        loader.run(f"BEGIN; {LOAD}")
        pending = session.start("SELECT stream_append('s', 'x', expected => 3)")
        check("an append that expects waits for rows that others are loading", wait_for_lock(Session(database=name), session.pid))
        loader.run(ending)
        same(f"expected => 3, after their {ending}", pending.answer(), answer)


def triggers_stay():
    """What disables and enables all triggers leaves the extension's own as they were, so that later rows are noticed, too."""
    enabled = "SELECT string_agg(format('%s %s %s', tgrelid::regclass, tgname, tgenabled), ', ' ORDER BY tgname)" \
        " FROM pg_trigger WHERE NOT tgisinternal"
    for how in ("ALL", "USER", "chunk_loaded"):
        name = database()
        session, owner = Session(database=name), Session(database=name)
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        before = owner.value(enabled)
        for table in ("stream", "stream_chunk", "stream_state") if how != "chunk_loaded" else ("stream_chunk",):
            owner.run(f"ALTER TABLE {table} DISABLE TRIGGER {how}")
            check(f"{how}: {table} has its triggers disabled", owner.value(enabled) != before)
            owner.run(f"ALTER TABLE {table} ENABLE TRIGGER {how}")
        same(f"{how}: enabled again, they are as they were", owner.value(enabled), before)
        session.attempt(READ)
        known = Sessions(name, 3)
        with Session(database=name, session_replication_role="replica") as loader:
            loader.run(LOAD)
        known.check(f"{how}: a load as replica afterwards", 6)


def names():
    """Streams renamed and their state changed by hand, also with the triggers of those tables disabled."""
    for disabled in (False, True):
        said = "triggers disabled" if disabled else "triggers enabled"
        name = database()
        session, owner = Session(database=name), Session(database=name)
        session.run(f"{APPEND} FROM generate_series(1, 3)")
        if disabled:
            for table in ("stream", "stream_state", "stream_producer"):
                owner.run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        same("the session knows the stream", session.attempt(APPEND), 4)
        owner.run("UPDATE stream SET name = 'renamed' WHERE name = 's'")
        same(f"{said}: the old name is a new stream", session.attempt(APPEND), 1)
        same(f"{said}: the new name is the old one", session.attempt("SELECT stream_append('renamed', 'x')"), 5)
        same(f"{said}: it is read", session.attempt(READ.replace("'s'", "'renamed'")), ids(1, 5))

        owner.run("INSERT INTO stream_state (stream_id, trimmed_through) SELECT stream_id, 100 FROM stream WHERE name = 'renamed'")
        same(f"{said}: a stream is trimmed by hand: appends go above it", session.attempt("SELECT stream_append('renamed', 'x')"), 101)
        owner.run("UPDATE stream_state SET trimmed_through = 200")
        same(f"{said}: again", session.attempt("SELECT stream_append_many('renamed', '{x,y}')"), 202)
        same(f"{said}: that is what is read", session.attempt("SELECT string_agg(chunk_id::text, ' ') FROM stream_read_since('renamed', 200)"), "201 202")
        owner.run("DELETE FROM stream_state")
        same(f"{said}: without the row everything is there", session.attempt("SELECT count(*) FROM stream_read_since('renamed', 0)"), 8)

        producer = "SELECT stream_append('s', 'p', producer => 'p', producer_epoch => 1, producer_seq => {})"
        same(f"{said}: a producer", session.attempt(producer.format(1)), 2)
        owner.run("UPDATE stream_producer SET seq = 5")
        same(f"{said}: whose sequence is changed by hand", [session.attempt(producer.format(2)), session.attempt(producer.format(6))], [None, 3])
        loader = Session(database=name)
        loader.run("BEGIN; INSERT INTO stream_producer SELECT stream_id, 'p', 1, 7, 3 FROM stream WHERE name = 's'")
        pending = session.start(producer.format(7))
        check(f"{said}: a producer's row that is being loaded is waited for", wait_for_lock(owner, session.pid))
        loader.run("ROLLBACK")
        same(f"{said}: then", pending.answer(), 4)


def rewritten_beside_appends():
    """Tables that are rewritten, or moved, while others append and read: no error, no chunk lost, none twice."""
    name = database()
    writers = [Session(database=name, net="60s") for _ in range(2)]
    reader, owner = Session(database=name, net="60s"), Session(database=name, net="60s")
    owner.run("SELECT stream_append('s', 'x')")
    stop, refused, stored = [], [], [1, 0]

    def append(n):
        while not stop:
            answer = writers[n].attempt("SELECT stream_append('s', 'x')" if n == 0 else "SELECT stream_append_many('s', '{x,y}')")
            if isinstance(answer, Refused):
                refused.append(answer)
            stored[n] += n + 1
    threads = [threading.Thread(target=append, args=(n,), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    cursor, seen = 0, 0

    def read():
        nonlocal cursor, seen
        for (chunk_id,) in reader.rows("SELECT chunk_id FROM stream_read_since('s', %s, null, null)", cursor):
            cursor, seen = chunk_id, seen + 1
    for rewrite in ("VACUUM FULL stream_chunk", "CLUSTER stream_chunk USING stream_chunk_pkey", "ALTER TABLE stream_chunk ADD n uuid DEFAULT gen_random_uuid()",
                    "REINDEX TABLE stream_chunk", "ALTER TABLE stream_chunk ADD CHECK (octet_length(data) > 0)", "ALTER TABLE stream_chunk DROP n",
                    "ALTER TABLE stream_chunk SET UNLOGGED", "ALTER TABLE stream_chunk SET LOGGED", "ALTER TABLE stream_chunk DISABLE TRIGGER ALL",
                    "ALTER TABLE stream_chunk ENABLE TRIGGER ALL", "VACUUM (FREEZE) stream_chunk", "ANALYZE stream_chunk"):
        error = owner.error(rewrite)
        check(f"beside appends: {rewrite}", error is None, error)
        read()
    stop.append(True)
    for thread in threads:
        thread.join(30)
    read()
    same("no append failed", refused, [])
    same("everything was read once", seen, sum(stored))


main(restored, by_hand, copy_beside_appends, loaded_eof, expected, triggers_stay, names, rewritten_beside_appends)
