#!/bin/bash
# "make test": builds everything with warnings as errors, runs every test on temporary servers, and ends with one line
# "N passed, N failed". The exit status is 0 only if nothing failed.
#   ONLY='WORD …'   runs some tests and builds what they need. A word is the name of a regression test, isolation spec,
#                   TAP file or integration test: read_scan, sql/wait, 004_wait, test/t/004_wait.pl, 'producer*'. If
#                   several kinds have the name, all of them run. The last word may be client:TEXT or unit:TEXT, the
#                   doctest cases of librill and rill, or of test/unit, whose names contain TEXT. TEXT may have spaces.
#   KEEP=1          keeps the scratch directory, with the servers' data and logs, even if all passed.
#   SANITIZE=…      thread, address,undefined or undefined: builds the client and the units with these sanitizers, and
#                   with undefined also the extension.
#   VALGRIND=1      runs the doctest cases of librill and rill under valgrind, which must be installed.
# "make coverage" runs the same tests on instrumented builds; then test/lib/coverage.py prints a table.
# Must survive: a bare machine (test/setup.sh installs what is missing), root and ordinary users, a runner that dies
# silently (a failure), ^C (servers are stopped), and a read-only checkout but for build/. After a failure the scratch
# directory stays, for its logs.
# shellcheck disable=SC2317  # functions called by name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
src=${here%/*}
coverage=
[[ ${1:-} != coverage ]] || coverage=yes

# Paths of the tests that are files.
list_files() {
    local file
    (cd "$src" && for file in sql/*.sql test/isolation/specs/*.spec test/t/*.pl test/integration/*.{sh,py} test/lib/check_tree.sh; do
        [[ ! -x $file && $file == test/integration/* ]] || echo "$file"
    done)
}

# named FILE WORD: does the word name the file? Compares as many components of the path as the word has.
named() {
    local word=${2#"$src/"} tail=${1##*/} rest=/${1%/*} slashes
    word=${word#./}
    slashes=${word//[!\/]/}
    while [[ -n $slashes ]]; do
        tail=${rest##*/}/$tail rest=${rest%/*} slashes=${slashes#?}
    done
    # shellcheck disable=SC2053  # a pattern
    [[ $tail == $word || ${tail%.*} == $word ]]
}

# Sets files to the chosen paths, and client, client_cases, units and unit_cases for doctest cases.
files=() client_cases='' unit_cases='' client=yes units=yes
mapfile -t all_files < <(list_files)
choose() {
    local words=$1 word file found
    client='' units=''
    case " $words" in
    *' client:'*) client=yes client_cases=${words#*client:} words=${words%%client:*} ;;
    *' unit:'*) units=yes unit_cases=${words#*unit:} words=${words%%unit:*} ;;
    esac
    set -f
    for word in $words; do
        found=
        for file in "${all_files[@]}"; do
            named "$file" "$word" || continue
            found=yes
            files+=("$file")
        done
        [[ -n $found ]] || no_such "$word"
    done
    set +f
}
no_such() {
    local directory
    {
        echo "make test: no test is named \"$1\". There are:"
        for directory in $(printf '%s\n' "${all_files[@]%/*}" | uniq); do
            printf '\n%s/\n' "$directory"
            printf '%s\n' "${all_files[@]}" | sed -n "s|^$directory/\([^/]*\)\$|\1|p" | paste -s -d ' ' | fold -s -w 116 | sed 's/^/    /'
        done
        echo
        echo "client:TEXT and unit:TEXT are the doctest cases whose name contains TEXT; client: and unit: are all of them."
    } >&2
    exit 2
}
if [[ -n ${ONLY:-} ]]; then
    choose "$ONLY"
else
    files=("${all_files[@]}")
fi
# chosen DIRECTORY: the chosen files below it, without the directory.
chosen() { printf '%s\n' "${files[@]}" | sed -n "s|^$1/||p" | sort -u; }
mapfile -t regress < <(chosen sql)
mapfile -t specs < <(chosen test/isolation/specs)
mapfile -t taps < <(chosen test/t)
mapfile -t integration < <(chosen test/integration)
mapfile -t tree < <(chosen test/lib)

"$here/setup.sh"
# shellcheck source=test/lib/private_server.sh
. "$here/lib/private_server.sh"

passed=0 failed=0
make_scratch test
copy=$scratch/src   # for the tests: the server's user may have no access to the checkout
finish() {
    trap '' INT TERM
    stop_servers
    keep_logs || rm -rf "$scratch"
}
keep_logs() { [[ $failed != 0 || ( -n ${KEEP:-} && ${KEEP:-} != 0 ) ]]; }
! keep_logs || export PG_TEST_NOCLEAN=1   # the TAP tests' clusters stay, too
trap finish EXIT
trap 'exit 130' INT TERM

# How many single tests a runner's output reports as passed and failed: pg_regress of 15 and older
# ("test x ... ok"), TAP and pg_regress of 16 and newer ("ok 1 - x"), doctest ("test cases: 3 | 3 passed | 0 failed").
# A doctest program that ran nothing has failed.
count() {
    awk '/^ *ok [0-9]+/                     { passed++; next }
         /^ *not ok [0-9]+/                 { failed++; next }
         /^(test|  ) .* \.\.\. ok( |$)/     { passed++; next }
         /^(test|  ) .* \.\.\. FAILED/      { failed++; next }
         /^\[doctest\] test cases:/         { gsub(/[^0-9|]/, ""); split($0, n, "|"); passed += n[2]; failed += n[3] + (n[1] == 0) }
         END { print passed + 0, failed + 0 }' "$1"
}

# run NAME COMMAND…: output goes to a log, whose end is shown after a failure. A command that reports no single tests
# counts as one test.
run() {
    local name=$1 status=0 ok not_ok log start=$SECONDS
    shift
    log=$scratch/log/${name//[^a-zA-Z0-9_.-]/_}.log
    mkdir -p "$scratch/log"
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [[ $status -lt 128 || $status -gt 130 ]] || exit "$status"
    read -r ok not_ok < <(count "$log")
    if [[ $status != 0 && $not_ok == 0 ]]; then
        not_ok=1
    elif [[ $status == 0 && $ok == 0 && $not_ok == 0 ]]; then
        ok=1
    fi
    passed=$((passed + ok)) failed=$((failed + not_ok))
    printf '%-32s %4d passed, %d failed  (%d s)\n' "$name" "$ok" "$not_ok" $((SECONDS - start))
    [[ $not_ok == 0 ]] || show "$log" "$status"
    [[ $status == 0 && $not_ok == 0 ]]
}

show() {
    local file lines=60
    if grep -qE '^ *not ok' "$1"; then
        echo "---- failed:"
        grep -E -A 12 '^ *not ok' "$1" | head -n 200
        lines=12
    fi
    echo "---- exit status $2, end of the output:"
    tail -n "$lines" "$1"
    for file in "$scratch"/run/{regression.diffs,output_iso/regression.diffs}; do
        [[ -s $file ]] && echo "---- ${file##*/}:" && head -n 400 "$file"
    done
    grep -rHE --include="*.log" "PANIC:|terminated by signal|TRAP:|runtime error:" "$scratch/run" "$scratch"/*/server.log 2>/dev/null |
        sed "s|^$scratch/||" | tail -n 20 || true
    echo "----"
}

# Runs make in the scratch copy, as the user that may run servers.
server_make() {
    "${as_server[@]}" "${MAKE:-make}" --no-print-directory -C "$scratch/run" -f "$copy/Makefile" PG_CONFIG="$pg_config" "$@"
}

summary() {
    echo
    ! keep_logs || echo "logs are in $scratch"
    echo "$passed passed, $failed failed"
    [[ $failed == 0 ]] || exit 1
    exit 0
}

# Instrumented builds have their own directories.
version=$(server_version)
variant=${coverage:+coverage}${SANITIZE:+${SANITIZE//,/-}}
[[ -z $variant ]] || build+=/$variant
extension_build=$build/server-$version client_build=$build/client
extension_flags=(CXX=g++ WERROR=-Werror) client_flags=(CXX=g++)
unit_flags=(CXX=g++)
[[ -z ${ONLY:-} ]] || extension_flags+=(with_llvm=no)   # half of the time
if [[ -n $coverage ]]; then
    # No WERROR, since g++ warns about other things without optimization. Two directories for the counts, since the
    # server's user and this one cannot write to each other's files.
    extension_flags=(CXX=g++ with_llvm=no CXXFLAGS="-O0 -g --coverage -fwrapv -fno-strict-aliasing" EXTRA_LINK=--coverage)
    client_flags+=(CXXFLAGS="-O0 -g --coverage -fprofile-update=atomic")
    unit_flags+=(CXXFLAGS="-O0 -g --coverage")
    export GCOV_PREFIX=$scratch/counts/ours
    mkdir -m 755 "$scratch/counts"
    mkdir -m 700 "$scratch/counts/server"
    [[ $(id -u) != 0 ]] || chown postgres "$scratch/counts/server"
    as_server+=(GCOV_PREFIX="$scratch/counts/server")
elif [[ ${SANITIZE:-} == undefined ]]; then
    extension_flags=(CXX=g++ WERROR=-Werror with_llvm=no EXTRA_CXXFLAGS="-fsanitize=undefined -fno-sanitize-recover" EXTRA_LINK=-fsanitize=undefined)
fi
if [[ -n ${SANITIZE:-} ]]; then
    client_flags+=(CXXFLAGS="-O1 -g")
    unit_flags+=(CXXFLAGS="-O1 -g -fsanitize=$SANITIZE -fno-omit-frame-pointer")
fi
make_client() { make_in "$src/client" BUILD="$client_build" "${client_flags[@]}" "$@"; }
make_faults() {
    make_in "$build/faults" -f "$here/faults/Makefile" PG_CONFIG="${PG_CONFIG:-pg_config}" LIBRILL="$client_build/librill.a" "${unit_flags[@]}" faults
}
make_units() { make_in "$build/unit" -f "$here/lib/unit.mk" "${unit_flags[@]}" "$@"; }

# With a relative path to the Makefile, as an out-of-tree build by hand has.
build_with_clang() {
    mkdir -p "$build/server-$version-clang"
    make_in "$build/server-$version-clang" -f ../../Makefile PG_CONFIG="${PG_CONFIG:-pg_config}" CXX=clang++ WERROR=-Werror with_llvm=no with_client=no all
}
# A build in the tree, in a copy of it: one object, and a dry run of the rest.
build_in_tree() {
    local make=("${MAKE:-make}" --no-print-directory -C "$copy" PG_CONFIG="${PG_CONFIG:-pg_config}" CXX=g++ with_llvm=no)
    "${make[@]}" extension/src/module.o
    "${make[@]}" -n all install DESTDIR="$scratch/nowhere"
    [[ -e $copy/extension/src/module.o ]]
    rm "$copy/extension/src/module.o"
}

# What the client's "make install" puts somewhere, "make uninstall" removes.
install_client() {
    local there=$scratch/installed file
    make_client install DESTDIR="$there" prefix=/usr
    for file in bin/rill include/rill/rill.hpp lib/librill.{a,so,so.1} lib/pkgconfig/rill.pc lib/cmake/rill/rillConfig{,Version}.cmake; do
        [[ -s $there/usr/$file ]] || { echo "$file is not installed"; return 1; }
    done
    ! grep -r '@[a-z_]*@' "$there/usr/lib/pkgconfig" "$there/usr/lib/cmake" || return 1
    make_client uninstall DESTDIR="$there" prefix=/usr
    [[ -z $(find "$there" ! -type d -o -name rill) ]] || { find "$there"; return 1; }
}

say "build"
lock_build
built=yes
needs_extension=${regress[*]}${specs[*]}${taps[*]}${integration[*]}${tree[*]}
needs_client=$client${integration[*]}
if [[ -n $needs_client ]]; then
    run "client, g++" make_client all "$client_build/client_test" || built=no
    [[ -n $variant || -n ${ONLY:-} || $built == no ]] || run "client, install and uninstall" install_client || true
    [[ -n $variant || -n ${ONLY:-} ]] || run "client, clang++" make_in "$src/client" BUILD="$client_build-clang" CXX=clang++ all || true
fi
doctest_filter() { printf -- '--test-case=*%s*' "${1//,/?}"; }   # a comma would start another pattern
# cases PROGRAM [FILTER…]: the names of its doctest cases; false if there is none.
cases() { "$1" --no-skip --list-test-cases "${@:2}" | grep -v '^\[doctest\]\|^==='; }
# need_case KIND PROGRAM TEXT: if no case has this text, lists the cases and exits.
need_case() {
    [[ -n ${ONLY:-} ]] || return 0
    cases "$2" "$(doctest_filter "$3")" >/dev/null && return 0
    echo "make test: no case of $1: has \"$3\" in its name. There are:"
    cases "$2"
    exit 2
} >&2
client_needs_server=$client   # unless every chosen case is a unit
if [[ -n $client && $built == yes ]]; then
    need_case client "$client_build/client_test" "$client_cases"
    cases "$client_build/client_test" --test-suite="server*" "$(doctest_filter "$client_cases")" >/dev/null || client_needs_server=
fi
if [[ -n $units && $built == yes ]]; then
    run "units of the extension, build" make_units all || built=no
    [[ $built == no ]] || need_case unit "$build/unit/unit_test" "$unit_cases"
fi
if [[ " ${integration[*]} " == *' boundary.sh '* ]]; then
    run "boundary test, build" make_units PG_CONFIG="${PG_CONFIG:-pg_config}" boundary.so || built=no
fi
if [[ " ${integration[*]} " == *' follow_faults.py '* && $built == yes ]]; then
    run "fault test, build" make_faults || built=no
fi
if [[ -n $needs_extension$client_needs_server ]]; then
    run "extension, g++" build_extension "$extension_build" "${extension_flags[@]}" || built=no
    [[ -n $variant || -n ${ONLY:-} ]] || run "extension, clang++" build_with_clang || true
fi
[[ $built == yes ]] || summary

[[ -n ${ONLY:-} ]] || say "units"
if [[ -n ${tree[*]} && -z $variant ]]; then
    run "checks of the tree" "$here/lib/check_tree.sh" "$extension_build/pg_rill.so" || true
fi
if [[ -n $units ]]; then
    run "units of the extension" "$build/unit/unit_test" "$(doctest_filter "$unit_cases")" || true
fi
if [[ -n $client && -z ${ONLY:-} ]]; then
    run "units of the client" make_client check || true
elif [[ -n $client && -z $client_needs_server ]]; then
    RILL="$client_build/rill" run "units of the client" "$client_build/client_test" "$(doctest_filter "$client_cases")" || true
fi

[[ -n ${regress[*]}${specs[*]}${taps[*]}${integration[*]}$client_needs_server ]] || summary
say "tests with a server"
copy_server
run "install into the private copy" install_extension "$extension_build" "${extension_flags[@]}" || summary
mkdir "$copy" "$scratch/run"
tar -C "$src" --exclude=./build --exclude=./.git -cf - . | tar -C "$copy" -xf -
[[ -n $variant || -n ${ONLY:-} ]] || run "a build in the tree" build_in_tree || true
if [[ $(id -u) == 0 ]]; then
    # The copy's extension directory, too: a test of updates puts a version of its own there.
    chown -R postgres "$copy" "$scratch/run" "$("$pg_config" --sharedir)/extension"
fi
unlock_build
instance=--temp-config=$copy/test/regress.conf
if [[ -n ${regress[*]} ]]; then
    run "pg_regress" server_make installcheck ISOLATION= REGRESS="${regress[*]%.sql}" \
        EXTRA_REGRESS_OPTS="--temp-instance=$scratch/run/regress $instance" || true
fi
if [[ -n ${specs[*]} ]]; then
    run "isolation specs" server_make installcheck REGRESS= ISOLATION="${specs[*]%.spec}" \
        EXTRA_REGRESS_OPTS="--temp-instance=$scratch/run/isolation $instance" || true
fi
if [[ -n ${taps[*]} ]]; then
    run "TAP" server_make tapcheck PROVE_FLAGS=-v PROVE_TESTS="${taps[*]/#/test/t/}" || true
fi

# The other tests share a cluster; each has its own database.
if [[ -n ${integration[*]}$client_needs_server ]]; then
    start_cluster cluster "fsync = off" "log_min_messages = info"
    cp "$client_build/rill" "$client_build/client_test" "$scratch"   # where the server's user can run them
    export PATH=$bin:$scratch:$PATH
    fresh_database() {
        "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -c "CREATE DATABASE $1" -c "\\connect $1" -c "CREATE EXTENSION pg_rill"
        export PGDATABASE=$1
    }
fi
if [[ -n $client_needs_server ]]; then
    fresh_database client
    suite=() watched=()
    [[ -z ${VALGRIND:-} ]] || watched=(valgrind --quiet --leak-check=full --error-exitcode=1 --child-silent-after-fork=yes)
    [[ -n ${ONLY:-} ]] || suite=(--test-suite="server*")
    RILL="$client_build/rill" RILL_TEST_CONNINFO="host=$PGHOST port=$PGPORT user=$PGUSER dbname=client" \
        run "client with a server" "${watched[@]}" "$client_build/client_test" "${suite[@]}" "$(doctest_filter "$client_cases")" || true
fi
if [[ -e $build/unit/boundary.so ]]; then
    cp "$build/unit/boundary.so" "$scratch"
    export BOUNDARY_LIBRARY=$scratch/boundary.so
fi
if [[ -e $build/faults/faults ]]; then
    cp "$build/faults/faults" "$scratch"
    export FAULTS_PROGRAM=$scratch/faults
fi
if [[ " ${integration[*]} " == *' recipes.py '* ]] && modules=$("$here/setup_node.sh" "$build/node"); then
    # The server's user may have no access to the checkout.
    [[ $modules != "$build"/* ]] || { cp -r "$modules" "$scratch/node_modules" && modules=$scratch/node_modules; }
    export RILL_NODE_MODULES=$modules
fi
if [[ " ${integration[*]} " == *' page.py '* ]]; then
    "$here/setup_browser.sh" || true
fi
for name in "${integration[@]}"; do
    fresh_database "integration_$(tr -c 'a-z0-9\n' '_' <<<"${name%.*}")"
    run "$name" "${as_server[@]}" "$copy/test/integration/$name" || true
    sed -n 's/^ok [0-9]* - \(.*\) # skip \(.*\)/    skipped: \1: \2/p' "$scratch/log/$name.log" | sort -u
    grep '^# NOT TESTED' "$scratch/log/$name.log" || true
    # "make faults" shows what it has measured.
    [[ $name != follow_faults.py || -z ${FAULTS_STREAMS:-} ]] || grep -A 99 '^# [0-9]* streams, ' "$scratch/log/$name.log" || true
done
if [[ -n $coverage ]]; then
    stop_servers
    python3 -B "$here/lib/coverage.py" "$src" "$build" "$scratch/counts" || [[ -n ${ONLY:-} ]] || failed=$((failed + 1))
fi
summary
