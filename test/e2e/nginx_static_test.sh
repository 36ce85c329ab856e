#!/bin/sh
# nginx_static_test.sh - devices with libmolt, and stock ones, update themselves from a plain nginx: two files in a folder.
# usage: nginx_static_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/nginx.sh"
folder=$(mktemp -d)
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    stop_nginx
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
fail() { printf 'nginx_static_test: %s\n' "$*" >&2; exit 1; }

mkdir www
start_nginx <<CONF
access_log $folder/access.log; default_type application/octet-stream;
server { listen 127.0.0.1:PORT; root $folder/www; }
CONF
port=$nginx_port

update() { # CHIP CLIENT MAC: from version 1 to the version 2 that nginx serves
    id=$(printf '%s' "$3" | tr -d : | tr 'A-F' 'a-f')
    "$molt" sim build "$id-1.bin" --chip "$1" --code 1 >/dev/null
    "$molt" sim build "www/$id.bin" --chip "$1" --code 2 >/dev/null
    echo 2 >"www/$id.version"
    "$molt" sim --chip "$1" --client "$2" --source version-file --mac "$3" --firmware "$id-1.bin" \
        --server "http://127.0.0.1:$port" --json >"$id.json" || { cat "$id.json" >&2; fail "$1 $2 did not update"; }
    tail -n 1 "$id.json" | grep -q '"version_code": *2[,}]' || { cat "$id.json" >&2; fail "$1 $2 does not run version 2"; }
}
update esp8266 molt 5C:CF:7F:00:00:01
update esp32 molt 24:0A:C4:00:00:02
update esp32c3 molt 24:0A:C4:00:00:03
update esp8266 stock 5C:CF:7F:00:00:04
update esp32 stock 24:0A:C4:00:00:05

# A page in place of the firmware is refused by the device with the reason, and nothing changes.
"$molt" sim build old.bin --chip esp8266 --code 1 >/dev/null
printf '<html>maintenance</html>' >www/5ccf7f000006.bin
echo 2 >www/5ccf7f000006.version
if "$molt" sim --chip esp8266 --client molt --source version-file --mac 5C:CF:7F:00:00:06 --firmware old.bin \
    --server "http://127.0.0.1:$port" --json >bad.json; then fail "a web page was installed"; fi
grep -q 'text-not-firmware' bad.json || { cat bad.json >&2; fail "the reason is missing"; }
tail -n 1 bad.json | grep -q '"version_code": *1[,}]' || fail "the device does not run version 1"
