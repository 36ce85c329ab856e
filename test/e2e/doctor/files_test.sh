#!/bin/sh
# files_test.sh - `molt doctor FILE`, --serial and --device: the cause that is named first, and the exit status.
# usage: files_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/../server.sh"
failed=0

# WHAT CAUSE STATUS ARGUMENTS...: "-" for CAUSE: no finding
expect() {
    what=$1 cause=$2 status=$3
    shift 3
    code=0
    "$molt" doctor --json "$@" >answer.json 2>error.txt || code=$?
    first=$(sed -n 's/.*"findings":\[{"cause":"\([^"]*\)".*/\1/p; s/.*"findings":\[\].*/-/p' answer.json)
    [ -n "$first" ] || first="no JSON"
    if [ "$first" != "$cause" ] || [ "$code" != "$status" ]; then
        printf 'files_test: %s: %s with status %s, not %s with %s\n' "$what" "$first" "$code" "$cause" "$status" >&2
        cat answer.json error.txt >&2
        failed=1
    fi
}

make() { "$molt" sim build "$@" >make.log; }
make esp8266.bin --chip esp8266 --code 2
make esp32.bin --chip esp32 --code 2
make big.bin --chip esp8266 --code 2 --size 700000
make wide.bin --chip esp8266 --code 2 --flash-size 16777216
gzip -c esp8266.bin >esp8266.bin.gz
gzip -c esp32.bin >esp32.bin.gz

# images, and whether they can go to the device
expect "an ESP8266 image" - 0 esp8266.bin
expect "an ESP32 image" - 0 esp32.bin
expect "a gzip image" - 0 esp8266.bin.gz
expect "gzip for an ESP32" content-encoded 1 esp32.bin.gz --chip esp32
expect "another chip" wrong-chip 1 esp32.bin --chip esp8266
expect "beside a large sketch on 1 MB" too-large-for-device 1 esp8266.bin --layout 1M64 --sketch-size 700000
expect "into little free space" too-large-for-device 1 esp8266.bin --chip esp8266 --free-space 200000
expect "into enough free space" - 0 esp8266.bin --chip esp8266 --free-space 400000
expect "beside a sketch on 4M3M" too-large-for-device 1 big.bin --layout 4M3M --sketch-size 400000
gzip -c big.bin >big.bin.gz
expect "into its own staged copy" too-large-for-device 1 big.bin --chip esp8266 --sketch-size 200000 --free-space 761856
expect "packed, into its own staged copy" too-large-for-device 1 big.bin.gz --chip esp8266 --sketch-size 200000 --free-space 761856
expect "packed, with room between" - 0 big.bin.gz --chip esp8266 --sketch-size 200000 --free-space 1261568
expect "built for 16 MB" flash-too-small 1 wide.bin --layout 4M2M
printf '<html>404</html>' >page.bin
expect "a page" text-not-firmware 1 page.bin
head -c 100000 esp8266.bin >cut.bin
expect "a cut image" truncated-image 1 cut.bin
expect "a file that is missing" "no JSON" 1 missing.bin
expect "a layout that does not exist" "no JSON" 2 esp8266.bin --layout 9M9M
expect "numbers that do not go together" "no JSON" 2 esp8266.bin --layout 1M64 --sketch-size 1000000

# lists of builds
printf '{"type":"lamp","version":2,"url":"http://h/x.bin"}' >fota.json
expect "a list for esp32FOTA" - 0 fota.json
printf '{"hello":1}' >other.json
expect "other JSON" unreadable-manifest 1 other.json

# partition table, otadata and dumps of the whole flash
python3 - <<'PY'
import struct, zlib
def row(kind, sub, off, size, label): return struct.pack("<2sBBLL16sL", b"\xaa\x50", kind, sub, off, size, label, 0)
def table(rows): return b"".join(rows).ljust(0xC00, b"\xff")
def record(seq, state, damage=0):
    crc = zlib.crc32(struct.pack("<L", seq), 0xFFFFFFFF) ^ damage
    return struct.pack("<L20sLL", seq, b"\xff" * 20, state, crc).ljust(0x1000, b"\xff")
two = table([row(1, 2, 0x9000, 0x5000, b"nvs"), row(1, 0, 0xE000, 0x2000, b"otadata"), row(0, 0x10, 0x10000, 0x140000, b"app0"),
             row(0, 0x11, 0x150000, 0x140000, b"app1")])
one = table([row(1, 2, 0x9000, 0x5000, b"nvs"), row(0, 0, 0x10000, 0x300000, b"factory")])
blank = b"\xff" * 0x1000
otadata = {"valid": record(1, 2) + record(2, 2), "aborted": record(1, 2) + record(2, 4), "trial": record(1, 2) + record(2, 1),
           "damaged": record(1, 2) + record(2, 2, damage=1), "blank": blank + blank}
for name, data in otadata.items(): open(f"otadata-{name}.bin", "wb").write(data)
open("two.bin", "wb").write(two)
open("one.bin", "wb").write(one)
open("overlap.bin", "wb").write(table([row(0, 0x10, 0x10000, 0x140000, b"a"), row(0, 0x11, 0x20000, 0x140000, b"b")]))
dump = bytearray(b"\xff" * (4 << 20))
dump[0x8000:0x8C00] = two
image = open("esp32.bin", "rb").read()
dump[0x10000:0x10000 + len(image)] = image
for name, data in otadata.items():
    dump[0xE000:0x10000] = data
    open(f"dump-{name}.bin", "wb").write(dump)
flash = bytearray(b"\xff" * (4 << 20))
image = open("esp8266.bin", "rb").read()
flash[:len(image)] = image
open("dump8266.bin", "wb").write(flash)
PY
expect "a partition table with two slots" - 0 two.bin
expect "a partition table without" no-slot 1 one.bin
expect "a partition table that overlaps" bad-partition-table 1 overlap.bin
for place in otadata dump; do
    expect "$place: confirmed" - 0 $place-valid.bin
    expect "$place: rolled back" rolled-back 1 $place-aborted.bin
    expect "$place: on trial" trial-pending 0 $place-trial.bin
    expect "$place: damaged" otadata-damaged 1 $place-damaged.bin
    expect "$place: blank" otadata-erased 0 $place-blank.bin
done
expect "a dump of an ESP8266" - 0 dump8266.bin
foretold() { # CLIENT CODE: of the last answer
    grep -q "\"$1\":{\"works\":false,\"code\":$2," answer.json && return
    echo "files_test: $1 is not foretold $2: $(cat answer.json)" >&2
    failed=1
}
head -c 1048576 dump8266.bin >dump1m.bin
expect "a sketch built for 4 MB on a chip of 1 MB" flash-config 1 dump1m.bin
foretold esp8266 8
grep -q 'ERROR\[8\]: Flash config wrong: real: 1048576, SDK: 4194304' answer.json || { cat answer.json >&2; failed=1; }
expect "no slot" no-slot 1 one.bin
foretold esp32 -108
foretold esp32fota 10

# boot logs
log() { # WHAT CAUSE STATUS TEXT
    printf '%b' "$4" >log.txt
    expect "log: $1" "$2" "$3" --serial log.txt
}
log "UART mode" boot-strap 1 ' ets Jan  8 2013,rst cause:2, boot mode:(1,6)\r\n'
foretold esp8266 11
log "a good start" - 0 ' ets Jan  8 2013,rst cause:1, boot mode:(3,6)\r\nload 0x4010f000, len 3584\r\nv0008ed90\r\n~ld\r\n'
log "a good copy" - 0 'v0008ed90\r\n@cp:B0\r\nld\r\n'
log "erase failed" copy-failed 1 '@cp:2\r\n'
log "bad gzip" copy-failed 1 '@cp:6\r\n'
log "e:2" copy-failed 1 'e:2\r\n'
log "brown-out" brownout 1 'Brownout detector was triggered\r\n'
log "merged image" merged-image 1 'E (95) boot_comm: Image requires efuse blk rev >= v103.56, but chip is v1.3\n'
log "wrong chip" wrong-chip 1 'E (61) boot_comm: mismatch chip ID, expected 0, found 5\n'
log "blank slot" boot-failed 1 'E (53) esp_image: image at 0x10000 has invalid magic byte (nothing flashed here?)\n'
log "cut image" truncated-image 1 'E (512) esp_image: Checksum failed. Calculated 0x3d read 0xff\n'
log "erased otadata" otadata-erased 0 'I (88) boot: Set actual ota_seq=1 in otadata[0]\n'
log "TLS heap" tls-out-of-memory 1 'E (9123) esp-tls-mbedtls: mbedtls_ssl_setup returned -0x7F00\n'
log "AES heap" tls-out-of-memory 1 'E (9123) esp-aes: Failed to allocate memory\n'
log "watchdog" watchdog 1 'Soft WDT reset\n'
log "crash loop" crash-loop 1 'Exception (28):\nld\nException (28):\nld\nException (28):\n'
log "what the sketch printed" no-content-length 1 'HTTP_UPDATE_FAILD Error (-101): Server Did Not Report Size\n'
update() { log "what the sketch printed: $3" "$1" 1 "HTTP_UPDATE_FAILD Error ($2): $3\\n"; }
update http-forbidden -103 'Forbidden (403)'
update unauthorized -108 'Unauthorized (401)'
update bad-md5-header -105 'Wrong MD5'
update flash-too-small -107 'New Binary Does Not Fit Flash Size'
update connect-failed -1 'HTTP error: connection refused'
update connection-lost -5 'HTTP error: connection lost'
update not-http -7 'HTTP error: no HTTP server'
update transfer-encoding -9 'HTTP error: Transfer-Encoding not supported'
update timeout -11 'HTTP error: read Timeout'
update stalled-body 6 'Update error: ERROR[6]: Stream Read Timeout'
update flash-write 1 'Update error: ERROR[1]: Flash Write Failed'
update flash-erase 2 'Update error: Flash Erase Failed'
update flash-read 3 'Update error: ERROR[3]: Flash Read Failed'
update flash-config 8 'Update error: ERROR[8]: Flash config wrong: real: 1048576, SDK: 4194304'
update unknown-file 8 'Update error: Wrong Magic Byte'
update truncated-image 9 'Update error: Could Not Activate The Firmware'
update boot-strap 11 'Update error: ERROR[11]: Invalid bootstrapping state, reset ESP8266 before updating'
update signature-refused 12 'Update error: ERROR[12]: Signature verification failed'
update sketch-call 12 'Update error: Aborted'
update sketch-call 13 'Update error: Decryption error'
update out-of-memory 14 'Update error: ERROR[14]: Out of memory'
update signature-refused 14 'Update error: Signature Verification Failed'
update update-running 15 'Update error: ERROR[15]: Update already running'
update sketch-call 16 'Update error: ERROR[16]: Unknown update command'
update connection-lost -2 'HTTP error: send header failed'
update sketch-call -3 'HTTP error: send payload failed'
update connection-lost -4 'HTTP error: not connected'
update sketch-call -6 'HTTP error: no stream'
update out-of-memory -8 'HTTP error: not enough ram'
update sketch-call -10 'HTTP error: Stream write error'
update no-slot -108 'Partition Could Not be Found'
log "a number alone" bad-md5-header 1 'update failed, error (-105)\n'
log "no error of an update" - 0 'sensor error (3), retrying\n'
log "no text at all" - 0 '\000\001\377\n'
"$molt" doctor --serial - <log.txt >/dev/null || { echo "files_test: standard input is not read" >&2; failed=1; }

# a device of a server's data folder, without and with a server
expect "a data folder that does not exist" "no JSON" 1 --device 5ccf7fc602e2
expect "a server that does not answer" connect-failed 1 --device 5ccf7fc602e2 --server http://127.0.0.1:1 --token x
"$molt" publish esp8266.bin --product lamp --version 2 --code 2 >/dev/null
expect "a device that nobody knows" not-found 1 --device 5ccf7fc602e2
serve
curl -s -o /dev/null -A ESP8266HTTPClient "$url/fota/5CCF7FC602E2.version"
expect "a device without a product" not-assigned 1 --device 5ccf7fc602e2
"$molt" device set 5ccf7fc602e2 --product lamp >set.log
expect "a device that may have the release" - 0 --device 5ccf7fc602e2
for _ in 1 2 3 4; do
    curl -s -o /dev/null -A ESP8266HTTPClient "$url/fota/5CCF7FC602E2.version"
    curl -s -0 -o /dev/null -A ESP8266-http-Update "$url/fota/5CCF7FC602E2.bin"
done
expect "a device that installs the same image again and again" same-image-again 1 --device 5C:CF:7F:C6:02:E2
"$molt" device set 5ccf7fc602e2 --hold >set.log
expect "a device that is held" held 1 --device 5ccf7fc602e2
kill "$server"
wait "$server" || true
server=
expect "a held device, without a server" held 1 --device 5ccf7fc602e2
[ "$failed" = 0 ] || exit 1
