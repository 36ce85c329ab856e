#!/bin/sh
# certificate_test.sh - devices that prove themselves by a certificate of the operator's authority (mTLS): the one it names is
# let in and believed, on each skin; another device's, a stranger's and none are not; tokens go on beside it.
# usage: certificate_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null
}
certificate() { # FILE COMMON-NAME AUTHORITY
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days 2 -out "$1.pem" 2>/dev/null
}
ask() { # STATUS PATH [curl options]: the answer is in reply
    want=$1
    path=$2
    shift 2
    status=$(curl -sk -o reply -w '%{http_code}' "$@" "https://127.0.0.1:$port$path") || true
    [ "$status" = "$want" ] || fail "$path is answered $status, not $want: $(cat reply)"
}
verified() { "$molt" device show "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["verified"])'; }

authority fleet
authority stranger
authority server
certificate lamp 5C:CF:7F:00:00:01 fleet
certificate gate gate-3 fleet
certificate false 5ccf7f000001 stranger
"$molt" sim build 2.bin --chip esp8266 --product lamp --code 2 >/dev/null
"$molt" publish 2.bin --product lamp >/dev/null 2>&1
for id in 5ccf7f000001 5ccf7f000002 gate-3; do "$molt" device set "$id" --new --product lamp --chip esp8266 >/dev/null; done
token=$("$molt" token create --device 5ccf7f000002 2>/dev/null)

serve --listen https://127.0.0.1:0 --tls-cert server.pem --tls-key server.key --device-ca fleet.pem --enrol token
port=$(sed -n 's/.*plane=device url=https.*port=\([0-9]*\).*/\1/p' serve.log)
ask 403 /5CCF7F000001.version
ask 200 /5CCF7F000001.version --cert lamp.pem --key lamp.key
[ "$(cat reply)" = 2 ] || fail "the device with the certificate is offered $(cat reply)"
[ "$(verified 5ccf7f000001)" = True ] || fail "it is not verified"
ask 403 /5CCF7F000002.version --cert lamp.pem --key lamp.key
ask 200 "/k/$token/5CCF7F000002.version" --cert lamp.pem --key lamp.key
ask 200 "/k/$token/5CCF7F000002.version"
ask 200 /lamp/controller/v1/gate-3 --cert gate.pem --key gate.key
ask 401 /lamp/controller/v1/gate-3 --cert lamp.pem --key lamp.key
ask 401 /lamp/controller/v1/gate-3
ask 000 /5CCF7F000001.version --cert false.pem --key false.key

# Sessions that are resumed are whose they were, with TLS 1.2 as devices have it and with 1.3; the port without TLS knows no certificates.
for tls in tls1_2 tls1_3; do
    printf 'GET /5CCF7F000001.version HTTP/1.0\r\n\r\n' >request
    openssl s_client -"$tls" -connect "127.0.0.1:$port" -cert lamp.pem -key lamp.key -sess_out session -quiet <request >first 2>/dev/null || true
    grep -q ' 200 ' first || fail "$tls: $(cat first)"
    openssl s_client -"$tls" -connect "127.0.0.1:$port" -sess_in session -quiet <request >again 2>/dev/null || true
    grep -q ' 200 ' again || fail "$tls, resumed: $(cat again)"
done
plain=$(sed -n 's/.*plane=device url=http:.*port=\([0-9]*\).*/\1/p' serve.log)
[ "$(curl -s -o reply -w '%{http_code}' "http://127.0.0.1:$plain/5CCF7F000001.version")" = 403 ] || fail "without TLS it is let in"

"$molt" serve --listen https://127.0.0.1:0 --admin http://127.0.0.1:0 --data other --tls-cert server.pem --tls-key server.key --device-ca nowhere.pem >bad.log 2>&1 && fail "an authority that is none was taken"
grep -q nowhere.pem bad.log || fail "it says $(cat bad.log)"
echo "certificate_test: good"
