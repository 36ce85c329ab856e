#!/bin/sh
# detools_test.sh - a patch for esp_delta_ota, made by `molt pack --detools` and served by `molt serve`, is applied by detools
# itself (PyPI), behind the header that Espressif's component expects.
# usage: detools_test.sh path/to/molt
set -eu
molt=$1
venv=${MOLT_VENV:-$(cd "$(dirname "$0")/../.." && pwd)/build/venv}
. "$(dirname "$0")/server.sh"
applies() { # PATCH: gives esp32-2.bin, and names esp32-1.bin as its base
    "$venv/bin/python" - "$1" <<'END' || fail "$1 has not the component's header"
import sys
patch, base = open(sys.argv[1], "rb").read(), open("esp32-1.bin", "rb").read()
assert patch[:4] == (0xFCCDDE10).to_bytes(4, "little")
assert patch[4:36] == base[-32:]        # what esp_partition_get_sha256() gives of the running partition
assert patch[36:64] == bytes(28)
open("body", "wb").write(patch[64:])
END
    "$venv/bin/detools" patch_info body | grep -q 'heatshrink' || fail "$1 is not compressed by heatshrink"
    rm -f out.bin
    "$venv/bin/detools" apply_patch esp32-1.bin body out.bin >/dev/null || fail "detools does not take $1"
    cmp out.bin esp32-2.bin || fail "$1 gives another image"
}

for code in 1 2; do "$molt" sim build "esp32-$code.bin" --chip esp32 --product lamp --code "$code" >/dev/null; done
"$molt" pack esp32-2.bin --base esp32-1.bin --detools -o made.patch >/dev/null
applies made.patch
[ "$(wc -c <made.patch)" -lt 20000 ] || fail "the patch is no difference"

serve
for code in 1 2; do "$molt" publish "esp32-$code.bin" --product lamp >/dev/null 2>&1; done
identity() { tail -c 32 "$1" | od -An -v -tx1 | tr -d ' \n'; }
new=$(identity esp32-2.bin) old=$(identity esp32-1.bin)

# by address
for _ in $(seq 3000); do
    status=$(curl -s -o served.patch -w '%{http_code}' "http://127.0.0.1:$port/molt/v1/detools/$new/$old")
    [ "$status" = 503 ] || break
    sleep 0.1
done
[ "$status" = 200 ] || fail "the address answers $status"
cmp served.patch made.patch || fail "the server makes another patch"

# by RFC 3229, on the address that an ESP-IDF client uses anyway
status=$(curl -s -o served.patch -D head -w '%{http_code}' -A 'ESP32 HTTP Client/1.0' -H 'A-IM: detools' \
    -H "If-None-Match: \"$old\"" "http://127.0.0.1:$port/p/lamp/fota/240AC4000001.bin")
[ "$status" = 226 ] || { cat head >&2; fail "A-IM is answered with $status"; }
grep -qi '^IM: detools' head || fail "there is no IM header"
grep -qi "^Delta-Base: \"$old\"" head || fail "there is no Delta-Base header"
applies served.patch
