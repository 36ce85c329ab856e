#!/bin/sh
# sim_device_test.sh - virtual devices of three chips, with libmolt (all three sources) and as stock clients, go from version 1
# to 2 at a real `molt serve`; bad versions are rolled back where the chip can, and the server knows what became of each.
# usage: sim_device_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

serve

publish() { # CHIP CODE BEHAVIOUR
    "$molt" sim build "$1-$2.bin" --chip "$1" --product "p-$1" --code "$2" --behaviour "$3" >/dev/null
    "$molt" publish "$1-$2.bin" --product "p-$1" --adopt >/dev/null 2>&1 || fail "$1 version $2 was not published"
}
sim() { # NAME CHIP MAC ARGUMENTS...: one life of the device, its events in NAME.json
    name=$1 chip=$2 mac=$3
    shift 3
    "$molt" sim --chip "$chip" --mac "$mac" --firmware "$chip-1.bin" --flash "$name.flash" --json "$@" >"$name.json" 2>&1 || true
}
runs() { # NAME CODE
    tail -n 1 "$1.json" | grep -q "\"version_code\": *$2[,}]" || { cat "$1.json" >&2; fail "$1 does not run version $2"; }
}
state() { # ID STATE [REASON]: waits for the server to see the end of the device's last connection
    for _ in $(seq 3000); do
        "$molt" device show "$1" --json >device.json
        is=$(python3 -c 'import json; a = json.load(open("device.json"))["attempt"]; print(a["state"], (a["reason"] or {}).get("id"))')
        case "$is" in "$2 ${3:-}"*) return ;; esac
        sleep 0.1
    done
    cat device.json >&2
    fail "the server says that $1 is $is, not $2 ${3:-}"
}

for chip in esp8266 esp32 esp32c3; do publish "$chip" 1 healthy; done

everyone() { # VERSION: each device asks once more, and must run VERSION then
    sim a esp8266 5C:CF:7F:00:00:0A --server "$url" && runs a "$1"
    sim b esp8266 5C:CF:7F:00:00:0B --server "$url/p/p-esp8266/fota" --source version-file && runs b "$1"
    sim c esp8266 5C:CF:7F:00:00:0C --server "$url/update" --source url && runs c "$1"
    sim d esp8266 5C:CF:7F:00:00:0D --server "$url/fota" --client stock && runs d "$1"
    sim e esp32 24:0A:C4:00:00:0E --server "$url" && runs e "$1"
    sim f esp32 24:0A:C4:00:00:0F --server "$url/p/p-esp32/fota" --source version-file && runs f "$1"
    sim g esp32 24:0A:C4:00:00:10 --server "$url/p/p-esp32/fota" --client stock && runs g "$1"
    sim h esp32c3 24:0A:C4:00:00:11 --server "$url" && runs h "$1"
}
everyone 1
for chip in esp8266 esp32 esp32c3; do publish "$chip" 2 healthy; done
everyone 2
state 5ccf7f00000a updated
state 5ccf7f00000d presumed
state 240ac400000e updated
state 240ac4000011 updated

# Three ways to be bad. Each is tried once, rolled back, reported, and not taken again.
publish esp32 3 crash
publish esp32c3 3 unhealthy
sim e esp32 24:0A:C4:00:00:0E --server "$url" && runs e 2
state 240ac400000e rolled-back crashed
for command in show why; do
    "$molt" device $command 240ac400000e >page
    grep -q '^last result  *rolled-back, crashed: ' page || { cat page >&2; fail "device $command does not say how it ended"; }
done
"$molt" device list >page 2>&1
grep -q '^240ac400000e .* crashed *$' page || { cat page >&2; fail "device list does not say why"; }
grep -q '"event": *"crashed"' e.json || fail "e did not try version 3"
sim e esp32 24:0A:C4:00:00:0E --server "$url" && runs e 2
if grep -q '"event": *"stored"' e.json; then fail "e took version 3 again"; fi
sim h esp32c3 24:0A:C4:00:00:11 --server "$url" && runs h 2
state 240ac4000011 rolled-back unhealthy
publish esp32c3 4 hang
sim h esp32c3 24:0A:C4:00:00:11 --server "$url" && runs h 2
grep -q '"reason": *"hung"' h.json || fail "h did not try version 4"
state 240ac4000011 rolled-back hung
publish esp32c3 5 healthy
sim h esp32c3 24:0A:C4:00:00:11 --server "$url" && runs h 5
state 240ac4000011 updated

# The flash and the sketch of the thread: 278,396 bytes, 55 % of 499,696. It fits beside itself only compressed.
for code in 2017102501 2017102502; do
    "$molt" sim build "thread-$code.bin" --chip esp8266 --product thread --code "$code" --size 278396 --flash-size 524288 >/dev/null
    "$molt" publish "thread-$code.bin" --product thread >/dev/null 2>&1 || fail "the thread's sketch was not published"
done
"$molt" sim --chip esp8266 --layout 512K --client stock --mac 5C:CF:7F:C6:02:E2 --firmware thread-2017102501.bin \
    --server "$url/p/thread/fota" --json >thread.json || { cat thread.json >&2; fail "the thread's device did not update"; }
runs thread 2017102502
