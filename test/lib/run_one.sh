#!/bin/bash
# run_one.sh FILE…: builds, starts a throw-away server and runs single files of test/integration in a fresh database each,
# as test/run.sh does. A file that is not executable is run by python3 or bash, by the ending of its name.
# Must survive: whatever run.sh must (private_server.sh). After a failure the scratch directory stays, for the server's log.
# shellcheck disable=SC2317  # the trap calls finish
set -euo pipefail
[[ $# -gt 0 ]] || { echo "usage: ${0##*/} FILE…" >&2; exit 2; }
# shellcheck source=test/lib/private_server.sh
. "$(dirname "$0")/private_server.sh"
make_scratch one
finish() {
    local status=$?
    trap '' INT TERM
    stop_servers
    if [[ $status == 0 ]]; then rm -rf "$scratch"; else echo "logs are in $scratch"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

lock_build
build_extension "$build/server-$(server_version)" CXX=g++ WERROR=-Werror >"$scratch/build.log" 2>&1 || { tail -n 40 "$scratch/build.log"; exit 1; }
copy_server
install_extension "$build/server-$(server_version)" >>"$scratch/build.log" 2>&1
unlock_build
mkdir "$scratch/src"
tar -C "$src" --exclude=./build --exclude=./.git -cf - . | tar -C "$scratch/src" -xf -
[[ $(id -u) != 0 ]] || chown -R postgres "$scratch/src"
start_cluster cluster "fsync = off" "log_min_messages = info"
export PATH=$bin:$PATH
status=0
for file in "$@"; do
    name=${file##*/}
    database=integration_$(tr -c 'a-z0-9\n' '_' <<<"${name%.*}")
    psql -XAtq -v ON_ERROR_STOP=1 -c "CREATE DATABASE $database" -c "\\connect $database" -c "CREATE EXTENSION pg_rill"
    interpreter=bash
    [[ $name != *.py ]] || interpreter=python3
    say "$name"
    PGDATABASE=$database "${as_server[@]}" "$interpreter" "$scratch/src/test/integration/$name" || status=1
done
exit "$status"
