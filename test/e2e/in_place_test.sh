#!/bin/sh
# in_place_test.sh - virtual ESP8266s with molt-boot whose sketch takes 80 % of what there is on 1 MB, and more than half on 512 KB,
# beside a real `molt serve`: they write signed releases over themselves, once another device has confirmed them or they are
# pinned; a pack that gives something else changes nothing. usage: in_place_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

field() { python3 -c 'import json, sys; d = json.load(sys.stdin)
for key in sys.argv[1:]: d = d[int(key) if key.isdigit() else key]
print(d)' "$@"; }
publish() { # PRODUCT CODE LAYOUT SIZE FLASH-SIZE: the number of the release
    "$molt" sim build "$1-$2.bin" --product "$1" --code "$2" --size "$4" --flash-size "$5" >/dev/null
    "$molt" image set-boot "$1-$2.bin" --layout "$3" >/dev/null
    "$molt" sign "$1-$2.bin" --key k --product "$1" >/dev/null
    "$molt" publish "$1-$2.bin" --product "$1" --manifest "$1-$2.suit" --json >out 2>err || { cat err >&2; fail "$1 $2 was not published"; }
    "$molt" release list --json | python3 -c "import json, sys
print([r['id'] for r in json.load(sys.stdin)['releases'] if r['code'] == $2 and r['product'] == '$1'][0])"
}
sim() { # NAME LAYOUT MAC PRODUCT ARGUMENTS...: one life of the device, its events in NAME.json
    name=$1 layout=$2 mac=$3 product=$4
    shift 4
    "$molt" sim --layout "$layout" --mac "$mac" --firmware "$product-1.bin" --boot molt --flash "$name.flash" --json --packs \
        --trust k.pub --server "$url" "$@" >"$name.json" 2>&1 || true
}
runs() { tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run version $2"; }; }
said() { grep -q "$2" "$1.json" || { cat "$1.json" >&2; fail "$1: not $2"; }; }
stored() { sed -n 's/.*"event": *"stored".*"number": *\([0-9]*\).*/\1/p' "$1.json" | tail -n 1; }
until_runs() { # CODE NAME ...: asks again while the pack is being made
    code=$1
    shift
    for _ in $(seq 3000); do
        sim "$@"
        grep -q 'pack-in-the-making' "$1.json" || break
        sleep 0.1
    done
    runs "$1" "$code"
}

"$molt" keygen k --no-passphrase >/dev/null 2>&1
serve
for product in door lamp full; do
    "$molt" product trust "$product" --key k.pub >/dev/null
    "$molt" product set "$product" --trust-unverified yes >/dev/null # devices without a token count, too
done

# ---- 1 MB without a file system, a sketch of 80 % of FS_start (0xFB000) ----
publish door 1 1M 822464 1048576 >/dev/null
for id in 5C:CF:7F:00:00:0A 5C:CF:7F:00:00:0B; do "$molt" device set "$id" --new --product door >/dev/null; done
sim one 1M 5C:CF:7F:00:00:0A door --in-place
runs one 1
publish door 2 1M 822500 1048576 >/dev/null
sim one 1M 5C:CF:7F:00:00:0A door # a firmware that cannot do it
said one too-large
sim one 1M 5C:CF:7F:00:00:0A door --in-place
said one no-way-back # nobody has shown yet that version 2 is good
runs one 1
"$molt" device set 5C:CF:7F:00:00:0A --pin 2 >/dev/null
until_runs 2 one 1M 5C:CF:7F:00:00:0A door --in-place
said one '"event": *"confirmed"'
[ "$(stored one)" -lt 60000 ] || fail "the pack has $(stored one) bytes"
grep -q 'event=pack kind=in-place .*reason=ready' serve.log || fail "no pack was made for that"
"$molt" device show 5C:CF:7F:00:00:0A >show 2>&1
grep -q updated show || { cat show >&2; fail "the server does not know that it is updated"; }

# ---- a rollout: a device with more flash goes first ----
"$molt" device set 5C:CF:7F:00:00:0A --pin "" >/dev/null
release=$(publish door 3 1M 822300 1048576)
rollout=$("$molt" rollout create "$release" --json | field id)
sim one 1M 5C:CF:7F:00:00:0A door --in-place
said one no-way-back
until_runs 3 two 4M2M 5C:CF:7F:00:00:0B door --in-place
sim two 4M2M 5C:CF:7F:00:00:0B door --in-place
[ "$("$molt" rollout show "$rollout" --json | field counts succeeded)" = 1 ] || fail "the rollout does not know of the first device"
until_runs 3 one 1M 5C:CF:7F:00:00:0A door --in-place
[ "$(stored one)" -lt 60000 ] || fail "the pack has $(stored one) bytes"

# ---- 512 KB: two images of 320 KB would not fit ----
publish lamp 1 512K 320000 524288 >/dev/null
"$molt" device set 5C:CF:7F:00:00:0C --new --product lamp >/dev/null
sim small 512K 5C:CF:7F:00:00:0C lamp --in-place
runs small 1
publish lamp 2 512K 320400 524288 >/dev/null
"$molt" device set 5C:CF:7F:00:00:0C --pin 2 >/dev/null
until_runs 2 small 512K 5C:CF:7F:00:00:0C lamp --in-place
[ "$(stored small)" -lt 20000 ] || fail "the pack has $(stored small) bytes"

# ---- 512 KB, to the last sector: 404 KB hold the sketch and a pack of three sectors, and not 4 KB more ----
publish full 1 512K 401200 524288 >/dev/null
"$molt" device set 5C:CF:7F:00:00:0D --new --product full >/dev/null
sim full 512K 5C:CF:7F:00:00:0D full --in-place
runs full 1
publish full 2 512K 401408 524288 >/dev/null
"$molt" device set 5C:CF:7F:00:00:0D --pin 2 >/dev/null
until_runs 2 full 512K 5C:CF:7F:00:00:0D full --in-place
[ "$(stored full)" -gt 8192 ] && [ "$(stored full)" -le 12288 ] || fail "the pack has $(stored full) bytes"
publish full 3 512K 401424 524288 >/dev/null
"$molt" device set 5C:CF:7F:00:00:0D --pin 3 >/dev/null
for _ in $(seq 3000); do
    sim full 512K 5C:CF:7F:00:00:0D full --in-place
    grep -q 'pack-in-the-making' full.json || break
    sleep 0.1
done
said full too-large
runs full 2
