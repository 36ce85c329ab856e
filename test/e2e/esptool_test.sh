#!/bin/sh
# esptool_test.sh - esptool and the image verifier agree: on synthetic images, on images that esptool made of
# firmware compiled for real chips, and on damaged ones.
# usage: esptool_test.sh path/to/image_verdict path/to/make_image
# esptool is $ESPTOOL, or that of the virtual environment $MOLT_VENV (./dev test sets it), or the one in PATH.
set -eu
verdict=$1 make_image=$2
here=$(cd "$(dirname "$0")" && pwd)
esptool=${ESPTOOL:-}
[ -n "$esptool" ] || { [ -x "${MOLT_VENV:-}/bin/esptool" ] && esptool=$MOLT_VENV/bin/esptool; } ||
    esptool=$(command -v esptool || true)
[ -n "$esptool" ] || { echo "esptool_test: no esptool; set ESPTOOL or run ./dev test" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TERM=dumb COLUMNS=200
cases=0

fail() { cat info 2>/dev/null >&2 || true; printf 'esptool_test: %s\n' "$*" >&2; exit 1; }

# esptool says that every sum of FILE is right: some are printed as valid, none as invalid.
esptool_likes() { # CHIP FILE
    "$esptool" --chip "$1" image-info "$2" >info 2>&1 || return 1
    grep -q '(valid' info && ! grep -qi 'invalid' info
}
# The verifier's answer must be the REASON ("ok": good).
molt_says() { # REASON FILE
    cases=$((cases + 1))
    said=$("$verdict" "$2" || true)
    [ "${said##* }" = "$1" ] || fail "molt says '${said#* }', not '$1', of $2"
}
flip() { # FILE OFFSET NEW-FILE: one bit of one byte changed
    cp "$1" "$3"
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %o $((byte ^ 4)))" | dd of="$3" bs=1 seek="$2" conv=notrunc status=none
}
# Both refuse FILE with a bit changed at OFFSET.
both_refuse_flip() { # CHIP FILE OFFSET
    flip "$2" "$3" flipped.bin
    if esptool_likes "$1" flipped.bin; then fail "esptool likes $2 changed at $3"; fi
    said=$("$verdict" flipped.bin || true)
    case $said in *" ok") fail "molt likes $2 changed at $3" ;; esac
    cases=$((cases + 1))
}
same() { grep -qE "$1" info || fail "esptool does not say '$1'"; }
part() { tail -c +$(($2 + 1)) "$1" >"$3"; }

# ---- synthetic images: esptool finds nothing wrong with them ----
for chip in esp32 esp32s2 esp32s3 esp32c2 esp32c3 esp32c5 esp32c6 esp32h2 esp32p4; do
    "$make_image" "$chip" 7 1.2.3 "$chip.bin"
    esptool_likes "$chip" "$chip.bin" || fail "esptool refuses the synthetic $chip.bin"
    same '^App version: +1\.2\.3$'
    molt_says ok "$chip.bin"
done
"$make_image" esp8266 7 1.2.3 esp8266.bin
molt_says ok esp8266.bin
esptool_likes esp8266 esp8266.bin || fail "esptool refuses the boot stage of esp8266.bin"
part esp8266.bin 4096 sketch.bin
if esptool_likes esp8266 sketch.bin; then fail "the sketch's checksum should count the CRC words as zero"; fi
head -c 8 /dev/zero | dd of=sketch.bin bs=1 seek=16 conv=notrunc status=none
esptool_likes esp8266 sketch.bin || fail "esptool refuses the sketch of esp8266.bin with its CRC words zeroed"

# ---- real code for the ESP32-C3 ----
riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -Os -ffreestanding -nostdlib -DAPP_DESC -Wl,--no-warn-rwx-segments \
    -T "$here/oracle_firmware/esp32c3.ld" "$here/oracle_firmware/main.c" -o c3.elf
for options in "" "--dont-append-digest" "--flash-mmu-page-size 32KB" "--min-rev-full 3 --max-rev-full 199"; do
    # shellcheck disable=SC2086 # a list of options
    "$esptool" --chip esp32c3 elf2image $options -o c3.bin c3.elf >info 2>&1 || fail "esptool elf2image $options"
    esptool_likes esp32c3 c3.bin || fail "esptool refuses its own image ($options)"
    molt_says ok c3.bin
done
"$esptool" --chip esp32c3 elf2image -o c3.bin c3.elf >info 2>&1
size=$(wc -c <c3.bin)
for offset in 40 100 300 $((size / 2)) $((size - 33)) $((size - 32)) $((size - 1)); do
    both_refuse_flip esp32c3 c3.bin "$offset"
done
head -c $((size - 1)) c3.bin >cut.bin
molt_says truncated-image cut.bin
if esptool_likes esp32c3 cut.bin; then fail "esptool likes a cut image"; fi
molt_says elf-not-bin c3.elf

# ---- real code for the ESP8266: esptool's images, laid out as Arduino lays out boot stage and sketch ----
build_esp8266() { # NAME TEXT-ADDRESS
    xtensa-lx106-elf-gcc -Os -mlongcalls -ffreestanding -nostdlib -Wl,--defsym=TEXT_AT="$2" \
        -T "$here/oracle_firmware/esp8266.ld" "$here/oracle_firmware/main.c" -o "$1.elf"
    "$esptool" --chip esp8266 elf2image --version 1 -o "$1-" "$1.elf" >info 2>&1 || fail "esptool elf2image $1"
    mv "$1-0x00000.bin" "$1.bin"
    esptool_likes esp8266 "$1.bin" || fail "esptool refuses its own $1.bin"
}
build_esp8266 boot 0x4010F000
build_esp8266 app 0x40100000
{
    cat boot.bin
    head -c $((4096 - $(wc -c <boot.bin))) /dev/zero | tr '\0' '\252'
    cat app.bin
} >pair.bin
molt_says ok pair.bin
molt_says no-boot-stage app.bin
for offset in 24 60; do
    both_refuse_flip esp8266 pair.bin "$offset" # in the boot stage: esptool sees that image only
    part pair.bin 4096 sketch.bin
    both_refuse_flip esp8266 sketch.bin "$offset"
    flip pair.bin $((4096 + offset)) flipped.bin
    molt_says bad-checksum flipped.bin
done
"$esptool" --chip esp8266 elf2image --version 2 -o sdk.bin app.elf >info 2>&1 || fail "esptool elf2image --version 2"
molt_says esp8266-sdk-image sdk.bin

echo "esptool_test: $cases cases, $("$esptool" version 2>/dev/null | tail -n 1)"
