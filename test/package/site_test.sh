#!/bin/sh
# site_test.sh - builds the documentation's site and reads it from the disk in Chromium, which may ask nobody: every page of the navigation, and
# a search. usage: site_test.sh path/to/molt WORK-of-the-dashboard's-tests
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# the tools stay where ./dev site has them; the pages are made anew
mkdir -p "$root/build/site"
(
    flock 9
    MOLT_RELEASE="$1" "$root/tools/site/build" "$root/build/site"
    cp -r "$root/build/site/html" "$folder/html"
) 9>"$root/build/site/lock"
mkdir -p "$2"
(
    flock 9
    if ! cmp -s "$root/test/dash/package-lock.json" "$2/installed.json"; then
        cp "$root/test/dash/package.json" "$root/test/dash/package-lock.json" "$2/"
        (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
        cp "$root/test/dash/package-lock.json" "$2/installed.json"
    fi
) 9>"$2/lock"
MOLT_DASH_MODULES=$(cd "$2" && pwd)/ node "$root/test/package/site_test.mjs" "$folder/html"
