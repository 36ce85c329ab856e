#!/bin/sh
# command.sh - what end-to-end tests of the `molt` program share; they source it. Set before: molt, the path of the program.

# fail WHAT: ends the test, with what the last command, and a server, said; what is wrong comes last.
fail() {
    for file_ in out err log oracle; do
        [ ! -f "$file_" ] || { printf -- '--- %s\n' "$file_" && cat "$file_"; } >&2
    done
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    exit 1
}

# run STATUS ARGUMENTS...: runs molt, keeps what it said in out and err, and compares the exit status.
run() {
    want=$1
    shift
    got=0
    # shellcheck disable=SC2154 # of who sources this
    "$molt" "$@" >out 2>err || got=$?
    [ "$got" = "$want" ] || fail "exit status $got, not $want: molt $*"
}

# said FILE TEXT
said() { grep -qF -- "$2" "$1" || fail "$1 does not say: $2"; }

# json EXPRESSION: is Python's over the JSON in out, called d.
json() {
    python3 -c 'import json, sys; d = json.load(open("out")); sys.exit(0 if eval(sys.argv[1]) else 1)' "$1" ||
        fail "not true of the JSON: $1"
}
