#!/bin/bash
# "make bench": measures appends beside a plain INSERT and a NOTIFY trigger, on a private server with fsync on.
# BENCH_SECONDS (3) is the length of one run, BENCH_ROUNDS (5) how often each is repeated. See README.md beside this.
# Must survive: a bare machine, root and ordinary users, ^C, and a /tmp in memory (its fsync would cost nothing,
# so the server's files are in /var/tmp unless TMPDIR says otherwise).
# shellcheck disable=SC2317  # finish is called by the trap
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../setup.sh"
# shellcheck source=test/lib/private_server.sh
. "$here/../lib/private_server.sh"

export TMPDIR=${TMPDIR:-/var/tmp}
make_scratch bench
finish() {
    trap '' INT TERM
    stop_servers
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

lock_build
echo "building …"
build_extension "$build/server-$(server_version)" >"$scratch/output" 2>&1 </dev/null || { tail -n 40 "$scratch/output"; exit 1; }
copy_server
install_extension "$build/server-$(server_version)" >"$scratch/output" 2>&1 </dev/null || { tail -n 40 "$scratch/output"; exit 1; }
unlock_build

# No vacuum and no checkpoint falls into one run and not into its rival's.
start_cluster bench "fsync = on" "synchronous_commit = on" "shared_buffers = 256MB" "max_wal_size = 8GB" \
    "checkpoint_timeout = 1h" "autovacuum = off"
python3 -B "$here/bench.py" --bin "$bin" --out "$build/bench" --source "$src" \
    --seconds "${BENCH_SECONDS:-3}" --rounds "${BENCH_ROUNDS:-5}"
