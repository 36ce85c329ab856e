#!/bin/sh
# tls_test.sh - the ports' TLS and signatures, executed: sketches and the ESP-IDF example over the simulated SDKs, whose TLS is
# the real BearSSL and mbedTLS, update themselves from a real `molt serve` over https; what must not be believed is refused.
# usage: tls_test.sh path/to/molt folder-of-sketches
set -eu
here=$(cd "$(dirname "$0")" && pwd)
molt=$1
sketches=$2
. "$here/../e2e/server.sh"
. "$here/lab.sh"

# helper PROGRAM ARGUMENT: starts it; its port is in $answer. Killed at the end.
helpers=
helper() {
    : >"$1$2.port"; : >"$1$2.log"
    python3 "$here/$1" "$2" >"$1$2.port" 2>"$1$2.log" &
    helpers="$helpers $!"
    for _ in $(seq 600); do
        answer=$(cat "$1$2.port")
        [ -z "$answer" ] || return 0
        sleep 0.1
    done
    fail "$1 did not start"
}
# shellcheck disable=SC2329,SC2086 # called by the trap; a list
clean_up_helpers() {
    [ -z "$helpers" ] || kill $helpers 2>/dev/null || true
    clean_up
}
trap clean_up_helpers EXIT

serve_tls() { # CERTIFICATE-AND-KEY: sets SDK_CHIP_PORT and SDK_CHIP_TLS_PORT
    serve --no-limit 127.0.0.1 --listen https://127.0.0.1:0 --tls-cert "$1.pem" --tls-key "$1.key"
    SDK_CHIP_PORT=$(sed -n 's/.*plane=device url=http:.*port=\([0-9]*\).*/\1/p' serve.log)
    SDK_CHIP_TLS_PORT=
    for _ in $(seq 600); do
        SDK_CHIP_TLS_PORT=$(sed -n 's/.*plane=device url=https:.*port=\([0-9]*\).*/\1/p' serve.log)
        [ -z "$SDK_CHIP_TLS_PORT" ] || break
        sleep 0.1
    done
    export SDK_CHIP_PORT SDK_CHIP_TLS_PORT
}
serve_tls "$sketches/server"
for chip in esp8266 esp32; do
    for code in 1 2; do
        "$molt" sim build $chip-$code.bin --chip $chip --product lamp --code $code >/dev/null
        "$molt" publish $chip-$code.bin --product lamp --adopt >/dev/null 2>&1 || fail "version $code for $chip"
    done
done

# ---- ESP8266: BearSSL ----

# a pinned key: records of 1 KB, asked for once; the session is taken up again, also by the image's request
flash esp8266-1.bin
run HttpsPinned up-to-date
says HttpsPinned "boot 1" "tls: probe 1024 yes" "tls: full, records 1024, alive 1" "tls: resumed, records 1024, alive 1" \
    offered "boot 2" "tls: probe 1024 yes" up-to-date
[ "$(grep -c probe HttpsPinned.log)" = 2 ] || fail "it asks for small records more than once a start"

# a probe that reaches nobody says nothing of the server: it is asked again
flash esp8266-1.bin
run HttpsPinned up-to-date SDK_SERVER_S=30
says HttpsPinned "boot 1" "tls: probe 1024 no" connect-failed "tls: probe 1024 yes" "tls: full, records 1024, alive 1" offered \
    "boot 2" up-to-date
never_says HttpsPinned "tls: full, records 16384"

# a server that knows no small records gets 16 KB, when the heap has such a piece; else nothing is tried
flash esp8266-1.bin
run HttpsPinned up-to-date SDK_NO_MFLN=1
says HttpsPinned "tls: probe 1024 no" "tls: full, records 16384, alive 1" offered "boot 2" up-to-date
flash esp8266-1.bin
run HttpsPinned out-of-memory SDK_NO_MFLN=1 SDK_BLOCK=16000
never_says HttpsPinned "tls: full"
flash esp8266-1.bin
run HttpsPinned out-of-memory SDK_HEAP=14000
never_says HttpsPinned "tls: full"
flash esp8266-1.bin
run HttpsPinned up-to-date SDK_HEAP=16000 SDK_BLOCK=4000

# another key than the pinned one
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=molt.test \
    -addext subjectAltName=DNS:molt.test,DNS:192.168.1.10 -keyout other.key -out other.pem 2>openssl.log || fail "no certificate"
serve_tls "$folder/other"
flash esp8266-1.bin
cp flash.bin before.bin
run HttpsPinned tls-not-trusted
never_says HttpsPinned "tls: full"
cmp -s -n 1048576 flash.bin before.bin || fail "it wrote before it believed"
flash esp8266-1.bin
helper sntp.py 0
now_port=$answer
run Anchors tls-not-trusted SDK_SNTP_PORT="$now_port"

# a trust anchor: not without the time; with that of SNTP, or of the server; not when it is of before the build, nor of after the
# certificate's end, nor for another name. And everything that takes long can be put off, and is done in the end.
serve_tls "$sketches/server"
flash esp8266-1.bin
run Anchors tls-outside-validity
never_says Anchors "tls: "
flash esp8266-1.bin
run Anchors up-to-date SDK_SNTP_PORT="$now_port"
says Anchors "boot 1" "clock set" "handshake later" "handshake later" "handshake later" "handshake now" "tls: probe 1024 yes" \
    "tls: full, records 1024, alive 1" offered "boot 2" up-to-date
flash esp8266-1.bin
run Anchors up-to-date SDK_TIME_FROM=1
says Anchors "boot 1" "handshake now" "clock set" "tls: full, records 1024, alive 1" offered "boot 2" up-to-date
# ESPhttpUpdate's calls over the sketch's own https client; it restarts when the sketch lets it, and not before
flash esp8266-1.bin
run DropInHttps "no updates" SDK_LAZY=1 SDK_SNTP_PORT="$now_port"
says DropInHttps "version 1" "clock set" "update started" "update ended" ready bad-argument ready bad-argument "boot 2" "version 2" \
    "no updates"
[ "$(grep -c "^boot 2$" DropInHttps.log)" = 1 ] || fail "it restarted more than once"
flash esp8266-1.bin
run DropInHttps "error 63" SDK_LAZY=1 # no clock: of a client of the sketch's own molt knows no more than that TLS failed
helper sntp.py -3000
flash esp8266-1.bin
run Anchors tls-outside-validity SDK_SNTP_PORT="$answer"
never_says Anchors "tls: "
helper sntp.py 4000
flash esp8266-1.bin
run Anchors tls-outside-validity SDK_SNTP_PORT="$answer"
says Anchors "tls: failed, 54"

# ---- ESP32: mbedTLS, by esp_tls and under Arduino ----

https="SDK_URL=https://molt.test:8443"
# the bundle knows the root of the server's chain; it does not know it; or it knows one that has its name, and another key
authority() { # NAME SUBJECT [ARGUMENT ...]
    certificate=$1 subject=$2
    shift 2
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$subject" -keyout "$certificate.key" \
        -out "$certificate.pem" "$@" 2>openssl.log || { cat openssl.log >&2; fail "no certificate"; }
}
authority root root
authority namesake root
authority stranger stranger
authority middle middle -CA root.pem -CAkey root.key
authority chain molt.test -CA middle.pem -CAkey middle.key -addext subjectAltName=DNS:molt.test
cat middle.pem >>chain.pem
serve_tls "$folder/chain"
flash32 esp32-1.bin
run esp_idf up-to-date $https SDK_BUNDLE="$folder/root.pem"
says_start esp_idf "boot 1" "tls: full" offered "boot 2" "tls: full" confirmed up-to-date
flash32 esp32-1.bin
for old in "" SDK_OLD_TLS=1; do # shellcheck disable=SC2086 # none, or one
    run esp_idf tls-wrong-host SDK_URL=https://else.test:8443 SDK_BUNDLE="$folder/root.pem" $old
    for bundle in stranger namesake; do
        run esp_idf tls-not-trusted $https SDK_BUNDLE="$folder/$bundle.pem" $old
        never_says esp_idf "tls: full"
    done
done
serve_tls "$sketches/server"
flash32 esp32-1.bin
run esp_idf up-to-date $https SDK_PEM="$sketches/server.pem" SDK_LATER=1
says_start esp_idf "boot 1" "handshake later" "handshake now" "tls: full" "power low" offered "power full" "boot 2"
flash32 esp32-1.bin
run esp_idf tls-not-trusted $https SDK_PEM="$folder/other.pem"
says_start esp_idf "tls: failed" tls-not-trusted
for old in "" SDK_OLD_TLS=1; do # shellcheck disable=SC2086
    run esp_idf tls-wrong-host SDK_URL=https://else.test:8443 SDK_PEM="$sketches/server.pem" $old
done
flash32 esp32-1.bin
run esp_idf tls-outside-validity $https SDK_PEM="$sketches/server.pem" SDK_CLOCK=unset
never_says esp_idf "tls: "
flash32 esp32-1.bin
run HttpsPinned32 up-to-date SDK_SNTP_PORT="$now_port"
says HttpsPinned32 "boot 1" "clock set" "tls: full" offered "boot 2" confirmed up-to-date
flash32 esp32-1.bin
run HttpsPinned32 tls-outside-validity
never_says HttpsPinned32 "tls: "

# ---- signatures: of the maker, of somebody else, and with one bit changed on the way ----

export MOLT_DATA="$folder/signed" # another server, whose product takes signed releases only
serve_tls "$sketches/server"
"$molt" keygen maker.key --no-passphrase >/dev/null
"$molt" keygen thief.key --no-passphrase >/dev/null
maker() { # CHIP KEY: what a firmware compiles in
    echo "SDK_MAKER=$("$molt" key show "$2.key.pub" --product lamp --chip "$1" | grep -o '0x[0-9A-F]*' | sed 's/0x//' | tr -d '\n')"
}
"$molt" product trust lamp --key maker.key.pub >/dev/null
for chip in esp8266 esp32; do
    for code in 1 2; do
        "$molt" sign $chip-$code.bin --key maker.key --product lamp >/dev/null || fail "$chip-$code is not signed"
        "$molt" publish $chip-$code.bin --product lamp --manifest $chip-$code.suit --adopt >/dev/null 2>&1 || fail "signed $code for $chip"
    done
done
helper tamper.py "$SDK_CHIP_PORT"
tampered="SDK_CHIP_PORT=$answer"
refused() { # NAME: it did, and wrote nothing where an image goes
    never_says "$1" offered
    never_says "$1" "boot 2"
}

flash esp8266-1.bin
run Signed up-to-date "$(maker esp8266 maker)"
says Signed "boot 1" offered "boot 2" up-to-date
flash esp8266-1.bin
cp flash.bin before.bin
run Signed bad-signature "$(maker esp8266 thief)"
refused Signed
run Signed bad-signature "$(maker esp8266 maker)" "$tampered"
refused Signed
cmp -s -n 1048576 flash.bin before.bin || fail "it wrote an image that it did not believe"
flash esp8266-1.bin
run Anchors up-to-date "$(maker esp8266 maker)" SDK_SNTP_PORT="$now_port"
says Anchors "boot 1" "verify later" "verify later" "verify later" "verify now" offered "boot 2" up-to-date

flash32 esp32-1.bin
run Signed32 up-to-date "$(maker esp32 maker)"
says Signed32 "boot 1" offered "boot 2" up-to-date
flash32 esp32-1.bin
run Signed32 bad-signature "$(maker esp32 maker)" "$tampered"
refused Signed32
flash32 esp32-1.bin
run esp_idf up-to-date $https SDK_PEM="$sketches/server.pem" "$(maker esp32 maker)" SDK_LATER=1
says_start esp_idf "boot 1" "verify later" "verify now" "power low" offered "power full" "boot 2" up-to-date
flash32 esp32-1.bin
run esp_idf bad-signature "$(maker esp32 thief)"
refused esp_idf
flash32 esp32-1.bin
run esp_idf bad-signature "$(maker esp32 maker)" "$tampered"
refused esp_idf
[ "$(grep -c tampered "tamper.py$SDK_CHIP_PORT.log")" -ge 3 ] || fail "nothing was tampered with"
echo "tls_test: all good"
