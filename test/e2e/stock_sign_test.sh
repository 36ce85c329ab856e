#!/bin/sh
# stock_sign_test.sh - the signed files of other updaters: openssl and espsecure say whether they are right.
# usage: stock_sign_test.sh path/to/molt       (espsecure: $MOLT_VENV, as esptool)
set -eu
molt=$1
. "$(dirname "$0")/command.sh"
exec </dev/null
here=$(cd "$(dirname "$0")" && pwd)
espsecure=${MOLT_VENV:-$here/../../build/venv}/bin/espsecure
[ -x "$espsecure" ] || { echo "stock_sign_test: no espsecure; run ./dev setup, or set MOLT_VENV" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TERM=dumb

for bits in 2048 3072 4096; do
    openssl genrsa -out "rsa$bits" "$bits" 2>/dev/null
    openssl rsa -in "rsa$bits" -pubout -out "rsa$bits.pub" 2>/dev/null
done
openssl genrsa -out rsa2048b 2048 2>/dev/null
openssl rsa -in rsa2048b -pubout -out rsa2048b.pub 2>/dev/null
run 0 keygen p256 --no-passphrase
run 0 sim build door.bin --chip esp8266 --code 7
run 0 sim build lamp.bin --chip esp32s3 --code 7
gzip -k door.bin

# openssl says whether SIGNATURE is KEY's over CONTENT.
openssl_likes() { # KEY SIGNATURE CONTENT OPTIONS...
    key=$1 signature=$2 content=$3
    shift 3
    openssl dgst -sha256 -verify "$key" -signature "$signature" "$@" "$content" >oracle 2>&1 || fail "openssl refuses"
}
size() { wc -c <"$1"; }
flip() { # AT: bad is signed with one bit of that byte changed
    cp signed bad
    byte=$(od -An -tu1 -j "$1" -N 1 signed | tr -d ' ')
    # shellcheck disable=SC2059 # an octal escape
    printf "\\$(printf %o $((byte ^ 4)))" | dd of=bad bs=1 seek="$1" conv=notrunc status=none
}

# ---- arduino-esp8266: file, signature, u32 length; also packed ----
for file in door.bin door.bin.gz; do
    run 0 sign "$file" --key rsa2048 --format arduino-esp8266 --out signed
    [ "$(size signed)" = $(($(size "$file") + 260)) ] || fail "length"
    [ "$(tail -c 4 signed | od -An -tu4 | tr -d ' ')" = 256 ] || fail "length word"
    head -c "$(size "$file")" signed >content
    cmp "$file" content || fail "the file was changed"
    tail -c 260 signed | head -c 256 >signature
    openssl_likes rsa2048.pub signature content
    run 0 verify signed --key rsa2048.pub --format arduino-esp8266
    run 1 verify signed --key rsa3072.pub --format arduino-esp8266
    said err bad-signature
    run 1 inspect signed
done

# ---- arduino-esp32: image, signature, zeros up to 512 ----
run 0 sign lamp.bin --key rsa2048 --format arduino-esp32 --out signed
[ "$(size signed)" = $(($(size lamp.bin) + 512)) ] || fail "length"
tail -c 512 signed | head -c 256 >signature
openssl_likes rsa2048.pub signature lamp.bin -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:max
run 0 verify signed --key rsa2048.pub --format arduino-esp32
run 0 sign lamp.bin --key p256 --format arduino-esp32 --out signed-ec
tail -c 512 signed-ec | head -c $((2 + $(tail -c 512 signed-ec | head -c 2 | tail -c 1 | od -An -tu1))) >signature
openssl_likes p256.pub signature lamp.bin
run 0 verify signed-ec --key p256.pub --format arduino-esp32
run 1 inspect signed-ec
said out signed-image

# ---- esp32fota: 512 bytes, then the image ----
run 0 sign lamp.bin --key rsa4096 --format esp32fota --out signed
head -c 512 signed >signature
openssl_likes rsa4096.pub signature lamp.bin
run 0 verify signed --key rsa4096.pub --format esp32fota
run 1 sign lamp.bin --key rsa2048 --format esp32fota --out never
said err "4096"

# ---- secure-boot-v2: what espsecure writes, molt takes, and the other way round ----
for key in rsa3072 p256; do
    run 0 sign lamp.bin --key "$key" --format secure-boot-v2 --out signed
    [ $(($(size signed) % 4096)) = 0 ] || fail "not whole sectors"
    "$espsecure" verify-signature --version 2 --keyfile "$key.pub" signed >oracle 2>&1 || fail "espsecure refuses ($key)"
    run 0 verify signed --key "$key.pub" --format secure-boot-v2
    "$espsecure" sign-data --version 2 --keyfile "$key" --output theirs lamp.bin >oracle 2>&1 || fail "espsecure does not sign"
    [ "$(size theirs)" = "$(size signed)" ] || fail "another length than espsecure's"
    run 0 verify theirs --key "$key.pub" --format secure-boot-v2
    run 1 inspect signed
    # every block byte counts
    at=$(($(size signed) - 4096))
    for off in 0 1 5 36 101 420 424 808 812 1000 1196; do
        flip $((at + off))
        run 1 verify bad --key "$key.pub" --format secure-boot-v2
    done
done
run 1 sign lamp.bin --key rsa2048 --format secure-boot-v2 --out never

# ---- every format: a changed byte, another format, another chip ----
for pair in "arduino-esp8266 door.bin rsa2048" "arduino-esp32 lamp.bin p256" "esp32fota lamp.bin rsa4096" \
    "secure-boot-v2 lamp.bin p256"; do
    # shellcheck disable=SC2086 # three words
    set -- $pair
    run 0 sign "$2" --key "$3" --format "$1" --out signed
    for at in 600 20000 100000; do
        flip $at
        run 1 verify bad --key "$3.pub" --format "$1"
        said err bad-signature
    done
    for other in arduino-esp8266 arduino-esp32 esp32fota secure-boot-v2; do
        [ "$other" = "$1" ] || run 1 verify signed --key "$3.pub" --format "$other"
    done
    run 1 sign signed --key "$3" --format "$1" --out never # never twice
    run 1 verify signed --key "$3" --format "$1" # a private key is no public one
done

# ---- publish and inspect: verified by the key, stored as it was before it was signed ----
n=0
for pair in "arduino-esp8266 door.bin rsa2048" "arduino-esp8266 door.bin.gz rsa4096" "arduino-esp32 lamp.bin p256" \
    "arduino-esp32 lamp.bin rsa3072" "esp32fota lamp.bin rsa4096" "secure-boot-v2 lamp.bin p256" \
    "secure-boot-v2 lamp.bin rsa3072"; do
    # shellcheck disable=SC2086 # three words
    set -- $pair
    n=$((n + 1))
    plain=${2%.gz}
    digest=$(sha256sum "$plain" | cut -d' ' -f1)
    run 0 sign "$2" --key "$3" --format "$1" --out signed
    run 0 inspect signed --trust "$3.pub"
    said out "$1"
    said out "can be published"
    run 0 inspect signed --trust "$3.pub" --json
    said out "\"signed_as\":\"$1\""
    run 1 publish signed --product "p$n" --version 7 --data store
    said err "--trust"
    run 1 publish signed --product "p$n" --version 7 --data store --trust rsa2048b.pub
    said err signed-image
    flip 20000
    run 1 inspect bad --trust "$3.pub"
    run 1 publish bad --product "p$n" --version 7 --data store --trust "$3.pub"
    run 0 publish signed --product "p$n" --version 7 --data store --trust "$3.pub"
    said out "$1"
    said out "$digest"
done
run 0 sign lamp.bin --key rsa3072 --format secure-boot-v2 --out theirs
"$espsecure" sign-data --version 2 --keyfile rsa3072 --output theirs lamp.bin >oracle 2>&1 || fail "espsecure does not sign"
run 0 publish theirs --product theirs --version 7 --data store --trust rsa3072.pub
said out "$(sha256sum lamp.bin | cut -d' ' -f1)"
# A key that the product trusts need not be named; such a product wants a manifest as well.
run 0 product trust lamp --key p256.pub --data store
run 0 sign lamp.bin --key p256 --product lamp --out lamp.suit
run 0 sign lamp.bin --key p256 --format arduino-esp32 --out signed
run 1 publish signed --product lamp --version 7 --data store
said err not-signed
run 0 publish signed --product lamp --version 7 --data store --manifest lamp.suit
said out arduino-esp32
run 1 sign lamp.bin --key rsa2048 --format arduino-esp8266 --out never
said err wrong-chip
run 1 sign door.bin --key rsa4096 --format esp32fota --out never
run 2 sign door.bin --key rsa2048 --format nothing
run 2 sign door.bin --key rsa2048 --format arduino-esp8266 --product door
[ ! -e never ] || fail "something was signed that must not be"
run 0 sign door.bin --key rsa2048 --format arduino-esp8266
[ -s door.signed.bin ] || fail "the name"
echo "stock_sign_test: all good"
