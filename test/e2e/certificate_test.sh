#!/bin/sh
# certificate_test.sh - devices that prove themselves by a certificate of the operator's authority (mTLS): the one it names is
# let in and believed, on each skin; another device's, a stranger's and none are not; tokens go on beside it; one that its authority
# revoked is refused.
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

# Revoked: by a list of the authority, read again on SIGHUP. Refused in a handshake, in a resumed session and on a connection that
# is open; another device's certificate, and the device's token, go on.
cat >ca.conf <<'C'
[ca]
default_ca = fleet
[fleet]
database = index
crlnumber = number
default_md = sha256
default_crl_days = 30
certificate = fleet.pem
private_key = fleet.key
C
: >index
echo 01 >number
list() { openssl ca -config ca.conf -gencrl "$@" -out new.crl 2>/dev/null && mv new.crl fleet.crl; } # takes the place of the old one at once
reload() { # WORD: until the log says it once more
    before=$(grep -c "$1" serve.log || true)
    kill -HUP "$server"
    for _ in $(seq 3000); do
        [ "$(grep -c "$1" serve.log)" = "$before" ] || return 0
        sleep 0.1
    done
    fail "SIGHUP does not say $1"
}
list
lamp_token=$("$molt" token create --device 5ccf7f000001 2>/dev/null)
serve --listen https://127.0.0.1:0 --tls-cert server.pem --tls-key server.key --device-ca fleet.pem --device-crl fleet.crl --enrol token
port=$(sed -n 's/.*plane=device url=https.*port=\([0-9]*\).*/\1/p' serve.log)
for tls in tls1_2 tls1_3; do
    openssl s_client -"$tls" -connect "127.0.0.1:$port" -cert lamp.pem -key lamp.key -sess_out "session.$tls" -quiet <request >first 2>/dev/null || true
    grep -q ' 200 ' first || fail "$tls, with an empty list: $(cat first)"
done
mkfifo questions
: >open.log
openssl s_client -connect "127.0.0.1:$port" -cert lamp.pem -key lamp.key -quiet <questions >open.log 2>/dev/null &
open=$!
exec 9>questions
printf 'GET /5CCF7F000001.version HTTP/1.1\r\nHost: x\r\n\r\n' >&9
until_in() { for _ in $(seq 3000); do ! grep -q "$1" "$2" || return 0; sleep 0.1; done; fail "$1 is not in $2: $(cat "$2")"; }
until_in ' 200 ' open.log
openssl ca -config ca.conf -revoke lamp.pem 2>/dev/null
list
reload 'event=tls-reload result=ok'
printf 'GET /5CCF7F000001.version HTTP/1.1\r\nHost: x\r\n\r\n' >&9
until_in ' 403 ' open.log
kill "$open"
wait "$open" || true
for tls in 1.2 1.3; do ask 000 /5CCF7F000001.version --cert lamp.pem --key lamp.key "--tlsv$tls" --tls-max "$tls"; done
for tls in tls1_2 tls1_3; do
    openssl s_client -"$tls" -connect "127.0.0.1:$port" -sess_in "session.$tls" -quiet <request >again 2>/dev/null || true
    ! grep -q ' 200 ' again || fail "$tls: a session of a revoked certificate is resumed"
done
ask 200 /lamp/controller/v1/gate-3 --cert gate.pem --key gate.key
ask 200 "/k/$lamp_token/5CCF7F000001.version"
cp fleet.crl good.crl
printf 'no list\n' >fleet.crl
reload 'event=tls-reload result=failed'
grep -q 'fleet.crl: it is no list' serve.log || fail "a file that is no list is not told"
ask 000 /5CCF7F000001.version --cert lamp.pem --key lamp.key
list -crlsec 1
for _ in $(seq 3000); do # until it is older than it says
    [ "$(date -u +%s)" -le "$(date -u -d "$(openssl crl -in fleet.crl -noout -nextupdate | cut -d = -f 2)" +%s)" ] || break
    sleep 0.1
done
reload 'event=crl-stale file=fleet.crl'
ask 000 /5CCF7F000001.version --cert lamp.pem --key lamp.key
ask 200 /lamp/controller/v1/gate-3 --cert gate.pem --key gate.key
sed 's/fleet/stranger/g' ca.conf >other.conf
openssl ca -config other.conf -gencrl -out stranger.crl 2>/dev/null
cat good.crl stranger.crl >fleet.crl
reload 'event=tls-reload result=failed'
grep -q 'not signed by the authority' serve.log || fail "a list of a stranger is not told"

"$molt" serve --listen https://127.0.0.1:0 --admin http://127.0.0.1:0 --data other --tls-cert server.pem --tls-key server.key --device-ca nowhere.pem >bad.log 2>&1 && fail "an authority that is none was taken"
grep -q nowhere.pem bad.log || fail "it says $(cat bad.log)"
echo "certificate_test: good"
