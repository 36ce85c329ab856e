#!/bin/sh
# deb_test.sh - Debian packages of the release tarball in clean roots: the same bytes twice, nothing for lintian to say, and a user's first and last
# day with them. Needs root and Debian's mirror. usage: deb_test.sh path/to/molt path/to/built-dashboard SUITE
set -eu
molt=$1 dash=$2 suite=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'deb_test: %s\n' "$*" >&2; exit 1; }
arch=$(dpkg --print-architecture)
"$root/tools/package/dist" "$molt" "$dash" "$folder" >/dev/null
for time in one two; do
    "$root/tools/package/deb" "$suite" "$arch" "$folder"/molt-*.tar.xz "$folder/$time" >"$folder/log" 2>&1 || fail "$(tail -n 60 "$folder/log")"
done
for deb in "$folder"/one/*.deb; do cmp "$deb" "$folder/two/$(basename "$deb")" || fail "$(basename "$deb") is another one the second time"; done
lintian --fail-on error,warning "$folder"/one/molt_*.deb
"$root/tools/package/try" "$suite" "$(echo "$folder"/one/molt_*.deb)"
