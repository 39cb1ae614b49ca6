#!/usr/bin/env python3
"""Runs the SQL session on the README's first screen as it is written and compares every result with the README. As TAP.

Runs in a fresh database with the extension (PG* variables). The lines after a statement are psql's output for it; where
there are none, the comment behind the statement begins with the result."""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tour():
    """[(statement, its comment, the lines after it)], from the README's first block of code"""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        block = re.search(r"^```\n(=# .*?)^```$", file.read(), re.M | re.S).group(1)
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
        expected = [value.group() if value else "a comment that begins with the result"]
        found = run(statement, "-At", "-P", "null=null")
    good = found == expected
    status |= not good
    print(f"{'ok' if good else 'not ok'} {number} - {statement}")
    if not good:
        print("\n".join(f"# {line}" for line in ["the README:", *expected, "the server:", *found]))
print(f"1..{len(steps)}")
sys.exit(status)
