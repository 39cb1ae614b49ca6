#!/bin/bash
# setup_node.sh DIRECTORY: finds or installs Node and its PostgreSQL driver "pg", for the tests of doc/recipes.md, and
# prints the folder that has the driver. Debian's packages where they can be had; else, beside a node of another origin,
# npm installs the driver below DIRECTORY. Fails, and says why, where neither is possible: the tests are then skipped.
# Must survive: no network, no right to install, and a node that Debian's node-pg refuses to stand beside.
set -euo pipefail
directory=$1
version=8.13.1
debian=/usr/share/nodejs

installed() { [[ -e $1/pg/package.json ]] && command -v node >/dev/null; }
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo -n)
apt() {
    timeout 300 "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends -y "$@" >/dev/null 2>&1 </dev/null
}
npm_install() {
    # No scripts of packages, and a cache of its own: a user's files are not touched.
    mkdir -p "$directory"
    timeout 120 npm install --prefix "$directory" --cache "$directory/cache" --no-save --no-package-lock --ignore-scripts \
        --no-audit --no-fund --silent "pg@$version" >/dev/null 2>&1 </dev/null
}

if ! installed "$debian" && ! installed "$directory/node_modules"; then
    if command -v node >/dev/null && command -v npm >/dev/null; then
        npm_install || true
    fi
    installed "$directory/node_modules" || { command -v apt-get >/dev/null && apt nodejs node-pg; } || true
fi
for modules in "$directory/node_modules" "$debian"; do
    if installed "$modules"; then
        echo "$modules"
        exit 0
    fi
done
echo "setup_node: no node with its package pg: neither npm nor apt-get could install them" >&2
exit 1
