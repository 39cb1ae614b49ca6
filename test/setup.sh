#!/bin/bash
# Installs the Debian packages that "make demo", "make test" and "make bench" need; does nothing when all are there.
# Must survive: a bare system with empty package lists, an ordinary user with sudo, stale lists, another package
# run holding apt's lock, and a machine with PostgreSQL clusters of its own: none is created, stopped or changed.
set -euo pipefail

packages=(g++ clang clang-format pkg-config libpq-dev libboost-dev doctest-dev pgbouncer iproute2 libcli11-dev libncurses-dev nlohmann-json3-dev tmux libipc-run-perl perl python3 python3-psycopg python3-psycopg2)

# A server chosen with PG_CONFIG, or one already installed, is used as it is.
# Debian's client package brings pgxs.mk, and libpq-dev a pg_config, so check for the headers and the program.
is_server() {
    local config=${PG_CONFIG:-pg_config}
    [[ -e $("$config" --pgxs) && -e $("$config" --includedir-server)/postgres.h && -x $("$config" --bindir)/postgres ]]
} 2>/dev/null
if ! is_server; then
    if [[ ${PG_CONFIG:-pg_config} == */* ]]; then
        echo "setup: $PG_CONFIG is not the pg_config of a server with its development files" >&2
        exit 1
    fi
    packages+=(postgresql postgresql-server-dev)
fi

if ! command -v apt-get >/dev/null; then
    if [[ ${packages[*]} == *postgresql-server-dev* ]]; then
        echo "setup: this is not a Debian system: install PostgreSQL 15 or newer with its development files, and" >&2
        echo "       ${packages[*]}" >&2
        exit 1
    fi
    exit 0
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
    as_root=(sudo)
fi
# Quiet unless it fails.
apt() {
    local output
    output=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" 2>&1 </dev/null) || { tail -n 20 <<<"$output"; return 1; }
}

# Fills "missing" with the packages that are not installed; the server's packages are named after its major version.
find_missing() {
    local major package
    major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1) || true
    missing=()
    for package in "${packages[@]}"; do
        [[ $package == postgresql* ]] && package+=-${major:-15}
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
}

find_missing
[[ ${#missing[@]} -gt 0 ]] || exit 0
if [[ ${#as_root[@]} -gt 0 ]] && ! command -v sudo >/dev/null; then
    echo "setup: run this as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

# When first installed, Debian's server package creates and starts a cluster "main", which is not wanted here.
common=/etc/postgresql-common
no_cluster=$common/createcluster.d/pg_rill-setup.conf
policy=/usr/sbin/policy-rc.d
made=()
for directory in $common $common/createcluster.d; do
    [[ -d $directory ]] || made=("$directory" "${made[@]}")
done
no_services=
cleanup() {
    "${as_root[@]}" rm -f "$no_cluster"
    [[ -z $no_services ]] || "${as_root[@]}" rm -f "$policy"
    local directory
    for directory in "${made[@]}"; do
        "${as_root[@]}" rmdir "$directory" 2>/dev/null || true
    done
}
trap cleanup EXIT
trap 'exit 130' INT TERM
"${as_root[@]}" mkdir -p "$common/createcluster.d"
echo 'create_main_cluster = false' | "${as_root[@]}" tee "$no_cluster" >/dev/null
# Nor is PgBouncer wanted as a service.
if [[ ! -e $policy ]]; then
    no_services=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

install_missing() {
    find_missing
    echo "setup: installing ${missing[*]}"
    apt install --no-install-recommends -y "${missing[@]}"
}
if ! apt-cache show libpq-dev >/dev/null 2>&1; then
    apt update
fi
if ! install_missing; then
    echo "setup: trying once more with fresh package lists"
    apt update
    install_missing
fi
if [[ " ${missing[*]} " == *' pgbouncer '* ]]; then
    "${as_root[@]}" update-rc.d pgbouncer disable >/dev/null 2>&1 || true   # nor at the next boot
fi
