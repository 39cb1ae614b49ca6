#!/usr/bin/env python3
"""Exactly once: 8 sessions append the same sequences of one producer concurrently; each is stored once and all get its id.

Some first attempts are rolled back and some sessions are lost, so another session's retry stores the sequence. Then comes
a higher epoch, which fences off the first one. The seed is printed; set RILL_TEST_SEED to repeat a run."""
import os
import random
import threading

import psycopg2
import psycopg2.errors

SESSIONS, SEQUENCES = 8, 60
SEED = os.environ.get("RILL_TEST_SEED") or str(random.SystemRandom().randrange(10**9))
APPEND = "SELECT stream_append('race', %s, producer => 'p', producer_epoch => %s, producer_seq => %s)"

answers = {}            # (epoch, sequence) -> ids returned to sessions
problems = []
lock = threading.Lock()


def connect():
    connection = psycopg2.connect("")
    connection.cursor().execute("SET lock_timeout = '60s'")
    connection.commit()
    return connection


def race(number, epoch, barrier):
    dice = random.Random(f"{SEED}/{epoch}/{number}")
    connection = connect()
    try:
        for sequence in range(1, SEQUENCES + 1):
            barrier.wait(timeout=120)
            while True:
                cursor = connection.cursor()
                cursor.execute(APPEND, (f"{epoch}/{sequence}".encode(), epoch, sequence))
                answer = cursor.fetchone()[0]
                if dice.random() < 0.2:
                    connection.rollback()       # the returned id does not count
                    continue
                if dice.random() < 0.05:
                    connection.close()          # lost before the commit: try again
                    connection = connect()
                    continue
                connection.commit()
                break
            with lock:
                answers.setdefault((epoch, sequence), set()).add(answer)
    except Exception as error:      # any other error fails the test
        with lock:
            problems.append(f"session {number}, epoch {epoch}: {error!r}")
        barrier.abort()
    finally:
        connection.close()


def run(epoch):
    barrier = threading.Barrier(SESSIONS)
    threads = [threading.Thread(target=race, args=(n, epoch, barrier)) for n in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def refused(connection, epoch, sequence):
    try:
        connection.cursor().execute(APPEND, (b"x", epoch, sequence))
        return None
    except psycopg2.Error as error:
        return error.pgcode
    finally:
        connection.rollback()


number = 0


def check(name, good, detail=""):
    global number
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {name}{'' if good else f' ({detail})'}", flush=True)
    return good


print(f"# RILL_TEST_SEED={SEED}")
run(1)
run(2)
one = connect()
stored = one.cursor()
stored.execute("SELECT chunk_id, convert_from(data, 'UTF8') FROM stream_read_since('race', 0, max_chunks => null)")
chunks = {row[1]: row[0] for row in stored.fetchall()}
stored.execute("SELECT count(*) FROM stream_read_since('race', 0, max_chunks => null)")
rows = stored.fetchone()[0]
one.commit()
results = [
    check("no session failed", not problems, "; ".join(problems[:3])),
    check("each sequence is stored once", rows == len(chunks) == 2 * SEQUENCES, f"{rows} rows, {len(chunks)} different"),
    check("all sessions got its id", all(ids == {chunks.get(f"{e}/{s}")} for (e, s), ids in answers.items()),
          str([(key, ids, chunks.get(f"{key[0]}/{key[1]}")) for key, ids in answers.items() if ids != {chunks.get(f"{key[0]}/{key[1]}")}][:3])),
    check("in order", list(chunks) == [f"{e}/{s}" for e in (1, 2) for s in range(1, SEQUENCES + 1)]),
    check("the older epoch is fenced off, repeats included", refused(one, 1, SEQUENCES) == "RL005" and refused(one, 1, SEQUENCES + 1) == "RL005"),
    check("a gap is refused", refused(one, 2, SEQUENCES + 2) == "RL006"),
]
print(f"1..{number}")
raise SystemExit(0 if all(results) else 1)
