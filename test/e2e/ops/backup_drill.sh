#!/bin/sh
# backup_drill.sh - a backup is made while devices ask; the data folder is lost; the backup is restored, and the fleet finds its releases.
# usage: backup_drill.sh path/to/molt
set -eu
molt=$(readlink -f "$1")
. "$(dirname "$0")/drill.sh"
serve
"$molt" publish 1.bin --product lamp --adopt >/dev/null 2>&1
poll 10
[ "$failed" = 0 ] || fail "$failed polls failed"
(poll 30) &
"$molt" store backup "$folder/backup" >/dev/null 2>&1 || fail "no backup while it serves"
wait $!
kill "$server"
wait "$server" || fail "it ended badly"
server=
rm -rf "$MOLT_DATA"
"$molt" store restore "$folder/backup" >/dev/null 2>&1 || fail "the backup is not restored"
"$molt" store check >/dev/null || fail "what was restored is damaged"
serve
poll 10
[ "$failed" = 0 ] || fail "$failed polls failed after the restore"
[ "$(count '["releases"]')" = 1 ] || fail "the release is gone"
[ "$(count '["devices"]["count"]')" -ge 10 ] || fail "devices are gone"
