#!/bin/bash
# "make torture [MINUTES=n] [SEED=n]": see torture.py, and PLANT, EPISODE, FAULTS there. Exit status 0 only if nothing was found.
# Must survive: root and ordinary users (who get no small file system to fill), ^C, two runs at once.
# After a finding the history and the servers' logs are in build/torture.
# shellcheck disable=SC2317  # finish is called by the trap
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../setup.sh"
# shellcheck source=test/lib/private_server.sh
. "$here/../lib/private_server.sh"

make_scratch torture
small=
finish() {
    trap '' INT TERM
    stop_servers
    [[ -z $small ]] || umount -l "$small"
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# quiet COMMAND…: shows the command's output only if it fails.
quiet() { "$@" >"$scratch/output" 2>&1 </dev/null || { tail -n 40 "$scratch/output"; exit 1; }; }
lock_build
echo "building …"
quiet build_extension "$build/server-$(server_version)" CXX=g++ with_llvm=no
quiet make_in "$src/client" BUILD="$build/client" CXX=g++ "$build/client/librill.a" "$build/client/rill"
quiet make_in "$build/torture" -f "$here/Makefile" PG_CONFIG="${PG_CONFIG:-pg_config}" driver
copy_server
quiet install_extension "$build/server-$(server_version)" with_llvm=no
unlock_build
cp "$build/client/rill" "$build/torture/driver" "$scratch"
mkdir "$scratch/test"
cp -r "$src"/test/{torture,faults,lib} "$scratch/test"
export PG_RILL_TEST_CLOCK=$scratch/clock TORTURE_OUT=$scratch/out TORTURE_DRIVER=$scratch/driver
mkdir -m 777 "$scratch/out"
if cc -shared -fPIC -O2 -o "$scratch/stepped_clock.so" "$src/test/lib/stepped_clock.c" 2>/dev/null; then
    printf '\0\0\0\0\0\0\0\0' >"$PG_RILL_TEST_CLOCK"
    chmod 666 "$PG_RILL_TEST_CLOCK"
    export TORTURE_CLOCK=$scratch/stepped_clock.so
fi
if [[ $(id -u) == 0 ]] && mkdir "$scratch/small" && mount -t tmpfs -o "size=1200m,mode=700,uid=$(id -u postgres)" torture "$scratch/small" 2>/dev/null; then
    small=$scratch/small
    export TORTURE_SMALL=$small
fi
export PATH=$bin:$scratch:$PATH
status=0
"${as_server[@]}" python3 -B "$scratch/test/torture/torture.py" || status=$?
[[ -z $(ls -A "$scratch/out") ]] || { cp "$scratch"/out/* "$build/torture"; echo "histories and logs are in $build/torture"; }
exit "$status"
