#!/bin/bash
# "make matrix": "make test", warnings being errors, on each supported version of PostgreSQL, in a system that debootstrap
# makes for it; ends with a table of versions and results.
#   VERSIONS='17 18'  chooses; 15 16 17 18 by default
#   ONLY=…            passed on to make test
#   MATRIX_CACHE=DIR  keeps the systems, compiled objects and the last logs (default: pg_rill/matrix in $XDG_CACHE_HOME or ~/.cache);
#                     about 2 GB a version. What is there is used again; remove DIR/NN for a new system
# Tests the working tree. Needs root, debootstrap and, the first time, the network. The exit status is 0 when all passed,
# 77 when nothing failed and a version could not be tested, else 1.
# Must survive: ^C and kill -9 (everything inside ends, and with it its mounts), two runs at once (they take turns for each
# version), an interrupted preparation (it is continued, or done again), and a distribution that cannot be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
src=${here%/*/*}
cache=${MATRIX_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pg_rill/matrix}
versions=${VERSIONS:-15 16 17 18}
cannot() { echo "make matrix cannot run: $*" >&2; exit 77; }
# shellcheck source=test/lib/fresh_system.sh
. "$src/test/lib/fresh_system.sh"

declare -A suites=([15]=bookworm [16]=noble [17]=trixie [18]=sid)
for version in $versions; do
    [[ -n ${suites[$version]:-} ]] || { echo "make matrix: no version \"$version\"; there are: ${!suites[*]}" >&2; exit 2; }
done
need_fresh_systems tar
mkdir -p "$cache"
table=()
finish() {
    trap '' INT TERM
    end_inside
}
trap finish EXIT
trap 'exit 130' INT TERM

# system VERSION: makes $cache/VERSION unless it is there.
system() {
    local root=$cache/$1 suite=${suites[$1]} keyring=$cache/ubuntu.gpg
    [[ ! -e $root/etc/os-release ]] || return 0
    if [[ $suite != noble ]]; then
        make_system "$suite" "$root" "$cache/$1.debootstrap.log"
        return
    fi
    # Ubuntu's keys come from Debian 13, and old debootstraps do not know the name: all Ubuntus are made like gutsy.
    if [[ ! -e $keyring ]]; then
        system 17 && inside "$cache/17" net bash -c 'apt-get -q update && apt-get -q install --no-install-recommends ubuntu-archive-keyring' \
            >"$cache/keyring.log" 2>&1 && cp "$cache/17/usr/share/keyrings/ubuntu-archive-keyring.gpg" "$keyring" || return
    fi
    mkdir -p "$cache/debootstrap"
    cp -R /usr/share/debootstrap/. "$cache/debootstrap"
    ln -sfn gutsy "$cache/debootstrap/scripts/$suite"
    DEBOOTSTRAP_DIR=$cache/debootstrap make_system "$suite" "$root" "$cache/$1.debootstrap.log" --keyring="$keyring" || return
    # python3-psycopg, doctest and pgbouncer are in "universe".
    sed -E -i "s/^(deb [^ ]* $suite) main.*/\1 main universe/; p; s/ $suite / $suite-updates /" "$root/etc/apt/sources.list"
}

# run_version VERSION: adds a row to the table. The sources are new there each time, in the same place, so that ccache
# finds what it compiled before.
run_version() {
    local version=$1 root=$cache/$1 log=$cache/$1.log start=$SECONDS status=0 tee result reason where what server gxx clang
    exec 8>"$cache/$version.lock"
    flock -n 8 || { echo "# waiting for another run on PostgreSQL $version"; flock 8; }
    if ! system "$version"; then
        row "$version" "${suites[$version]}" "" "not tested: no such system could be made"
        return
    fi
    rm -rf --one-file-system "$root/src" "$root"/tmp/pg_rill-*
    mkdir "$root/src"
    tar -C "$src" --exclude=./build --exclude=./.git -cf - . | tar -C "$root/src" --no-same-owner -xf -
    inside "$root" net /src/test/matrix/prepare.sh "$version" >"$cache/$version.prepare.log" 2>&1 || {
        reason=$(tail -n 1 "$cache/$version.prepare.log")
        row "$version" "${suites[$version]}" "" "not tested: ${reason:0:60}"
        return
    }
    where=$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$root/etc/os-release")
    what=$(inside "$root" alone bash -c "/usr/lib/postgresql/$version/bin/postgres --version | sed 's/[^0-9]*\([^ ]*\).*/\1/'
        g++ -dumpfullversion; clang -dumpversion" | paste -s -d ' ')
    exec 7> >(tee "$log")
    tee=$!
    inside "$root" alone env PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin CCACHE_DIR=/var/cache/ccache \
        make --no-print-directory -C /src test PG_CONFIG="/usr/lib/postgresql/$version/bin/pg_config" ${ONLY:+ONLY="$ONLY"} \
        >&7 2>&1 || status=$?
    exec 7>&-
    wait "$tee" || true   # the log is complete
    result=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || result="broke off with status $status"
    [[ $status == 0 ]] || failed=yes
    read -r server gxx clang <<<"$what"
    row "$server" "$where" "g++ $gxx, clang $clang" "$result ($((SECONDS - start)) s)"
    [[ $status == 0 ]] || echo "# the output is in $log, the tests' logs below $root/tmp"
}
failed='' untested=''
row() {
    table+=("$(printf '%-8s %-32s %-24s %s' "$@")")
    [[ $4 != 'not tested'* ]] || untested=yes
}

for version in $versions; do
    printf '\n#### PostgreSQL %s\n' "$version"
    run_version "$version"
done
echo
printf '%-8s %-32s %-24s %s\n' server system compilers result
printf '%s\n' "${table[@]}"
[[ -z $failed ]] || exit 1
[[ -z $untested ]] || exit 77
