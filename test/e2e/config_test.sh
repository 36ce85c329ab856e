#!/bin/sh
# config_test.sh - settings of `molt serve`: --check-config, which way wins, what is refused, what SIGHUP changes while it serves, and
# that the handbook has the table as it is. usage: config_test.sh path/to/molt path/to/handbook path/to/operations.md
set -eu
molt=$1
handbook=$2
page=$3
. "$(dirname "$0")/server.sh"
says() { grep -qF -- "$1" out || fail "no '$1' in: $(cat out)"; }
check() { # STATUS [options]
    want=$1
    shift
    status=0
    "$molt" serve --check-config "$@" >out 2>&1 || status=$?
    [ "$status" = "$want" ] || fail "--check-config $* ended with $status: $(cat out)"
}
wait_for() { # TEXT: in the log
    for _ in $(seq 3000); do
        grep -qF -- "$1" serve.log && return
        sleep 0.1
    done
    fail "the log never said '$1'"
}

"$handbook" "$page" | diff - "$page" || fail "doc/operations.md: handbook doc/operations.md > page && mv page doc/operations.md"

# ---- three ways in ----
cat >molt.conf <<X
# what this server is
listen = http://127.0.0.1:1
listen = http://127.0.0.1:2
threads = 3
enrol = list
mqtt = mqtt://me:secret@127.0.0.1
X
check 0 --config molt.conf
says 'threads              = 3  (file)'
says 'listen               = http://127.0.0.1:2  (file)'
says 'admin                = http://127.0.0.1:8267  (default)'
says 'the settings are good'
grep -q secret out && fail "a password is shown"
MOLT_THREADS=5 MOLT_CONFIG=molt.conf check 0 --enrol token
says 'threads              = 5  (environment)'
says 'enrol                = token  (command line)'
[ ! -e data ] || fail "--check-config made a data folder"

# ---- what is wrong ----
echo 'lsten = http://127.0.0.1:1' >bad.conf
check 1 --config bad.conf
says "bad.conf:1: unknown setting 'lsten'; did you mean 'listen'?"
check 2 --thread 3
says 'did you mean --threads?'
check 2 --threads 3000
says '--threads takes a whole number from 1 to 256'
check 1 --tls-cert nothing.pem --tls-key nothing.pem
says '--tls-cert nothing.pem: No such file or directory'
check 1 --listen https://127.0.0.1:0
says 'give --tls-cert and --tls-key'
check 1 --admin http://0.0.0.0:1
says '--admin-insecure'
check 1 --read-replica postgres://b/molt
says '--read-replica: is a stand-by of the PostgreSQL of --store: give that, too'
check 1 --store postgres://a/molt --read-replica b
says '--read-replica: names a stand-by: postgres://USER@HOST/DATABASE'
check 0 --store postgres://me:secret@a/molt --read-replica postgres://me:secret@b/molt
! grep -q secret out || fail "a password is shown"
check 1 --config nothing.conf
says 'nothing.conf: No such file'

# ---- SIGHUP ----
echo 'enrol = open' >live.conf
serve --config live.conf
[ "$(curl -s -o reply -w '%{http_code}' "$url/5CCF7F000001.version")" = 404 ] || fail "an unknown device is not taken in"
printf 'enrol = list\nthreads = 7\n' >live.conf
kill -HUP "$server"
wait_for 'event=config-reload result=ok needs-restart="threads"'
[ "$(curl -s -o reply -w '%{http_code}' "$url/5CCF7F000002.version")" = 403 ] || fail "enrol = list is not applied"
echo 'enrl = open' >live.conf
kill -HUP "$server"
wait_for "event=config-reload result=failed error=\"live.conf:1: unknown setting 'enrl'; did you mean 'enrol'?\""
[ "$(curl -s -o reply -w '%{http_code}' "$url/5CCF7F000003.version")" = 403 ] || fail "a broken file changed something"
echo 'enrol = open' >live.conf
kill -HUP "$server"
for _ in $(seq 3000); do
    [ "$(curl -s -o reply -w '%{http_code}' "$url/5CCF7F000004.version")" != 404 ] || break
    sleep 0.1
done
[ "$(curl -s -o reply -w '%{http_code}' "$url/5CCF7F000004.version")" = 404 ] || fail "enrol = open is not applied again"
