#!/bin/sh
# swupdate_test.sh - Debian's own SWUpdate, a hawkBit client, updates itself from `molt serve`: by a token, through a cut
# download that it resumes, twice, with success that counts when the new version is said, and a failure that is reported.
# usage: swupdate_test.sh path/to/molt
set -eu
molt=$1
swupdate=$(command -v swupdate || echo /usr/bin/swupdate)
folder=$(mktemp -d)
server=
proxy=
client=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    for pid in $client $proxy $server; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
export MOLT_DATA="$folder/data"
export TMPDIR="$folder"
fail() { cat serve.log client.log >&2; printf 'swupdate_test: %s\n' "$*" >&2; exit 1; }
: >serve.log
: >client.log

openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=test \
    -addext extendedKeyUsage=emailProtection 2>/dev/null
bundle() { # VERSION TEXT: makes VERSION.swu, which writes a file of half a megabyte
    mkdir "$1.d"
    (cd "$1.d"
    python3 -c 'import random, sys; random.seed(sys.argv[1]); sys.stdout.buffer.write(random.randbytes(500000))' "$2" >image.raw
    cat >sw-description <<DESCRIPTION
software = {
    version = "$1";
    hardware-compatibility: [ "1.0" ];
    images: ({ filename = "image.raw"; device = "$folder/target"; type = "raw"; installed-directly = false;
               sha256 = "$(sha256sum image.raw | cut -d' ' -f1)"; });
}
DESCRIPTION
    openssl cms -sign -in sw-description -out sw-description.sig -signer ../cert.pem -inkey ../key.pem -outform DER \
        -nosmimecap -binary
    printf 'sw-description\nsw-description.sig\nimage.raw\n' | cpio -o -H crc >"../$1.swu" 2>/dev/null)
}
bundle 1.0.0 one
bundle 1.1.0 two
: >target

: >serve.log
"$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 --ddi-interval 1 >serve.log 2>&1 &
server=$!
port=
for _ in $(seq 3000); do
    port=$(sed -n 's/.*plane=device .*port=\([0-9]*\).*/\1/p' serve.log)
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail "the server did not start"

# A proxy that cuts the first answer longer than 100,000 bytes, so that the client must resume.
cat >proxy.py <<'PROXY'
import socket, sys, threading
to, cuts = int(sys.argv[1]), [100000]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def pump(source, sink, limited):
    sent = 0
    try:
        while data := source.recv(16384):
            sink.sendall(data)
            sent += len(data)
            if limited and cuts and sent > cuts[0]:
                cuts.pop()
                print("cut", flush=True)
                break
    except OSError:
        pass
    for s in (source, sink):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
while True:
    peer, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", to))
    threading.Thread(target=pump, args=(peer, server, False), daemon=True).start()
    threading.Thread(target=pump, args=(server, peer, True), daemon=True).start()
PROXY
: >proxy.log
python3 proxy.py "$port" >proxy.log 2>&1 &
proxy=$!
for _ in $(seq 3000); do
    [ ! -s proxy.log ] || break
    sleep 0.1
done
through=$(head -n 1 proxy.log)

start() { # VERSION TOKEN [OPTION...]: the client, on a board that runs VERSION
    cat >sw.cfg <<CONFIG
globals: { public-key-file = "$folder/cert.pem"; no-state-marker = true; no-transaction-marker = true; };
suricatta: { tenant = "gate"; id = "board-1"; url = "http://127.0.0.1:$through"; targettoken = "$2"; polldelay = 1;
             retrywait = 1; };
identify: ( { name = "version"; value = "$1"; } );
CONFIG
    shift 2
    : >client.log # the child empties it later
    "$swupdate" -f sw.cfg -H board:1.0 -l 5 -u "$*" >client.log 2>&1 &
    client=$!
}
stop() {
    kill "$client" 2>/dev/null || true
    wait "$client" 2>/dev/null || true
    client=
}
state() { "$molt" device show board-1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["attempt"]["state"])'; }
becomes() { # STATE
    for _ in $(seq 3000); do
        is=$(state 2>/dev/null || echo none)
        [ "$is" != "$1" ] || return 0
        sleep 0.1
    done
    "$molt" device show board-1 >&2 || true
    fail "the attempt is $is, not $1"
}
says() { # TEXT: the client's log
    for _ in $(seq 3000); do
        ! grep -q "$1" client.log || return 0
        sleep 0.1
    done
    fail "the client does not say: $1"
}

"$molt" publish 1.0.0.swu --product gate --version 1.0.0 >/dev/null
token=$("$molt" token create --device board-1 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')

# A wrong token: refused, and nothing is made of it.
start 0.9.0 wrong
says 'HTTP.*401'
stop
"$molt" device show board-1 >/dev/null 2>&1 && fail "a device was made for a wrong token"

# The first release, through a cut.
start 0.9.0 "$token"
says 'SWUPDATE successful'
stop
grep -q cut proxy.log || fail "nothing was cut"
cmp -s target 1.0.0.d/image.raw || fail "what was installed is not what was published"
cat client.log >resumed.log

# The new firmware says that all is well, and which version it is: only that makes it updated.
start 1.0.0 "$token" -c 2
becomes updated
stop

# The next one fails: it is reported as failed, and not offered again.
"$molt" publish 1.1.0.swu --product gate --version 1.1.0 >/dev/null
start 1.0.0 "$token"
says 'SWUPDATE successful'
stop
cmp -s target 1.1.0.d/image.raw || fail "the second one was not installed"
start 1.0.0 "$token" -c 3
becomes failed
stop
"$molt" device why board-1 | grep -q failed-before || fail "it is offered again"
echo "swupdate_test: good"
