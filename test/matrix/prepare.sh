#!/bin/bash
# prepare.sh MAJOR, as root in a fresh system with the sources in /src: installs that major version of PostgreSQL, the compiler cache,
# and what "make test" needs, so that it needs no network any more. Does nothing when all is there.
set -euo pipefail
major=$1
export PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
# No cluster and no service starts here.
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/pg_rill.conf
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
[[ -e /var/cache/apt/pkgcache.bin ]] || apt-get -q update
wanted=("postgresql-$major" "postgresql-server-dev-$major" make ccache ca-certificates)
for package in "${wanted[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] && continue
    apt-cache show "$package" >/dev/null 2>&1 || { echo "this distribution has no package $package"; exit 3; }
    apt-get -q install --no-install-recommends "${wanted[@]}"
    break
done
/src/test/setup.sh
/src/test/setup_node.sh /nowhere || true
