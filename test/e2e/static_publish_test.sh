#!/bin/sh
# static_publish_test.sh - `molt publish --static` into the folder of a plain nginx, from which devices with a trust anchor
# update themselves, by version file and by URL. usage: static_publish_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/nginx.sh"
. "$(dirname "$0")/command.sh"
folder=$(mktemp -d)
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    stop_nginx
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
unset MOLT_SERVER MOLT_TOKEN MOLT_DATA MOLT_PASSPHRASE 2>/dev/null || true

mkdir www
run 0 keygen k --no-passphrase
run 0 keygen stranger --no-passphrase
for code in 1 2 3; do
    for chip in esp8266 esp32c3; do
        run 0 sim build "$chip-$code.bin" --chip "$chip" --code "$code" --product door
        run 0 sign "$chip-$code.bin" --key k --product door
    done
done

# ---- what is refused writes nothing ----
run 1 publish esp8266-2.bin --product door --static www --manifest esp8266-1.suit --key k.pub
said err manifest-mismatch
run 1 publish esp8266-2.bin --product door --static www --manifest esp8266-2.suit --key stranger.pub
said err bad-signature
run 1 publish esp8266-2.bin --product gate --static www --manifest esp8266-2.suit --key k.pub
said err wrong-product
run 2 publish esp8266-2.bin --product door --static www --manifest esp8266-2.suit
run 2 publish esp8266-2.bin --product door --static www --channel beta
run 1 publish esp8266-2.suit --product door --static www
run 1 publish esp8266-2.bin --product door --static www --name ../up
run 1 publish esp8266-2.bin --product door --static nowhere
[ -z "$(ls www)" ] || fail "something was written: $(ls www)"

# ---- approved by a second person ----
run 0 keygen second --no-passphrase
run 1 publish esp8266-2.bin --product door --static www --manifest esp8266-2.suit --key k.pub --approver second.pub
said err not-approved
cp esp8266-2.suit both.suit
run 0 sign both.suit --approve --key second
run 1 publish esp8266-2.bin --product door --static www --manifest both.suit --key k.pub --approver stranger.pub
said err not-approved
run 1 verify esp8266-2.bin --manifest esp8266-2.suit --key k.pub --product door --approver second.pub
said err not-approved
run 0 verify esp8266-2.bin --manifest both.suit --key k.pub --product door
said err --approver
run 0 verify esp8266-2.bin --manifest both.suit --key k.pub --product door --approver second.pub
said out 'signed by'
said out 'approved by'
[ -z "$(ls www)" ] || fail "something was written: $(ls www)"
run 0 publish esp8266-2.bin --product door --static www --name bb --manifest both.suit --key k.pub --approver second.pub
cmp both.suit www/bb.suit || fail "not the manifest that was approved"
rm www/*

# ---- signed as another tool does it: the stock client gets the signed file ----
openssl genrsa -out rsa.pem 2048 2>/dev/null
openssl rsa -in rsa.pem -pubout -out rsa.pub 2>/dev/null
openssl genrsa 2048 2>/dev/null | openssl rsa -pubout -out other-rsa.pub 2>/dev/null
run 0 sign esp8266-2.bin --key rsa.pem --format arduino-esp8266 --out stock.bin
run 1 publish stock.bin --product door --static www
run 1 publish stock.bin --product door --static www --trust other-rsa.pub
said err signed-image
run 2 publish stock.bin --product door --static www --trust rsa.pub --manifest esp8266-2.suit --key k.pub
run 0 publish stock.bin --product door --static www --name cc --trust rsa.pub
cmp stock.bin www/cc.bin || fail "the stock client does not get the signed file"
[ "$(cat www/cc.version)" = 2 ] || fail "not the version of the image inside"
[ ! -e www/cc.bin.gz ] && [ ! -e www/cc.suit ] || fail "a form that nobody signed: $(ls www)"
rm www/*

# ---- order: what is there is older ----
run 0 publish esp8266-2.bin --product door --static www --name aa --manifest esp8266-2.suit --key k.pub
cmp esp8266-2.bin www/aa.bin || fail "not the image that was published"
cmp esp8266-2.suit www/aa.suit || fail "not the manifest that was published"
gzip -dc www/aa.bin.gz | cmp - esp8266-2.bin || fail "not the image in the .gz"
[ "$(cat www/aa.version)" = 2 ] || fail "not the version"
[ "$(stat -c %a www/aa.bin)" = 644 ] || fail "a web server could not read it"

# ---- the manifest last: what cannot be written stops what comes after it ----
mkdir -p www/bb.suit/in-the-way www/cc.bin/in-the-way
run 1 publish esp8266-2.bin --product door --static www --name bb --manifest esp8266-2.suit --key k.pub
cmp esp8266-2.bin www/bb.bin || fail "the image comes after the manifest"
[ "$(cat www/bb.version)" = 2 ] || fail "the version comes after the manifest"
run 1 publish esp8266-2.bin --product door --static www --name cc --manifest esp8266-2.suit --key k.pub
[ ! -e www/cc.version ] && [ ! -e www/cc.suit ] || fail "a manifest without its image"
rm -r www/bb.* www/cc.*
run 1 publish esp8266-1.bin --product door --static www --name aa --manifest esp8266-1.suit --key k.pub
said err older-code
run 0 publish esp8266-2.bin --product door --static www --name aa --manifest esp8266-2.suit --key k.pub
[ "$(find www -type f | wc -l)" = 4 ] || fail "more than four files: $(ls www)"

# ---- devices ----
start_nginx <<CONF
access_log $folder/access.log; default_type application/octet-stream;
server { listen 127.0.0.1:PORT; root $folder/www; }
CONF
port=$nginx_port

runs() { tail -n 1 out | grep -q "\"version_code\": *$1[,}]" || fail "the device does not run version $1"; }
device() { # STATUS CHIP MAC ARGUMENTS...
    want=$1 chip=$2 mac=$3
    shift 3
    run "$want" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$mac.flash" --json "$@"
}
for chip in esp8266 esp32c3; do
    case $chip in esp8266) mac=5ccf7f00000a ;; *) mac=240ac400000a ;; esac
    run 0 publish "$chip-2.bin" --product door --static www --name "$mac" --manifest "$chip-2.suit" --key k.pub
    device 0 "$chip" "$mac" --source version-file --server "http://127.0.0.1:$port" --trust k.pub
    runs 2
    tail -n 1 out | grep -q '"sequence": *2[,}]' || fail "the sequence was not kept"
    run 0 publish "$chip-3.bin" --product door --static www --name "$mac" --manifest "$chip-3.suit" --key k.pub
    device 0 "$chip" "$mac" --source version-file --server "http://127.0.0.1:$port" --trust stranger.pub --trust k.pub
    runs 3
    # an old release comes back, with its own good signature
    cp "$chip-2.bin" "www/$mac.bin"
    cp "$chip-2.suit" "www/$mac.suit"
    echo 4 >"www/$mac.version"
    device 1 "$chip" "$mac" --source version-file --server "http://127.0.0.1:$port" --trust k.pub
    said out older-sequence
    runs 3
done

# by URL: .suit beside .bin
run 0 publish esp8266-2.bin --product door --static www --name door --manifest esp8266-2.suit --key k.pub
device 0 esp8266 5ccf7f00000b --source url --server "http://127.0.0.1:$port/door.bin" --trust k.pub
runs 2
device 1 esp8266 5ccf7f00000c --source url --server "http://127.0.0.1:$port/door.bin" --trust stranger.pub
said out bad-signature
runs 1
run 0 publish esp8266-3.bin --product door --static www --name door
[ ! -e www/door.suit ] || fail "the manifest of another image was left"
device 1 esp8266 5ccf7f00000d --source url --server "http://127.0.0.1:$port/door.bin" --trust k.pub
said out not-signed
runs 1

# encrypted, raw and packed: the folder has only ciphertext, and a device with the key updates itself from it
run 0 keygen fleet --no-passphrase
mkdir packed
run 0 publish esp32c3-3.bin --product door --static packed # its gzip form takes a window of 4 KB
cp packed/door.bin.gz esp32c3-3.bin.gz
for form in raw gzip; do
    case $form in raw) packed=esp32c3-3.bin mac=240ac400001a ;; *) packed=esp32c3-3.bin.gz mac=240ac400001b ;; esac
    run 0 sign esp32c3-3.bin --key k --product door --encrypt-for fleet.pub --packed "$packed" --out sealed.suit
    run 1 publish esp32c3-3.bin --product door --static www --name "$mac" --manifest sealed.suit --key k.pub
    said err manifest-mismatch
    run 0 publish esp32c3-3.bin --product door --static www --name "$mac" --manifest sealed.suit --key k.pub \
        --encrypted "$packed.enc" --packed "$packed"
    cmp "$packed.enc" "www/$mac.bin" || fail "not the encrypted file"
    [ ! -e "www/$mac.bin.gz" ] || fail "a form that is not encrypted"
    device 1 esp32c3 "$mac" --source version-file --server "http://127.0.0.1:$port" --trust k.pub
    said out encrypted
    device 0 esp32c3 "$mac" --source version-file --server "http://127.0.0.1:$port" --trust k.pub --device-key fleet
    runs 3
done
echo "static_publish_test: all good"
