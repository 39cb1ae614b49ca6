#!/usr/bin/env python3
"""Whoever owns the extension's tables, and their schema, and is no superuser, changes their definition: other columns, types,
indexes, rules, views and tables under their names. Calls and workers may fail then; but no code of the owner's runs as
another role, no call hangs or crashes the server, and retention of other databases goes on.

There are about 130 ways, and each run tries some of them, chosen at random: RILL_TEST_SEED chooses the same ones again,
RILL_TEST_SABOTAGE all those whose name has this part, RILL_TEST_SABOTAGE= all of them (minutes). Runs in a database with the extension; see
test/lib/harness.py."""
import itertools
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from attack import TABLES, OwnersDatabase, call_everything, exercise_retention  # noqa: E402
from harness import Session, admin, alter_system, check, database, databases, drop_database, main, note, retention_works, role  # noqa: E402

BATCH = 10
TRIED = 10
SEED = os.environ.get("RILL_TEST_SEED") or str(random.SystemRandom().randrange(10**9))


def sabotages():
    """What an owner can make of the tables' definitions. Names and statements."""
    view = "CREATE VIEW {t} AS SELECT *, evil.note('it') FROM evil_{t}"
    fake = ("CREATE TABLE {t} (LIKE evil_{t} INCLUDING ALL); CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW"
            " EXECUTE FUNCTION evil.row('it'); INSERT INTO {t} OVERRIDING SYSTEM VALUE SELECT * FROM evil_{t}")
    for table in TABLES:
        rename = f"ALTER TABLE {table} RENAME TO evil_{table}"
        yield f"a view in place of {table}", f"{rename}; {view.format(t=table)}"
        yield f"another table in place of {table}", f"{rename}; {fake.format(t=table)}"
        yield f"a view in place of {table}, which is in another schema now", \
            f"ALTER TABLE {table} SET SCHEMA evil; CREATE VIEW {table} AS SELECT *, evil.note('it') FROM evil.{table}"
        yield f"{table} is gone from its schema", f"ALTER TABLE {table} SET SCHEMA evil"
        yield f"a partitioned table in place of {table}", f"{rename}; CREATE TABLE {table} (LIKE evil_{table}) PARTITION BY LIST (stream_id);" \
            f" ALTER TABLE {table} ATTACH PARTITION evil_{table} DEFAULT"
        yield f"a child of {table} with rows", f"CREATE TABLE child () INHERITS ({table}); ALTER TABLE child ADD CHECK (evil.note('it') OR stream_id IS NULL);" \
            f" INSERT INTO child SELECT * FROM ONLY {table}"
        yield f"the primary key of {table} under another name", f"ALTER INDEX {table}_pkey RENAME TO evil_pkey"
        yield f"no primary key on {table}", f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey"
        for what, definition in (("an index on an expression", "((evil.note('it') AND stream_id > 0))"),
                                 ("a partial index", "(stream_id) WHERE evil.note('it')"), ("a hash index", "USING hash (stream_id)"),
                                 ("a BRIN index", "USING brin (stream_id)"), ("an index the other way round", "(stream_id DESC)")):
            yield f"{table}_pkey is {what}", f"ALTER INDEX {table}_pkey RENAME TO evil_pkey; CREATE INDEX {table}_pkey ON {table} {definition}"
        yield f"{table}_pkey is another table's index", f"ALTER INDEX {table}_pkey RENAME TO evil_pkey; CREATE TABLE other (stream_id bigint);" \
            f" CREATE UNIQUE INDEX {table}_pkey ON other (stream_id)"
        for how in ("ALSO", "INSTEAD"):
            yield f"rules on {table}, DO {how}", "; ".join(f"CREATE RULE {event} AS ON {event} TO {table} DO {how} SELECT evil.note('it')"
                                                           for event in ("INSERT", "UPDATE", "DELETE"))
        yield f"policies on {table}, forced", f"CREATE POLICY p ON {table} USING (evil.note('it') AND false); ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;" \
            f" ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        yield f"{table} unlogged and empty", f"ALTER TABLE {table} DISABLE TRIGGER USER; DELETE FROM {table}; ALTER TABLE {table} SET UNLOGGED"
        yield f"stream_id of {table} is text", f"ALTER TABLE {table} ALTER stream_id DROP IDENTITY IF EXISTS, ALTER stream_id TYPE text"
        yield f"stream_id of {table} is a domain", f"CREATE DOMAIN evil.d AS bigint CHECK (evil.note('it') OR VALUE IS NULL);" \
            f" ALTER TABLE {table} ALTER stream_id DROP IDENTITY IF EXISTS, ALTER stream_id TYPE evil.d"
        yield f"stream_id of {table} is gone", f"ALTER TABLE {table} DROP COLUMN stream_id CASCADE"
    for column, kinds in (("chunk_id", ("text", "int", "numeric")), ("epoch", ("bigint", "text")), ("appended_at", ("text", "timestamp")),
                          ("eof", ("int USING eof::int", "text")), ("data", ("text", "bigint USING 1", "evil.bytes", "bytea[] USING ARRAY[data]"))):
        for kind in kinds:
            yield f"{column} is {kind.split()[0]}", "CREATE DOMAIN evil.bytes AS bytea CHECK (evil.note('it') OR VALUE IS NULL);" \
                f" ALTER TABLE stream_chunk ALTER {column} TYPE {kind}"
        yield f"{column} is gone", f"ALTER TABLE stream_chunk DROP COLUMN {column} CASCADE"
        yield f"{column} may be null, and is", f"ALTER TABLE stream_chunk DROP CONSTRAINT stream_chunk_pkey; ALTER TABLE stream_chunk ALTER {column} DROP NOT NULL;" \
            f" UPDATE stream_chunk SET {column} = NULL; CREATE UNIQUE INDEX stream_chunk_pkey ON stream_chunk (stream_id, chunk_id)"
    yield "chunk_id and stream_id have changed places", "ALTER TABLE stream_chunk RENAME stream_id TO x; ALTER TABLE stream_chunk RENAME chunk_id TO stream_id;" \
        " ALTER TABLE stream_chunk RENAME x TO chunk_id"
    yield "stream_chunk's columns in another order", "ALTER TABLE stream_chunk ADD COLUMN data2 bytea; UPDATE stream_chunk SET data2 = data;" \
        " ALTER TABLE stream_chunk DROP COLUMN data; ALTER TABLE stream_chunk RENAME data2 TO data"
    yield "a column of stream_chunk dropped that was not the extension's", "ALTER TABLE stream_chunk ADD COLUMN x int; ALTER TABLE stream_chunk DROP COLUMN x"
    for column, kind in (("name", "bytea USING name::bytea"), ("name", "int USING 1"), ("name", "evil.t"), ("owner", "text"), ("owner", "int USING 1"),
                         ("created_at", "text"), ("metadata", "text"), ("metadata", "int USING 1")):
        yield f"stream.{column} is {kind.split()[0]}", "CREATE DOMAIN evil.t AS text CHECK (evil.note('it') OR VALUE IS NULL);" \
            f" ALTER TABLE stream ALTER {column} DROP DEFAULT, ALTER {column} TYPE {kind}"
    for column in ("name", "owner", "created_at", "metadata"):
        yield f"stream.{column} is gone", f"ALTER TABLE stream DROP COLUMN {column} CASCADE"
    yield "two streams of one name", "DROP INDEX stream_name_key; ALTER TABLE stream DROP CONSTRAINT IF EXISTS stream_name_key;" \
        " INSERT INTO stream (name) SELECT name FROM stream"
    yield "ids of streams begin again", "ALTER TABLE stream ALTER stream_id RESTART WITH 1"
    yield "no ids for streams", "ALTER TABLE stream ALTER stream_id DROP IDENTITY"
    yield "ids of streams by hand", "ALTER TABLE stream ALTER stream_id SET GENERATED BY DEFAULT; ALTER TABLE stream ALTER stream_id DROP IDENTITY;" \
        " ALTER TABLE stream ALTER stream_id SET DEFAULT 9223372036854775807"
    for column in ("epoch", "seq", "chunk_id", "producer"):
        yield f"stream_producer.{column} is gone", f"ALTER TABLE stream_producer DROP COLUMN {column} CASCADE"
    for column in ("trimmed_through", "begins_after", "max_age", "next_due", "deleted_at", "deleted_name", "purged", "counted_through"):
        yield f"stream_state.{column} is gone", f"ALTER TABLE stream_state DROP COLUMN {column} CASCADE"
        yield f"stream_state.{column} is text", f"ALTER TABLE stream_state ALTER {column} DROP DEFAULT, ALTER {column} TYPE text"
    yield "everything of the owner's dropped", f"DROP OWNED BY {MALLORY} CASCADE"
    yield "the schema under another name", "ALTER SCHEMA public RENAME TO moved"
    yield "the schema under another name, another one in its place", "ALTER SCHEMA public RENAME TO moved; CREATE SCHEMA public;" \
        " CREATE VIEW public.stream AS SELECT *, evil.note('it') FROM moved.stream"
    yield "the schema dropped, and the extension with it", "DROP SCHEMA public CASCADE"


def definitions():
    """Tables whose definition the owner has changed."""
    neighbour_name = database("neighbour")
    wanted = os.environ.get("RILL_TEST_SABOTAGE")
    every = list(sabotages())
    if wanted is None:
        note(f"RILL_TEST_SEED={SEED}")
        chosen = iter(random.Random(SEED).sample(every, TRIED))
    else:
        chosen = iter([(what, sql) for what, sql in every if wanted in what])
    while batch := list(itertools.islice(chosen, BATCH)):
        scenes = []
        for what, sql in batch:
            try:
                scenes.append((what, sabotage(what, sql)))
            except Exception as error:      # a crash ends every session
                check(f"{what}: the server stands", False, error)
                admin()
        # Meanwhile the workers have been to all of these databases.
        try:
            check("beside them retention of another database goes on", retention_works(Session(database=neighbour_name), rounds=2),
                  ", ".join(what for what, _ in batch))
            for what, scene in scenes:
                # A policy's function runs as the caller whom the policy is for, as everywhere in PostgreSQL.
                allowed = {MALLORY, ALICE} if what.startswith("policies") else {MALLORY}
                scene.canary.check("it", allowed, f"{what}: no code of the owner's ran as another role")
                if scene.canary.is_superuser():
                    check(f"{what}, or one before it: the owner has not become a superuser", False)
                scene.close()
        except Exception as error:
            check(f"the server stands after {', '.join(what for what, _ in batch)}", False, error)
            admin()
        for name in [name for name in databases if name != neighbour_name]:
            drop_database(name)


def sabotage(what, sql):
    """Returns the database in which it was done and everything was called."""
    scene = OwnersDatabase(MALLORY, ALICE)
    scene.superuser.run(f"GRANT CREATE ON DATABASE {scene.name} TO {MALLORY}")
    scene.everybody_calls()      # sessions know the tables as they were
    exercise_retention(scene.superuser, 0)
    for statement in sql.split(";"):
        error = scene.attacker.error(statement)
        if error is not None:
            note(f"{what}: {statement.strip()}: {str(error).splitlines()[0]}")
    scene.canary.forget()
    answers = list(scene.everybody_calls().values())
    with Session(database=scene.name, net="8s") as fresh:
        answers.append(call_everything(fresh, "there", without="stream_info"))
    exercise_retention(scene.superuser, 0)
    hanging = [c for a in answers for c, answer in a.items() if answer in ("lost", "57014", "57P03")]
    check(f"{what}: every call comes back", not hanging and scene.superuser.alive(), hanging)
    return scene


def prepare():
    """Roles, and retention each second."""
    global MALLORY, ALICE
    MALLORY, ALICE = role("mallory"), role("alice")
    alter_system(pg_rill__retention_interval="1s")


main(definitions, setup=prepare)
