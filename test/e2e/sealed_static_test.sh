#!/bin/sh
# sealed_static_test.sh - encrypted files in a folder that `molt serve --static` serves: devices with the key update themselves by
# version file, raw and gzip; stock clients, which would take ciphertext for an image, get nothing; a file that no manifest
# names is not served. usage: sealed_static_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

for key in door.key fleet.key other.key; do "$molt" keygen "$key" --no-passphrase >/dev/null 2>&1; done
mkdir www
serve --static "$folder/www"

sign() { # CHIP CODE ARGUMENTS...
    chip=$1 code=$2
    shift 2
    "$molt" sign "$chip-$code.bin" --key door.key --product door --encrypt-for fleet.key.pub "$@" >/dev/null
}
publish() { # CHIP CODE NAME ARGUMENTS...
    image=$1-$2.bin suit=$1-$2.suit id=$3
    shift 3
    "$molt" publish "$image" --static www --product door --name "$id" --key door.key.pub --manifest "$suit" "$@" \
        >publish.log 2>&1 || { cat publish.log >&2; fail "publish $image $*"; }
}
sim() { # NAME CHIP MAC ARGUMENTS...
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$name.flash" --server "$url" --json \
        --source version-file "$@" >"$name.json" 2>&1 || true
}
runs() { tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run version $2"; }; }
opens="--trust door.key.pub --device-key fleet.key"

for chip in esp8266 esp32; do
    for code in 1 2 3; do "$molt" sim build "$chip-$code.bin" --chip "$chip" --product door --code "$code" >/dev/null; done
    maker=5ccf7f colons=5C:CF:7F:00:00
    [ "$chip" = esp8266 ] || { maker=240ac4 colons=24:0A:C4:00:00; }
    sign "$chip" 2
    for n in 1 2 3 4; do publish "$chip" 2 "${maker}00000$n" --encrypted "$chip-2.bin.enc"; done
    # shellcheck disable=SC2086 # several arguments
    sim "keyed-$chip" "$chip" "$colons:01" $opens
    runs "keyed-$chip" 2
    sim "stock-$chip" "$chip" "$colons:02" --client stock
    runs "stock-$chip" 1
    "$molt" device show "${maker}000002" >why.log
    grep -q encrypted why.log || { cat why.log >&2; fail "nobody is told why"; }
    [ "$(curl -s "$url/${maker}000002.version")" = 0 ] || fail "a number for what is not served"
    sim "unkeyed-$chip" "$chip" "$colons:03" --trust door.key.pub
    runs "unkeyed-$chip" 1
    grep -q '"reason": *"encrypted"' "unkeyed-$chip.json" || { cat "unkeyed-$chip.json" >&2; fail "not the right reason"; }
    sim "wrong-$chip" "$chip" "$colons:04" --trust door.key.pub --device-key other.key
    runs "wrong-$chip" 1
    # packed before it was encrypted
    python3 -c 'import sys, zlib; z = zlib.compressobj(9, zlib.DEFLATED, 16 + 12); sys.stdout.buffer.write(z.compress(sys.stdin.buffer.read()) + z.flush())' \
        <"$chip-3.bin" >"$chip-3.bin.gz" # a window of 4 KB, which is what devices have
    sign "$chip" 3 --packed "$chip-3.bin.gz" --out "$chip-3.suit"
    publish "$chip" 3 "${maker}000001" --encrypted "$chip-3.bin.gz.enc" --packed "$chip-3.bin.gz"
    # shellcheck disable=SC2086
    sim "keyed-$chip" "$chip" "$colons:01" $opens
    runs "keyed-$chip" 3
done

# Ciphertext without its manifest is not served, and is once the manifest is there.
id=5ccf7f000005
cp esp8266-2.bin.enc "www/$id.bin"
echo 2 >"www/$id.version"
# shellcheck disable=SC2086
sim late esp8266 5C:CF:7F:00:00:05 $opens
runs late 1
cp esp8266-2.suit "www/$id.suit"
# shellcheck disable=SC2086
sim late esp8266 5C:CF:7F:00:00:05 $opens
runs late 2
printf 'sealed_static_test: good\n'
