#!/bin/bash
# tidy.sh [PART_OF_PATH…]: clang-tidy on every C++ file of compile_commands.json, or on those whose path contains an
# argument. Any finding is a failure. It takes minutes, so "make test" does not run it.
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in run-clang-tidy run-clang-tidy-14; do
    command -v "$program" >/dev/null && break
    program=
done
if [[ -z $program ]]; then
    echo "clang-tidy is not installed (Debian: apt-get install clang-tidy)" >&2
    exit 1
fi
"$program" -quiet -j "$(nproc)" "$@" 2>/dev/null
