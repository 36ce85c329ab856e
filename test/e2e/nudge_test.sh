#!/bin/sh
# nudge_test.sh - MQTT by Debian's mosquitto: one retained number a product, which changes with that product's rules alone, is the
# same after a restart of the server and comes back to a broker that forgot it; without a broker the server serves all the same.
# usage: nudge_test.sh path/to/molt
set -eu
[ -n "${HELD_PORT:-}" ] || exec python3 "$(dirname "$0")/hold_port.py" "$0" "$@"
molt=$1
. "$(dirname "$0")/server.sh"
broker=
end_broker() {
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    [ -z "$broker" ] || wait "$broker" 2>/dev/null || true
    broker=
}
# shellcheck disable=SC2154 # of server.sh
trap 'end_broker; clean_up' EXIT
PATH=$PATH:/usr/sbin

mqtt=$HELD_PORT
start_broker() {
    printf 'listener %s 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n' "$mqtt" >mosquitto.conf
    : >mosquitto.log # here: the child empties it later, and the one before was running, too
    mosquitto -c mosquitto.conf >mosquitto.log 2>&1 &
    broker=$!
    until_ok runs
}
runs() { kill -0 "$broker" || fail "the broker does not start: $(cat mosquitto.log)"; grep -q running mosquitto.log; }
start_broker
said() { mosquitto_sub -h 127.0.0.1 -p "$mqtt" -t "molt/$1/generation" -C 1 -W 600 || fail "nothing is said of $1"; }
until_changed() { # PRODUCT FROM: prints what it is then
    for _ in $(seq 3000); do
        now=$(said "$1")
        [ "$now" = "$2" ] || { echo "$now"; return; }
        sleep 0.1
    done
    fail "what is said of $1 stays $2"
}
publish() { # CODE PRODUCT: prints the release
    "$molt" sim build "$2-$1.bin" --chip esp32 --product "$2" --code "$1" >/dev/null
    "$molt" publish "$2-$1.bin" --product "$2" >/dev/null 2>&1
    "$molt" release list --product "$2" --json | python3 -c "import json, sys; print([r['id'] for r in json.load(sys.stdin)['releases'] if r['code'] == $1][0])"
}

serve --mqtt "mqtt://127.0.0.1:$mqtt"
publish 1 lamp >/dev/null
publish 1 door >/dev/null
lamp=$(said lamp)
door=$(said door)
echo "$lamp" | grep -Eq '^[0-9a-f]{16}$' || fail "it says '$lamp'"

# A subscriber hears of a new release of its product, and not of another product's; it is told no more than the number.
: >heard
mosquitto_sub -h 127.0.0.1 -p "$mqtt" -t 'molt/#' -C 3 -W 600 -v >heard &
listener=$!
has_both() { [ "$(wc -l <heard)" -ge 2 ]; }
until_ok has_both
release=$(publish 2 lamp)
wait "$listener" || fail "the subscriber heard $(cat heard)"
[ "$(tail -n 1 heard | cut -d ' ' -f 1)" = molt/lamp/generation ] || fail "it heard $(cat heard)"
new=$(until_changed lamp "$lamp")
[ "$(said door)" = "$door" ] || fail "door's number changed with lamp's release"
lamp=$new

# A rollout's course is heard, too.
rollout=$("$molt" rollout create "$release" --phase 5 --phase 100 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
lamp=$(until_changed lamp "$lamp")
"$molt" rollout next "$rollout" >/dev/null
lamp=$(until_changed lamp "$lamp")

# A server that starts again wakes nobody.
serve --mqtt "mqtt://127.0.0.1:$mqtt"
until_ok grep -q 'event=mqtt state=connected' serve.log
publish 2 door >/dev/null
door=$(until_changed door "$door")
[ "$(said lamp)" = "$lamp" ] || fail "a restart changed lamp's number"

# A broker that is gone holds nothing up; one that comes back and remembers nothing is told anew.
end_broker
publish 3 lamp >/dev/null
[ "$(curl -s "$url/p/lamp/240AC4000001.version")" != '' ] || fail "the server does not serve without a broker"
start_broker
[ "$(said door)" = "$door" ] || fail "door's number is another after the broker's restart"
lamp=$(until_changed lamp "$lamp")

# With no broker at all the server starts; an address that is none is refused.
end_broker
serve --mqtt "mqtt://127.0.0.1:$mqtt/site"
[ "$(curl -s "$url/health")" = ok ] || fail "the server does not start without a broker"
kill "$server"
wait "$server" || fail "the server ended badly"
server=
"$molt" serve --mqtt http://x --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >bad.log 2>&1 && fail "an address that is none was taken"
grep -q 'mqtt://' bad.log || fail "it says $(cat bad.log)"
echo "nudge_test: good"
