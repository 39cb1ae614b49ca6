#!/bin/bash
# "make bench": measures pg_rill and its rivals on private servers with fsync on. See README.md in this directory, also
# for BENCH_SECONDS, BENCH_ROUNDS, BENCH_ONLY, BENCH_CHUNKS, BENCH_STREAMS, BENCH_FOLLOWED and
# BENCH_RETENTION_SECONDS.
# "make bench-check": compares instruction counts with those kept in instructions.json; UPDATE=1 keeps the new ones.
# Must survive: a bare machine, root and ordinary users, ^C, and a /tmp in memory (where fsync would cost nothing, so the
# server's files are in /var/tmp unless TMPDIR is set).
# shellcheck disable=SC2317  # finish is called by the trap
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
what=${1:-bench}
"$here/../setup.sh"
if [[ $what == check ]]; then
    "$here/setup.sh" valgrind
else
    "$here/setup.sh"
    [[ -n ${BENCH_ONLY:-} && ,${BENCH_ONLY// /}, != *,[pP]10,* ]] || "$here/setup_reference.sh" "$here/../../build/bench/reference"
fi
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

# quiet COMMAND…: shows the command's output only if it fails.
quiet() { "$@" >"$scratch/output" 2>&1 </dev/null || { tail -n 40 "$scratch/output"; exit 1; }; }
lock_build
echo "building …"
quiet build_extension "$build/server-$(server_version)"
quiet make_in "$src/client" BUILD="$build/client" all
quiet make_in "$build/bench" -f "$here/Makefile" PG_CONFIG="${PG_CONFIG:-pg_config}" driver
copy_server
quiet install_extension "$build/server-$(server_version)"
unlock_build
mkdir -p "$scratch/rivals"

if [[ $what == check ]]; then
    # Nothing runs in the background, so that each call does the same work every time.
    start_valgrind() { "${as_server[@]}" valgrind --tool=callgrind --trace-children=yes --callgrind-out-file="$scratch/counts/%p" "$bin/postgres" "$@"; }
    start_server() { :; }
    start_cluster counted "fsync = off" "autovacuum = off" "checkpoint_timeout = 1h" "max_wal_size = 8GB" "jit = off" \
        "shared_buffers = 256MB" "bgwriter_delay = 10s" "wal_writer_delay = 10s"
    mkdir -m 777 "$scratch/counts"
    start_valgrind -D "$PGDATA" >"$scratch/output" 2>&1 </dev/null 9>&- &
    python3 -B "$here/instructions.py" --bin "$bin" --driver "$build/bench/driver" --counts "$scratch/counts" \
        --kept "$here/instructions.json" --log "$scratch/output" ${UPDATE:+--update}
    exit
fi

# No vacuum or checkpoint may hit one run and spare its rival's.
start_cluster bench "fsync = on" "synchronous_commit = on" "shared_buffers = 1GB" "max_wal_size = 16GB" \
    "checkpoint_timeout = 1h" "autovacuum = off" "max_connections = 400"
export BENCH_AS_SERVER="${as_server[*]}" BENCH_SCRATCH=$scratch
python3 -B "$here/bench.py" --bin "$bin" --driver "$build/bench/driver" --out "$build/bench" --source "$src" \
    --scratch "$scratch/rivals" --seconds "${BENCH_SECONDS:-1}" --rounds "${BENCH_ROUNDS:-5}" \
    --chunks "${BENCH_CHUNKS:-1000000}" --streams "${BENCH_STREAMS:-1000000}" --followed "${BENCH_FOLLOWED:-100000}" \
    --retention-seconds "${BENCH_RETENTION_SECONDS:-600}" --only "${BENCH_ONLY:-}"
