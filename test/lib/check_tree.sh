#!/bin/bash
# check_tree.sh PG_RILL_SO: the small promises of the tree, as TAP: versions agree, META.json is complete,
# every regression file has its counterpart, the library exports nothing but what it must, scripts are clean.
# Must survive: running from any directory, and tools that are not installed (that check is skipped).
# shellcheck disable=SC2317  # the checks' functions are called by name
set -uo pipefail
library=$1
cd "$(dirname "$0")/../.." || exit 1
number=0 status=0
# check DESCRIPTION COMMAND…: the command's output tells what is wrong.
check() {
    local description=$1 output
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $description"
    else
        echo "not ok $number - $description"
        echo "# ${output//$'\n'/$'\n# '}"
        status=1
    fi
}
# The value of a variable of the top Makefile.
make_variable() { env -u MAKEFLAGS "${MAKE:-make}" -s --no-print-directory PG_CONFIG=false --eval "print: ; @echo \$($1)" print; }
same() { [[ -n $1 && $1 == "$2" ]] || { echo "'$1' and '$2'"; return 1; }; }

# META.json has the version, and the builds read it there. The extension's version lacks the third number: releases
# that differ only in it have the same SQL objects.
meta() { python3 -c "import json; m = json.load(open('META.json')); print($1)"; }
version=$(meta 'm["version"]')
control=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" extension/pg_rill.control)
check "META.json says its version twice" same "$version" "$(meta 'm["provides"]["pg_rill"]["version"]')"
check "the Makefile reads that version" same "$version" "$(make_variable version)"
check "the control file has that version" same "$control" "${version%.*}"
check "that version has an install script" test -f "extension/pg_rill--$control.sql"
check "META.json names that script" same "extension/pg_rill--$control.sql" "$(meta 'm["provides"]["pg_rill"]["file"]')"
check "CHANGELOG.md begins with that version" same "$version" "$(sed -n 's/^## \([^,]*\).*/\1/p' CHANGELOG.md | head -n 1)"
check "META.json has what PGXN asks for" python3 - <<'PYTHON'
import json, os, sys
meta = json.load(open("META.json"))
missing = [key for key in ("abstract", "maintainer", "license", "provides", "name", "version", "meta-spec") if not meta.get(key)]
missing += [f for f in (meta["provides"]["pg_rill"][k] for k in ("file", "docfile")) if not os.path.exists(f)]
print("missing:", *missing)
sys.exit(bool(missing))
PYTHON

pairs() {   # the expected files may have variants: name_1.out
    local wrong=0 file name
    for file in sql/*.sql; do
        [[ ! -e $file || -e expected/$(basename "$file" .sql).out ]] || { echo "$file has no expected result"; wrong=1; }
    done
    for file in expected/*.out; do
        name=$(basename "$file" .out)
        [[ ! -e $file || -e sql/$name.sql || -e sql/${name%_[0-9]}.sql ]] || { echo "$file has no source"; wrong=1; }
    done
    for file in test/isolation/expected/*.out; do
        name=$(basename "$file" .out)
        [[ ! -e $file || -e test/isolation/specs/$name.spec || -e test/isolation/specs/${name%_[0-9]}.spec ]] ||
            { echo "$file has no source"; wrong=1; }
    done
    return "$wrong"
}
check "every regression file has its counterpart" pairs

exports() {   # weak symbols are the standard library's templates
    ! nm -D --defined-only "$library" | awk '$2 !~ /[WVuw]/ { print $3 }' |
        grep -vE '^(Pg_magic_func|_PG_init|pg_finfo_(pg_rill|stream)_.*|(pg_rill|stream)_.*)$'
}
check "the library exports its SQL functions and entry points alone" exports

# The folders of extension/src, highest first: a file includes only from its own folder and from those below
# (DESIGN section 8). core/ and base/ stand side by side; core/ sees no server header at all.
arrows() {
    python3 - <<'PYTHON'
import pathlib, re, sys
floors = [["."], ["retention", "write"], ["read"], ["wake"], ["tables"], ["shmem"], ["core", "base"]]
floor_of = {room: floor for floor, rooms in enumerate(floors) for room in rooms}
root, wrong = pathlib.Path("extension/src"), []
for file in sorted(root.rglob("*.[ch]pp")):
    room = file.parent.relative_to(root).as_posix()
    if room not in floor_of:
        wrong.append(f"{file}: no such folder in the layout")
        continue
    for line in file.read_text().splitlines():
        include = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not include:
            if room == "core" and re.match(r"\s*#\s*include\s*<.*\.h>", line):
                wrong.append(f"{file}: core/ includes only C++ headers: {line}")
            if room not in (".", "base") and re.search(r"PG_VERSION_NUM", line):
                wrong.append(f"{file}: PG_VERSION_NUM belongs in base/pg_compat.hpp")
            continue
        name = include[1]
        if not (root / name).is_file():
            if file.name not in ("postgres_api.hpp", "pg_compat.hpp"):
                wrong.append(f"{file}: \"{name}\" is a server header (base/postgres_api.hpp) or not named from extension/src")
            continue
        target = pathlib.PurePosixPath(name).parent.as_posix()
        if target != room and floor_of[target] <= floor_of[room]:
            wrong.append(f"{file}: includes {name}, which is not below {room}/")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
PYTHON
}
check "the folders of extension/src use only what stands below them" arrows

if command -v shellcheck >/dev/null; then
    check "shellcheck has nothing to say" shellcheck -x test/run.sh test/setup.sh .ci/run test/*/*.sh
fi
echo "1..$number"
exit "$status"
