#!/usr/bin/env python3
"""The README's SQL tour, run as it is written: each result is what the README says stands there. As TAP.

Runs in a fresh database with the extension (PG* variables). What follows a statement is psql's own output of it; where
nothing follows, the comment begins with the result."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tour():
    """[(statement, what the comment says, lines that follow)]"""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        block = re.search(r"^## SQL in ten lines\n+```\n(.*?)^```$", file.read(), re.M | re.S).group(1)
    steps = []
    for line in block.splitlines():
        if line.startswith("=# "):
            statement, _, comment = line[3:].partition("-- ")
            steps.append((statement.strip(), comment, []))
        else:
            steps[-1][2].append(line.rstrip())
    return steps


def run(statement, *options):
    done = subprocess.run(["psql", "-Xq", "-P", "footer=off", *options, "-c", statement], capture_output=True, text=True, timeout=60)
    return [line.rstrip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]


status = 0
steps = tour()
for number, (statement, comment, expected) in enumerate(steps, 1):
    if expected:
        found = run(statement)
    else:
        value = re.match(r"null|\d+", comment)
        expected = [value.group() if value else "a result at the beginning of the comment"]
        found = run(statement, "-At", "-P", "null=null")
    good = found == expected
    status |= not good
    print(f"{'ok' if good else 'not ok'} {number} - {statement}")
    if not good:
        print("\n".join(f"# {line}" for line in ["the README:", *expected, "the server:", *found]))
print(f"1..{len(steps)}")
sys.exit(status)
