#!/bin/sh
# rehearsal_test.sh - a doctor leaves no trace in a molt server: the device list is the same behind it, with a device that is
# known and with one that is not; and it is told what the device would be told. usage: rehearsal_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/../server.sh"
"$molt" sim build one.bin --chip esp8266 --code 2 --size 60000 >/dev/null
"$molt" sim build two.bin --chip esp32 --code 2 --size 60000 >/dev/null
"$molt" publish one.bin --product lamp --version 2 --code 2 >/dev/null
"$molt" publish two.bin --product fan --version 2 --code 2 >/dev/null
serve
curl -s -o /dev/null -A ESP8266HTTPClient "$url/fota/5CCF7FC602E2.version"
curl -s -o /dev/null -A ESP32HTTPClient "$url/fota/240AC4000001.version"
"$molt" device set 5ccf7fc602e2 --product lamp >/dev/null
"$molt" device set 240ac4000001 --product fan --chip esp32 >/dev/null
cp serve.log begin.log
state() { "$molt" device list --json >"$1" && "$molt" device show 5ccf7fc602e2 --json >>"$1" && "$molt" device show 240ac4000001 --json >>"$1"; }
base=$url/fota/

state before.json
# four times: a server that recorded would stop after the third download
for _ in 1 2 3 4; do
    "$molt" doctor "$base" --mac 5CCF7FC602E2 --version 1 --verbose >known.txt || fail "the known device: $(cat known.txt)"
done
grep -q 'records nothing' known.txt || fail "the doctor did not notice the molt server: $(cat known.txt)"
"$molt" doctor "$base" --mac 240AC4000001 --version 1 --chip esp32 --json >esp32.json || fail "the ESP32: $(cat esp32.json)"
grep -q '"idf-partial":{"works":true' esp32.json || fail "ranges are not rehearsed: $(cat esp32.json)"
"$molt" doctor "$base" --mac 5CCF7F000099 --json >unknown.json && fail "an unknown device works"
grep -q '"cause":"http-not-found"' unknown.json || fail "the unknown device: $(cat unknown.json)"
"$molt" doctor "$url/fota" --mac 5CCF7F000099 --json >/dev/null || true # tries a slash
curl -s -o /dev/null -X POST "$url/molt-doctor/molt/v1/check-in"
state after.json
cmp before.json after.json || fail "the device list changed: $(diff before.json after.json)"
cmp -s begin.log serve.log || fail "the doctor stands in the log: $(cat serve.log)"

# the comparison would see it: a device that really asks
curl -s -A ESP8266HTTPClient "${base}5CCF7FC602E2.version" >version.txt
[ "$(cat version.txt)" = 2 ] || fail "the device is told $(cat version.txt)"
state asked.json
cmp -s before.json asked.json && fail "a device that asked is not recorded"

# a newcomer that a product takes in when it asks: the sketch works, and a client that no sketch is does not say otherwise
"$molt" sim build three.bin --chip esp8266 --code 3 --size 60000 >/dev/null
"$molt" publish three.bin --product lamp --version 3 --code 3 --adopt >/dev/null
"$molt" doctor "$base" --mac 5CCF7F000099 --json >newcomer.json || fail "the newcomer: $(cat newcomer.json)"
kill "$server"
wait "$server" || fail "the server ended badly"
server=
"$molt" device list --json >stopped.json
grep -q 5ccf7f000099 stopped.json && fail "the unknown device was recorded"
exit 0
