#!/bin/sh
# lab.sh - what tests with sketches share; they source it after test/e2e/server.sh. Set before: molt, sketches (the folder of the
# programs). Each run is another device on another blank flash.
device=0
# shellcheck disable=SC2154,SC2034 # molt, sketches, folder: see above; the test reads what it needs
flash() { # IMAGE: what esptool would write into 4 MB of blank flash
    head -c 4194304 /dev/zero | tr '\0' '\377' >flash.bin
    dd if="$1" of=flash.bin conv=notrunc 2>/dev/null
}
flash32() { # IMAGE: with the partition table that Arduino uses by default
    head -c 4194304 /dev/zero | tr '\0' '\377' >flash.bin
    rm -f flash.bin.nvs
    "$sketches/sdk-partitions" >table.bin
    dd if=table.bin of=flash.bin conv=notrunc bs=4096 seek=8 2>/dev/null
    dd if="$1" of=flash.bin conv=notrunc bs=65536 seek=1 2>/dev/null
}
run() { # NAME END [VARIABLE=VALUE ...]: from power-on of version 1 until the sketch prints END
    name=$1 end=$2
    shift 2
    device=$((device + 1))
    env SDK_MAC="$(printf %02x "$device")" SDK_FLASH="$folder/flash.bin" SDK_END="$end" "$@" timeout "${limit:-120}" "$sketches/sdk-$name-1" >"$name.log" 2>&1 ||
        { cat "$name.log" >&2; fail "$name did not come to \"$end\""; }
}
lines() { # HOW NAME LINE ...: these lines, in this order; HOW: awk's condition on $0 and line
    how=$1 name=$2
    shift 2
    at=0
    for line; do
        at=$(awk -v at="$at" -v line="$line" "NR > at && $how { print NR; exit }" "$name.log")
        [ -n "$at" ] || { cat "$name.log" >&2; fail "$name did not say \"$line\" in its place"; }
    done
}
says() { lines '$0 == line' "$@"; }             # whole lines
says_start() { lines 'index($0, line) == 1' "$@"; } # lines that begin so
never_says() { # NAME BEGINNING
    if grep -q "^$2" "$1.log"; then cat "$1.log" >&2; fail "$1 said \"$2\""; fi
}
