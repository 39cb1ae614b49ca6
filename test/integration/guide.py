#!/usr/bin/env python3
"""Every command of doc/guide.md, run in the order of the page; where the page shows an output, it is compared. At the end
the restored database has the streams and the policies. As TAP.

Runs in a database with the extension; see test/lib/harness.py."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../lib"))
from harness import Session, admin, check, database, databases, main, roles, same, settings  # noqa: E402

PAGE = os.path.join(HERE, "../../doc/guide.md")


def guide():
    """The commands of the guide."""
    where, folder = database("guide"), tempfile.mkdtemp(prefix="guide")
    restored = f"{where}_restored"
    role = f"{where}_app"
    roles.append(role)
    settings.append("max_worker_processes")
    databases.append(restored)
    try:
        with open(PAGE, encoding="utf-8") as file:
            blocks = re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.M | re.S)
        printed = None
        for language, text in blocks:
            # The server is shared: what belongs to all of it has a name of this run.
            text = re.sub(r"(?<=ROLE )app\b|(?<=TO )app\b", role, text)
            text = re.sub(r"(?<=createdb )restored|(?<=-d )restored", restored, text)
            title = text.split("\n")[0][:70]
            if language:
                command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1"] if language == "sql" else ["sh", "-e"]
                done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, cwd=folder,
                                      env={**os.environ, "PGDATABASE": where})
                noise = [line for line in done.stderr.splitlines() if not line.startswith("NOTICE:")]
                check(f"{language}: {title}", done.returncode == 0 and not noise, done.stderr)
                printed = done.stdout
            else:
                # Of a block with several commands the page may show the last results.
                check(f"output: {title}", printed.endswith(text), f"the server:\n{printed}\nthe page:\n{text}")
        with Session(database=restored) as session, Session(database=where) as original:
            policies = "SELECT policyname, permissive, roles::text, cmd, qual, with_check FROM pg_policies ORDER BY 1"
            same("the policies are there", session.rows(policies), original.rows(policies))
            check("and there are some", session.rows(policies))
            security = "SELECT relrowsecurity FROM pg_class WHERE oid = 'stream'::regclass"
            same("and enabled", session.value(security), True)
            chunks = "SELECT name, chunk_id, data::text, epoch FROM stream JOIN stream_chunk USING (stream_id) ORDER BY 1, 2"
            same("the streams are there", session.rows(chunks), original.rows(chunks))
        same("the setting waits for a restart", admin().value(
            "SELECT setting FROM pg_file_settings WHERE name = 'max_worker_processes' ORDER BY seqno DESC LIMIT 1"), "16")
    finally:
        shutil.rmtree(folder)


main(guide)
