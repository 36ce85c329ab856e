#!/bin/sh
# build.sh - builds the dashboard once for all CMake presets: node_modules and the result live in WORK, under a lock.
# usage: dash/build.sh WORK        makes WORK/dist; does nothing when its sources have not changed
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
exec 9>"$work/lock"
flock 9
key=$(cd "$here" && { node --version; find . -type f | LC_ALL=C sort | xargs sha256sum; } | sha256sum)
if [ -f "$work/dist/index.html.gz" ] && [ "$key" = "$(cat "$work/key" 2>/dev/null || true)" ]; then exit 0; fi
rm -f "$work/key"
# copied, so that no node_modules is ever made in the source tree
mkdir -p "$work/source"
if ! cmp -s "$here/package-lock.json" "$work/source/installed.json"; then
    cp "$here/package.json" "$here/package-lock.json" "$work/source/"
    (cd "$work/source" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
    cp "$here/package-lock.json" "$work/source/installed.json"
fi
rm -rf "$work/source/src"
cp -R "$here/src" "$here/index.html" "$here/build.mjs" "$here/licences.mjs" "$here/package.json" "$here/tsconfig.json" "$work/source/"
rm -rf "$work/dist.new"
(cd "$work/source" && node build.mjs "$work/dist.new")
rm -rf "$work/dist"
mv "$work/dist.new" "$work/dist"
printf '%s\n' "$key" >"$work/key"
