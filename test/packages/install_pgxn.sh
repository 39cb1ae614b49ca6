#!/bin/bash
# install_pgxn.sh STEP VERSION, as root in a fresh Debian 12 with /srv/pg_rill-VERSION.zip: PGXN's client builds and installs it, below
# /usr/local but for the extension.
set -euo pipefail
step=$1 version=$2
cd /srv
trail() { echo "+ $*"; "$@"; }
as_postgres() { su postgres -c "$1"; }

case $step in
install)
    trail apt-get update
    trail apt-get install --no-install-recommends unzip
    unzip -q "pg_rill-$version.zip"
    # The packages that the README names for a build from source.
    needed=$(sed -n 's/^apt-get install \(g++ .*\)$/\1/p' "pg_rill-$version/README.md")
    [[ -n $needed ]]
    # shellcheck disable=SC2086
    trail apt-get install --no-install-recommends $needed pgxnclient postgresql-15
    trail pgxn install --yes --pg_config /usr/lib/postgresql/15/bin/pg_config "./pg_rill-$version.zip"
    trail apt-get install --no-install-recommends cmake python3
    ;;
tour)
    trail ldconfig
    trail pg_conftool 15 main set shared_preload_libraries pg_rill
    trail pg_ctlcluster 15 main start
    PGPORT=$(pg_conftool -s 15 main show port)   # the system was not alone when the cluster was made
    export PGPORT
    cp -R "pg_rill-$version" /tmp/source
    chown -R postgres /tmp/source
    as_postgres "cd /tmp/source && test/packages/tour.sh"
    ;;
uninstall)
    trail make -C "pg_rill-$version" uninstall
    left=$(find / -xdev \( -path /srv -o -path /tmp -o -path /proc -o -path /tests -o -path /var/cache/apt \) -prune -o -iname '*rill*' -print | grep -viE 'drill|cyrill' || true)
    [[ -z $left ]] || { echo "left behind: $left"; exit 1; }
    ;;
esac
