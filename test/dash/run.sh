#!/bin/sh
# run.sh - runs one test of the dashboard in Debian's Chromium, beside a real server. Its modules come from npm, once, below WORK.
# usage: run.sh MOLT WORK TEST.mjs
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)
(
    flock 9
    if ! cmp -s "$here/package-lock.json" "$work/installed.json"; then
        cp "$here/package.json" "$here/package-lock.json" "$work/"
        (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
        cp "$here/package-lock.json" "$work/installed.json"
    fi
) 9>"$work/lock"
export MOLT="$1" MOLT_DASH_MODULES="$work/"
exec node --test-reporter=spec --test-concurrency=1 "$here/$3"
