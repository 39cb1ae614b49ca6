#!/usr/bin/env python3
"""coverage.py SOURCE BUILD COUNTS: the end of "make coverage".

Prints a line for each source file of the extension, librill and rill: the share of its lines that ran, and which did
not. BUILD/lines.txt gets the same table in full width. Fails if a file is below 80 % and REASONS does not list it.

BUILD has the instrumented builds (.gcno files). Each directory in COUNTS is one GCOV_PREFIX, below which processes left
their counts (.gcda files) under the full paths of the objects. A header's line ran if it ran in any file that includes it.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ENOUGH = 80
# Files that stay below, and why no test runs more of them.
REASONS = {
}

source, build, counts = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
ran = {}   # file -> line -> did it run


def read(notes, data):
    """Adds gcov's report on one object. gcov wants its two files in one directory."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(notes, scratch)
        if data:
            shutil.copy(data, scratch)
        gcov = subprocess.run(["gcov", "--json-format", "--stdout", notes.name], cwd=scratch, capture_output=True, text=True)
    if gcov.returncode != 0:
        sys.exit(f"gcov {notes}: {gcov.stderr}")
    for text in gcov.stdout.splitlines():
        report = json.loads(text)
        files = {(pathlib.Path(report["current_working_directory"]) / file["file"]).resolve(): file for file in report["files"]}
        files = {path.relative_to(source): file for path, file in files.items() if path.is_relative_to(source)}
        if not all((source / path).is_file() for path in files):
            continue  # an object of an earlier build, whose source has been deleted or renamed since
        for path, file in files.items():
            if path.parts[0] in ("build", "test") or path.parts[:2] in (("client", "test"), ("client", "examples")):
                continue
            lines = ran.setdefault(str(path), {})
            for line in file["lines"]:
                lines[line["line_number"]] = lines.get(line["line_number"], False) or line["count"] > 0


def ranges(numbers):
    """[1, 2, 3, 7] as "1-3 7"."""
    words, first = [], None
    for number, after in zip(numbers, [*numbers[1:], None]):
        first = first or number
        if after != number + 1:
            words.append(str(first) if first == number else f"{first}-{number}")
            first = None
    return " ".join(words)


def main():
    for notes in sorted(build.rglob("*.gcno")):
        data = [file for root in counts.iterdir() if (file := root / notes.with_suffix(".gcda").relative_to("/")).is_file()]
        for file in data or [None]:
            read(notes, file)
    rows, full = [], []
    for file, lines in ((file, lines) for file, lines in ran.items() if lines):
        missed = sorted(number for number, did in lines.items() if not did)
        rows.append((100 * (len(lines) - len(missed)) / len(lines), file, len(lines), missed))
    rows.sort()
    low = [file for share, file, *_ in rows if share < ENOUGH]
    for share, file, total, missed in rows:
        full.append(f"{share:5.1f} %  {len(missed):4} of {total:4} lines did not run  {file}  {ranges(missed)}".rstrip())
    (build / "lines.txt").write_text("\n".join(full) + "\n")
    print("\n== lines that ran")
    width = shutil.get_terminal_size((120, 24)).columns
    for line in full:
        print(line if len(line) <= width else line[:width - 2] + " …")
    total, missed = sum(row[2] for row in rows), sum(len(row[3]) for row in rows)
    print(f"{100 * (total - missed) / max(total, 1):5.1f} %  {missed:4} of {total:4} lines did not run  (each line: {build}/lines.txt)")
    for file in low:
        print(f"below {ENOUGH} %: {file}: {REASONS.get(file, 'no test and no reason in test/lib/coverage.py')}")
    stale = [file for file in REASONS if file not in low]
    for file in stale:
        print(f"test/lib/coverage.py: {file} needs no reason")
    sys.exit(bool(stale or [file for file in low if file not in REASONS] or not rows))


main()
