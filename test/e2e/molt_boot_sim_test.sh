#!/bin/sh
# molt_boot_sim_test.sh - virtual ESP8266s with molt-boot beside a real server: a good update stays, a bad one goes back and
# is not taken again; a stock sketch brings molt-boot to a chip with eboot by its own Updater.
# usage: molt_boot_sim_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/command.sh"
folder=$(mktemp -d)
server=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
unset MOLT_SERVER MOLT_TOKEN 2>/dev/null || true
export MOLT_DATA="$folder/data" TERM=xterm LC_ALL=C.UTF-8

summary() { # what must be true of the device's summary
    tail -n 1 out | python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" ||
        fail "not true of the summary: $1"
}

: >out
: >err
for code in 1 2 3 4; do
    behaviour=healthy
    [ "$code" != 3 ] || behaviour=crash
    run 0 sim build "v$code.bin" --code "$code" --product lamp --behaviour "$behaviour"
done

# ---- the command ----
run 2 image set-boot v1.bin
said err 'layout is missing'
run 2 image set-boot v1.bin --layout 5M
said err 'is not one of 512K, 1M'
run 1 image set-boot "$molt" --layout 4M2M
run 0 sim build esp32.bin --chip esp32 --code 1
run 1 image set-boot esp32.bin --layout 4M2M
said err 'molt-boot goes into'
cp v1.bin before.bin
run 0 image set-boot v1.bin --layout 4M2M --out v1-molt.bin
cmp v1.bin before.bin || fail "the original was changed"
run 0 image set-boot v1.bin --layout 4M2M -o short.bin
cmp short.bin v1-molt.bin || fail "-o is not --out"
run 2 image set-boot v1.bin --layout 4M2M -o
run 0 inspect v1-molt.bin
said out 'both checksums and the CRC are right'
run 0 image set-boot v1-molt.bin --layout 4M2M
run 0 inspect v1-molt.bin

# ---- a device with libmolt ----
: >token; : >log
"$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 >token 2>log &
server=$!
tries=0
until grep -q 'event=listening plane=socket' log; do
    kill -0 "$server" 2>/dev/null || fail "the server did not start: $(cat log)"
    tries=$((tries + 1))
    [ "$tries" -lt 3000 ] || fail "the server does not listen"
    sleep 0.1
done
url=http://127.0.0.1:$(sed -n 's/.*event=listening plane=device .*port=\([0-9]*\).*/\1/p' log | head -n 1)
lamp() { "$molt" sim --server "$url" --flash lamp.flash --mac 5C:CF:7F:C6:02:E2 --json "$@" >out 2>err || true; }

lamp --firmware v1.bin --boot molt
summary 'd["alive"] and d["version_code"] == 1'
run 0 publish v2.bin --product lamp
lamp
summary 'd["alive"] and d["version_code"] == 2 and d["updates"] == 1 and d["rollbacks"] == 0'
grep -q confirmed out || fail "the trial was not confirmed"
run 0 publish v3.bin --product lamp
lamp
summary 'd["alive"] and d["version_code"] == 2 and d["rollbacks"] == 1 and d["boots"] >= 5'
grep -q crashed out || fail "the bad firmware never ran"
lamp
summary 'd["alive"] and d["version_code"] == 2 and d["boots"] == 1'
run 0 publish v4.bin --product lamp
lamp
summary 'd["alive"] and d["version_code"] == 4'

# ---- a stock sketch brings molt-boot to a chip with eboot ----
trailer() { dd if=stock.flash bs=1 skip=4080 count=4 2>/dev/null; }
stock() { "$molt" sim --client stock --server "$url/fota" --flash stock.flash --mac 5C:CF:7F:C6:02:E3 --json "$@" >out 2>err || true; }
run 0 sim build w5.bin --code 5 --product lamp2
run 0 sim build w6.bin --code 6 --product lamp2
run 0 sim build w7.bin --code 7 --product lamp2
run 0 image set-boot w6.bin --layout 4M2M
stock --firmware w5.bin
[ "$(trailer)" != MOBT ] || fail "molt-boot is there already"
run 0 publish w6.bin --product lamp2
run 0 device set 5ccf7fc602e3 --product lamp2
stock
summary 'd["alive"] and d["version_code"] == 6'
[ "$(trailer)" = MOBT ] || fail "the update did not bring molt-boot"
run 0 publish w7.bin --product lamp2
stock
summary 'd["alive"] and d["version_code"] == 7'
[ "$(trailer)" = MOBT ] || fail "an ordinary image took molt-boot away"
echo "molt_boot_sim_test: good"
