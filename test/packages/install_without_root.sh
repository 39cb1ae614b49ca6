#!/bin/bash
# install_without_root.sh STEP VERSION, as root in a fresh Debian sid with /srv/pg_rill-VERSION.zip: the section of doc/install.md on
# an installation without root, by an ordinary user who owns the server alone. The commands are the page's.
set -euo pipefail
step=$1 version=${2:-}
trail() { echo "+ $*"; "$@"; }

case $step in
packages)
    trail apt-get update
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/test.conf
    trail apt-get install --no-install-recommends g++ make unzip postgresql-18 postgresql-server-dev-18 libpq-dev
    ;;
try)
    useradd -m owner
    cp "/srv/pg_rill-$version.zip" /home/owner
    chown owner "/home/owner/pg_rill-$version.zip"
    su owner -c "cd && unzip -q pg_rill-$version.zip"
    awk '/^## Without root/ { on = 1 } on && /^```sh/ { copy = 1; next } on && /^```/ && copy { exit } copy' \
        "/home/owner/pg_rill-$version/doc/install.md" >/home/owner/commands
    [[ -s /home/owner/commands ]] || { echo "doc/install.md has no commands for it"; exit 1; }
    cat /home/owner/commands
    chown owner /home/owner/commands
    # The page's commands, then: what was installed where, and a waiting read, which needs the preloaded library.
    su owner -c "cd ~/pg_rill-$version && export PATH=/usr/lib/postgresql/18/bin:\$PATH && bash -exu ~/commands &&
        psql -h /tmp -d postgres -XAtq -v ON_ERROR_STOP=1 -c \"SELECT stream_append('s', 'x')\" -c \"SELECT stream_wait('s', 0)\" -c 'TABLE stream_stat' >~/output"
    sed -n 1,2p /home/owner/output | diff - <(printf '1\n1\n')
    [[ -z $(find /usr -name '*pg_rill*') ]] || { echo "files of pg_rill are below /usr"; exit 1; }
    find /home/owner -name 'pg_rill*' -path '*/postgresql/*'
    ;;
esac
