#!/bin/bash
# "make demo": sends a text through several streams while sessions, workers and the server are killed, and ends with a
# table of what was lost (nothing, or the exit status is 1). KEEP=1 leaves its server running, and rill serve with it.
# Must survive: a bare machine, root and ordinary users, ^C. It starts one private cluster in a scratch directory and
# touches no other.
# shellcheck disable=SC2317  # finish is called by the trap
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../setup.sh"
# shellcheck source=test/lib/private_server.sh
. "$here/../lib/private_server.sh"

streams=8 seconds=30 lines=20000 keep=
make_scratch demo
finish() {
    trap '' INT TERM
    [[ -z ${driver:-} ]] || kill "$driver" 2>/dev/null || true
    [[ -z $keep ]] || return 0
    stop_servers
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# quiet WHAT COMMAND…: shows the command's output only if it fails.
quiet() {
    echo "$1 …"
    shift
    "$@" >"$scratch/output" 2>&1 </dev/null || { tail -n 40 "$scratch/output"; exit 1; }
}
lock_build
quiet "building the extension" build_extension "$build/server-$(server_version)"
quiet "building the client" make_in "$src/client" BUILD="$build/client" all
quiet "building the demo" make_in "$build/demo" -f "$here/Makefile" demo
copy_server
quiet "making a private copy of the server, with pg_rill" install_extension "$build/server-$(server_version)"
unlock_build

start_cluster demo "log_min_messages = warning"
sql() { "$bin/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }
sql -c 'CREATE EXTENSION pg_rill'
echo "a throw-away PostgreSQL $(server_version) with pg_rill runs in $scratch"

# The input: this tree's sources and the system's licences, repeated until there are enough lines.
cat "$src"/*.md "$src"/extension/*.sql "$src"/extension/src/*.?pp "$src"/extension/src/*/*.?pp "$src"/client/*/*.?pp \
    /usr/share/common-licenses/* >"$scratch/text" 2>/dev/null || true
while cat "$scratch/text" 2>/dev/null; do :; done | head -n "$lines" >"$scratch/input" || true
echo "input: $(wc -lc <"$scratch/input" | awk '{ print $1 " lines, " $2 " bytes" }')" \
    "of text, each line one chunk, through $streams streams in $seconds s"
echo

started=${EPOCHREALTIME/[.,]/}
started=${started%???}
# at SECOND WHAT: waits until that second and prints WHAT, in the program's format.
at() {
    local now=${EPOCHREALTIME/[.,]/} wait
    wait=$((started + $1 * 1000 - ${now%???}))
    [[ $wait -le 0 ]] || sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
    kill -0 "$driver" 2>/dev/null || report
    printf '00:%02d  ** %s\n' "$1" "$2"
}
terminate() { sql -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE $1" >/dev/null; }
restart() { "${as_server[@]}" "$bin/pg_ctl" -D "$PGDATA" -l "$server_log" -m "$1" -w -s restart; }
wakeups() { sql -c "ALTER SYSTEM SET pg_rill.wakeups = $1" -c 'SELECT pg_reload_conf()' >/dev/null; }

report() {
    local status=0 before after
    wait "$driver" || status=$?
    driver=
    before=$(sha256sum <"$scratch/input") after=$(sha256sum <"$scratch/output.txt" 2>/dev/null || true)
    echo "SHA-256 of the input and of what arrived: ${before:0:16}… and ${after:0:16}…"
    [[ $before == "$after" ]] || status=1
    if [[ $status == 0 ]]; then
        echo "Every line arrived once, in order: the demo succeeded."
    else
        echo "THE DEMO FAILED." >&2
    fi
    [[ -z ${KEEP:-} || ${KEEP:-} == 0 ]] || keep_cluster
    exit "$status"
}

# start_serve: sets serve and address. The server's user may have no access to the checkout.
start_serve() {
    cp "$build/client/rill" "$scratch"
    "${as_server[@]}" setsid "$scratch/rill" serve -h "$PGHOST" -U postgres --http-port 0 >"$scratch/serve.out" 2>&1 </dev/null &
    serve=$!
    for ((i = 0; i < 100; i++)); do
        address=$(sed -n 's/^listening on //p' "$scratch/serve.out")
        [[ -z $address ]] || return 0
        kill -0 "$serve" 2>/dev/null || break
        sleep 0.1
    done
    cat "$scratch/serve.out"
    exit 1
}

keep_cluster() {
    local serve address i
    start_serve
    keep=yes
    cat <<TEXT

The server keeps running. See what arrived in a browser:
    $address/#stream=demo-1
Connect to the server with
    psql -h $PGHOST -U postgres
    $build/client/rill -h $PGHOST -U postgres ls
    $build/client/rill -h $PGHOST -U postgres tail -f demo-1
Stop both and remove everything with
    kill $serve; $([[ $(id -u) != 0 ]] || echo "setpriv --reuid=postgres --regid=postgres --init-groups ")$bin/pg_ctl -D $PGDATA -m fast stop && rm -r $scratch
TEXT
}

"$build/demo/demo" "$scratch/input" "$streams" "$seconds" "$started" "$scratch/output.txt" &
driver=$!
at 3 "terminating the reader's LISTEN session"
terminate "application_name = 'demo reader listen'"
at 7 "suppressing all wake-ups for 5 seconds: only rechecks and polls find chunks"
wakeups off
at 12 "wake-ups are on again"
wakeups on
at 15 "terminating the notifier, which sends NOTIFY"
terminate "backend_type = 'pg_rill notifier'"
at 18 "restarting the server (fast shutdown): all sessions end"
restart fast
at 22 "terminating every session of the reader"
terminate "application_name LIKE 'demo reader%'"
at 25 "crashing the server (immediate shutdown): it recovers from its write-ahead log"
restart immediate
report
