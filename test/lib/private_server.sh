# shellcheck shell=bash disable=SC2034  # variables for the script that sources this
# Sourced by the runners of test, demo and bench: builds the tree under build/, makes a private copy of the server's
# installation in a scratch directory, and starts temporary clusters from it.
# Must survive: running as root (servers then run as user postgres, which may not be able to read the checkout),
# running as an ordinary user without the right to install anything, PG* variables that point at somebody's
# cluster, ^C at any moment, a checkout path or TMPDIR too long for a socket name, and two runs at once.
#
# A server finds its libraries and extensions relative to its program file. So a copy of the programs with links to
# the rest is a complete server, into which "make install DESTDIR=" installs pg_rill. The system's directories are only
# read.

src=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$src/build
jobs=$(nproc)
umask 022
for variable in $(compgen -e PG); do
    [[ $variable == PG_CONFIG ]] || unset "$variable"
done
export LC_ALL=C.UTF-8 LANG=C.UTF-8

say() { printf '\n== %s\n' "$*"; }

# From the make that runs this script, keep the variables of its command line, but not its flags and jobs.
case ${MAKEFLAGS:-} in
*'-- '*) export MAKEFLAGS=" -- ${MAKEFLAGS#*-- }" ;;
*) unset MAKEFLAGS ;;
esac

make_in() {
    local directory=$1
    shift
    mkdir -p "$directory"
    "${MAKE:-make}" --no-print-directory -j"$jobs" -C "$directory" "$@"
}

# Sets scratch, and as_server: the words before a command that must not run as root.
make_scratch() {
    local parent=${TMPDIR:-/tmp}
    [[ ${#parent} -le 40 ]] || parent=/tmp
    scratch=$(mktemp -d "$parent/pg_rill-$1.XXXXXX")
    chmod 755 "$scratch"
    mkdir -m 700 "$scratch/tmp"
    as_server=(env -C "$scratch" HOME="$scratch" TMPDIR="$scratch/tmp")
    if [[ $(id -u) == 0 ]]; then
        chown postgres "$scratch" "$scratch/tmp"
        as_server=(setpriv --reuid=postgres --regid=postgres --init-groups "${as_server[@]}")
    fi
}

# Stops every server in the scratch directory.
stop_servers() {
    local pidfile
    find "$scratch" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
        "${as_server[@]}" "$bin/pg_ctl" -D "${pidfile%/*}" -m immediate -w stop >/dev/null 2>&1 || true
    done
}

# Sets pg_config and bin: those of the private copy.
copy_server() {
    local system=${PG_CONFIG:-pg_config} directory lib share
    server=$scratch/server
    bin=$("$system" --bindir)
    lib=$("$system" --pkglibdir)
    share=$("$system" --sharedir)
    mkdir -p "$server$bin"
    cp "$bin"/* "$server$bin"
    for directory in "$lib" "$lib/bitcode" "$share" "$share/extension"; do
        [[ -d $directory ]] || continue
        mkdir -p "$server$directory"
        find "$directory" -mindepth 1 -maxdepth 1 ! -name 'pg_rill*' ! -path "$lib/bitcode" ! -path "$share/extension" \
            -exec ln -s -t "$server$directory" {} +
    done
    directory=$("$system" --includedir-server)   # for tests with a library of their own
    mkdir -p "$server${directory%/*}"
    ln -s "$directory" "$server$directory"
    bin=$server$bin
    pg_config=$bin/pg_config
}

lock_build() {
    mkdir -p "$build"
    exec 9>"$build/.lock"
    flock 9
}
unlock_build() { exec 9>&-; }

# build_extension DIRECTORY [VARIABLE=VALUE…]: DIRECTORY is below build/, one for each compiler and server version.
build_extension() {
    local directory=$1
    shift
    make_in "$directory" -f "$src/Makefile" PG_CONFIG="${PG_CONFIG:-pg_config}" with_client=no "$@" all
}

server_version() { "${PG_CONFIG:-pg_config}" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/'; }

install_extension() {
    local directory=$1
    shift
    make_in "$directory" -f "$src/Makefile" PG_CONFIG="${PG_CONFIG:-pg_config}" DESTDIR="$server" with_client=no "$@" install
}

# start_cluster NAME [SETTING…]: a new cluster with pg_rill preloaded. Only this user can reach it (its socket directory
# has mode 0700). Exports PGHOST, PGPORT, PGUSER, PGDATABASE and PGDATA for it.
start_cluster() {
    local home=$scratch/$1
    shift
    "${as_server[@]}" mkdir -m 700 "$home"
    "${as_server[@]}" "$bin/initdb" -D "$home/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$scratch/initdb.log"
    printf '%s\n' "shared_preload_libraries = 'pg_rill'" "listen_addresses = ''" "unix_socket_directories = '$home'" \
        "max_connections = 100" "max_prepared_transactions = 10" "$@" |
        "${as_server[@]}" tee -a "$home/data/postgresql.conf" >/dev/null
    export PGHOST=$home PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGDATA=$home/data
    server_log=$home/server.log
    start_server
}

start_server() {
    if ! "${as_server[@]}" "$bin/pg_ctl" -D "$PGDATA" -l "$server_log" -w -s start; then
        tail -n 30 "$server_log" >&2
        return 1
    fi
}
