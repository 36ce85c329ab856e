#!/bin/sh
# pack_resume_test.sh - a virtual device whose connection ends in the middle of a delta's second frame goes on there, at the
# very byte, or after a reset at the frame's beginning, behind a request for the header. middle.py ends the connection.
# usage: pack_resume_test.sh path/to/molt path/to/python path/to/middle.py
set -eu
molt=$1 python=$2 middle=$3
folder=$(mktemp -d)
server='' between=''
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    for pid in $server $between; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
export MOLT_DATA="$folder/data"
fail() { cat ./*.log ./*.json >&2; printf 'pack_resume_test: %s\n' "$*" >&2; exit 1; }
until_said() { # FILE TEXT
    for _ in $(seq 3000); do
        if grep -q "$2" "$1" 2>/dev/null; then return; fi
        sleep 0.1
    done
    fail "$1 does not say '$2'"
}

: >serve.log
"$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >serve.log 2>&1 &
server=$!
until_said serve.log 'plane=device .*port='
port=$(sed -n 's/.*plane=device .*port=\([0-9]*\).*/\1/p' serve.log)
for code in 1 2; do
    "$molt" sim build "esp32-$code.bin" --chip esp32 --product p --code $code >/dev/null
    "$molt" publish "esp32-$code.bin" --product p --adopt >/dev/null 2>&1 || fail "version $code was not published"
done
device() { # NAME MAC PORT: one life, its events in NAME.json
    "$molt" sim --chip esp32 --mac "$2" --firmware esp32-1.bin --flash "$1.flash" --json --packs \
        --server "http://127.0.0.1:$3" >"$1.json" 2>&1 || true
}

# Another device asks first: the pack is made.
device first 24:0A:C4:00:00:01 "$port"
until_said serve.log 'event=pack kind=delta .*reason=ready'
"$molt" pack esp32-2.bin --base esp32-1.bin -o delta >/dev/null
# where its second frame begins, and a place in the middle of it
"$python" - delta >places <<'P'
import struct
import sys
pack = open(sys.argv[1], "rb").read()
out_len, base_len, map_len = struct.unpack_from("<3I", pack, 8)
frames = (out_len - 1 >> pack[6]) + 1
lengths = [struct.unpack_from("<I", pack, 88 + 8 * i)[0] for i in range(frames)]
second = 88 + 8 * frames + map_len + 4 + lengths[0]
print(second, second + lengths[1] // 2, len(pack), frames)
P
read -r second cut len frames <places
[ "$frames" -ge 2 ] || fail "the delta has $frames frames"

through_middle() { # NAME MAC ARGUMENTS-OF-MIDDLE...: one life
    name=$1 mac=$2
    shift 2
    : >middle.log # the child empties it later, and the one before listened, too
    "$python" "$middle" "$@" "$port" >middle.log 2>&1 &
    between=$!
    until_said middle.log 'listening http'
    device "$name" "$mac" "$(sed -n 's/^listening http:.*:\([0-9]*\)$/\1/p' middle.log)"
    kill "$between" 2>/dev/null || true
    wait "$between" 2>/dev/null || true
    between=
}
runs() { # NAME CODE
    tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || fail "$1 does not run version $2"
}

# The connection ends and the server is still there: the device goes on at the very byte.
through_middle cut 24:0A:C4:00:00:02 --cut "$cut"
runs cut 2
grep -q "^GET 200 $len bytes" middle.log || fail "the first request was not for the whole delta"
grep -q "^GET 206 $((len - cut)) bytes .*bytes=$cut-" middle.log || fail "it did not go on at $cut of $len"

# The server is gone, too, and the device is reset before it is back: on at the frame.
through_middle reset 24:0A:C4:00:00:03 --cut "$cut" --gone
runs reset 1
grep -q "^GET 200 $len bytes" middle.log || fail "the first request was not for the whole delta"
through_middle reset 24:0A:C4:00:00:03
runs reset 2
grep -q "^GET 206 $((len - second)) bytes .*bytes=$second-" middle.log || fail "it did not go on at $second of $len, cut at $cut"
