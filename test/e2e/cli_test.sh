#!/bin/sh
# cli_test.sh - the `molt` program without a server: every command on a store of its own, good calls, bad calls.
# usage: cli_test.sh path/to/molt path/to/make_image
set -eu
molt=$1 make_image=$2
. "$(dirname "$0")/command.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset MOLT_SERVER MOLT_TOKEN 2>/dev/null || true
export MOLT_DATA="$folder/data" TERM=xterm LC_ALL=C.UTF-8

silent() { [ ! -s "$1" ] || fail "$1 is not empty"; }

"$make_image" esp8266 1 1.2.0 door.bin
"$make_image" esp8266 2 1.3.0 door13.bin
"$make_image" esp32c3 1 2.0.0 lamp.bin
printf '<!DOCTYPE html><html>404</html>' >page.bin
head -c 30000 lamp.bin >cut.bin
: >empty.bin
printf 'x' | dd of=bad.bin bs=1 seek=20000 conv=notrunc status=none
cp door.bin damaged.bin
printf 'XYZ' | dd of=damaged.bin bs=1 seek=20000 conv=notrunc status=none

# ---- help and usage ----
run 0 --version
said out "molt 0."
run 0 help
said out "usage: molt COMMAND"
run 0 --help
run 2
said err "usage: molt COMMAND"
silent out
"$molt" help | sed -n 's/^  \([a-z][a-z -]\{0,14\}[a-z]\)  *[a-z].*/\1/p' >commands
[ "$(wc -l <commands)" -ge 36 ] || fail "molt help lists $(wc -l <commands) commands"
while read -r command; do
    # shellcheck disable=SC2086 # the command's two words
    run 0 $command --help
    said out "usage: molt $command"
    said out "Examples:"
    said out "  molt $command"
    # shellcheck disable=SC2086
    run 0 help $command
    said out "usage: molt $command"
done <commands
for command in publish inspect "device list" "device show" "device set" "device why" "release list" "release show" \
    "release yank" "release unyank" "token create" "token list" status sim doctor "rollout list"; do
    # shellcheck disable=SC2086
    run 0 $command --help
    said out "--json"
done
run 2 device
said err "molt device list"
run 0 help device
said out "molt device list"
run 2 publsh
said err "did you mean \`molt publish\`?"
run 2 frobnicate
said err "\`molt help\` lists the commands"
for word in --verison version; do
    run 2 "$word"
    said err "did you mean \`molt --version\`?"
done
run 2 publish door.bin --produkt door
said err "did you mean --product?"
run 2 publish door.bin
said err "--product is missing"
run 2 publish --product door
said err "something is missing: molt publish FILE"
run 2 publish door.bin lamp.bin --product door
said err "'lamp.bin' is one argument too many"
run 2 publish door.bin --product door --code 2147483648
said err "--code takes a whole number from 1 to 2147483647"
run 2 publish door.bin --product door --code
said err "--code needs a value: --code N"
run 2 publish door.bin --product "$(printf '\377')"
said err "not UTF-8"
run 2 "$(printf 'a\033[2Jb')"
said err "'a?[2Jb'"
run 2 device show ../../etc/passwd
said err "is no device id"
run 2 device set 5ccf7fc602e2
said err "nothing to set"
run 2 device set 5ccf7fc602e2 --hold --release
run 2 release show one
run 2 token revoke molt_abcdefghijklmnopqrstuvwxyz234567abcdefgh
said err "'molt_...' is no token id"

# ---- before there is anything ----
run 1 device list
said err "there is no data folder $folder/data yet"
[ ! -e data ] || fail "a command that only reads made the data folder"

# ---- as anybody on a machine where the package's server runs: a store of his own would be served by nobody ----
# In a place of its own, where /var/lib/molt is there and is not his; as root of it, who gives that up, or as who runs the test.
# shellcheck disable=SC2016 # for the shell inside
place='mount -t tmpfs tmpfs /var/lib && mkdir -m 0 /var/lib/molt && exec "$@"'
if [ "$(id -u)" = 0 ]; then
    set -- unshare --mount sh -c "$place" sh setpriv --reuid=65534 --regid=65534 --clear-groups
else
    set -- unshare --map-root-user --mount sh -c "$place" sh unshare --map-user=65534
fi
mkdir -m 777 home
chmod 755 "$folder"
as_anybody() { env -u MOLT_DATA -u XDG_DATA_HOME HOME="$folder/home" "$@"; }
for command in "publish door.bin --product door" "device list"; do
    # shellcheck disable=SC2086 # words
    if as_anybody "$@" "$molt" $command >out 2>err; then fail "molt $command made a store that nobody serves"; fi
    said err "keeps its data in /var/lib/molt, which is not yours"
    said err "sudo molt"
    [ -z "$(ls -A home)" ] || fail "molt $command left something"
done
as_anybody "$@" "$molt" publish door.bin --product door --data home/own >out 2>err || fail "nor in a folder that was named"
said out "door 1.2.0 (code 1002000)"
rm -rf home

# ---- inspect ----
run 0 inspect door.bin lamp.bin
said out "an ESP8266 sketch"
said out "esp32c3"
said out "good: it can be published"
run 1 inspect page.bin
said out "text-not-firmware"
said out "error page"
run 1 inspect cut.bin
said out "truncated-image"
run 1 inspect empty.bin
said out "empty-file"
run 1 inspect damaged.bin
said out "what to do"
run 1 inspect bad.bin door.bin
said out "good: it can be published"
run 1 inspect nowhere.bin
said err "nowhere.bin: there is no such file"
run 1 inspect .
silent out
gzip -k door.bin
run 0 inspect door.bin.gz
said out "a gzip file, and in it an ESP8266 sketch"
run 0 inspect --json lamp.bin
json 'd["image"]["chip"] == "esp32c3" and d["publishable"] and d["reason"] is None'
json "d['sha256'] == '$(sha256sum lamp.bin | cut -d' ' -f1)' and d['md5'] == '$(md5sum lamp.bin | cut -d' ' -f1)'"
run 1 inspect --json damaged.bin
json 'd["reason"]["id"] in ("bad-crc", "bad-checksum") and not d["publishable"]'

# ---- publish ----
run 0 publish door.bin --product door
said out "door 1.2.0 (code 1002000), channel stable"
said out "molt device set ID --product door"
silent err
run 1 publish door.bin --product door
said err "already-published"
said err "version 1.2.0 (code 1002000), release 1, and on offer"
said err "a new build needs a greater version"
run 0 release yank 1
run 1 publish door.bin --product door
said err "and yanked: \`molt release unyank 1\` offers it again"
run 0 release unyank 1
run 1 publish page.bin --product door --version 9
said err "text-not-firmware"
said err "open it in an editor"
silent out
run 1 publish cut.bin --product door --version 9 --json
json 'd["reason"] == "truncated-image"'
run 1 publish lamp.bin --product lamp --chip esp32
said err "wrong-chip"
run 1 publish lamp.bin --product ../lamp
said err "invalid-name"
run 1 publish lamp.bin --product lamp --chip z80
said err "is no chip"
run 1 publish door13.bin --product door --version 1.1.0
said err "older-code"
said err "greater version"
run 0 publish lamp.bin --product lamp --channel beta --adopt --json
json 'd["channel"] == "beta" and d["adopted"] and d["image"]["chip"] == "esp32c3" and d["code"] == 2000000'
run 0 publish door13.bin --product door

# Every refusal says what to do next, and stores nothing.
cp -r data data.before
refused() { # REASON ARGUMENTS...
    reason=$1
    shift
    run 1 publish "$@"
    said err "molt: $reason: "
    silent out
    [ "$(grep -c '^  ' err)" -ge 1 ] || grep -q 'give --' err || fail "no next step: molt publish $*"
    diff -r -x lock -x '*.db*' data data.before >/dev/null || fail "something was stored: molt publish $*"
}
gzip -c door.bin | head -c 2000 >cut.gz
python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(20000).translate(None, b"\0\xe9\xea\x1fPK:"))' >noise.bin
refused truncated-image cut.bin --product door --version 9
refused bad-crc damaged.bin --product door --version 9
refused text-not-firmware page.bin --product door --version 9
refused empty-file empty.bin --product door --version 9
refused bad-gzip cut.gz --product door --version 9
refused unknown-file noise.bin --product door --version 9
refused elf-not-bin "$(command -v sh)" --product door --version 9
refused nowhere.bin nowhere.bin --product door
refused data data --product door
refused wrong-chip door13.bin --product door --chip esp32
refused invalid-name door13.bin --product ../x
refused invalid-name door13.bin --product door --channel 'a b'
refused invalid-variant door13.bin --product door --variant rev3
refused flash-size door13.bin --product door --variant 512K
refused code-out-of-range door13.bin --product door --version 99999999999
refused code-out-of-range door13.bin --product door --version 8 --code 7
refused older-code door.bin --product door --version 1.2.0-b --code 1001000
refused already-published door13.bin --product door
refused adopt-taken door13.bin --product gate --adopt
refused chip-needed noise.bin --product door --component fs --version 9
refused invalid-request door13.bin --product door --component application
refused bad-manifest door13.bin --product door --manifest lamp.bin
rm -r data.before
[ "$("$molt" release list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["releases"]))')" = 3 ] ||
    fail "there are not three releases"

# ---- releases ----
run 0 release list
said out "PRODUCT"
said out "1003000"
run 0 release list --product lamp --json
json 'len(d["releases"]) == 1 and d["releases"][0]["version"] == "2.0.0"'
id=$(python3 -c 'import json; print(json.load(open("out"))["releases"][0]["id"])')
run 1 release list --product gate
said err "no product is called 'gate'"
run 0 release show "$id"
said out "2.0.0 (code 2000000)"
said out "$(sha256sum lamp.bin | cut -d' ' -f1)"
run 0 release yank "$id"
said out "is yanked"
run 0 release list --json
json '[r["yanked"] for r in d["releases"] if r["product"] == "lamp"] == [True]'
run 0 release unyank "$id"
run 1 release yank 999
said err "no release has the id '999'"

# ---- devices: none yet ----
run 0 device list
silent out
said err "no devices"
run 0 device list --json
json 'd == {"devices": [], "next": None}'
run 1 device show 5C:CF:7F:C6:02:E2
said err "no device has the id '5ccf7fc602e2'"
run 1 device set 5ccf7fc602e2 --product door
run 1 device list --reason nonsense
said err "is no reason id"
run 1 device forget 5ccf7fc602e2

# ---- tokens ----
run 0 token create --label ci
grep -qx 'molt_[a-z2-7]\{40\}' out || fail "not a token alone"
run 0 token create --device 5ccf7fc602e2 --json
json 'd["kind"] == "device" and d["device"] == "5ccf7fc602e2"'
run 1 token create --device a/b
run 0 token list --json
json 'sorted(t["kind"] for t in d["tokens"]) == ["admin", "device"] and all("token" not in t for t in d["tokens"])'
id=$(python3 -c 'import json; print([t["id"] for t in json.load(open("out"))["tokens"] if t["label"] == "ci"][0])')
run 0 token revoke "$id"
run 1 token revoke "$id"
run 0 status --json
json 'd["admin_tokens"] == 0 and d["products"] == 2 and d["releases"] == 3 and not d["serving"]'

# A second product for a chip ends the adoption, and that is said once.
"$make_image" esp32c3 2 2.1.0 lamp21.bin
run 0 publish lamp21.bin --product lamp --channel beta
said out "every esp32c3 that has no product gets lamp at its next poll"
"$make_image" esp32c3 3 1.0.0 fan.bin
run 0 publish fan.bin --product fan
said err "from now on no product adopts unknown devices of esp32c3: lamp did"
"$make_image" esp32c3 4 1.1.0 fan11.bin
run 0 publish fan11.bin --product fan
silent err

# ---- a server that cannot start says why ----
run 1 serve --listen https://127.0.0.1:0 --admin http://127.0.0.1:0 --tls-cert nowhere.pem --tls-key nowhere.pem
said err "--tls-cert nowhere.pem: No such file or directory"
run 1 serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 --static nowhere
said err "--static nowhere: No such file or directory"
run 1 serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 --static fan.bin
said err "fan.bin: --static takes a folder that is there"
run 1 serve --listen http://127.0.0.1:0 --admin http://0.0.0.0:0
said err "use https, or say --admin-insecure"

# ---- where a request goes ----
run 1 status --server http://127.0.0.1:9
said err "--server needs a token"
MOLT_TOKEN=molt_x run 1 status --server http://127.0.0.1:9
said err "connect-failed"
run 1 status --server ftp://127.0.0.1 # before a token is asked for
said err "bad-url"
MOLT_TOKEN='molt_x
Evil: 1' run 1 status --server http://127.0.0.1:9
said err "this is no token"
run 1 status --data data --server http://127.0.0.1:9
said err "exclude each other"
MOLT_SERVER=http://127.0.0.1:9 MOLT_TOKEN=molt_x run 1 status
said err "connect-failed"
run 0 status --data data

# ---- the output is whole or an error ----
if [ -w /dev/full ]; then
    got=0
    "$molt" release list >/dev/full 2>err || got=$?
    [ "$got" = 1 ] || fail "a full disk looked like success"
fi
run 0 release list
if grep -q "$(printf '\033')" out; then fail "colours in a pipe"; fi
echo "cli_test: good"
