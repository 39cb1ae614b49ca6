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
same() { [[ -n $1 && $1 == "$2" ]] || { echo "'$1' and '$2'"; return 1; }; }

control=$(sed -n "s/^default_version *= *'\(.*\)'/\1/p" extension/pg_rill.control)
check "the control file's version has an install script" test -f "extension/pg_rill--$control.sql"
meta() { python3 -c "import json; m = json.load(open('META.json')); print($1)"; }
check "META.json carries that version" same "$(meta 'm["version"]')" "$control.0"
check "META.json says the same twice" same "$(meta 'm["version"]')" "$(meta 'm["provides"]["pg_rill"]["version"]')"
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

if command -v shellcheck >/dev/null; then
    check "shellcheck has nothing to say" shellcheck -x test/run.sh test/setup.sh .ci/run test/*/*.sh
fi
echo "1..$number"
exit "$status"
