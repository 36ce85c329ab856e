#!/bin/sh
# store_cli_test.sh - a backup of a store that is being served, put back; a check that finds damage; a copy to a folder; and what is
# refused. Between databases: unit-store-copy.
# usage: store_cli_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

serve
for code in 1 2; do
    "$molt" sim build "$code.bin" --chip esp32 --product lamp --code "$code" --behaviour healthy >/dev/null
    "$molt" publish "$code.bin" --product lamp --adopt >/dev/null 2>&1
done
curl -sf "$url/240ac4000001.version" >/dev/null || true # first contact
"$molt" device set 240ac4000001 --product lamp --tag canary >/dev/null

# while it is served
"$molt" store backup backup --json >backup.json
python3 -c 'import json; c = json.load(open("backup.json")); assert c["devices"] == 1 and c["artifacts"] >= 2, c'
"$molt" store check | grep -q ': 0 problems' || fail "the store is said to be damaged"
if "$molt" store backup backup 2>error; then fail "a backup went over another"; fi
grep -q 'not empty' error || fail "$(cat error)"
if "$molt" store restore backup 2>error; then fail "a restore went under a running server"; fi
grep -q 'in use' error || fail "$(cat error)"

# what comes after the backup is not in it; the rest is
"$molt" device set 240ac4000001 --tag later >/dev/null
kill "$server"; wait "$server"; server=
mv data lost
"$molt" store restore backup >/dev/null
serve
"$molt" device show 240ac4000001 --json >device.json
python3 -c 'import json; d = json.load(open("device.json")); assert d["tags"] == ["canary"] and d["product"] == "lamp", d'
"$molt" release list --json | grep -q '"code": *2' || fail "release 2 is missing"
"$molt" store copy data copied >copy.log
grep -q '1 of them devices' copy.log || fail "$(cat copy.log)"

# damage is named
file=$(find data/artifacts -type f | sort | head -1)
printf x | dd of="$file" conv=notrunc 2>/dev/null
if "$molt" store check >check.log 2>&1; then fail "damage was not found"; fi
grep -q "$(basename "$file")" check.log || fail "$(cat check.log)"
if "$molt" store copy data other 2>error; then fail "a damaged artifact was copied"; fi
grep -q 'damaged' error || fail "$(cat error)"

if "$molt" store copy nowhere somewhere 2>error; then fail "a store that is not there was copied"; fi
[ ! -d somewhere ] || fail "a folder was made for nothing"
if "$molt" store copy postgres://a/b postgres://c/d 2>error; then fail "artifacts of nowhere"; fi
grep -q -- '--data' error || fail "$(cat error)"
