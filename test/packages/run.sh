#!/bin/bash
# "make test-packages": builds and installs what users get, in fresh Debian systems (debootstrap, minbase), as TAP.
#   deb    "make deb" on a bare system; on another one the README's five commands from packages to a followed stream, then
#          its tours and the examples against the installed library, an upgrade, removal and purge
#   pgxn   "make dist"; pgxnclient builds and installs the archive on a bare system; the same tours
#   pg18   PostgreSQL 18 from Debian sid: an installation without root, by extension_control_path (doc/install.md)
#   PARTS='deb pgxn'   chooses; all by default
#   BASES=DIRECTORY    keeps the fresh systems there and copies them the next time, instead of making them again
#   ARCHIVE=FILE       tests this archive, which "make dist" made earlier
#   PACKAGES=DIRECTORY tests the packages there, which "make deb" built earlier
#   KEEP=1             keeps the scratch directory with the systems and logs
# Tests what is committed. Debian 12 only, whose server the README's commands name. Needs root, debootstrap, network, and about 6 GB in TMPDIR; where it cannot run it says why, and
# ends with 77, never with success.
# Must survive: what test/lib/fresh_system.sh names.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
src=${here%/*/*}
parts=${PARTS:-deb pgxn pg18}
cannot() { echo "make test-packages cannot run: $*" >&2; exit 77; }

# shellcheck source=test/lib/fresh_system.sh
. "$src/test/lib/fresh_system.sh"
[[ -n ${ARCHIVE:-} ]] || git -C "$src" rev-parse HEAD >/dev/null 2>&1 || cannot "the archive is made by git, and this tree is no clone"
codename=bookworm
grep -q "^VERSION_CODENAME=$codename" /etc/os-release || cannot "this is not Debian 12"
need_fresh_systems git unzip

scratch=$(mktemp -d "${TMPDIR:-/tmp}/pg_rill-packages.XXXXXX")
chmod 755 "$scratch"
failed=0 number=0
finish() {
    trap '' INT TERM
    end_inside
    if [[ $failed == 0 && ( -z ${KEEP:-} || ${KEEP:-} == 0 ) ]]; then
        rm -rf --one-file-system "$scratch"
    else
        echo "# logs are in $scratch"
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# fresh NAME SUITE: a new system $scratch/NAME with nothing but the essential packages.
fresh() {
    local root=$scratch/$1 suite=$2 keep=${BASES:-$scratch}/base-$2
    [[ -e $keep/etc/debian_version ]] || make_system "$suite" "$keep" "$scratch/debootstrap-$suite.log" ||
        cannot "no fresh Debian $suite (is the archive reachable?)"
    cp -a "$keep" "$root"
    cp -R "$here" "$root/tests"
}
within() { inside "$scratch/$1" "${@:2}"; }

# step DESCRIPTION COMMAND…: the output goes to a log, whose end is shown after a failure. A failure ends the part.
step() {
    local description=$1 start=$SECONDS log
    shift
    number=$((number + 1))
    log=$scratch/$number.log
    if "$@" >"$log" 2>&1; then
        echo "ok $number - $description ($((SECONDS - start)) s)"
        sed -n 's/^ok /#   ok /p' "$log"
    else
        echo "not ok $number - $description"
        { grep -E -A 12 '^ *not ok' "$log" | head -n 100; tail -n 40 "$log"; } | cut -c 1-200 | sed 's/^/# /'
        failed=$((failed + 1))
        return 1
    fi
}

archive=${ARCHIVE:-$src/build/pg_rill-$VERSION.zip}
make_dist() { [[ -n ${ARCHIVE:-} ]] || make -C "$src" --no-print-directory dist; test -s "$archive"; }

build_packages() {
    mkdir "$scratch/packages"
    if [[ -n ${PACKAGES:-} ]]; then
        cp "$PACKAGES"/*.deb "$scratch/packages"
        return
    fi
    fresh build "$codename"
    cp "$archive" "$scratch/build/srv/pg_rill-$VERSION.zip"
    within build net /tests/build_deb.sh "$VERSION"
    mv "$scratch"/build/srv/packages/* "$scratch/packages"
}
part_deb() {
    step "a bare system builds the packages, and lintian has no warning" build_packages || return
    fresh user "$codename"
    cp -R "$scratch/packages" "$scratch/user/srv/packages"
    unzip -q -d "$scratch/user/srv" "$archive"
    mv "$scratch/user/srv/pg_rill-$VERSION" "$scratch/user/srv/source"
    step "a fresh system has what the packages depend on, downloaded" within user net /tests/install_deb.sh download || return
    step "the README's five commands follow a stream" within user alone /tests/install_deb.sh five_commands || return
    step "librill-dev, compilers" within user net /tests/install_deb.sh development || return
    step "tours and examples against the installed library" within user alone /tests/install_deb.sh tour || return
    step "autopkgtest's installcheck" within user alone /tests/install_deb.sh installcheck || return
    step "an upgrade, with the server at work" within user alone /tests/install_deb.sh upgrade || return
    step "removal and purge leave nothing and a server that works" within user alone /tests/install_deb.sh purge
}
part_pgxn() {
    fresh pgxn "$codename"
    cp "$archive" "$scratch/pgxn/srv/pg_rill-$VERSION.zip"
    step "pgxnclient builds and installs the archive" within pgxn net /tests/install_pgxn.sh install "$VERSION" || return
    step "tours and examples against the installed files" within pgxn alone /tests/install_pgxn.sh tour "$VERSION" || return
    step "make uninstall leaves nothing" within pgxn alone /tests/install_pgxn.sh uninstall "$VERSION"
}
part_pg18() {
    fresh pg18 sid
    cp "$archive" "$scratch/pg18/srv/pg_rill-$VERSION.zip"
    step "PostgreSQL 18 on Debian sid" within pg18 net /tests/install_without_root.sh packages || return
    step "an installation without root" within pg18 alone /tests/install_without_root.sh try "$VERSION"
}

step "make dist" make_dist || exit 1
for part in $parts; do
    "part_$part" || true
done
echo "1..$number"
echo "$((number - failed)) passed, $failed failed"
[[ $failed == 0 ]]
