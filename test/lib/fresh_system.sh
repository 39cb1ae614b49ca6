# shellcheck shell=bash disable=SC2034  # variables for the script that sources this
# Sourced by the runners of "make test-packages" and "make matrix": makes fresh Debian and Ubuntu systems (debootstrap,
# minbase) and runs commands in them. Needs root and Linux namespaces; the caller defines cannot(), which ends the run.
# Must survive: servers and sockets of others on this machine (what runs inside has process ids, mounts and, unless it
# needs packages, a network of its own; they end with it), ^C and kill -9 of the runner (everything inside ends, too), and a
# mirror that only this machine's apt settings name.

# What apt has: updates and security, too.
# shellcheck disable=SC2016  # apt's variables
apt_targets() { apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | sort -u; }

# Installs the tools, and sets host_codename and mirror.
need_fresh_systems() {
    local package missing=()
    [[ $(id -u) == 0 ]] || cannot "debootstrap needs root"
    command -v apt-get >/dev/null || cannot "this is not a Debian system"
    for package in debootstrap iproute2 util-linux "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} == 0 ]] || DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${missing[@]}" ||
        cannot "${missing[*]} could not be installed"
    host_codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(apt_targets | awk -v release="$host_codename" '$3 == release { print $1; exit }')
    [[ -n $mirror ]] || cannot "apt knows no archive of Debian $host_codename (apt-get update?)"
    unshare --mount --pid --net --fork true 2>/dev/null || cannot "this system does not let root make namespaces"
}

# make_system SUITE DIRECTORY LOG [OPTION…]: a new system with nothing but the essential packages. From this machine's mirror, unless
# debootstrap's options say otherwise. False, with the log's end on stderr, when it cannot be made; DIRECTORY then does not exist.
make_system() {
    local suite=$1 root=$2 log=$3 source=("$mirror")
    shift 3
    [[ $# == 0 ]] || source=()   # another distribution: debootstrap's own default
    rm -rf --one-file-system "$root.new"
    mkdir -p "${root%/*}"
    spawn debootstrap --variant=minbase "$@" "$suite" "$root.new" "${source[@]}" >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
    if [[ $suite == "$host_codename" ]]; then
        apt_targets | awk '{ print "deb", $1, $2, "main" }' >"$root.new/etc/apt/sources.list"
    fi
    # What apt here needs to reach the archive. The new system's user is not asked.
    apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$root.new/etc/apt/apt.conf.d/90host" || true
    echo 'APT::Get::Assume-Yes "true"; Dpkg::Use-Pty "0";' >"$root.new/etc/apt/apt.conf.d/91test"
    echo rill >"$root.new/etc/hostname"
    printf '127.0.0.1 localhost rill\n' >"$root.new/etc/hosts"
    mv "$root.new" "$root"
}

# spawn COMMAND…: waits for it in such a way that a trap of the runner is run at once. The command ends when the runner
# does. Its signals are as if it had been started in the foreground; a background process of bash ignores SIGINT.
inside_pid=
spawn() {
    local status=0
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child env --default-signal "$@" </dev/null &
    inside_pid=$!
    wait "$inside_pid" || status=$?
    inside_pid=
    return "$status"
}
# For the runner's exit trap.
end_inside() {
    [[ -n $inside_pid ]] && kill -KILL "$inside_pid" 2>/dev/null || return 0
    wait "$inside_pid" 2>/dev/null || true
}

# inside ROOT net|alone COMMAND…: runs it in that system as root; alone means without any network but its own loopback.
inside() {
    local root=$1 network=()
    [[ $2 == net ]] || network=(unshare --net)
    shift 2
    # shellcheck disable=SC2016  # for the inner shell
    spawn "${network[@]}" bash -euc '
        root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount -t sysfs sysfs "$root/sys"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        mkdir -p "$root/dev/pts"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
        ln -sfn pts/ptmx "$root/dev/ptmx"
        ip link set lo up 2>/dev/null || true
        # Not the last command: bash must stay, as the process with id 1, to reap those whose parents have ended.
        env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
            chroot "$root" "$@" || exit
        exit 0
    ' - "$root" "$@"
}
