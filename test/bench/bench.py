#!/usr/bin/env python3
"""Paired measurements of appends with pgbench: pg_rill, a plain INSERT into an identical table, and the same table
with a NOTIFY trigger. The rivals take turns within a round, each round begins with another one, and what is compared
are the ratios of the same round. Called by run.sh, which provides the server (PGHOST and so on).

It must survive: a rival that fails (the whole measurement stops and says so) and ^C (no result is written)."""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile

PAYLOAD = "x" * 100
BATCH = "{" + ",".join([PAYLOAD] * 100) + "}"

# The plain table takes its ids from a sequence, as such tables do.
SETUP = """
CREATE EXTENSION pg_rill;
CREATE SEQUENCE plain_id;
CREATE TABLE plain_chunk (LIKE stream_chunk INCLUDING ALL);
ALTER TABLE plain_chunk ALTER COLUMN chunk_id SET DEFAULT nextval('plain_id');
CREATE SEQUENCE notify_id;
CREATE TABLE notify_chunk (LIKE stream_chunk INCLUDING ALL);
ALTER TABLE notify_chunk ALTER COLUMN chunk_id SET DEFAULT nextval('notify_id');
CREATE FUNCTION notify_reader() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN PERFORM pg_notify('chunks', NEW.stream_id || ':' || NEW.chunk_id); RETURN NULL; END$$;
CREATE TRIGGER notify_reader AFTER INSERT ON notify_chunk FOR EACH ROW EXECUTE FUNCTION notify_reader();
"""


def insert(table, stream):
    return (f"INSERT INTO {table} (stream_id, epoch, appended_at, eof, data) "
            f"VALUES ({stream}, 1, clock_timestamp(), false, :payload);")


ANY = "\\set s random(1, 64)\n"
SCRIPTS = {
    "pg_rill": ANY + "SELECT stream_append('bench-' || :s, :payload);",
    "plain": ANY + insert("plain_chunk", ":s"),
    "notify": ANY + insert("notify_chunk", ":s"),
    "pg_rill, one stream": "SELECT stream_append('hot', :payload);",
    "plain, one stream": insert("plain_chunk", "65"),
    "pg_rill, batches": "SELECT stream_append_many('batches', :batch);",
    "plain, batches": "INSERT INTO plain_chunk (stream_id, epoch, appended_at, eof, data) "
                      "SELECT 66, 1, clock_timestamp(), false, d FROM unnest(:batch::bytea[]) AS d;",
}
NAMES = {"plain": "plain INSERT", "notify": "NOTIFY trigger", "plain, one stream": "plain, one stream",
         "plain, batches": "INSERT … unnest"}

# One listening session; \watch makes psql take what has arrived.
LISTEN = {"pg_rill": "SELECT stream_listen(); LISTEN pg_rill;", "notify": "LISTEN chunks;"}


class Section:
    """One table of the report: the same work by several rivals, at several numbers of writers."""

    def __init__(self, key, title, writers, rivals, goals, listen=False, rows_per_commit=1):
        self.key, self.title, self.writers, self.rivals = key, title, writers, rivals
        self.goals, self.listen, self.rows_per_commit = goals, listen, rows_per_commit

    def goal(self, rival, writers):
        """The ratio ours / rival to reach, or None."""
        least, from_writers = self.goals.get(rival, (None, 0))
        return least if writers >= from_writers else None


SECTIONS = [
    Section("P1", "P1  one chunk a commit, 64 streams", [1, 8, 32, 64], ["pg_rill", "plain", "notify"],
            {"plain": (0.97, 1), "notify": (4.0, 32)}),
    Section("P1 listening", "P1  the same with one session that listens", [32], ["pg_rill", "plain", "notify"],
            {"plain": (0.97, 1), "notify": (4.0, 32)}, listen=True),
    Section("P2", "P2  one hot stream", [32], ["pg_rill, one stream", "pg_rill", "plain, one stream"], {"pg_rill": (0.9, 1)}),
    Section("P3", "P3  batches of 100", [1], ["pg_rill, batches", "plain, batches"], {"plain, batches": (1.0, 1)},
            rows_per_commit=100),
]


class Bench:
    def __init__(self, options):
        self.options = options
        self.scripts = tempfile.TemporaryDirectory()

    def psql(self, sql):
        done = subprocess.run([f"{self.options.bin}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql],
                              check=True, capture_output=True, text=True)
        return done.stdout.strip()

    @contextlib.contextmanager
    def listener(self, rival):
        if rival not in LISTEN:
            yield
            return
        psql = subprocess.Popen([f"{self.options.bin}/psql", "-XAtq"], stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        psql.stdin.write(LISTEN[rival] + "\nSELECT 1 \\watch 0.1\n")
        psql.stdin.close()
        try:
            yield
        finally:
            psql.terminate()
            psql.wait()

    def once(self, rival, writers):
        """Commits per second of one run."""
        script = os.path.join(self.scripts.name, "script.sql")
        with open(script, "w", encoding="utf-8") as file:
            file.write(SCRIPTS[rival] + "\n")
        self.psql("CHECKPOINT")
        done = subprocess.run(
            [f"{self.options.bin}/pgbench", "-n", "-M", "prepared", "-c", str(writers), "-j", str(min(writers, 2)),
             "-T", str(self.options.seconds), "-f", script, "-D", f"payload={PAYLOAD}", "-D", f"batch={BATCH}"],
            capture_output=True, text=True)
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or not rate:
            sys.exit(f"bench: {rival} with {writers} writers failed:\n{done.stderr.strip()[-2000:]}")
        return float(rate.group(1))

    def measure(self, section):
        """{writers: {rival: [rate of each round]}}"""
        rates = {writers: {rival: [] for rival in section.rivals} for writers in section.writers}
        for turn in range(self.options.rounds):
            for writers in section.writers:
                order = [section.rivals[(turn + i) % len(section.rivals)] for i in range(len(section.rivals))]
                for rival in order:
                    progress(f"{section.title}: round {turn + 1} of {self.options.rounds}, {writers} writers, {rival}")
                    with self.listener(rival) if section.listen else contextlib.nullcontext():
                        rates[writers][rival].append(self.once(rival, writers) * section.rows_per_commit)
        progress("")
        return rates


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def compare(section, rates):
    """One row for each number of writers: medians, and the median, least and greatest ratio ours / rival."""
    rows = []
    ours = section.rivals[0]
    for writers, by_rival in rates.items():
        row = {"writers": writers, "median": {r: statistics.median(v) for r, v in by_rival.items()}, "ratio": {}}
        for rival in section.rivals[1:]:
            pairs = [a / b for a, b in zip(by_rival[ours], by_rival[rival])]
            row["ratio"][rival] = {"median": statistics.median(pairs), "least": min(pairs), "greatest": max(pairs),
                                   "goal": section.goal(rival, writers)}
        rows.append(row)
    return rows


def show(section, rows):
    print(f"\n{section.title}: chunks a second (median), and ours / theirs (median of the rounds, least to greatest)")
    heads = [NAMES.get(r, r) for r in section.rivals]
    print(f"{'writers':>7}" + "".join(f"{h:>21}" for h in heads) + "".join(f"{'/ ' + h:>32}" for h in heads[1:]))
    for row in rows:
        line = f"{row['writers']:>7}" + "".join(f"{row['median'][r]:>21,.0f}" for r in section.rivals)
        for rival in section.rivals[1:]:
            ratio = row["ratio"][rival]
            text = f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['greatest']:.2f})"
            if ratio["goal"] is not None:
                text += f" {'>=' if ratio['median'] >= ratio['goal'] else 'MISSES'} {ratio['goal']:g}"
            line += f"{text:>32}"
        print(line, flush=True)


def surroundings(bench):
    def output(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    cpu = None
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), None)
    settings = bench.psql("SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN ('fsync', "
                          "'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers', 'autovacuum')")
    return {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output("git", "-C", bench.options.source, "describe", "--always", "--dirty"),
        "server": bench.psql("SELECT version()"), "settings": json.loads(settings),
        "kernel": platform.release(), "cpu": cpu, "cpus": os.cpu_count(),
        "file system": output("stat", "-f", "-c", "%T", bench.psql("SHOW data_directory")),
        "seconds": bench.options.seconds, "rounds": bench.options.rounds,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.seconds < 1 or options.rounds < 1:
        parser.error("BENCH_SECONDS and BENCH_ROUNDS are at least 1")

    bench = Bench(options)
    bench.psql(SETUP)
    result = {"surroundings": surroundings(bench), "sections": {}}
    about = result["surroundings"]
    runs = sum(len(s.writers) * len(s.rivals) for s in SECTIONS) * options.rounds
    print(f"{about['server'].split(' on ')[0]}, {about['cpus']} CPUs ({about['cpu']}), {about['file system']}, fsync on;")
    print(f"{runs} runs of {options.seconds} s, about {runs * (options.seconds + 1) // 60 + 1} minutes", flush=True)
    for section in SECTIONS:
        rates = bench.measure(section)
        rows = compare(section, rates)
        show(section, rows)
        result["sections"][section.key] = {"title": section.title, "rates": rates, "rows": rows}

    os.makedirs(options.out, exist_ok=True)
    name = os.path.join(options.out, f"{about['at'].replace(':', '').replace('+0000', 'Z')}.json")
    with open(name, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    print(f"\nraw results: {os.path.relpath(name, options.source)}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        sys.exit(f"bench: {error.stderr.strip()}")
