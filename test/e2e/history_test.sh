#!/bin/sh
# history_test.sh - how a device's attempts ended, with bytes and reasons, and the lines that it wrote: kept over a restart, bounded, forgotten when old,
# taken only from who proves itself, printable, and gone with the device.
# usage: history_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

publish() { # CODE BEHAVIOUR
    "$molt" sim build "$1.bin" --chip esp32 --product lamp --code "$1" --behaviour "$2" >/dev/null
    "$molt" publish "$1.bin" --product lamp --adopt >/dev/null 2>&1
}
ask() { "$molt" sim --chip esp32 --mac 24:0A:C4:00:00:01 --firmware 1.bin --flash flash --server "$url" >sim.log 2>&1 || true; }
post() { # STATUS PATH FILE
    status=$(curl -s -o reply -w '%{http_code}' -H 'Content-Type: text/plain' --data-binary "@$3" "$url$2")
    [ "$status" = "$1" ] || fail "$2 is answered $status, not $1"
}
history() { "$molt" device history 240ac4000001 --json | python3 -c "import json, sys
attempts = json.load(sys.stdin)['attempts']
print($1)"; }

serve
publish 1 healthy
publish 2 crash
ask
ask
[ "$(history '[(a["result"], a["reason"]["id"], a["code"], a["from_code"]) for a in attempts]')" = "[('rolled-back', 'crashed', 2, 1)]" ] || fail "$("$molt" device history 240ac4000001)"
publish 3 healthy
ask
ask
[ "$(history '[(a["result"], a["code"], a["from_code"]) for a in attempts]')" = "[('updated', 3, 1), ('rolled-back', 2, 1)]" ] || fail "$("$molt" device history 240ac4000001)"
[ "$(history 'all(a["bytes"] > 100000 for a in attempts)')" = True ] || fail "the bytes are wrong: $("$molt" device history 240ac4000001)"
ask
ask
serve
[ "$(history 'len(attempts)')" = 2 ] || fail "what ended once is told more than once"
"$molt" device history 240ac4000001 | grep -q 'updated *3 *1 ' || fail "$("$molt" device history 240ac4000001)"

# What is older than --retain-days goes, but never the last of a device, nor its result.
state() { "$molt" device show 240ac4000001 --json | python3 -c "import json, sys; print(json.load(sys.stdin)['attempt']['result']['state'])"; }
[ "$(state)" = updated ] || fail "the result is $(state)"
kill "$server"
wait "$server" || fail "the server ended badly"
server=
python3 -c "import sqlite3; db = sqlite3.connect('$MOLT_DATA/molt.db'); db.execute('UPDATE attempt SET ended_ms = id'); db.commit()"
serve --retain-days 1
for _ in $(seq 3000); do
    grep -q 'event=pruned attempts=1 ' serve.log && break
    sleep 0.1
done
[ "$(history '[(a["result"], a["code"]) for a in attempts]')" = "[('updated', 3)]" ] || fail "what was kept: $("$molt" device history 240ac4000001)"
[ "$(state)" = updated ] || fail "the result is gone: $(state)"

# Lines: without a credential none, with one the last of them, and no byte that a terminal would obey.
printf 'first line\nred \033[31m and \007\n\n' >lines
post 403 '/molt/v1/log?id=24:0A:C4:00:00:01' lines
post 403 '/molt/v1/log?id=24:0A:C4:00:00:02' lines
post 400 '/molt/v1/log' lines
token=$("$molt" token create --device 240ac4000001 2>/dev/null)
other=$("$molt" token create --device 240ac4000002 2>/dev/null)
post 403 "/k/$other/molt/v1/log?id=240ac4000001" lines
"$molt" device log 240ac4000001 >log 2>/dev/null
[ ! -s log ] || fail "something was kept: $(cat log)"
post 204 "/k/$token/molt/v1/log?id=240ac4000001" lines
"$molt" device log 240ac4000001 >log
[ "$(wc -l <log)" = 2 ] || fail "there are not two lines: $(cat log)"
grep -q '^20..-..-..T..:..:..Z first line$' log || fail "the first line is wrong: $(cat log)"
grep -q 'Z red ?\[31m and ?$' log || fail "the second line is wrong: $(cat log)"
for n in $(seq 12); do
    python3 -c "print('\n'.join('$n line %d of many' % i for i in range(60)))" >lines
    post 204 "/k/$token/molt/v1/log?id=240ac4000001" lines
done
"$molt" device log 240ac4000001 >log
[ "$(wc -c <log)" -le 8192 ] || fail "$(wc -c <log) bytes are kept"
tail -n 1 log | grep -q '12 line 59 of many' || fail "the last line is $(tail -n 1 log)"
head -n 1 log | grep -q '^20.*Z .* line .* of many$' || fail "the first line is cut: $(head -n 1 log)"
for _ in $(seq 20); do # each second lets one more in
    curl -s -o reply -w '%{http_code}\n' --data-binary @lines "$url/k/$token/[1-200]/molt/v1/log?id=240ac4000001" >flood
    if grep -q 429 flood; then break; fi
done
grep -q 429 flood || fail "a flood of lines is answered $(sort flood | uniq -c)"

# hawkBit's feedback: all of its lines.
"$molt" product set lamp --trust-unverified yes >/dev/null
"$molt" device set gate-1 --new --product lamp --chip esp32 >/dev/null
job=$(curl -s "$url/lamp/controller/v1/gate-1" | sed -n 's|.*deploymentBase/\([0-9]*\).*|\1|p')
curl -s -o reply "$url/lamp/controller/v1/gate-1/deploymentBase/$job"
curl -s -o reply -H 'Content-Type: application/json' "$url/lamp/controller/v1/gate-1/deploymentBase/$job/feedback" \
    -d '{"id":"'"$job"'","status":{"execution":"proceeding","result":{"finished":"none"},"details":["step one","step two"]}}'
"$molt" device log gate-1 >log
grep -q 'Z step one' log && grep -q 'Z step two' log || fail "what a hawkBit client says is not kept: $(cat log)"

"$molt" device forget gate-1 >/dev/null
"$molt" device set gate-1 --new --product lamp >/dev/null
"$molt" device log gate-1 >log 2>/dev/null
[ ! -s log ] || fail "the lines outlive the device"
echo "history_test: good"
