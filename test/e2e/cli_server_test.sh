#!/bin/sh
# cli_server_test.sh - the `molt` program beside a running `molt serve`: through the socket, over HTTP with a token, and
# over HTTPS; what a device asks shows up in the lists. usage: cli_server_test.sh path/to/molt path/to/make_image
set -eu
molt=$1 make_image=$2
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

port() { sed -n "s/.*event=listening plane=$1 .*url=$2.* port=\([0-9]*\).*/\1/p" log | head -n 1; }

# start ARGUMENTS...: a server, waited for until its socket listens (it is the last to).
start() {
    : >log
    : >token.out
    (ulimit -Sn 256 && exec "$molt" serve "$@") >token.out 2>>log &
    server=$!
    tries=0
    until grep -q 'event=listening plane=socket' log; do
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        tries=$((tries + 1))
        [ "$tries" -lt 3000 ] || fail "the server does not listen"
        sleep 0.1
    done
}
stop() {
    kill -TERM "$server"
    wait "$server" || fail "the server ended with status $?"
    server=
}

mkfifo hold
"$make_image" esp8266 1 1.2.0 door.bin
"$make_image" esp8266 2 1.3.0 door13.bin
printf '<html>404</html>' >page.bin
: >out
: >err
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null

# ---- usage of serve ----
: >log
run 2 serve --listen ftp://0.0.0.0
said err "--listen takes http://HOST:PORT"
run 2 serve --admin 127.0.0.1:1
run 1 serve --tls-cert cert.pem
said err "go together"
run 2 serve --threads 0
run 1 serve --listen http://127.0.0.1:0 --admin http://0.0.0.0:0
said err "--admin-insecure"
rm -rf data

# ---- a port that is taken: said with what to do, and the token is kept for the start that works ----
: >taken
python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()' <hold >taken &
holder=$!
exec 9>hold
until [ -s taken ]; do kill -0 "$holder" || fail "no port is taken"; sleep 0.1; done
run 1 serve --listen "http://127.0.0.1:$(cat taken)" --admin http://127.0.0.1:0
said err "Address already in use; another program has it: stop that one, or give another port"
[ ! -s out ] || fail "a server that did not start showed a token: $(cat out)"
exec 9>&-
wait "$holder"

# ---- the first start prints a token, the second does not ----
start --listen http://127.0.0.1:0 --listen https://127.0.0.1:0 --admin http://127.0.0.1:0 \
    --tls-cert cert.pem --tls-key key.pem
token=$(grep -o 'molt_[a-z2-7]\{40\}' token.out) || fail "no token at the first start"
device_port=$(port device http:)
admin=http://127.0.0.1:$(port admin http:)
said log "plane=device url=http://127.0.0.1:$device_port port=$device_port"
said log "plane=admin url=$admin port="
awk '/^Max open files/ { exit !($4 == $5) }' "/proc/$server/limits" || fail "the limit of open files was not raised"
[ "$(stat -c %a data/molt.sock)" = 600 ] || fail "the socket is for everybody"

# ---- through the socket ----
run 0 status --json
json 'd["serving"]'
run 0 publish door.bin --product door
said out "door 1.2.0 (code 1002000)"
said err "upload: 100%"
run 1 publish page.bin --product door --version 9
said err "text-not-firmware"
run 1 serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0
said err "another molt holds this data folder"

# ---- a device asks, and is seen, explained, assigned and offered the release ----
curl -s -o body -w '%{http_code}' "http://127.0.0.1:$device_port/fota/5CCF7FC602E2.version" >code || fail "no answer"
[ "$(cat code)" = 404 ] || fail "an unassigned device got $(cat code)"
run 0 device list
said out "5ccf7fc602e2"
said out "not-assigned"
said err "1 without a product: molt device set ID --product NAME"
run 0 device show 5C:CF:7F:C6:02:E2
said out "not-assigned: The device is not assigned to a product."
said out "molt device set 5ccf7fc602e2 --product NAME"
run 1 device set 5ccf7fc602e2 --product gate
said err "no product is called 'gate'"
run 0 device set 5ccf7fc602e2 --product door --chip esp8266
said out "device 5ccf7fc602e2: product door, channel stable"
version() { curl -s "http://127.0.0.1:$device_port/fota/5CCF7FC602E2.version"; }
[ "$(version)" = 1002000 ] || fail "the device reads $(version), not 1002000"
run 0 publish door13.bin --product door
said out "1 device of product door will be offered it at the next poll"
[ "$(version)" = 1003000 ] || fail "the device reads $(version), not 1003000"
run 0 device set 5ccf7fc602e2 --hold
run 0 device show 5ccf7fc602e2 --json
json 'd["held"] and d["why"]["reason"]["id"] == "held"'
run 0 device set 5ccf7fc602e2 --release
run 0 release list --json
id=$(python3 -c 'import json; print([r["id"] for r in json.load(open("out"))["releases"] if r["code"] == 1003000][0])')
run 0 release yank "$id"
[ "$(version)" != 1003000 ] || fail "a yanked release is still offered"
run 0 release unyank "$id"

# ---- over HTTP with a token ----
MOLT_SERVER=$admin MOLT_TOKEN=$token run 0 device list --json
json '[x["id"] for x in d["devices"]] == ["5ccf7fc602e2"]'
run 0 status --server "$admin/" --token "$token" --json
json 'd["devices"]["count"] == 1'
run 1 status --server "$admin" --token molt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
said err "unauthorized"
run 1 publish page.bin --product door --version 9 --server "$admin" --token "$token"
said err "text-not-firmware"
run 1 publish door.bin --product door --server "$admin" --token "$token" --json
json 'd["reason"] == "already-published"'
run 1 status --server "http://127.0.0.1:$device_port" --token "$token"
said err "is this a molt server?"
code=$(curl -s -o body -w '%{http_code}' "$admin/api/v1/openapi.json")
[ "$code" = 200 ] || fail "openapi.json: $code"
python3 -c 'import json; json.load(open("body"))' || fail "openapi.json is no JSON"
code=$(curl -s -o body -w '%{http_code}' "$admin/api/v1/devices")
[ "$code" = 401 ] || fail "the list of devices without a token: $code"
code=$(curl -s -o body -w '%{http_code}' -H "Authorization: Bearer $token" "$admin/api/v1/devices/..%2f..%2fetc")
case $code in 400 | 404) ;; *) fail "a path trick: $code" ;; esac
run 0 token create --label second
second=$(cat out)
run 0 status --server "$admin" --token "$second"
run 0 device forget 5ccf7fc602e2
run 0 device list --json
json 'd["devices"] == []'

# ---- a server that is gone: the commands open the store themselves ----
stop
[ ! -e data/molt.sock ] || fail "the socket is left"
run 0 status --json
json 'not d["serving"] and d["releases"] == 2'
run 1 status --server "$admin" --token "$token"
said err "connect-failed"

# ---- over HTTPS, on the admin plane; and a second start shows no token ----
start --listen http://127.0.0.1:0 --admin https://127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem
if grep -q molt_ token.out; then fail "a second start printed a token"; fi
admin=https://127.0.0.1:$(port admin https:)
run 1 status --server "$admin" --token "$token"
said err "tls-failed"
said err "set SSL_CERT_FILE to it"
run 1 status --server "https://127.0.0.1:$(port device http:)" --token "$token"
said err "does it speak https?"
SSL_CERT_FILE=$folder/cert.pem run 0 status --server "$admin" --token "$token" --json
json 'd["serving"]'

# ---- a killed server leaves its socket behind; nothing is in the way ----
kill -9 "$server"
wait "$server" 2>/dev/null || true
server=
[ -e data/molt.sock ] || fail "expected a left-over socket"
run 0 status --json
json 'not d["serving"]'
start --listen http://127.0.0.1:0 --admin http://127.0.0.1:0
run 0 status --json
json 'd["serving"]'
stop

# ---- a data folder whose path is longer than a socket's address ----
MOLT_DATA=$folder/$(printf 'long%.0s' $(seq 30))
start --listen http://127.0.0.1:0 --admin http://127.0.0.1:0
run 0 status --json
json 'd["serving"]'
[ "$(stat -c %a "$MOLT_DATA/molt.sock")" = 600 ] || fail "the socket is for everybody"
stop
[ ! -e "$MOLT_DATA/molt.sock" ] || fail "the socket is left"
echo "cli_server_test: good"
