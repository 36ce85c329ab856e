#!/bin/sh
# pkcs11_test.sh - the key is in a token (SoftHSM, through OpenSSL's PKCS#11 engine) and never in a file that molt reads.
# usage: pkcs11_test.sh path/to/molt
set -eu
molt=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { cat out err 2>/dev/null >&2 || true; printf 'pkcs11_test: %s\n' "$*" >&2; exit 1; }
mkdir tokens
printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\n' "$folder" >softhsm2.conf
export SOFTHSM2_CONF="$folder/softhsm2.conf"
for module in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    [ ! -e "$module" ] || export PKCS11_MODULE_PATH="$module"
done
softhsm2-util --init-token --free --label makers --pin 8266 --so-pin 32323232 >out 2>err || fail "no token"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>err || fail "no key"
openssl pkey -in key -pubout -out door.pub
softhsm2-util --import key --token makers --label door --id 01 --pin 8266 >out 2>err || fail "the token takes no key"
rm key
"$molt" sim build door.bin --chip esp8266 --code 7 --product door >out
signer='openssl dgst -sha256 -engine pkcs11 -keyform engine -sign "pkcs11:token=makers;object=door;type=private;pin-value=8266"'

"$molt" sign door.bin --key door.pub --product door --signer "$signer" >out 2>err || fail "the token does not sign"
"$molt" verify door.bin --key door.pub --product door >out 2>err || fail "what the token signed is refused"
grep -q good out || fail "not good"
# A statement and an approval by the same token; a wrong PIN signs nothing.
"$molt" keygen other --no-passphrase >out
"$molt" key rotate door.keys --key door.pub --signer "$signer" --to other.pub --epoch 1 --product door --chip esp8266 \
    >out 2>err || fail "the token states no keys"
"$molt" sign door.bin --key other --product door --keys door.keys --out rotated.suit >out 2>err || fail "no statement"
"$molt" verify door.bin --manifest rotated.suit --key door.pub --product door >out 2>err || fail "the statement is refused"
"$molt" sign rotated.suit --approve --key door.pub --signer "$signer" >out 2>err || fail "the token does not approve"
wrong='openssl dgst -sha256 -engine pkcs11 -keyform engine -sign "pkcs11:token=makers;object=door;type=private;pin-value=1"'
if "$molt" sign door.bin --key door.pub --product door --out never.suit --signer "$wrong" >out 2>err </dev/null; then
    fail "a wrong PIN signs"
fi
[ ! -e never.suit ] || fail "a wrong PIN left a manifest"
echo "pkcs11_test: all good"
