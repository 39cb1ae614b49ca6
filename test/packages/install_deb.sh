#!/bin/bash
# install_deb.sh STEP, as root in a fresh Debian 12 with /srv/packages (the packages) and /srv/source (the unpacked source, for the
# README and the examples). run.sh names the steps and their order.
set -euo pipefail
cd /srv/packages
trail() { echo "+ $*"; "$@"; }
as_postgres() { su postgres -c "$1"; }
fail() { echo "install_deb.sh: $*" >&2; exit 1; }
query() { as_postgres "psql -XAtq -v ON_ERROR_STOP=1 -c \"$1\""; }
# A server outlives no step: its process ids and network were those of the step.
start() { trail pg_ctlcluster 15 main start; }

case $1 in
download)
    trail apt-get update
    trail apt-get install --download-only ./postgresql-15-rill_*.deb ./rill_*.deb
    dpkg-query -W -f '${Package}\n' | sort >/srv/before
    ;;

# The README's block below "Install from packages": its commands as they are written, and what the last one prints.
five_commands)
    python3=$(command -v python3 || true)
    [[ -z $python3 ]] || fail "this system is not bare"
    awk '/^## Install/ { on = 1 } on && /^```sh/ { copy = 1; next } on && /^```/ && copy { exit } copy' /srv/source/README.md >/srv/commands
    awk '/^## Install/ { on = 1 } on && /^```/ { n++; next } on && n == 3' /srv/source/README.md >/srv/expected
    [[ $(grep -c . /srv/commands) == 5 && -s /srv/expected ]] || fail "the README has no five commands: $(cat /srv/commands)"
    last=$(tail -n 1 /srv/commands)
    while read -r command; do
        echo "+ $command"
        if [[ $command == "$last" ]]; then
            timeout 120 bash -ec "$command" >/srv/output || fail "the last command failed: $(cat /srv/output)"
        else
            bash -ec "$command"
        fi
    done </srv/commands
    diff /srv/expected /srv/output
    ;;

development)
    trail apt-get install ./librill1_*.deb ./librill-dev_*.deb
    trail apt-get install --no-install-recommends g++ cmake make pkgconf python3 postgresql-server-dev-15
    ;;

# As autopkgtest runs it: in the source, with debian/ at its top, on a cluster that pg_createcluster makes.
tour)
    cp -R /srv/source /tmp/autopkgtest
    cp -R /srv/source/packaging/debian /tmp/autopkgtest/
    cd /tmp/autopkgtest
    trail debian/tests/tour
    for package in postgresql-15-rill librill1 librill-dev rill; do
        trail dpkg --verify "$package"
        [[ -s /usr/share/doc/$package/copyright ]] || fail "$package has no copyright file"
    done
    # Links in the installed pages lead to installed pages.
    for page in README.md doc/reference.md; do
        [[ -e /usr/share/doc/postgresql-15-rill/$page ]] || fail "no $page"
    done
    ;;

installcheck)
    chown -R postgres /tmp/autopkgtest
    as_postgres "cd /tmp/autopkgtest && debian/tests/installcheck"
    ;;

# The same packages with the next revision. The server has the old library loaded meanwhile.
upgrade)
    start
    query "SELECT stream_append('kept', 'before')" >/dev/null
    mkdir next
    for file in postgresql-15-rill_*.deb librill1_*.deb librill-dev_*.deb rill_*.deb; do
        rm -rf /srv/repack
        dpkg-deb -R "$file" /srv/repack
        version=$(sed -n 's/^Version: //p' /srv/repack/DEBIAN/control)
        sed -i "s/\b$version\b/$version+next/" /srv/repack/DEBIAN/control
        dpkg-deb -b /srv/repack "next/$file" >/dev/null
    done
    trail apt-get install ./next/*.deb
    [[ $(dpkg-query -W -f '${Version} ' postgresql-15-rill librill1 librill-dev rill | grep -o '+next' | wc -l) == 4 ]]
    query "SELECT stream_append('kept', 'after')" >/dev/null
    trail pg_ctlcluster 15 main restart
    query "ALTER EXTENSION pg_rill UPDATE"
    [[ $(query "SELECT count(*) FROM stream_read_since('kept', 0)") == 2 ]] || fail "chunks are missing after the upgrade"
    as_postgres 'rill tail kept'
    ;;

# As README.Debian says, the library leaves shared_preload_libraries first.
purge)
    start
    query 'DROP EXTENSION pg_rill CASCADE'
    trail pg_conftool 15 main remove shared_preload_libraries
    trail pg_ctlcluster 15 main restart
    trail apt-get remove rill librill-dev
    trail apt-get purge librill1 postgresql-15-rill
    [[ $(query 'SELECT 1') == 1 ]]
    trail pg_ctlcluster 15 main restart
    [[ $(query 'SELECT 1') == 1 ]]
    left=$(find / -xdev \( -path /srv -o -path /tmp -o -path /proc -o -path /var/cache/apt -o -path /tests \) -prune -o -iname '*rill*' -print | grep -viE 'drill|cyrill' || true)
    [[ -z $left ]] || fail "left behind: $left"
    [[ -z $(dpkg-query -W -f '${Package} ${Status}\n' '*rill*' 2>/dev/null | grep -v 'not-installed' || true) ]] || fail "dpkg still knows them"
    ;;
*)
    fail "no step $1"
    ;;
esac
