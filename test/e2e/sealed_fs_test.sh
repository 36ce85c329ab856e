#!/bin/sh
# sealed_fs_test.sh - application and file system of one release, encrypted under one manifest, through a real `molt serve`: both
# arrive at devices with the key, on an ESP8266 and an ESP32; nobody else is offered either; the server has neither in plain.
# usage: sealed_fs_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

for key in door.key fleet.key; do "$molt" keygen "$key" --no-passphrase >/dev/null 2>&1; done
for seed in 1 2; do
    python3 -c 'import random, sys; sys.stdout.buffer.write(b"\0" * 8 + b"littlefs" + random.Random(int(sys.argv[1])).randbytes(65520))' \
        "$seed" >"$seed.fs"
done
serve

publish() { "$molt" publish "$@" >publish.log 2>&1 || { cat publish.log >&2; fail "publish $*"; }; }
release() { # CHIP CODE
    "$molt" sim build "$1-$2.bin" --chip "$1" --product "p-$1" --code "$2" >/dev/null
    "$molt" sign "$1-$2.bin" --key door.key --product "p-$1" --fs "$2.fs" --encrypt-for fleet.key.pub >/dev/null
    publish "$1-$2.bin" --product "p-$1" --adopt --manifest "$1-$2.suit" --encrypted "$1-$2.bin.enc"
    publish "$2.fs" --product "p-$1" --component fs --chip "$1" --version "$2" --manifest "$1-$2.suit" --encrypted "$2.fs.enc"
}
sim() { # NAME CHIP MAC ARGUMENTS...
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$name.flash" --server "$url" --json --checks 2 "$@" \
        >"$name.json" 2>&1 || true
}
runs() { tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run version $2"; }; }
has() { # NAME FILE
    tail -n 1 "$1.json" | grep -q "\"fs_sha256\": *\"$(sha256sum "$2" | cut -c 1-64)\"" || { cat "$1.json" >&2; fail "$1 does not have $2"; }
}

for chip in esp8266 esp32; do
    "$molt" product trust "p-$chip" --key door.key.pub >/dev/null
    for code in 1 2; do
        release "$chip" "$code"
        for plain in "$chip-$code.bin" "$code.fs"; do
            [ -z "$(find "$MOLT_DATA/artifacts" -name "$(sha256sum "$plain" | cut -c 1-64)")" ] || fail "the server has $plain"
        done
        cp "$code.fs.enc" "$chip-$code.fs.enc"
    done
    maker=5C:CF:7F
    [ "$chip" = esp8266 ] || maker=24:0A:C4
    sim "keyed-$chip" "$chip" "$maker:00:00:01" --trust door.key.pub --device-key fleet.key
    runs "keyed-$chip" 2
    has "keyed-$chip" 2.fs
    sim "unkeyed-$chip" "$chip" "$maker:00:00:02" --trust door.key.pub
    runs "unkeyed-$chip" 1
    sim "stock-$chip" "$chip" "$maker:00:00:03" --client stock
    runs "stock-$chip" 1
    for name in unkeyed stock; do
        if grep -qE '"event": *"(file-system|stored)"' "$name-$chip.json"; then fail "$name-$chip took something"; fi
    done
done

# The file system of one release under the manifest of another is not taken.
"$molt" sim build esp32-3.bin --chip esp32 --product p-esp32 --code 3 >/dev/null
"$molt" sign esp32-3.bin --key door.key --product p-esp32 --fs 1.fs --encrypt-for fleet.key.pub >/dev/null
publish esp32-3.bin --product p-esp32 --manifest esp32-3.suit --encrypted esp32-3.bin.enc
if "$molt" publish 2.fs --product p-esp32 --component fs --chip esp32 --version 3 --manifest esp32-3.suit --encrypted 1.fs.enc \
    >refused.log 2>&1; then fail "another file system was published"; fi
grep -q manifest-mismatch refused.log || { cat refused.log >&2; fail "another refusal"; }
printf 'sealed_fs_test: good\n'
