#!/bin/bash
# "make test": builds everything with warnings as errors, runs every test on throw-away servers, and ends with one
# line "N passed, N failed"; the exit status is 0 only when nothing failed.
# Must survive: a bare machine (test/setup.sh installs what is missing), root and ordinary users, a runner that dies
# without a word (counts as a failure), ^C (servers are stopped), and a checkout that must stay as it is: only
# build/ is written. After a failure the scratch directory stays, for its logs.
# shellcheck disable=SC2317  # functions called by name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/setup.sh"
# shellcheck source=test/lib/private_server.sh
. "$here/lib/private_server.sh"

passed=0 failed=0
make_scratch test
copy=$scratch/src   # what the tests read: the server's user may not see the checkout
finish() {
    local status=$?
    trap '' INT TERM
    stop_servers
    if [[ $status == 0 ]]; then
        rm -rf "$scratch"
    elif [[ $failed == 0 ]]; then   # interrupted
        rm -rf "$scratch"
    fi
}
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

# run NAME COMMAND…: output goes to a log, which is shown when something failed. A command that reports no single
# tests is one test itself.
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
    local file
    echo "---- exit status $2, end of the output:"
    tail -n 60 "$1"
    for file in "$scratch"/run/{regression.diffs,output_iso/regression.diffs}; do
        [[ -s $file ]] && echo "---- ${file##*/}:" && head -n 400 "$file"
    done
    grep -rHE --include="*.log" "PANIC:|terminated by signal|TRAP:" "$scratch/run" "$scratch"/*/server.log 2>/dev/null |
        sed "s|^$scratch/||" | tail -n 20 || true
    echo "----"
}

# Runs make in the scratch copy, as the user that may run servers.
server_make() {
    "${as_server[@]}" "${MAKE:-make}" --no-print-directory -C "$scratch/run" -f "$copy/Makefile" PG_CONFIG="$pg_config" "$@"
}

has() { compgen -G "$1" >/dev/null; }

summary() {
    echo
    [[ $failed == 0 ]] || echo "logs are in $scratch"
    echo "$passed passed, $failed failed"
    [[ $failed == 0 ]] || exit 1
    exit 0
}

version=$(server_version)
say "build"
lock_build
built=yes
run "extension, g++" build_extension "$build/server-$version" CXX=g++ WERROR=-Werror || built=no
run "extension, clang++" build_extension "$build/server-$version-clang" CXX=clang++ WERROR=-Werror with_llvm=no || true
if [[ -e $src/client/Makefile ]]; then
    run "client, g++" make_in "$src/client" BUILD="$build/client" CXX=g++ all || built=no
    run "client, clang++" make_in "$src/client" BUILD="$build/client-clang" CXX=clang++ all || true
fi
[[ $built == yes ]] || summary

say "units"
run "promises of the tree" "$here/lib/check_tree.sh" "$build/server-$version/pg_rill.so" || true
if has "$src/test/unit/*.cpp"; then
    run "units of the extension" make_in "$build/unit" -f "$here/lib/unit.mk" check || true
fi
if [[ -e $src/client/Makefile ]]; then
    run "units of the client" make_in "$src/client" BUILD="$build/client" CXX=g++ check || true
fi

say "tests with a server"
copy_server
run "install into the private copy" install_extension "$build/server-$version" || summary
mkdir "$copy" "$scratch/run"
tar -C "$src" --exclude=./build --exclude=./.git -cf - . | tar -C "$copy" -xf -
if [[ $(id -u) == 0 ]]; then
    # The copy's extension directory, too: a test of updates puts a version of its own there.
    chown -R postgres "$copy" "$scratch/run" "$("$pg_config" --sharedir)/extension"
fi
unlock_build
instance=--temp-config=$copy/test/regress.conf
if has "$src/sql/*.sql"; then
    run "pg_regress" server_make installcheck ISOLATION= EXTRA_REGRESS_OPTS="--temp-instance=$scratch/run/regress $instance" || true
fi
if has "$src/test/isolation/specs/*.spec"; then
    run "isolation specs" server_make installcheck REGRESS= EXTRA_REGRESS_OPTS="--temp-instance=$scratch/run/isolation $instance" || true
fi
if has "$src/test/t/*.pl"; then
    run "TAP" server_make tapcheck PROVE_FLAGS=-v || true
fi

# The rest shares one cluster; each test has its own database.
if [[ -e $src/client/Makefile ]] || has "$src/test/integration/*.*"; then
    start_cluster cluster "fsync = off" "log_min_messages = info"
    if [[ -e $build/client/rill ]]; then
        cp "$build/client/rill" "$scratch"   # the server's user may not see build/ either
    fi
    export PATH=$bin:$scratch:$PATH
    fresh_database() {
        "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -c "CREATE DATABASE $1" -c "\\connect $1" -c "CREATE EXTENSION pg_rill"
        export PGDATABASE=$1
    }
fi
if [[ -e $src/client/Makefile ]]; then
    fresh_database client
    RILL="$build/client/rill" RILL_TEST_CONNINFO="host=$PGHOST port=$PGPORT user=$PGUSER dbname=client" \
        run "client with a server" "$build/client/client_test" --test-suite="server*" || true
fi
for test in "$copy"/test/integration/*.{sh,py}; do
    [[ -f $test && -x $test ]] || continue
    name=${test##*/}
    fresh_database "integration_$(tr -c 'a-z0-9\n' '_' <<<"${name%.*}")"
    run "$name" "${as_server[@]}" "$test" || true
done
summary
