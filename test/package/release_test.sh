#!/bin/sh
# release_test.sh - `./dev release --dry-run --quick`, in a clone: it refuses what must not be released, changes nothing, and what it signs is
# what it made. usage: release_test.sh path/to/molt path/to/built-dashboard
set -eu
molt=$1 dash=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'release_test: %s\n' "$*" >&2; exit 1; }
export MOLT_RELEASE="$molt" MOLT_DASH_DIST="$dash"
unset MOLT_RELEASE_KEY
git clone -q "$root" "$folder/molt"
cd "$folder/molt"
release() { tools/package/release "$@" >"$folder/log" 2>&1; }
refused() { # WORDS ARGUMENTS...
    words=$1
    shift
    ! release "$@" || fail "released: $words"
    grep -q "$words" "$folder/log" || fail "not refused by '$words' but: $(cat "$folder/log")"
}

release --dry-run --quick || fail "$(cat "$folder/log")"
version=$("$molt" --version | cut -d' ' -f2)
out=build/release-$version
[ -z "$(git status --porcelain)" ] || fail "the dry run changed: $(git status --porcelain)"
[ -z "$(git tag)$(git branch --list device-mirror)" ] || fail "the dry run left a tag or a branch"
for file in "molt-$version.tar.xz" "Molt-$version.zip" CHANGELOG.md; do
    grep -q " $file\$" "$out/SHA256SUMS" || fail "no $file in SHA256SUMS"
done
# the Arduino library is the folder device, below a folder of its name
python3 -c 'import sys, zipfile
assert "Molt/library.properties" in zipfile.ZipFile(sys.argv[1]).namelist()' "$out/Molt-$version.zip" || fail "the zip is no Arduino library"
# each fragment is in the changelog, once, above what was there
for fragment in changes/*.md; do
    [ "$fragment" != changes/README.md ] || continue
    first=$(head -n 1 "$fragment")
    [ "$(grep -cFx -- "$first" "$out/CHANGELOG.md")" = 1 ] || fail "$fragment is not in the changelog"
done
minisign -V -q -p "$out/dry-run.pub" -m "$out/SHA256SUMS" || fail "the signature is not good"
echo "0000  other" >>"$out/SHA256SUMS"
! minisign -V -q -p "$out/dry-run.pub" -m "$out/SHA256SUMS" 2>/dev/null || fail "other checksums are signed, too"

refused "MOLT_RELEASE_KEY must name"
refused "are for --dry-run" --quick
refused "are for --dry-run" --no-tests
git tag "v$version"
refused "there is a tag" --dry-run --quick
git tag -d "v$version" >/dev/null
sed -i 's/^version=.*/version=9.9.9/' device/library.properties
refused "library.properties: says version '9.9.9'" --dry-run --quick
git checkout -q device/library.properties
echo "no list" >changes/zz.md
refused "zz.md: a fragment is a list" --dry-run --quick
refused "the tree has changes"
