#!/bin/sh
# fault_drill.sh - the database cannot grow (a limit on the size of files), the server is killed, twice: devices are answered all the
# while, /readyz says what is wrong, and nothing that was acknowledged is lost. usage: fault_drill.sh path/to/molt
set -eu
molt=$(readlink -f "$1")
. "$(dirname "$0")/drill.sh"
serve
"$molt" publish 1.bin --product lamp --adopt >/dev/null 2>&1
poll 5
kill -9 "$server"
wait "$server" 2>/dev/null || true
server=
serve
poll 5
[ "$failed" = 0 ] || fail "$failed polls failed after it was killed"
[ "$(count '["releases"]')" = 1 ] || fail "a release that was acknowledged is gone"
admin=$(sed -n 's/.*plane=admin url=\([^ ]*\) .*/\1/p' serve.log)
[ "$(curl -s "$admin/readyz")" = ready ] || fail "it is not ready"
prlimit --pid "$server" --fsize=1:1 2>/dev/null || fail "prlimit"
"$molt" publish 2.bin --product lamp >/dev/null 2>&1 && fail "published with no room"
poll 5
[ "$failed" = 0 ] || fail "$failed polls failed with no room"
prlimit --pid "$server" --fsize=unlimited:unlimited 2>/dev/null || true
kill -9 "$server"
wait "$server" 2>/dev/null || true
server=
serve
"$molt" store check >/dev/null 2>&1 || "$molt" status >/dev/null || fail "damaged"
"$molt" publish 2.bin --product lamp >/dev/null 2>&1 || fail "not published once there is room"
poll 5
[ "$failed" = 0 ] || fail "$failed polls failed at the end"
