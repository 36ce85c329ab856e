#!/bin/sh
# fs_test.sh - file systems as a second component, over real sockets: published, offered after the application, staged or
# written in place, reported by their digest, and not offered again.
# usage: fs_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

serve

file_system() { # FILE BYTES SEED: a LittleFS image by its first block, half of it blank
    python3 - "$@" <<'PYTHON'
import random, sys
size, data = int(sys.argv[2]), random.Random(int(sys.argv[3]))
image = bytearray(data.randbytes(size // 2)) + b"\xff" * (size - size // 2)
image[8:16] = b"littlefs"
open(sys.argv[1], "wb").write(image)
PYTHON
}
sim() { # NAME CHIP MAC ARGUMENTS...
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$name.flash" --server "$url" --json "$@" \
        >"$name.json" 2>&1 || true
}
has() { # NAME FILE
    tail -n 1 "$1.json" | grep -q "\"fs_sha256\": *\"$(sha256sum "$2" | cut -d ' ' -f 1)\"" ||
        { cat "$1.json" >&2; fail "$1 does not say that it has $2"; }
}
lies_at() { # NAME OFFSET FILE
    tail -c "+$(($2 + 1))" "$1.flash" | head -c "$(wc -c <"$3")" | cmp -s - "$3" || fail "$3 does not lie in $1"
}
runs() { tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run $2"; }; }

for chip in esp8266 esp32; do
    for code in 1 2; do "$molt" sim build "$chip-$code.bin" --chip "$chip" --product "p-$chip" --code "$code" >/dev/null; done
    "$molt" publish "$chip-1.bin" --product "p-$chip" --adopt >/dev/null 2>&1 || fail "$chip was not published"
done
file_system small-1.fs 65536 1
file_system small-2.fs 65536 2
file_system large.fs 1441792 3
file_system factory.fs 65536 4

# Nothing is offered as long as there is none; what the factory flashed stays.
sim a esp32 24:0A:C4:00:00:0A --fs factory.fs
lies_at a 0x290000 factory.fs

# One of the release that runs: offered, staged, installed, said, and not offered again.
for chip in esp8266 esp32; do
    "$molt" publish small-1.fs --product "p-$chip" --component fs --chip "$chip" --version 1 >pub.log 2>&1 ||
        { cat pub.log >&2; fail "the file system was not published"; }
done
sim a esp32 24:0A:C4:00:00:0A
has a small-1.fs
lies_at a 0x290000 small-1.fs
grep -q '"event": *"file-system"' a.json || fail "a does not tell of its new file system"
sim a esp32 24:0A:C4:00:00:0A
has a small-1.fs
! grep -q '"event": *"file-system"' a.json || fail "a took its file system twice"
sim b esp8266 5C:CF:7F:00:00:0B
has b small-1.fs
lies_at b 0x200000 small-1.fs
sim c esp8266 5C:CF:7F:00:00:0C --boot molt
has c small-1.fs

# The next release: first the application, then its file system.
for chip in esp8266 esp32; do
    "$molt" publish "$chip-2.bin" --product "p-$chip" >/dev/null 2>&1 || fail "$chip version 2 was not published"
    "$molt" publish small-2.fs --product "p-$chip" --component fs --chip "$chip" --version 2 >/dev/null 2>&1 ||
        fail "the second file system was not published"
done
for device in "a esp32 24:0A:C4:00:00:0A" "b esp8266 5C:CF:7F:00:00:0B" "c esp8266 5C:CF:7F:00:00:0C"; do
    # shellcheck disable=SC2086 # three words
    sim $device --checks 2
    runs "${device%% *}" 2
    has "${device%% *}" small-2.fs
done

# By URL, in the words of ESPhttpUpdate.
sim d esp8266 5C:CF:7F:00:00:0D --source url
has d small-2.fs

# Larger than a slot: refused, and the old one stays; in place when the firmware allows it.
"$molt" sim build esp32-3.bin --chip esp32 --product p-esp32 --code 3 >/dev/null
"$molt" publish esp32-3.bin --product p-esp32 >/dev/null 2>&1 || fail "esp32 version 3 was not published"
"$molt" publish large.fs --product p-esp32 --component fs --chip esp32 --version 3 >/dev/null 2>&1 ||
    fail "the large file system was not published"
sim a esp32 24:0A:C4:00:00:0A --checks 2
runs a 3
has a small-2.fs
grep -q '"reason": *"fs-in-place"' a.json || { cat a.json >&2; fail "a does not say why"; }
sim a esp32 24:0A:C4:00:00:0A --checks 2 --fs-in-place
has a large.fs
lies_at a 0x290000 large.fs
printf 'fs_test: good\n'
