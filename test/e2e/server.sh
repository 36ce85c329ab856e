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
fail() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; [ ! -f serve.log ] || cat serve.log >&2; exit 1; }

# serve [OPTIONS of molt serve]: starts it, instead of the one before; sets server (its process), port and url of its device plane.
serve() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || fail "the server ended badly"; }
    : >serve.log
    "$molt" serve --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 "$@" >serve.log 2>&1 &
    server=$!
    port=
    for _ in $(seq 600); do
        port=$(sed -n 's/.*plane=device .*port=\([0-9]*\).*/\1/p' serve.log)
        [ -z "$port" ] || break
        sleep 0.1
    done
    [ -n "$port" ] || fail "the server did not start"
    # shellcheck disable=SC2034 # for the test
    url="http://127.0.0.1:$port"
}
