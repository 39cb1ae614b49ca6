"""What the attack tests share: every call of the extension, work for the retention worker, and a canary that tells in whose
name code of an attacker ran. See harness.py for sessions and checks."""
import os

from harness import Session, admin, check, counter, database, kept, wait_until

TABLES = ("stream", "stream_state", "stream_chunk", "stream_producer")

# Every call of the extension that a program can make, with {s} for a stream. Attacks make all of them.

READING = (
    "SELECT count(*) FROM stream_read_since('{s}', 0)",
    "SELECT stream_read_since('{s}', 0)",
    "SELECT count(*) FROM stream_read_many('{{{s}}}', '{{0}}')",
    "SELECT stream_wait('{s}', 0, '0')",
    "SELECT count(*) FROM stream_wait_many('{{{s}}}', '{{0}}', '0')",
    "CALL stream_await('{s}', 0, '0')",
    "CALL stream_await_many('{{{s}}}', '{{0}}', '0')",
    "SELECT stream_head('{s}')",
    "SELECT chunk_id FROM stream_seek('{s}', 1)",
    "SELECT stream_seek_time('{s}', now())",
    "SELECT stream_verify('{s}', 0, 0)",
    "SELECT count(*) FROM stream_names(ARRAY[1, 2, 3])",
    "SELECT stream_touch('{s}')",
    "SELECT head_id FROM stream_status('{s}')",
    "SELECT chunks FROM stream_size('{s}')",
    "SELECT count(*) FROM stream_info WHERE name = '{s}'",
    "SELECT count(*) FROM stream_fetch('{{{s}}}', '{{0}}')",
    "CALL stream_fetch_await('{{{s}}}', '{{0}}', '0')",
)
WRITING = (
    "SELECT stream_append('{s}', 'x')",
    "SELECT stream_append_many('{s}', '{{x,y}}')",
    "SELECT stream_append_text('{s}', 'x')",
    "SELECT stream_append('{s}', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)",
    "SELECT outcome FROM stream_try_append('{s}', '{{x}}', writer_seq => 'w')",
    "SELECT producer_seq FROM stream_producer_state('{s}', 'p')",
    "SELECT stream_create('{s}')",
    "SELECT stream_create('{s}', max_chunks => 3)",
    "SELECT stream_set_limits('{s}', max_chunks => 3)",
    "SELECT stream_set_metadata('{s}', '{{\"a\": 1}}')",
    "SELECT stream_trim('{s}', 2)",
)
ENDING = ("SELECT stream_close('{s}')", "SELECT stream_append('{s}', 'x')")
DELETING = ("SELECT stream_delete('{s}')", "SELECT stream_append('{s}', 'x')", "SELECT stream_delete('{s}')")


def call_everything(session, stream, without=None):
    """Each call once on an existing, a closed and a deleted stream. Returns {call: answer or SQLSTATE}."""
    answers = {}
    for call in WRITING + READING + ENDING + READING + DELETING:
        if without and without in call:
            continue
        answers[call] = session.attempt(call.format(s=stream))
        if answers[call] == "lost":
            break
    return answers


def exercise_retention(session, deadline=5.0):
    """Gives the retention worker something of each kind to do; True when all of it is done within the deadline."""
    n = next(counter)
    for sql in (
            f"SELECT stream_create('trimmed {n}', max_chunks => 1)", f"SELECT stream_create('aged {n}', max_age => '10 ms')",
            f"SELECT stream_create('small {n}', max_bytes => 1)", f"SELECT stream_create('ending {n}', delete_after_close => '0')",
            f"SELECT stream_create('expiring {n}', expires_at => now())", f"SELECT stream_create('idle {n}', max_idle => '10 ms')",
            f"SELECT stream_append(kind || ' {n}', 'x') FROM unnest('{{trimmed,aged,small,ending}}'::text[]) kind, generate_series(1, 3)",
            f"SELECT stream_close('ending {n}')",
            f"SELECT stream_append_many('purged {n}', array_fill('x'::bytea, ARRAY[15000]))", f"SELECT stream_delete('purged {n}')"):
        session.attempt(sql)
    wanted = {"trimmed": 1, "aged": 0, "small": 1, "ending": None, "expiring": None, "idle": None}
    return wait_until(lambda: all(kept(session, f"{kind} {n}") == left for kind, left in wanted.items()), deadline)


class Canary:
    """Tells in whose name code of an attacker ran. evil.note(tag) counts in a sequence, which no rollback takes back, and
    tries to get back the rights of the session's user and to make the attacker a superuser. It says that it is IMMUTABLE,
    so it fits into every expression, and the planner evaluates it. The attacker owns it; evil.row() is the same as a
    trigger function."""

    def __init__(self, session, attacker, tags, others):
        self.session = session
        self.attacker = attacker
        self.tags = list(tags)
        session.run(f"CREATE SCHEMA IF NOT EXISTS evil; ALTER SCHEMA evil OWNER TO {attacker}; GRANT USAGE ON SCHEMA evil TO PUBLIC")
        session.run("CREATE SCHEMA canary; GRANT USAGE ON SCHEMA canary TO PUBLIC")
        for tag in self.tags:
            for name in [attacker, os.environ["PGUSER"], *others, "somebody else"]:
                session.run(f'CREATE SEQUENCE canary."{tag}:{name}"')
        session.run("GRANT ALL ON ALL SEQUENCES IN SCHEMA canary TO PUBLIC")
        session.run(f"""
            CREATE FUNCTION evil.count(tag text) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_catalog.nextval(pg_catalog.format('canary.%I', tag || ':' || current_user)::pg_catalog.regclass);
            EXCEPTION WHEN undefined_table THEN
                PERFORM pg_catalog.nextval(pg_catalog.format('canary.%I', tag || ':somebody else')::pg_catalog.regclass);
            END $$;
            CREATE FUNCTION evil.act(tag text) RETURNS boolean LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM evil.count(tag);
                BEGIN
                    PERFORM pg_catalog.set_config('role', 'none', true);
                    PERFORM evil.count(tag);
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
                BEGIN
                    EXECUTE 'ALTER ROLE {attacker} SUPERUSER';
                EXCEPTION WHEN OTHERS THEN NULL;
                END;
                RETURN true;
            END $$;
            CREATE FUNCTION evil.note(tag text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN
                RETURN evil.act(tag);
            END $$;
            CREATE FUNCTION evil.row() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM evil.note(TG_ARGV[0]);
                RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
            END $$;
            ALTER FUNCTION evil.count(text) OWNER TO {attacker};
            ALTER FUNCTION evil.act(text) OWNER TO {attacker};
            ALTER FUNCTION evil.note(text) OWNER TO {attacker};
            ALTER FUNCTION evil.row() OWNER TO {attacker}""")

    def forget(self):
        self.session.run("SELECT setval(format('canary.%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'canary'")

    def ran_as(self, tag):
        """The roles in whose name the code with this tag ran."""
        return {name.split(":", 1)[1] for (name,) in self.session.rows(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = 'canary' AND last_value IS NOT NULL AND starts_with(sequencename, %s)",
            tag + ":")}

    def check(self, tag, allowed, name=None):
        ran = self.ran_as(tag)
        return check(name or f"{tag}: runs as nobody but {' and '.join(sorted(allowed)) or '(nobody)'}", ran <= set(allowed),
                     f"ran as {', '.join(sorted(ran))}")

    def is_superuser(self):
        """Whether the attacker has become a superuser. If so that is taken back."""
        became = self.session.attempt("SELECT rolsuper FROM pg_roles WHERE rolname = %s", self.attacker)
        wait_until(lambda: admin().error(f"ALTER ROLE {self.attacker} NOSUPERUSER") is None)   # the code may be at it just now
        return became


class OwnersDatabase:
    """A database where an attacker owns some of the extension's tables and their schema, and a tenant has the documented
    rights. Stream 'there' has four chunks. `tags` are those of the canary."""

    def __init__(self, attacker, tenant, owned=TABLES, schema=True, tags=("it",)):
        self.superuser = Session(database=database(), net="8s")
        self.name = self.superuser.connection.info.dbname
        there = [t for (t,) in self.superuser.rows("SELECT relname FROM pg_class WHERE relname = ANY (%s)", list(TABLES))]
        self.owned = [t for t in owned if t in there]
        self.superuser.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON stream TO {tenant}, {attacker}")
        for table in self.owned:
            self.superuser.run(f"ALTER TABLE {table} OWNER TO {attacker}")
        self.superuser.run(f"{'ALTER SCHEMA public OWNER TO' if schema else 'GRANT CREATE ON SCHEMA public TO'} {attacker}")
        self.canary = Canary(self.superuser, attacker, tags, [tenant])
        self.attacker = Session(user=attacker, database=self.name, net="8s")
        self.tenant = Session(user=tenant, database=self.name, net="8s")
        self.superuser.run("SELECT stream_append_many('there', '{a,b,c}')")
        self.superuser.run("SELECT stream_append('there', 'x', producer => 'p', producer_epoch => 1, producer_seq => 1)")

    def everybody_calls(self):
        """A superuser, a tenant and the attacker make every call. Not of stream_info: that is a query of table stream,
        planned in the caller's name as every query is."""
        answers = {}
        for who, session in (("superuser", self.superuser), ("tenant", self.tenant), ("attacker", self.attacker)):
            answers[who] = call_everything(session, f"stream of the {who}", without="stream_info") | \
                call_everything(session, "there", without="stream_info")
        return answers

    def close(self):
        for session in (self.superuser, self.attacker, self.tenant):
            session.close()
