#!/bin/sh
# hostile_test.sh - a server on a full disk, beside a writer that holds the database, on a damaged or read-only one, among forged and
# repeated reports: it says so, acknowledges nothing that it does not keep, goes on serving, and recovers alone.
# usage: hostile_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
ask() { # STATUS PATH [curl options]: the answer is in reply
    want=$1
    path=$2
    shift 2
    status=$(curl -s -o reply -w '%{http_code}' "$@" "$url$path")
    [ "$status" = "$want" ] || fail "$path is answered $status, not $want: $(cat reply)"
}
poll() { curl -s "$url/k/$(cat "$1.token")/lamp/controller/v1/$1" | sed -n 's|.*deploymentBase/\([0-9]*\).*|\1|p'; }
take() { # DEVICE JOB
    curl -s -o reply "$url/k/$(cat "$1.token")/lamp/controller/v1/$1/deploymentBase/$2"
}
feedback() { # TOKEN DEVICE JOB FINISHED: prints the status
    curl -s -m 600 -o reply -w '%{http_code}' -H 'Content-Type: application/json' "$url$1/lamp/controller/v1/$2/deploymentBase/$3/feedback" \
        -d '{"id":"'"$3"'","status":{"execution":"closed","result":{"finished":"'"$4"'"}}}'
}
device() { # ID
    "$molt" device set "$1" --new --product lamp --chip esp32 >/dev/null
    "$molt" token create --device "$1" >"$1.token" 2>/dev/null
}
attempts() { "$molt" device history "$1" --json | json '[(a["result"], a["verified"]) for a in d["attempts"]]'; }
acknowledged() { [ "$(feedback "/k/$(cat "$1.token")" "$1" "$2" failure)" = 200 ]; }

serve
"$molt" sim build 2.bin --chip esp32 --product lamp --code 2 >/dev/null
"$molt" publish 2.bin --product lamp >/dev/null 2>&1
release=$("$molt" release list --json | json 'd["releases"][0]["id"]')
"$molt" product set lamp --rollouts-only yes >/dev/null
rollout=$("$molt" rollout create "$release" --phase 100 --error-count 0 --json | json 'd["id"]')
count() { "$molt" rollout show "$rollout" --json | json "d['counts']['$1']"; }
for id in gate-1 gate-2 gate-3 gate-4; do device "$id"; done

# Forged: without a token, or with that of another device, nothing of a rollout moves; a job that is not the device's is none.
job=$(poll gate-1)
take gate-1 "$job"
[ "$(feedback "/k/$(cat gate-2.token)" gate-1 "$job" failure)" = 401 ] || fail "another device's token was taken"
[ "$(feedback /k/molt_wrong gate-1 "$job" failure)" = 401 ] || fail "a token that is none was taken"
case $(feedback "/k/$(cat gate-2.token)" gate-2 "$job" failure) in 404 | 410) ;; *) fail "a device reported on a job that it never had" ;; esac
[ "$(count failed)" = 0 ] || fail "a forged report counts"
[ "$(feedback '' gate-1 "$job" failure)" = 200 ] || fail "an unverified report is not taken"
[ "$(count failed)" = 0 ] || fail "an unverified report counts"
[ "$(attempts gate-1)" = "[('failed', False)]" ] || fail "gate-1: $(attempts gate-1)"

# Repeated: a report counts once, however often it comes.
job=$(poll gate-2)
take gate-2 "$job"
for _ in 1 2 3 4 5; do [ "$(feedback "/k/$(cat gate-2.token)" gate-2 "$job" failure)" = 200 ] || fail "a repeated report is refused"; done
[ "$(count failed)" = 1 ] || fail "five times the same report count $(count failed)"
[ "$(attempts gate-2)" = "[('failed', True)]" ] || fail "gate-2: $(attempts gate-2)"

# The disk is full: polls go on, a result is not acknowledged, and is once there is room.
job=$(poll gate-3)
take gate-3 "$job"
prlimit --pid "$server" --fsize=4096:unlimited
[ "$(feedback "/k/$(cat gate-3.token)" gate-3 "$job" failure)" = 503 ] || fail "a result was acknowledged on a full disk"
ask 200 "/k/$(cat gate-4.token)/lamp/controller/v1/gate-4"
"$molt" publish 2.bin --product lamp --code 3 --version 3 >publish.log 2>&1 && fail "a release was published on a full disk"
grep -q store-failed publish.log || fail "publishing says $(cat publish.log)"
"$molt" status --json | json 'd["store"]["ok"], d["store"].get("why")' >status || fail "there is no status on a full disk"
grep -q '^False ' status || fail "the status says $(cat status)"
prlimit --pid "$server" --fsize=unlimited
until_ok acknowledged gate-3 "$job"
[ "$(attempts gate-3)" = "[('failed', True)]" ] || fail "gate-3: $(attempts gate-3)"
[ "$("$molt" status --json | json 'd["store"]["ok"]')" = True ] || fail "it does not say that it is well again"

# Somebody else writes into the database and does not end.
job=$(poll gate-4)
take gate-4 "$job"
mkfifo go gone
python3 - "$MOLT_DATA/molt.db" <<'P' &
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
open("go", "w").close()
open("gone").close()
db.execute("ROLLBACK")
P
holder=$!
cat go
[ "$(feedback "/k/$(cat gate-4.token)" gate-4 "$job" failure)" = 503 ] || fail "a result was acknowledged beside another writer"
ask 200 "/k/$(cat gate-4.token)/lamp/controller/v1/gate-4"
: >gone
wait "$holder"
until_ok acknowledged gate-4 "$job"
[ "$(attempts gate-4)" = "[('failed', True)]" ] || fail "gate-4: $(attempts gate-4)"

# One row is damaged: that device is held, with the reason; all others are served.
kill "$server"
wait "$server" || fail "the server ended badly"
server=
python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE device SET flash_size = -1 WHERE id = ?", ("gate-4",))
db.commit()' "$MOLT_DATA/molt.db"
serve
[ "$("$molt" device show gate-4 --json | json 'd["held"], d["reason"]["id"]')" = "True store-failed" ] || fail "$("$molt" device show gate-4)"
ask 200 "/k/$(cat gate-3.token)/lamp/controller/v1/gate-3"
"$molt" device set gate-4 --release >/dev/null
serve
[ "$("$molt" device show gate-4 --json | json 'd["held"]')" = False ] || fail "the mended row is damaged again"

# More downloads than --max-downloads: nothing is new meanwhile, and is again afterwards.
"$molt" sim build 4.bin --chip esp8266 --product big --code 4 >/dev/null
"$molt" publish 4.bin --product big --adopt >/dev/null 2>&1
serve --max-downloads 1
version() { [ "$(curl -s "$url/p/big/5CCF7F0000$1.version")" = "$2" ]; }
until_ok version 01 4
curl -s --limit-rate 1000 -o /dev/null "$url/p/big/5CCF7F000001.bin" &
slow=$!
until_ok version 02 0
kill "$slow"
wait "$slow" || true
until_ok version 02 4

# Wrong tokens at the admin plane are bounded, too; the socket of the server is not concerned. With each second an address may be wrong once
# more, so the right token follows the wrong ones at once, and all of it comes again when such a second lay between.
admin=http://127.0.0.1:$(sed -n 's/.*plane=admin .*port=\([0-9]*\).*/\1/p' serve.log)
right=$("$molt" token create 2>/dev/null)
guess() { # guesses: the status of 200 wrong tokens and of the right one
    curl -s -o reply -w '%{http_code}\n' -H 'Authorization: Bearer molt_wrong' "$admin/api/v1/[1-200]" \
        --next -s -o reply -w '%{http_code}\n' -H "Authorization: Bearer $right" "$admin/api/v1/status" >guesses
}
guess
[ "$(head -n 50 guesses | sort -u)" = 401 ] || fail "wrong tokens are answered $(sort guesses | uniq -c)"
tries=1
while [ "$(tail -n 2 guesses | sort -u)" != 429 ]; do
    tries=$((tries + 1))
    [ "$tries" -le 50 ] || fail "after 200 wrong tokens, one and the right one are answered $(tail -n 2 guesses)"
    guess
done
"$molt" status >/dev/null || fail "the server's own console is locked out"

# A database that may only be read is refused at the start, in words, and taken once it may be written.
kill "$server"
wait "$server" || fail "the server ended badly"
server=
as=
[ "$(id -u)" != 0 ] || { as="setpriv --reuid=65534 --regid=65534 --clear-groups"; chown -R 65534:65534 "$folder"; chmod 755 "$folder"; }
chmod 0444 "$MOLT_DATA"/molt.db*
if $as "$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >readonly.log 2>&1; then fail "it serves from what it cannot write"; fi
grep -Eqi 'permission denied|read-?only' readonly.log || fail "it says $(cat readonly.log)"
chmod 0644 "$MOLT_DATA"/molt.db*
chmod 0555 "$MOLT_DATA"
if $as "$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >readonly.log 2>&1; then fail "it serves from a folder that it cannot write"; fi
grep -Eqi 'permission denied|read-?only' readonly.log || fail "it says $(cat readonly.log)"
chmod 0755 "$MOLT_DATA"
: >serve.log # of the server before
$as "$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >serve.log 2>&1 &
server=$!
until_ok grep -q plane=socket serve.log
echo "hostile_test: good"
