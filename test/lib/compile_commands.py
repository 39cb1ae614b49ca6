#!/usr/bin/env python3
"""Writes compile_commands.json to the root of the tree: how each C++ file of the extension, the client, the tests, the
demo and the benchmark is compiled, for clangd and clang-tidy. git ignores the file, which has this machine's paths.

The commands come from the Makefiles: "make -nB" prints what it would run if nothing were built. The compiler is clang++,
because clang's tools do not accept all of g++'s options. Nothing is compiled.
Must survive: a tree in which nothing has been built.
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]
make = os.environ.get("MAKE", "make")
config = "PG_CONFIG=" + os.environ.get("PG_CONFIG", "pg_config")
environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def commands(directory, makefile, *arguments):
    """The compilations of one Makefile, run in `directory`."""
    dry_run = subprocess.run([make, "-nB", "--no-print-directory", "-C", directory, "-f", makefile, "CXX=clang++", config, *arguments],
                             env=environment, check=True, capture_output=True, text=True)
    for line in dry_run.stdout.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if "clang++" in line else []
        sources = [word for word in words if word.endswith(".cpp")]
        if not words or not words[0].endswith("clang++"):
            continue
        for source in sources:
            yield {"directory": str(directory), "file": str((pathlib.Path(directory) / source).resolve()),
                   "arguments": [word for word in words if word == source or word not in sources and not word.startswith("-l") and word != "-shared"]}


def main():
    entries = {}
    # Some Makefiles write a file of flags even in a dry run.
    with tempfile.TemporaryDirectory() as scratch:
        for found in (
            commands(root, "Makefile", "with_llvm=no", "with_client=no", "all"),
            commands(root / "client", "Makefile", f"BUILD={scratch}/client", "all", "examples", f"{scratch}/client/client_test"),
            commands(scratch, root / "test/lib/unit.mk", "all", "boundary.so"),
            commands(scratch, root / "test/demo/Makefile", "LIBRILL=", "demo"),
            commands(scratch, root / "test/faults/Makefile", "LIBRILL=", "faults"),
            commands(scratch, root / "test/bench/Makefile", "LIBRILL=", "driver"),
        ):
            for entry in found:
                if entry["directory"] == scratch:   # gone by then
                    entry["directory"] = str(root)
                # What a build makes for the compiler, the page of rill serve, is where "make" puts it.
                entry["arguments"] = [word.replace(f"{scratch}/client", str(root / "build/client")) for word in entry["arguments"]]
                entries.setdefault(entry["file"], entry)
    missing = [str(file.relative_to(root)) for folder in ("extension", "client", "test") for file in sorted((root / folder).rglob("*.cpp"))
               if str(file) not in entries]
    if missing:
        sys.exit("compile_commands: no Makefile compiles " + ", ".join(missing))
    target = root / "compile_commands.json"
    target.write_text(json.dumps(sorted(entries.values(), key=lambda entry: entry["file"]), indent=1) + "\n")
    print(f"compile_commands.json: {len(entries)} files")


main()
