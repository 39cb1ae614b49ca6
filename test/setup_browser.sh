#!/bin/bash
# setup_browser.sh: installs Debian's Chromium, for the test of rill serve's page. Fails, and says why, where that is not
# possible: the test is then skipped, and says so.
# Must survive: no network, no right to install, stale package lists, a system that has no such package.
set -euo pipefail
command -v chromium >/dev/null && exit 0
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo -n)
apt() {
    timeout 300 "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null 2>&1 </dev/null
}
install() { apt install --no-install-recommends -y chromium; }
if command -v apt-get >/dev/null; then
    echo "setup: installing chromium"
    install || { apt update && install; } || true
fi
command -v chromium >/dev/null && exit 0
echo "setup_browser: no chromium: apt-get could not install it" >&2
exit 1
