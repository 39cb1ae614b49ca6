#!/bin/bash
# "make deb": Debian packages of what is committed, in build/deb, by the distribution's own tools.
# VERSION, from META.json, is that of the packages. They are for the system that they are built on, and for each server
# version whose development files are installed there and that debian/pgversions allows.
# Must survive: a bare system (installs the packages that the build needs), an ordinary user with sudo, an unpacked archive
# without git, and files of earlier builds in the tree.
set -euo pipefail
src=$(cd "$(dirname "$0")/.." && pwd)
out=$src/build/deb
name=pg-rill
tree=$out/$name-$VERSION
# The make that runs this passes its own variables on; the packages are built by dpkg-buildpackage alone.
unset MAKEFLAGS MAKELEVEL MFLAGS PG_CONFIG

say() { printf '== %s\n' "$*"; }
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo)
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null; }
need() {
    local package missing=()
    for package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    say "installing ${missing[*]}"
    [[ -n $(apt-cache policy "${missing[0]}" 2>/dev/null) ]] || apt update
    apt install -y --no-install-recommends "${missing[@]}" >/dev/null
}
command -v apt-get >/dev/null || { echo "make deb: this is not a Debian system" >&2; exit 1; }
need build-essential debhelper postgresql-server-dev-all lintian

rm -rf "$out"
mkdir -p "$out"
archive=$out/${name}_$VERSION.orig.tar
if [[ -e $src/.git ]]; then   # whatever git says of it: else the working tree would be packaged instead
    [[ -z $(git -C "$src" status --porcelain) ]] || echo "make deb: what is not committed is not in the packages" >&2
    git -C "$src" archive --format=tar --prefix="$name-$VERSION/" HEAD >"$archive"
    SOURCE_DATE_EPOCH=$(git -C "$src" log -1 --format=%ct)
else
    SOURCE_DATE_EPOCH=$(stat -c %Y "$src/META.json")
    tar -C "$src" --sort=name --owner=0 --group=0 --numeric-owner --transform="s|^\./|$name-$VERSION/|" --exclude=./build \
        --exclude='*.o' --exclude='*.bc' --exclude='*.so' -cf "$archive" .
fi
gzip -9n "$archive"
tar -C "$out" -xf "$archive.gz"

cp -R "$tree/packaging/debian" "$tree/debian"
{
    printf '%s (%s-1) UNRELEASED; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n' "$name" "$VERSION"
    printf ' -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' "$tree/debian/control.in")" "$(LC_ALL=C date -Rud "@$SOURCE_DATE_EPOCH")"
} >"$tree/debian/changelog"
export SOURCE_DATE_EPOCH
cd "$tree"
pg_buildext updatecontrol
if ! dpkg-checkbuilddeps 2>/dev/null; then
    say "installing the packages that the build needs"
    apt build-dep -y --no-install-recommends "$tree" >/dev/null
fi

say "building for PostgreSQL $(pg_buildext supported-versions | paste -s -d ' ')"
log=$out/build.log
DEB_BUILD_OPTIONS="parallel=$(nproc) ${DEB_BUILD_OPTIONS:-}" dpkg-buildpackage -us -uc >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; echo "make deb: the log is $log" >&2; exit 1; }
say "lintian"
# A package that enters Debian's archive closes the bug that asked for it; these do not enter it.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$out"/*.changes
ls -1 "$out"/*.deb
