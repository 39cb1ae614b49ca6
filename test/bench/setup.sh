#!/bin/bash
# Installs what only the benchmark needs, if possible: the rivals, their client libraries, matplotlib for the plots,
# valgrind for "make bench-check". All are optional: what is missing is skipped and reported.
# setup.sh [PACKAGE…]: just these. Must survive: no network, no right to install, a system that is not Debian. It must not
# start the services of the packages that it installs (policy-rc.d).
set -euo pipefail
version=$("${PG_CONFIG:-pg_config}" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
packages=("$@")
[[ $# -gt 0 ]] || packages=(redis-server libhiredis-dev nats-server libnats-dev "postgresql-$version-pgq3" python3-matplotlib)
command -v apt-get >/dev/null || exit 0

missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
as_root=()
if [[ $(id -u) != 0 ]]; then
    as_root=(sudo -n)
fi
policy=/usr/sbin/policy-rc.d made=
cleanup() { [[ -z $made ]] || "${as_root[@]}" rm -f "$policy"; }
trap cleanup EXIT
trap 'exit 130' INT TERM
if [[ ! -e $policy ]]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null && "${as_root[@]}" chmod 755 "$policy" || exit 0
fi
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null 2>&1 </dev/null
}
echo "setup: installing ${missing[*]}"
apt-cache show "${missing[0]}" >/dev/null 2>&1 || apt update || true
# One by one, so that one missing package does not prevent the others.
for package in "${missing[@]}"; do
    apt install --no-install-recommends -y "$package" || echo "setup: $package could not be installed"
done
