#!/bin/bash
# "make conformance": the protocol of Durable Streams, as others understand it, against "rill serve" on private servers.
# First the official test suite: prints how many tests of each section passed, then the first lines of each failure, then
# one line "N passed, N failed, N refused". Forks and subscriptions are not part of rill serve; their sections are listed
# as refused. Then the protocol's own clients, JavaScript and Python, through killed sessions, restarts and a failover
# (clients.py): "clients: N passed, N failed, N skipped". A client that cannot be installed is skipped, and "NOT TESTED"
# says so.
#   ONLY='TEXT'    the suite's tests whose names contain TEXT (vitest -t), and no clients.
#   ONLY=clients   the clients alone.
#   KEEP=1         keeps the scratch directory.
# The exit status is 0 only if nothing failed. Needs node and npm; the suite and the clients go below build/conformance and
# are not ours.
# Must survive: root and ordinary users, ^C (server and gateway are stopped), a suite that ends without a report, and
# registries that cannot be reached.
# shellcheck disable=SC2317  # finish is called by the trap
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/private_server.sh
. "$here/../lib/private_server.sh"
suite=@durable-streams/server-conformance-tests@0.3.6
javascript_client=@durable-streams/client@0.2.7
python_client=durable-streams==0.1.0

make_scratch conformance
gateway=
finish() {
    trap '' INT TERM
    if [[ -n $gateway ]]; then
        kill "$gateway" 2>/dev/null || true
        wait "$gateway" 2>/dev/null || true
    fi
    stop_servers
    [[ -n ${KEEP:-} && ${KEEP:-} != 0 ]] || rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

say "the suite and the clients"
# Each version has a folder of its own: a new one is installed beside it.
node=$build/conformance/suite-${suite##*@} javascript=$build/conformance/javascript-${javascript_client##*@}
python=$build/conformance/python-${python_client##*=}
mkdir -p "$node" "$javascript"
if [[ ${ONLY:-} != clients && ! -d $node/node_modules/@durable-streams/server-conformance-tests ]]; then
    npm install --prefix "$node" --no-audit --no-fund --loglevel=error "$suite"
fi
clients=() skipped=()
if [[ -z ${ONLY:-} || $ONLY == clients ]]; then
    "$here/../setup.sh"
    if [[ ! -d $javascript/node_modules/@durable-streams/client ]]; then
        timeout 300 npm install --prefix "$javascript" --no-audit --no-fund --ignore-scripts --loglevel=error "$javascript_client" || true
    fi
    if [[ -d $javascript/node_modules/@durable-streams/client ]]; then
        clients+=(JavaScript)
    else
        skipped+=("JavaScript: npm cannot install $javascript_client")
    fi
    # Into a folder, not a virtual environment: the server's user may have no access to the checkout, so it is copied. For the
    # system's Python, which that user has.
    if [[ ! -d $python/durable_streams ]]; then
        rm -rf "$python"
        PATH=/usr/bin:$PATH timeout 300 python3 -m pip install --quiet --retries 0 --disable-pip-version-check --target "$python" \
            "$python_client" >"$scratch/pip.log" 2>&1 || rm -rf "$python"
    fi
    if [[ -d $python/durable_streams ]]; then
        clients+=(Python)
    else
        skipped+=("Python: pip cannot install $python_client")
    fi
fi

say "build and server"
lock_build
make_in "$src/client" BUILD="$build/client" "$build/client/rill"
build_extension "$build/pg$(server_version)" with_llvm=no
copy_server
install_extension "$build/pg$(server_version)" with_llvm=no >"$scratch/install.log"
unlock_build
cp "$build/client/rill" "$scratch/rill"
status=0
if [[ ${ONLY:-} != clients ]]; then
    say "the suite"
    # Streams expire as soon as the suite expects.
    start_cluster db "pg_rill.retention_interval = '1s'"
    "$bin/psql" -X -q -c 'CREATE EXTENSION pg_rill'
    "${as_server[@]}" "$scratch/rill" serve --http-port 0 --cors '*' >"$scratch/gateway.out" 2>"$scratch/gateway.err" &
    gateway=$!
    deadline=$((SECONDS + 30))
    until grep -qs '^listening on ' "$scratch/gateway.out"; do
        if [[ $SECONDS -ge $deadline ]] || ! kill -0 "$gateway" 2>/dev/null; then
            cat "$scratch/gateway.err" >&2
            exit 1
        fi
        sleep 0.1
    done
    url=$(sed -n 's/^listening on //p' "$scratch/gateway.out")
    # vitest looks for its files below the directory where it runs, and passes over node_modules.
    cat >"$node/suite.test.mjs" <<'TEST'
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL })
TEST
    (cd "$node" && CONFORMANCE_TEST_URL=$url ./node_modules/.bin/vitest run suite.test.mjs ${ONLY:+-t "$ONLY"} \
        --reporter=json --outputFile="$scratch/report.json" --testTimeout=60000) >"$scratch/suite.log" 2>&1 || true   # the report tells
    [[ -s $scratch/report.json ]] || { tail -n 40 "$scratch/suite.log" >&2; exit 1; }
    python3 -B "$here/report.py" "$scratch/report.json" || status=1
    kill -0 "$gateway" 2>/dev/null || { echo "conformance: rill serve has died" >&2; cat "$scratch/gateway.err" >&2; exit 1; }
fi

if [[ ${#clients[@]} -gt 0 || ${#skipped[@]} -gt 0 ]]; then
    say "the clients"
    : >"$scratch/clients.log"
    if [[ ${#clients[@]} -gt 0 ]]; then
        copy=$scratch/copy
        mkdir -p "$copy"
        tar -C "$src" -cf - test/conformance test/faults/machinery.py test/lib/harness.py | tar -C "$copy" -xf -
        [[ ! -d $javascript/node_modules ]] || cp -r "$javascript/node_modules" "$copy/node_modules"
        [[ ! -d $python ]] || cp -r "$python" "$copy/python"
        "${as_server[@]}" PATH="$bin:$scratch:$PATH" PYTHONPATH="$copy/python" "$copy/test/conformance/clients.py" "${clients[@]}" 2>&1 |
            tee "$scratch/clients.log" || status=1
    fi
    for reason in "${skipped[@]}"; do
        echo "# NOT TESTED: the protocol's client for $reason"
    done
    [[ ${#clients[@]} == 0 ]] ||
        echo "clients: $(grep -c '^ok ' "$scratch/clients.log" || true) passed, $(grep -c '^not ok ' "$scratch/clients.log" || true) failed, ${#skipped[@]} skipped"
fi
exit $status
