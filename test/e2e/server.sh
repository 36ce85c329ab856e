#!/bin/sh
# server.sh - what end-to-end tests with one `molt serve` begin with; they source it. It makes a folder, enters it, and at the end
# stops the server and removes the folder. Set before: molt, the path of the program. Set by it: folder, MOLT_DATA.
folder=$(mktemp -d)
server=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
export MOLT_DATA="$folder/data"
# fail WHAT: ends the test, with what a command and the server said; what is wrong comes last, where who reads the end of a log sees it
fail() {
    for file_ in out err serve.log; do [ ! -f "$file_" ] || { printf -- '--- %s\n' "$file_" && cat "$file_"; } >&2; done
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    exit 1
}

listens() { kill -0 "$server" || fail "the server did not start"; grep -Eq 'plane(=|":")socket' serve.log; }

# until_ok COMMAND...: until it succeeds. A wait ends at the event: its bound, some minutes, only ends what hangs.
until_ok() {
    for _ in $(seq 3000); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    fail "$* never came true"
}

# serve [OPTIONS of molt serve]: starts it, instead of the one before, and waits for the last of its addresses to listen, the socket; sets
# server (its process), port and url of its device plane.
serve() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || fail "the server ended badly"; }
    : >serve.log
    "$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 "$@" >serve.log 2>&1 &
    server=$!
    until_ok listens
    port=$(sed -n 's/.*plane=device .*port=\([0-9]*\).*/\1/p' serve.log)
    # shellcheck disable=SC2034 # for the test
    url="http://127.0.0.1:$port"
}
