#!/bin/bash
# "make conformance": the official test suite of the Durable Streams protocol against "rill serve" on a private server.
# Prints how many tests of each section passed, then the first lines of each failure, then one line "N passed, N failed,
# N refused". Forks and subscriptions are not part of rill serve; their sections are listed as refused.
#   ONLY='TEXT'   the tests whose names contain TEXT (vitest -t).
#   KEEP=1        keeps the scratch directory.
# The exit status is 0 only if nothing failed. Needs node and npm; the suite goes into build/conformance-VERSION and is not ours.
# Must survive: root and ordinary users, ^C (server and gateway are stopped), and a suite that ends without a report.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=test/lib/private_server.sh
. "$here/../lib/private_server.sh"
suite=@durable-streams/server-conformance-tests@0.3.6

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

say "the suite"
node=$build/conformance-${suite##*@}   # of this version: a new one is installed beside it
mkdir -p "$node"
[[ -d $node/node_modules/@durable-streams/server-conformance-tests ]] ||
    npm install --prefix "$node" --no-audit --no-fund --loglevel=error "$suite"

say "build and server"
lock_build
make_in "$src/client" BUILD="$build/client" "$build/client/rill"
build_extension "$build/pg$(server_version)" with_llvm=no
copy_server
install_extension "$build/pg$(server_version)" with_llvm=no >"$scratch/install.log"
unlock_build
# Streams expire as soon as the suite expects.
start_cluster db "pg_rill.retention_interval = '1s'"
"$bin/psql" -X -q -c 'CREATE EXTENSION pg_rill'
cp "$build/client/rill" "$scratch/rill"
"${as_server[@]}" "$scratch/rill" serve --http-port 0 --cors '*' >"$scratch/gateway.out" 2>"$scratch/gateway.err" &
gateway=$!
deadline=$((SECONDS + 30))
until grep -q '^listening on ' "$scratch/gateway.out"; do
    if [[ $SECONDS -ge $deadline ]] || ! kill -0 "$gateway" 2>/dev/null; then
        cat "$scratch/gateway.err" >&2
        exit 1
    fi
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$scratch/gateway.out")

say "conformance"
# vitest looks for its files below the directory where it runs, and passes over node_modules.
cat >"$node/suite.test.mjs" <<'TEST'
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
runConformanceTests({ baseUrl: process.env.CONFORMANCE_TEST_URL })
TEST
(cd "$node" && CONFORMANCE_TEST_URL=$url ./node_modules/.bin/vitest run suite.test.mjs ${ONLY:+-t "$ONLY"} \
    --reporter=json --outputFile="$scratch/report.json" --testTimeout=60000) >"$scratch/suite.log" 2>&1 || true   # the report tells
[[ -s $scratch/report.json ]] || { tail -n 40 "$scratch/suite.log" >&2; exit 1; }
python3 -B "$here/report.py" "$scratch/report.json"
kill -0 "$gateway" 2>/dev/null || { echo "conformance: rill serve has died" >&2; cat "$scratch/gateway.err" >&2; exit 1; }
