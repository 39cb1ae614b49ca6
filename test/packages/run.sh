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
# Must survive: ^C, servers and sockets of others on this machine (each step has process ids, mounts and, unless it needs
# packages, a network of its own; they end with it), and a mirror that only this machine's apt settings name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
src=${here%/*/*}
parts=${PARTS:-deb pgxn pg18}
cannot() { echo "make test-packages cannot run: $*" >&2; exit 77; }

[[ $(id -u) == 0 ]] || cannot "debootstrap needs root"
command -v apt-get >/dev/null || cannot "this is not a Debian system"
[[ -n ${ARCHIVE:-} ]] || git -C "$src" rev-parse HEAD >/dev/null 2>&1 || cannot "the archive is made by git, and this tree is no clone"
missing=()
for package in debootstrap git iproute2 util-linux unzip; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} == 0 ]] || DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${missing[@]}" ||
    cannot "${missing[*]} could not be installed"
codename=bookworm
grep -q "^VERSION_CODENAME=$codename" /etc/os-release || cannot "this is not Debian 12"
# What apt has: updates and security, too.
# shellcheck disable=SC2016  # apt's variables
targets() { apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | sort -u; }
mirror=$(targets | awk -v release="$codename" '$3 == release { print $1; exit }')
[[ -n $mirror ]] || cannot "apt knows no archive of Debian $codename (apt-get update?)"
unshare --mount --pid --net --fork true 2>/dev/null || cannot "this system does not let root make namespaces"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/pg_rill-packages.XXXXXX")
chmod 755 "$scratch"
failed=0 number=0
finish() {
    trap '' INT TERM
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
    if [[ ! -e $keep/etc/debian_version ]]; then
        mkdir -p "${keep%/*}"
        debootstrap --variant=minbase "$suite" "$keep.new" "$mirror" >"$scratch/debootstrap-$suite.log" 2>&1 || {
            tail -n 20 "$scratch/debootstrap-$suite.log" >&2
            cannot "no fresh Debian $suite (is the archive reachable?)"
        }
        mv "$keep.new" "$keep"
    fi
    cp -a "$keep" "$root"
    if [[ $suite == "$codename" ]]; then
        targets | awk '{ print "deb", $1, $2, "main" }' >"$root/etc/apt/sources.list"
    fi
    # What apt here needs to reach the archive. The new system's user is not asked.
    apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$root/etc/apt/apt.conf.d/90host" || true
    echo 'APT::Get::Assume-Yes "true"; Dpkg::Use-Pty "0";' >"$root/etc/apt/apt.conf.d/91test"
    cp -R "$here" "$root/tests"
    echo rill >"$root/etc/hostname"
    printf '127.0.0.1 localhost rill\n' >"$root/etc/hosts"
}

# inside SYSTEM net|alone COMMAND…: runs it there as root; alone means without any network but its own loopback.
inside() {
    local root=$scratch/$1 network=()
    [[ $2 == net ]] || network=(--net)
    shift 2
    # shellcheck disable=SC2016  # for the inner shell
    unshare --mount --pid --fork --kill-child "${network[@]}" bash -euc '
        root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        ip link set lo up 2>/dev/null || true
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
            chroot "$root" "$@"
    ' - "$root" "$@" </dev/null
}

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
    inside build net /tests/build_deb.sh "$VERSION"
    mv "$scratch"/build/srv/packages/* "$scratch/packages"
}
part_deb() {
    step "a bare system builds the packages, and lintian has no warning" build_packages || return
    fresh user "$codename"
    cp -R "$scratch/packages" "$scratch/user/srv/packages"
    unzip -q -d "$scratch/user/srv" "$archive"
    mv "$scratch/user/srv/pg_rill-$VERSION" "$scratch/user/srv/source"
    step "a fresh system has what the packages depend on, downloaded" inside user net /tests/install_deb.sh download || return
    step "the README's five commands follow a stream" inside user alone /tests/install_deb.sh five_commands || return
    step "librill-dev, compilers" inside user net /tests/install_deb.sh development || return
    step "tours and examples against the installed library" inside user alone /tests/install_deb.sh tour || return
    step "autopkgtest's installcheck" inside user alone /tests/install_deb.sh installcheck || return
    step "an upgrade, with the server at work" inside user alone /tests/install_deb.sh upgrade || return
    step "removal and purge leave nothing and a server that works" inside user alone /tests/install_deb.sh purge
}
part_pgxn() {
    fresh pgxn "$codename"
    cp "$archive" "$scratch/pgxn/srv/pg_rill-$VERSION.zip"
    step "pgxnclient builds and installs the archive" inside pgxn net /tests/install_pgxn.sh install "$VERSION" || return
    step "tours and examples against the installed files" inside pgxn alone /tests/install_pgxn.sh tour "$VERSION" || return
    step "make uninstall leaves nothing" inside pgxn alone /tests/install_pgxn.sh uninstall "$VERSION"
}
part_pg18() {
    fresh pg18 sid
    cp "$archive" "$scratch/pg18/srv/pg_rill-$VERSION.zip"
    step "PostgreSQL 18 on Debian sid" inside pg18 net /tests/install_without_root.sh packages || return
    step "an installation without root" inside pg18 alone /tests/install_without_root.sh try "$VERSION"
}

step "make dist" make_dist || exit 1
for part in $parts; do
    "part_$part" || true
done
echo "1..$number"
echo "$((number - failed)) passed, $failed failed"
[[ $failed == 0 ]]
