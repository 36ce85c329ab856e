#!/bin/sh
# sign_test.sh - `molt keygen`, `key show`, `sign` and `verify`: good calls, bad calls, and openssl as second opinion.
# usage: sign_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/command.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset MOLT_PASSPHRASE MOLT_SERVER MOLT_TOKEN 2>/dev/null || true
export TERM=xterm LC_ALL=C.UTF-8

run() { # STATUS ARGUMENTS...
    want=$1
    shift
    got=0
    setsid -w "$molt" "$@" >out 2>err </dev/null || got=$? # without a terminal that could be asked
    [ "$got" = "$want" ] || fail "exit status $got, not $want: molt $*"
}
mode() { [ "$(stat -c %a "$1")" = "$2" ] || fail "mode of $1 is $(stat -c %a "$1"), not $2"; }

"$molt" sim build door.bin --chip esp8266 --code 1004000 --version 1.4.0 --product door >/dev/null
"$molt" sim build old.bin --chip esp8266 --code 1003000 --version 1.3.0 --product door >/dev/null
"$molt" sim build lamp.bin --chip esp32 --code 7 --product lamp >/dev/null
python3 -c 'import random
for seed, name in (1, "fs.bin"), (2, "other-fs.bin"):
    open(name, "wb").write(b"no firmware" + random.Random(seed).randbytes(65525))'

# ---- keys ----
umask 000
run 1 keygen no.key
said err "passphrase"
[ ! -e no.key ] || fail "a key was made without a passphrase"
run 0 keygen plain.key --no-passphrase
mode plain.key 600
mode plain.key.pub 644
openssl pkey -in plain.key -noout 2>err || fail "openssl cannot read the key"
openssl pkey -pubin -in plain.key.pub -noout 2>err || fail "openssl cannot read the public key"
cp plain.key before
run 1 keygen plain.key --no-passphrase
said err "key-exists"
cmp -s plain.key before || fail "a key was overwritten"
run 2 keygen x.key --no-passphrase --passphrase-file before
echo 'correct horse battery' >phrase
run 0 keygen locked.key --passphrase-file phrase --json
grep -q '"encrypted": *true' out || fail "the JSON does not say that the key is encrypted"
grep -q ENCRYPTED locked.key || fail "the key is not encrypted"
! grep -rq 'correct horse' out err locked.key || fail "the passphrase was shown"
run 0 key show plain.key.pub
said out "key "
run 0 key show plain.key.pub --product door --chip esp8266
said out "molt_key[64]"
said out "molt_class[16]"
run 1 key show plain.key
said err "private key"
run 2 key show plain.key.pub --product door
run 0 key show plain.key.pub --role root
said out 'uint8_t molt_root[64]'
run 2 key show plain.key.pub --role king
run 0 key rotate plain.keys --key plain.key --to plain.key.pub --epoch 258 --product door --chip esp8266
run 0 key show plain.keys
said out 258
run 0 key show plain.keys --json
said out '"epoch":258'
head -c 100 plain.keys >torn.keys
run 1 key show torn.keys
said err bad-key-statement

# ---- signing and verifying ----
run 0 sign door.bin --key plain.key --product door
[ -s door.suit ] || fail "no manifest was written"
[ "$(wc -c <door.suit)" -le 320 ] || fail "the manifest is longer than it should be"
said out "1004000"
run 0 verify door.bin --key plain.key.pub --product door
said out "good"
run 0 verify door.bin --manifest door.suit --key plain.key.pub --product door --json
grep -q '"sequence": *1004000' out || fail "the JSON does not say the sequence"
gzip -k door.bin
run 0 verify door.bin.gz --key plain.key.pub --product door
run 1 verify old.bin --manifest door.suit --key plain.key.pub --product door
said err "manifest-mismatch"
said err "sign this very file"
run 1 verify door.bin --key locked.key.pub --product door
said err "bad-signature"
run 1 verify door.bin --key plain.key.pub --product gate
said err "wrong-product"
said err "sign it for this product"
run 1 verify door.bin --manifest phrase --key plain.key.pub --product door
said err "bad-manifest"
run 1 verify door.bin --manifest door.bin --key plain.key.pub --product door
said err "bad-manifest"
run 1 verify door.bin --manifest none.suit --key plain.key.pub --product door
said err "writes the manifest; --manifest names another"
run 1 verify door.bin --manifest phrase --key plain.key.pub --product door --json
grep -q '"reason": *"bad-manifest"' out || fail "no error object"

run 1 sign door.bin --key locked.key --product door
said err "passphrase"
MOLT_PASSPHRASE=wrong run 1 sign door.bin --key locked.key --product door
said err "passphrase is wrong"
MOLT_PASSPHRASE='correct horse battery' run 0 sign door.bin --key locked.key --product door --out locked.suit
run 0 sign door.bin --key locked.key --passphrase-file phrase --product door --out locked.suit --sequence 77
run 0 verify door.bin --manifest locked.suit --key locked.key.pub --product door
said out "sequence 77"
run 0 sign door.bin --key plain.key --product door --fs fs.bin --out two.suit
run 0 verify door.bin --manifest two.suit --key plain.key.pub --product door --fs fs.bin
run 1 verify door.bin --manifest two.suit --key plain.key.pub --product door --fs other-fs.bin
said err "manifest-mismatch"
run 1 verify door.bin --key plain.key.pub --product door --fs fs.bin
said err "manifest-mismatch"

# ---- what is never signed ----
run 2 sign door.bin --product door
run 2 sign door.bin --key plain.key
run 1 sign door.bin --key plain.key --product door --chip esp32
said err "wrong-chip"
run 1 sign door.bin --key plain.key --product gate
said err "wrong-product"
run 1 sign door.bin --key plain.key --product '../door'
said err "invalid-name"
run 1 sign fs.bin --key plain.key --product door --out never.suit
run 1 sign door.bin --fs lamp.bin --key plain.key --product door --out never.suit
printf 'XYZ' | dd of=old.bin bs=1 seek=20000 conv=notrunc status=none
run 1 sign old.bin --key plain.key --product door --out never.suit
run 1 sign door.bin --key phrase --product door --out never.suit
said err "bad-key"
run 1 sign door.bin --key plain.key --product door --out no/such/folder/x.suit
said err "store-failed: no/such/folder/x.suit: No such file or directory"
said err "a file that you may write"
run 1 sign door.bin --key no.key --product door
said err "not-found: no.key: No such file or directory"
run 2 sign door.bin --key plain.key --product door --sequence 0
[ ! -e never.suit ] || fail "something was signed that must not be"
[ -z "$(find . -name '*.suit.*')" ] || fail "a temporary file was left"

# ---- another program holds the key ----
run 0 sign door.bin --key plain.key.pub --product door --out hsm.suit --signer "openssl dgst -sha256 -sign $folder/plain.key"
run 0 verify door.bin --manifest hsm.suit --key plain.key.pub --product door
run 1 sign door.bin --key locked.key.pub --product door --out never.suit --signer "openssl dgst -sha256 -sign $folder/plain.key"
said err "signing-failed"
run 1 sign door.bin --key plain.key.pub --product door --out never.suit --signer "exit 1"
[ ! -e never.suit ] || fail "a failed signer left a manifest"

# ---- openssl agrees: digest of the manifest, and the signature over COSE's Sig_structure ----
tail -c +123 door.suit | openssl dgst -sha256 -binary >digest
dd if=door.suit of=stated bs=1 skip=13 count=32 status=none
cmp -s digest stated || fail "the digest in the envelope is not that of the manifest"
{ printf '\204jSignature1C\241\001&@X$\202/X '; cat digest; } >tbs
python3 - <<'PY'
s = open("door.suit", "rb").read()[57:121]
def integer(b):
    b = b.lstrip(b"\0")
    b = b"\0" + b if b[0] & 0x80 else b
    return b"\x02" + bytes([len(b)]) + b
body = integer(s[:32]) + integer(s[32:])
open("der", "wb").write(b"\x30" + bytes([len(body)]) + body)
PY
openssl dgst -sha256 -verify plain.key.pub -signature der tbs >out 2>err || fail "openssl does not verify the signature"
echo "sign_test: all good"
