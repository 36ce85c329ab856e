#!/bin/sh
# publish_signed_test.sh - signed images through `molt serve`: the key is trusted, what does not belong together is refused,
# and devices with a trust anchor get it by check-in. usage: publish_signed_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/command.sh"
. "$(dirname "$0")/server.sh"
unset MOLT_SERVER MOLT_TOKEN MOLT_PASSPHRASE 2>/dev/null || true
runs() { tail -n 1 out | grep -q "\"version_code\": *$1[,}]" || fail "the device does not run version $1"; }

run 0 keygen k --no-passphrase
run 0 keygen stranger --no-passphrase
for code in 1 2 3; do
    for chip in esp8266 esp32; do
        run 0 sim build "$chip-$code.bin" --chip "$chip" --code "$code" --product door
        run 0 sign "$chip-$code.bin" --key k --product door
    done
done

# ---- keys of a product ----
run 0 product trust door --key k.pub
said out "signed by"
run 1 product trust door --key k
said err "private key"
run 1 product trust door --remove 0123456789abcdef
said err not-found
run 2 product trust door --key k.pub --remove 0123456789abcdef
run 0 product trust lamp
said out "unsigned"

# ---- what is refused ----
run 1 publish esp8266-2.bin --product door
said err not-signed
run 1 publish esp8266-2.bin --product door --manifest esp8266-3.suit
said err manifest-mismatch
run 1 publish esp8266-2.bin --product door --manifest esp32-2.suit
said err wrong-product
run 1 publish esp8266-2.bin --product lamp --manifest esp8266-2.suit
said err bad-signature
run 0 sign esp8266-2.bin --key stranger --product door --out strange.suit
run 1 publish esp8266-2.bin --product door --manifest strange.suit
said err bad-signature
run 1 publish esp8266-2.bin --product door --manifest esp8266-2.bin
said err bad-manifest
run 2 publish esp8266-2.bin --product door --name x

# ---- a server, and devices that ask it ----
serve
run 0 publish esp8266-2.bin --product door --manifest esp8266-2.suit --adopt
said out "sequence 2"
run 0 publish esp32-2.bin --product door --manifest esp32-2.suit --adopt
device() { # STATUS CHIP MAC ARGUMENTS...
    want=$1 chip=$2 mac=$3
    shift 3
    run "$want" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$mac.flash" --server "$url" --json "$@"
}
device 0 esp8266 5ccf7f00000a --trust k.pub
runs 2
device 0 esp32 240ac400000a --trust k.pub
runs 2
device 0 esp32 240ac400000b # without a trust anchor it takes the same images
runs 2
device 1 esp8266 5ccf7f00000c --trust stranger.pub
said out bad-signature
runs 1
run 0 publish esp8266-3.bin --product door --manifest esp8266-3.suit
device 0 esp8266 5ccf7f00000a --trust k.pub
runs 3
tail -n 1 out | grep -q '"sequence": *3[,}]' || fail "the sequence was not raised"
# ---- the same release by version file and by URL ----
device 0 esp8266 5ccf7f00000d --source version-file --trust k.pub
runs 3
device 0 esp32 240ac400000d --source version-file --trust k.pub
runs 2
device 1 esp8266 5ccf7f00000e --source version-file --trust stranger.pub
said out bad-signature
runs 1
got=0
"$molt" sim --chip esp32 --mac 240ac400000f --firmware esp32-1.bin --source url --server "$url/fw/door.bin" --trust k.pub --json \
    >out 2>err || got=$?
[ "$got" = 0 ] || fail "not by URL"
runs 2
curl -s -o /dev/null -w '%{http_code}' "$url/fota/5ccf7f00000f.suit" >out # a device that is adopted by nobody's chip
said out 404

run 0 release show 1 --json
grep -q '"sequence": *2' out || fail "the release does not show its sequence"

# ---- a key that leaked: the next one signs, both sides know it ----
run 0 product trust door --key stranger.pub
run 0 sim build esp8266-4.bin --chip esp8266 --code 4 --product door
run 0 sign esp8266-4.bin --key stranger --product door
run 0 publish esp8266-4.bin --product door --manifest esp8266-4.suit
device 0 esp8266 5ccf7f00000a --trust k.pub --trust stranger.pub
runs 4
name=$("$molt" key show k.pub | sed 's/key //')
run 0 product trust door --remove "$name"
run 0 sim build esp8266-5.bin --chip esp8266 --code 5 --product door
run 0 sign esp8266-5.bin --key k --product door
run 1 publish esp8266-5.bin --product door --manifest esp8266-5.suit
said err bad-signature

# ---- keys that the root changed: the server verifies the statement and hands it on with the manifest ----
run 0 keygen root --no-passphrase
run 0 keygen new --no-passphrase
run 0 key rotate door.keys --key root --to new.pub --epoch 1 --product door --chip esp8266
run 0 sim build esp8266-6.bin --chip esp8266 --code 6 --product door
run 0 sign esp8266-6.bin --key new --product door --keys door.keys --out six.suit
run 1 publish esp8266-6.bin --product door --manifest six.suit
said err bad-key-statement
run 0 product trust door --key root.pub
run 0 sign esp8266-6.bin --key k --product door --keys door.keys --out old-key.suit
run 1 publish esp8266-6.bin --product door --manifest old-key.suit
said err bad-signature
run 0 publish esp8266-6.bin --product door --manifest six.suit
device 0 esp8266 5ccf7f00000b --trust k.pub --root root.pub
runs 6

# ---- a folder of files: the statement of the file, and no other ----
mkdir www
"$molt" publish esp8266-2.bin --product door --static www --name 5ccf7f00000a --manifest esp8266-2.suit --key k.pub >out 2>err ||
    fail "not published"
"$molt" publish esp32-2.bin --product door --static www --name lamp --manifest esp32-2.suit --key k.pub >out 2>err ||
    fail "not published"
serve --data data2 --static www
rm -f ./*.flash
device 0 esp8266 5ccf7f00000a --source version-file --trust k.pub
runs 2
run 0 sign esp8266-2.bin --key new --product door --keys door.keys --out rotated.suit
run 0 publish esp8266-2.bin --product door --static www --name 5ccf7f00000c --manifest rotated.suit --key root.pub
device 0 esp8266 5ccf7f00000c --source version-file --trust k.pub --root root.pub
runs 2
cp esp8266-3.suit www/5ccf7f00000a.suit # of another file
curl -s "$url/5ccf7f00000a.suit" -o out -w '%{http_code}' >code
[ "$(cat code)" != 200 ] || fail "a manifest of another file was served"
head -c 100 esp8266-2.suit >www/5ccf7f00000a.suit
curl -s "$url/5ccf7f00000a.suit" -o out -w '%{http_code}' >code
[ "$(cat code)" != 200 ] || fail "half a manifest was served"
echo "publish_signed_test: all good"
