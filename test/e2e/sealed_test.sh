#!/bin/sh
# sealed_test.sh - encrypted releases from the maker's machine through a real `molt serve` into virtual devices: raw, gzip, pack and
# delta, an ESP8266 (also with molt-boot) and an ESP32, over a connection that breaks; who has no key is offered nothing of it; the server has no plain
# file. usage: sealed_test.sh path/to/molt path/to/python path/to/middle.py
set -eu
molt=$1 python=$2 middle=$3
. "$(dirname "$0")/server.sh"
between=
# shellcheck disable=SC2329 # called by the trap
stop_all() {
    [ -z "$between" ] || kill "$between" 2>/dev/null || true
    clean_up
}
trap stop_all EXIT

for key in door.key fleet.key other.key; do "$molt" keygen "$key" --no-passphrase >/dev/null 2>&1; done
for chip in esp8266 esp32; do "$molt" product trust "p-$chip" --key door.key.pub >/dev/null; done
build() { "$molt" sim build "$1-$2.bin" --chip "$1" --product "p-$1" --code "$2" >/dev/null; } # CHIP CODE
sign() { # CHIP CODE ARGUMENTS...
    chip=$1 code=$2
    shift 2
    "$molt" sign "$chip-$code.bin" --key door.key --product "p-$chip" "$@" >/dev/null
}
publish() { # CHIP CODE ARGUMENTS...
    chip=$1 code=$2
    shift 2
    "$molt" publish "$chip-$code.bin" --product "p-$chip" --adopt "$@" >publish.log 2>&1 || { cat publish.log >&2; fail "$chip $code: $*"; }
}
# ---- what may not be published ----

for chip in esp8266 esp32; do
    for code in 1 2 3; do build "$chip" "$code"; done
    sign "$chip" 1
    publish "$chip" 1 --manifest "$chip-1.suit"
    sign "$chip" 2 --encrypt-for fleet.key.pub
done
refused() { # REASON ARGUMENTS...
    reason=$1
    shift
    if "$molt" publish esp32-2.bin --product p-esp32 "$@" >refused.log 2>&1; then fail "published: $*"; fi
    grep -q "$reason" refused.log || { cat refused.log >&2; fail "another refusal: $*"; }
}
refused not-signed --encrypted esp32-2.bin.enc
refused manifest-mismatch --manifest esp32-2.suit # the plain file under the manifest of the encrypted one
refused manifest-mismatch --manifest esp32-1.suit --encrypted esp32-2.bin.enc
head -c 299999 esp32-2.bin.enc >short.enc
refused manifest-mismatch --manifest esp32-2.suit --encrypted short.enc
"$molt" sign esp32-2.bin --key other.key --product p-esp32 --encrypt-for fleet.key.pub --out stranger.suit >/dev/null
refused bad-signature --manifest stranger.suit --encrypted esp32-2.bin.enc
"$molt" sign esp32-2.bin --key door.key --product p-esp32 --encrypt-for fleet.key.pub >/dev/null # the file and its manifest again

# ---- who gets it ----

for chip in esp8266 esp32; do publish "$chip" 2 --manifest "$chip-2.suit" --encrypted "$chip-2.bin.enc"; done
grep -q 'encrypted *yes' publish.log || fail "it does not say that it is encrypted"
serve

sim() { # NAME CHIP MAC ARGUMENTS...: one life of the device, its events in NAME.json
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$name.flash" --json --server "${server_url:-$url}" \
        "$@" >"$name.json" 2>&1 || true
}
runs() { # NAME CODE
    tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run version $2"; }
}
stored() { # NAME: bytes of the file that was fetched
    sed -n 's/.*"event": *"stored".*"number": *\([0-9]*\).*/\1/p' "$1.json" | tail -n 1
}
opens="--trust door.key.pub --device-key fleet.key"

sim stock8266 esp8266 5C:CF:7F:00:00:01 --client stock
sim stock32 esp32 24:0A:C4:00:00:01 --client stock
sim unkeyed8266 esp8266 5C:CF:7F:00:00:02 --trust door.key.pub
sim unkeyed32 esp32 24:0A:C4:00:00:02
for name in stock8266 stock32 unkeyed8266 unkeyed32; do runs "$name" 1; done
"$molt" device why 240ac4000002 >why.log
grep -q encrypted why.log || { cat why.log >&2; fail "nobody is told why"; }
# shellcheck disable=SC2086 # several arguments
for chip in esp8266 esp32; do
    mac=24:0A:C4:00:00:03
    [ "$chip" = esp32 ] || mac=5C:CF:7F:00:00:03
    sim "keyed-$chip" "$chip" "$mac" $opens
    runs "keyed-$chip" 2
    plain=$(sha256sum "$chip-2.bin" | cut -c 1-64) cipher=$(sha256sum "$chip-2.bin.enc" | cut -c 1-64)
    [ -z "$(find "$MOLT_DATA/artifacts" -name "$plain")" ] || fail "the server has the plain file"
    [ -n "$(find "$MOLT_DATA/artifacts" -name "$cipher")" ] || fail "the server has not the encrypted file"
done
sim wrong esp32 24:0A:C4:00:00:04 --trust door.key.pub --device-key other.key
runs wrong 1

# ---- over a connection that breaks ----

: >middle.log
"$python" "$middle" --cut 150000 "$port" >middle.log 2>&1 &
between=$!
for _ in $(seq 3000); do
    server_url=$(sed -n 's/^listening \(http:.*\)$/\1/p' middle.log)
    [ -z "$server_url" ] || break
    sleep 0.1
done
[ -n "$server_url" ] || fail "middle.py did not start"
# shellcheck disable=SC2086
sim cut esp32 24:0A:C4:00:00:05 $opens
runs cut 2
grep -q '^GET 206 150000 bytes .*bytes=150000-' middle.log || { cat middle.log >&2; fail "it did not go on where it was cut"; }
server_url=

# Its base is what it was flashed with, or fetched: version 1 was changed when molt-boot was put into it.
# shellcheck disable=SC2086
sim boot esp8266 5C:CF:7F:00:00:08 $opens --packs --boot molt
runs boot 2

# ---- packed before it was encrypted ----

for chip in esp8266 esp32; do
    gzip -9kn "$chip-3.bin"
    "$molt" pack "$chip-3.bin" -o "$chip-3.mpk" >/dev/null 2>&1
    "$molt" pack "$chip-3.bin" --base "$chip-2.bin" -o "$chip-3.delta" >/dev/null 2>&1
    forms="bin.gz mpk delta"
    if [ "$chip" = esp8266 ]; then
        "$molt" pack "$chip-3.bin" --base "$chip-2.bin" --molt-boot -o "$chip-3.boot" >/dev/null 2>&1
        forms="$forms boot"
    fi
    for form in $forms; do
        sign "$chip" 3 --encrypt-for fleet.key.pub --packed "$chip-3.$form" --out "$chip-3.$form.suit"
        publish "$chip" 3 --manifest "$chip-3.$form.suit" --encrypted "$chip-3.$form.enc" --packed "$chip-3.$form"
    done
    sign "$chip" 3 --encrypt-for fleet.key.pub
    publish "$chip" 3 --manifest "$chip-3.suit" --encrypted "$chip-3.bin.enc"
done
# shellcheck disable=SC2086
for chip in esp8266 esp32; do
    maker=24:0A:C4
    [ "$chip" = esp32 ] || maker=5C:CF:7F
    sim "keyed-$chip" "$chip" "$maker:00:00:03" $opens --packs # it runs version 2: the delta
    runs "keyed-$chip" 3
    [ "$(stored "keyed-$chip")" -lt 2000 ] || fail "$chip fetched $(stored "keyed-$chip") bytes, which is no delta"
    if [ "$chip" = esp8266 ]; then # its own, not that for eboot, which needs the first sector
        sim boot esp8266 5C:CF:7F:00:00:08 $opens --packs --boot molt
        runs boot 3
        [ "$(stored boot)" = "$(stat -c %s esp8266-3.boot)" ] || fail "boot fetched $(stored boot) bytes, which is not its delta"
    fi
    sim "fresh-$chip" "$chip" "$maker:00:00:06" $opens --packs # version 1: a pack of the whole
    runs "fresh-$chip" 3
    [ "$(stored "fresh-$chip")" = "$(stat -c %s "$chip-3.mpk")" ] || fail "$chip fetched $(stored "fresh-$chip") bytes, which is no pack"
    sim "plain-$chip" "$chip" "$maker:00:00:07" $opens
    runs "plain-$chip" 3
done
