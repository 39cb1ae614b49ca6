#!/bin/bash
# build_deb.sh VERSION, as root in a bare system with /srv/pg_rill-VERSION.zip: "make deb"; the packages go to /srv/packages.
set -euxo pipefail
version=$1
cd /srv
apt-get update
apt-get install --no-install-recommends make unzip
unzip -q "pg_rill-$version.zip"
make -C "pg_rill-$version" deb
mkdir packages
cp "pg_rill-$version"/build/deb/*.deb packages
rm -rf "pg_rill-$version/build"
for file in packages/*.deb; do
    dpkg-deb -I "$file"
    dpkg-deb -c "$file"
done
