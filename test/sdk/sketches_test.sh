#!/bin/sh
# sketches_test.sh - Arduino sketches from device/examples, compiled for a PC against the SDK's doubles, update themselves
# from version 1 to 2 at a real `molt serve`, over a virtual ESP8266's flash and boot stages.
# usage: sketches_test.sh path/to/molt folder-of-sketches
set -eu
here=$(cd "$(dirname "$0")" && pwd)
molt=$1
sketches=$2
. "$here/../e2e/server.sh"
. "$here/lab.sh"

serve --no-limit 127.0.0.1 # many new devices, from one address
export SDK_CHIP_PORT="$port"

for code in 1 2; do
    "$molt" sim build lamp-$code.bin --chip esp8266 --product lamp --code $code >/dev/null
done
"$molt" publish lamp-1.bin --product lamp --adopt >/dev/null 2>&1 || fail "version 1 was not published"
"$molt" publish lamp-2.bin --product lamp >/dev/null 2>&1 || fail "version 2 was not published"

# molt's server, by check-in
flash lamp-1.bin
run Basic up-to-date
says Basic "boot 1" offered "boot 2" up-to-date

# Wi-Fi joins while the sketch runs: nothing failed; later on it did, once, and the minutes between two tries are the agent's
flash lamp-1.bin
run Basic up-to-date SDK_JOIN_S=8
says Basic "boot 1" offered "boot 2" up-to-date
never_says Basic connect-failed
flash lamp-1.bin
run Basic up-to-date SDK_JOIN_S=40
says Basic "boot 1" connect-failed offered "boot 2" connect-failed up-to-date
[ "$(grep -c connect-failed Basic.log)" = 2 ] || fail "it does not wait for Wi-Fi, or too often"

# the thread's sketch, by version file
flash lamp-1.bin
run ThreadSketch "up-to-date: The device runs the newest release it may have."
says ThreadSketch "boot 1" "boot 2" "up-to-date: The device runs the newest release it may have."
grep -q "^[0-9]* of [0-9]* bytes$" ThreadSketch.log || fail "the thread's sketch saw no progress"

# what ESPhttpUpdate asks, waiting: each minute, not each hour (the third check would come when the lab gives up)
flash lamp-1.bin
run FromESPhttpUpdate "no updates" SDK_LAZY=1 SDK_END_COUNT=5
says FromESPhttpUpdate "boot 1" "boot 2" "no updates"
never_says FromESPhttpUpdate "update failed"

# a sketch of ESPhttpUpdate's with one line changed, and what it says of an answer that it does not like
flash lamp-1.bin
run DropIn "no updates" SDK_LAZY=1 SDK_END_COUNT=5
says DropIn "boot 1" "version 1" "update started" "update ended" "boot 2" "version 2" "no updates"
[ "$(grep -c "update " DropIn.log)" = 2 ] || fail "DropIn called back more often than it should"
flash lamp-1.bin
run DropIn "failed: No connection to the server: wrong host or port, a firewall, or it is not running." SDK_LAZY=1 SDK_CHIP_PORT=1

# a Client of the sketch's own; a button of Blynk's; a message of MQTT's, and the results go back there
flash lamp-1.bin
run Modem up-to-date
says Modem "modem updates.example 8266" "install 2 later" "install 2 now" offered "restart later" "restart now" "boot 2" up-to-date
never_says Modem "modem waits"
for sketch in Ethernet Gsm; do
    flash lamp-1.bin
    run $sketch up-to-date
    says $sketch "boot 1" offered "boot 2" up-to-date
done
flash lamp-1.bin # a modem that does TLS itself, in a network that WiFiManager was told meanwhile
run Portal up-to-date SDK_CHIP_TLS_PORT="$port"
says Portal "boot 1" portal bad-url joined handshake "ssl updates.example 443" offered "boot 2" up-to-date
flash lamp-1.bin
run BlynkButton "V2: up-to-date" SDK_END_COUNT=5 # each press, not each hour
says BlynkButton "boot 1" button "V2: offered" "boot 2" "V2: up-to-date" button "V2: up-to-date" button "V2: up-to-date"
flash lamp-1.bin
run MqttNudge "lamp/result up-to-date" SDK_END_COUNT=5
says MqttNudge "boot 1" message "lamp/result offered" "boot 2" message "lamp/result up-to-date" message "lamp/result up-to-date"

# molt-boot: a firmware that is not healthy goes back by itself, a good one stays
"$molt" image set-boot lamp-1.bin --layout 4M2M -o lamp-1.molt.bin >/dev/null || fail "no molt-boot in the image"
flash lamp-1.molt.bin
run MoltBoot confirmed
says MoltBoot "boot 1" offered "boot 2" confirmed
flash lamp-1.molt.bin
run DeepSleep "sleeps 900 s" SDK_LAZY=1 # not while it is on trial
says DeepSleep "boot 1" "boot 2" "sleeps 900 s"
flash lamp-2.bin
run DeepSleep "sleeps 900 s" SDK_LAZY=1 SDK_END_COUNT=96 # asks once in the wakes of a day
[ "$(grep -c up-to-date DeepSleep.log)" = 1 ] || fail "a sleeper asks at each wake-up"
flash lamp-1.molt.bin
run MoltBoot failed-before SDK_PINS_LOW=1
says MoltBoot "boot 1" offered "boot 2" unhealthy "boot 1" failed-before

# molt-boot brought by a sketch to a device with Arduino's boot stage: what that one kept is kept, the second stage is written
# with the next update, and a chip that was started for a serial upload is left alone
flash lamp-1.bin
run MoltBootInstall "molt-boot: boot-strap" SDK_STRAP_UART=1
run MoltBootInstall confirmed
says MoltBootInstall "boot 1" "molt-boot: ok" "boot 1" offered "boot 2" confirmed
cat >second.py <<'SECOND'
import re, struct, sys
flash, header = open("flash.bin", "rb").read(), open(sys.argv[1]).read()
words = [int(w, 16) for w in re.findall(r"0x([0-9A-F]{8})", header.split("moltBootSecond", 1)[1])]
second = struct.pack(f"<{len(words)}I", *words)
sys.exit(0 if len(second) > 500 and flash.find(second) % 4096 == 0 and flash.find(second) > 0x100000 else 1)
SECOND
python3 second.py "$sketches/boot_stage.h" || fail "the second stage is not in flash"
flash lamp-1.bin
run Basic up-to-date                       # keeps what it did below the file system, which begins at 2 MB
cp flash.bin before.bin
run MoltBootInstall up-to-date
cat >kept.py <<'KEPT'
import struct
def tried(flash, at):  # of the newest record: which image was installed last
    records = [flash[i:i + 256] for i in range(at, at + 8192, 256) if flash[i:i + 4] == b"MMK2"]
    return max(records, key=lambda r: struct.unpack_from("<I", r, 4))[24:60]
before, after = open("before.bin", "rb").read(), open("flash.bin", "rb").read()
kept = tried(before, 0x200000 - 8192)
assert any(kept) and tried(after, 0x200000 - 16384) == kept
KEPT
python3 kept.py || fail "the keep store was not taken along"

# pain 12: started with GPIO0 low, as after a serial upload, it says so and leaves the flash alone
flash lamp-1.bin
cp flash.bin before.bin
run Basic boot-strap SDK_STRAP_UART=1
cmp -s -n 1048576 flash.bin before.bin || fail "a chip in UART mode staged an image"
# the port of doc/porting.md, whose length is promised there
[ "$(wc -l <"$here/bare_port.c")" -lt 150 ] || fail "bare_port.c has grown to 150 lines"
timeout 300 "$sketches/sdk-bare_port" lamp-1.bin "http://127.0.0.1:$port" >bare.log ||
    { cat bare.log >&2; fail "the bare port did not update itself"; }
says bare "boot 1" offered "boot 2" up-to-date

# a file system that belongs to version 2: mounted, given up while it is written, mounted again
python3 -c "
import os
image = bytearray(os.urandom(65536))
image[8:16] = b'littlefs'
open('data.fs', 'wb').write(image)"
"$molt" publish data.fs --product lamp --component fs --chip esp8266 --version 2 >/dev/null 2>&1 || fail "no file system was published"
flash lamp-1.bin
run FileSystem up-to-date
says FileSystem "boot 1" offered "boot 2" mounted unmounted fs-installed "boot 2" up-to-date

# ESP-IDF's example on a virtual ESP32: an update and its trial; a firmware that crashes is rolled back by the
# bootloader; without rollback in the bootloader the device says so
for code in 1 2; do
    "$molt" sim build lamp32-$code.bin --chip esp32 --product lamp --code $code >/dev/null
    "$molt" publish lamp32-$code.bin --product lamp --adopt >/dev/null 2>&1 || fail "version $code for the ESP32"
done
flash32 lamp32-1.bin
run esp_idf up-to-date
says_start esp_idf "boot 1" offered "boot 2" confirmed up-to-date
flash32 lamp32-1.bin
run esp_idf failed-before SDK_SICK=2
says_start esp_idf "boot 1" offered "boot 2" "boot 1" failed-before
[ "$(grep -c "^boot 2" esp_idf.log)" = 1 ] || fail "what crashed is tried again"
for ill in 9 14; do # brown-out, power glitch: that says nothing of the firmware, until it happens too often
    flash32 lamp32-1.bin
    run esp_idf failed-before SDK_SICK=2 SDK_SICK_RESET=$ill
    [ "$(grep -c "^boot 2" esp_idf.log)" = 4 ] || fail "a trial that the power ended is taken for a failure (reset reason $ill)"
done

# the same chip under Arduino's core, which would confirm every firmware that gets to setup()
flash32 lamp32-1.bin
run Basic32 up-to-date
says Basic32 "boot 1" offered "boot 2" confirmed up-to-date
# a sketch of ESPhttpUpdate's whose new firmware is on trial gets its turn while the server is away
flash32 lamp32-1.bin
run DropIn32 "no updates" SDK_LAZY=1 SDK_SERVER_S=150
away="failed: No connection to the server: wrong host or port, a firewall, or it is not running."
says DropIn32 "boot 1" "$away" "$away" "boot 2" "$away" "$away" "no updates"
flash32 lamp32-1.bin
run Basic32 failed-before SDK_SICK=2
says Basic32 "boot 1" offered "boot 2" "boot 1" failed-before
echo "sketches_test: all good"
