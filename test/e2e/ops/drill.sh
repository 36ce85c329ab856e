#!/bin/sh
# drill.sh - what the drills begin with: a folder, a server, a fleet that polls. They source it with molt set to the program.
. "$(dirname "$0")/../server.sh"
"$molt" sim build 1.bin --chip esp8266 --product lamp --code 1 >/dev/null
"$molt" sim build 2.bin --chip esp8266 --product lamp --code 2 >/dev/null

# poll COUNT: that many devices ask; those that are not answered 200 are counted in failed.
poll() {
    failed=0
    for i in $(seq "$1"); do
        code=$(curl -s -A ESP8266HTTPClient -o /dev/null -w '%{http_code}' --max-time 600 "$url/5CCF7F$(printf %06X "$i").version") || true
        [ "$code" = 200 ] || failed=$((failed + 1))
    done
}
# count WHAT: a number of the status
count() { "$molt" status --json | python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
