#!/bin/bash
# check_tree.sh PG_RILL_SO: checks of the source tree, as TAP. Versions agree, META.json is complete, every regression
# file runs and has an expected result, the library exports only what it must, the sources follow CONTRIBUTING.md's
# rules on folders, opening comments, length and format, and shell scripts are clean.
# Must survive: any working directory, a tree without git, and missing tools (their checks are skipped).
# shellcheck disable=SC2317  # the checks' functions are called by name
set -uo pipefail
library=$1
cd "$(dirname "$0")/../.." || exit 1
number=0 status=0
# check DESCRIPTION COMMAND…: if the command fails, its output says what is wrong; if it succeeds, why it was skipped.
check() {
    local description=$1 output
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $description${output:+ # skip $output}"
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
sys.exit(f"missing: {missing}" if missing else 0)
PYTHON

pairs() {   # an expected file may have variants: name_1.out
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
check "every test has its expected result, and the reverse" pairs

names() { (cd "$1" && printf '%s\n' *"$2" | sed "s/\\$2\$//" | LC_ALL=C sort | paste -s -d ' '); }
check "pg_regress runs every sql/*.sql" same "$(make_variable REGRESS)" "$(names sql .sql)"
check "the isolation tester runs every spec" same "$(make_variable ISOLATION)" "$(names test/isolation/specs .spec)"

exports() {   # weak symbols are the standard library's templates
    ! nm -D --defined-only "$library" | awk '$2 !~ /[WVuw]/ { print $3 }' |
        grep -vE '^(Pg_magic_func|_PG_init|pg_finfo_(pg_rill|stream)_.*|(pg_rill|stream)_.*)$'
}
check "the library exports only its SQL functions and entry points" exports

# The folders of extension/src, highest first: a file includes only from its own folder and from those below.
# core/ and base/ are on one level; core/ includes no server header.
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
check "the folders of extension/src include only from those below them" arrows

# In a .cpp file "See its_header.hpp." is enough if that header exists.
openings() {
    python3 - <<'PYTHON'
import pathlib, re, sys
wrong = []
for file in sorted(f for root in ("extension/src", "client/src", "client/cli") for f in pathlib.Path(root).rglob("*.[ch]pp")):
    opening = re.match(r"(?://.*\n)*", file.read_text())[0]
    see = re.match(r"// See ((?:\w+/)*\w+\.hpp)", opening)
    if see and file.suffix == ".cpp":
        if not any((folder / see[1]).is_file() for folder in (file.parent, *map(pathlib.Path, ("extension/src", "client/include")))):
            wrong.append(f"{file}: {see[1]} does not exist")
    elif len(re.sub(r"[/\s]+", " ", opening)) < 20:
        wrong.append(f"{file}: no opening comment")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
PYTHON
}
check "every source file begins with a comment that says what it is for" openings

# A file holds one idea, and 400 lines are enough for one. A longer file is listed here with the reason.
lengths() {
    python3 - <<'PYTHON'
import pathlib, sys
longer = {
}
wrong = []
for file in sorted(f for root in ("extension/src", "client/src") for f in pathlib.Path(root).rglob("*.[ch]pp")):
    lines = len(file.read_text().splitlines())
    if lines > 400 and str(file) not in longer:
        wrong.append(f"{file}: {lines} lines")
    elif lines <= 400 and str(file) in longer:
        wrong.append(f"{file}: {lines} lines need no exception any more")
wrong += [f"{name}: does not exist" for name in longer if not pathlib.Path(name).is_file()]
print(*wrong, sep="\n")
sys.exit(bool(wrong))
PYTHON
}
check "no source file has more than 400 lines" lengths

# The files and headings that the pages of documentation link to, and the sources that they name.
links() {
    python3 - <<'PYTHON'
import pathlib, re, sys
def prose(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
def anchors(page):  # as GitHub makes them from headings
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", prose(page), re.M)}
wrong = []
for page in sorted([*pathlib.Path(".").glob("*.md"), *pathlib.Path("doc").glob("*.md"), *pathlib.Path("test").rglob("*.md")]):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if "://" in target:
            continue
        if not file.exists():
            wrong.append(f"{page}: {target}: no such file")
        elif anchor and anchor not in anchors(file):
            wrong.append(f"{page}: {target}: no such heading")
    for name in re.findall(r"`((?:retention|write|read|wake|tables|shmem|base|core)/\w+\.[ch]pp)`", prose(page)):
        if not pathlib.Path("extension/src", name).is_file():
            wrong.append(f"{page}: {name}: no such file below extension/src")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
PYTHON
}
check "the documentation links to, and names, what exists" links

# Paths like those of a developer's checkout.
machine_paths() {
    ! grep -rnIE "(^|[^A-Za-z0-9_.*}-])/(work|root|Users|home/[a-z]|tmp/w)(/|\$)" --exclude-dir=.git --exclude=.git --exclude-dir=build \
        --exclude=compile_commands.json .
}
check "no file contains a path of one machine" machine_paths

check "C++ files are formatted" test/lib/format.sh --check

if command -v shellcheck >/dev/null; then
    check "shellcheck finds nothing" shellcheck -x test/*.sh .ci/run test/*/*.sh packaging/*.sh \
        packaging/debian/tests/tour packaging/debian/tests/installcheck
fi
echo "1..$number"
exit "$status"
