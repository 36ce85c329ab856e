#!/bin/sh
# pack_test.sh - `molt pack` and `molt unpack`: whole files and deltas come back, what is wrong is refused and leaves no file.
# usage: pack_test.sh path/to/molt path/to/make_image
set -eu
molt=$1 make_image=$2
. "$(dirname "$0")/command.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"


for chip in esp8266 esp32 esp32c3; do
    "$make_image" $chip 1 1.2.0 old.bin
    "$make_image" $chip 1 1.3.0 new.bin
    run 0 pack new.bin -o whole.mpk
    said out "packed whole.mpk"
    run 0 unpack whole.mpk -o whole.bin
    cmp new.bin whole.bin
    run 0 pack new.bin --base old.bin --out delta.mpk --json
    json "d['delta'] and d['size'] < 1000 and d['unpacked'] == $(wc -c <new.bin) and d['base_bytes'] > 10000"
    run 0 unpack delta.mpk --base old.bin -o delta.bin
    cmp new.bin delta.bin
    cp delta.mpk again.mpk
    run 0 pack new.bin --base old.bin --out delta.mpk
    cmp delta.mpk again.mpk
done
[ "$(wc -c <whole.mpk)" -lt $(($(wc -c <new.bin) * 3 / 4)) ] || fail "the pack is hardly smaller than the file"

run 0 pack --explain delta.mpk
said out "a molt pack: a delta"
said out "RISC-V"
run 0 pack --explain delta.mpk --json
json "d['delta'] and d['sha256'] == '$(sha256sum new.bin | cut -c1-64)' and sum(d['frames']) + d['head'] == d['size']"
run 0 pack --explain whole.mpk --json
json "not d['delta'] and 'base' not in d"
run 0 pack new.bin -o small.mpk --frame 16
run 0 pack --explain small.mpk --json
json "d['frame_log2'] == 14 and len(d['frames']) > 1"


# For molt-boot, which has the first sector: nothing of the base's is used, so any other will do.
"$make_image" esp8266 1 1.2.0 old8266.bin
"$make_image" esp8266 1 1.3.0 new8266.bin
run 0 pack new8266.bin --base old8266.bin --molt-boot --small -o boot.mpk
run 0 pack --explain boot.mpk
said out "a delta for molt-boot"
run 0 pack --explain boot.mpk --json
json "d['molt_boot'] and not d['in_place'] and d['rows'] <= 120 and d['size'] > 2000"
run 0 unpack boot.mpk --base old8266.bin -o boot.bin
cmp new8266.bin boot.bin

# ---- a pipe, or /dev/null, is written to and not replaced ----
mkfifo pipe
: >through.mpk
cat pipe >through.mpk &
reader=$!
run 0 pack new.bin -o pipe
[ -p pipe ] || { kill "$reader"; fail "the pipe is a file now"; }
wait "$reader"
cmp whole.mpk through.mpk
ls ./*.part* >/dev/null 2>&1 && fail "something was left beside it"

# ---- what is wrong ----
run 1 pack new.bin --base old.bin --molt-boot -o x.bin
said err "for images of the ESP8266"
run 2 pack new.bin --molt-boot -o x.bin
run 2 pack new.bin --small -o x.bin
run 2 pack new.bin --base old.bin --detools --small -o x.bin
rm -f x.bin
run 1 unpack delta.mpk -o x.bin
said err "wrong-pack-base"
said err "--base OLD"
run 1 unpack delta.mpk --base new.bin -o x.bin
said err "wrong-pack-base"
head -c 300 whole.mpk >cut.mpk
run 1 unpack cut.mpk -o x.bin
said err "bad-pack"
run 1 unpack new.bin -o x.bin
run 1 pack --explain cut.mpk
cp whole.mpk bad.mpk
printf 'XYZ' | dd of=bad.mpk bs=1 seek=2000 conv=notrunc status=none
run 1 unpack bad.mpk -o x.bin
said err "bad-pack"
run 1 pack missing.bin -o x.bin
run 1 pack new.bin -o no/such/folder/x.bin
run 2 unpack whole.mpk
run 2 pack new.bin --frame 5 -o x.bin
run 2 pack
[ ! -e x.bin ] && [ ! -e x.bin.part ] || fail "a refused file was written"
echo "ok"
