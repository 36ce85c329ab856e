#!/bin/sh
# pack_update_test.sh - virtual devices that take packs update by deltas from a real `molt serve`: with eboot, with molt-boot
# and on an ESP32, and with a small decoder; one whose first sector is another than that of the file published says so and gets the image itself.
# usage: pack_update_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

serve

publish() { # CHIP CODE
    "$molt" sim build "$1-$2.bin" --chip "$1" --product "p-$1" --code "$2" >/dev/null
    "$molt" publish "$1-$2.bin" --product "p-$1" --adopt >/dev/null 2>&1 || fail "$1 version $2 was not published"
}
flashed=1 # version that a new device comes with
sim() { # NAME CHIP MAC ARGUMENTS...: one life of the device, its events in NAME.json
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-$flashed.bin" --flash "$name.flash" --json --packs \
        --server "http://127.0.0.1:$port" "$@" >"$name.json" 2>&1 || true
}
until_runs() { # CODE NAME CHIP MAC ...: asks again while the pack is being made
    code=$1
    shift
    for _ in $(seq 3000); do
        sim "$@"
        if tail -n 1 "$1.json" | grep -q "\"version_code\": *${code}[,}]"; then return; fi
        grep -q 'pack-in-the-making' "$1.json" || break
        sleep 0.1
    done
    cat "$1.json" >&2
    fail "$1 does not run version $code"
}
stored() { # NAME: bytes of the file that was fetched
    sed -n 's/.*"event": *"stored".*"number": *\([0-9]*\).*/\1/p' "$1.json" | tail -n 1
}

for chip in esp8266 esp32; do publish "$chip" 1; done
everyone() { # CODE
    until_runs "$1" eboot esp8266 5C:CF:7F:00:00:0A
    until_runs "$1" other esp8266 5C:CF:7F:00:00:0B
    until_runs "$1" boot esp8266 5C:CF:7F:00:00:0C --boot molt
    until_runs "$1" esp32 esp32 24:0A:C4:00:00:0E
}
everyone 1
# another boot stage than the file's, as a serial upload of some other core leaves it
printf '\125' | dd of=other.flash bs=1 seek=600 conv=notrunc 2>/dev/null
for chip in esp8266 esp32; do publish "$chip" 2; done
everyone 2
for name in eboot esp32; do
    [ "$(stored $name)" -lt 1000 ] || fail "$name fetched $(stored $name) bytes, which is no delta"
done
[ "$(stored other)" = 300000 ] || fail "other fetched $(stored other) bytes; it cannot have used a delta"
grep -q 'wrong-pack-base' other.json || fail "other did not refuse the delta"

# Under molt-boot the first sector in flash is never the file's: its deltas do without. (Version 1 was changed when molt-boot
# was put into it, so it was no base.)
publish esp8266 3
until_runs 3 boot esp8266 5C:CF:7F:00:00:0C --boot molt
[ "$(stored boot)" -lt 6000 ] || fail "boot fetched $(stored boot) bytes, which is no delta"
grep -q 'event=pack kind=delta-body .*reason=ready' serve.log || fail "molt-boot's delta was made with the first sector"
until_runs 3 eboot esp8266 5C:CF:7F:00:00:0A
[ "$(stored eboot)" -lt 1000 ] || fail "eboot fetched $(stored eboot) bytes, which is no delta"

# One whose decoder has room for small maps only says so: a delta of its own is made.
flashed=2
until_runs 3 tiny esp8266 5C:CF:7F:00:00:1A --small-packs
[ "$(stored tiny)" -lt 1000 ] || fail "tiny fetched $(stored tiny) bytes, which is no delta"
grep -q 'event=pack kind=delta-small .*reason=ready' serve.log || fail "the small decoder's delta was made as any other"
"$molt" pack --explain "$(find "$MOLT_DATA/packs" -name '*-6-*')" | grep -q 'a molt pack: a delta$' || fail "it is no delta"

# What was made is found again after a restart of the server, and offered at once.
serve
flashed=2
until_runs 3 again esp8266 5C:CF:7F:00:00:0D
[ "$(stored again)" -lt 1000 ] || fail "again fetched $(stored again) bytes"
if grep -q 'event=pack ' serve.log; then fail "the pack was made once more"; fi
