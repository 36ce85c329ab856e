#!/bin/sh
# load_drill.sh - devices poll while releases come and go and the settings are read again: none is refused. usage: load_drill.sh path/to/molt [ROUNDS]
set -eu
molt=$(readlink -f "$1")
rounds=${2:-3}
. "$(dirname "$0")/drill.sh"
: >molt.conf
serve --config molt.conf --new-per-minute 1000
"$molt" publish 1.bin --product lamp --adopt >/dev/null 2>&1
for round in $(seq "$rounds"); do
    : >"failed.$round"
    (poll 25; echo "$failed" >"failed.$round") &
    polling=$!
    if [ "$round" = 1 ]; then "$molt" publish 2.bin --product lamp >/dev/null 2>&1; fi
    id=$("$molt" release list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["releases"][0]["id"])')
    "$molt" release yank "$id" >/dev/null
    "$molt" release unyank "$id" >/dev/null
    kill -HUP "$server"
    wait "$polling"
    [ "$(cat "failed.$round")" = 0 ] || fail "$(cat "failed.$round") polls failed in round $round"
done
[ "$(count '["devices"]["count"]')" = 25 ] || fail "not each device is there once"
