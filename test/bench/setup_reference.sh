#!/bin/bash
# setup_reference.sh DIRECTORY: installs the reference server of the Durable Streams protocol below DIRECTORY, with npm, for
# P10. Optional: without it P10 measures rill serve alone, and says so. Must survive: no npm, no network. Scripts of packages
# do not run; the database that it stores its metadata in (lmdb) comes as a binary in a package.
set -euo pipefail
directory=$1
package=@durable-streams/server@0.3.7
[[ ! -d $directory/node_modules/${package%@*} ]] || exit 0
echo "setup: installing $package"
mkdir -p "$directory"
if ! command -v node >/dev/null ||
    ! timeout 300 npm install --prefix "$directory" --ignore-scripts --no-audit --no-fund --silent "$package" >/dev/null 2>&1 </dev/null; then
    rm -rf "$directory"
    echo "setup: $package could not be installed with npm"
fi
