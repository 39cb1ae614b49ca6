#!/bin/bash
# format.sh [--check]: formats every C++ file of the tree with .clang-format; --check changes nothing and lists the places
# that differ. Versions of clang-format differ in details, so only the pinned one is used. Without it, formatting fails,
# and the check succeeds and says why it was skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
pinned=14
for program in clang-format-$pinned clang-format; do
    [[ $("$program" --version 2>/dev/null) != *" version $pinned."* ]] || break
    program=
done
if [[ -z $program ]]; then
    echo "clang-format $pinned is not installed (Debian: apt-get install clang-format-$pinned)"
    [[ ${1:-} == --check ]]
    exit
fi
files() { find extension client test -name '*.[ch]pp' -print0; }
if [[ ${1:-} == --check ]]; then
    different=$(files | xargs -0 "$program" --dry-run 2>&1 | sed -n 's/\(:[0-9]*\):[0-9]*: warning: .*/\1/p' | uniq)
    [[ -z $different ]] || { printf '%s\n' "$different" "Run \"make format\"."; exit 1; }
else
    files | xargs -0 "$program" -i
fi
