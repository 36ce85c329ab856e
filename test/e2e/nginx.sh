#!/bin/sh
# nginx.sh - an nginx of a test's own; tests source it before all else, because it begins them anew with a port that is held. Set before
# start_nginx: folder, the test's own; fail().
if [ -z "${HELD_PORT:-}" ]; then
    hold_port=$(dirname "$0")/hold_port.py
    [ -e "$hold_port" ] || hold_port=$(dirname "$0")/../hold_port.py
    exec python3 "$hold_port" "$0" "$@"
fi
nginx=
stop_nginx() { [ -z "$nginx" ] || { kill "$nginx" && wait "$nginx"; } 2>/dev/null || true; }

# start_nginx: starts one with the http block on standard input, where PORT stands for its port. Sets nginx (its process) and
# nginx_port; it is ready then.
start_nginx() {
    nginx_port=$HELD_PORT
    # shellcheck disable=SC2154 # of who sources this
    chmod 755 "$folder" # its workers run as nobody
    {
        echo "daemon off; worker_processes 1; pid $folder/nginx.pid; error_log $folder/error.log; events {}"
        echo "http {"
        for kind_ in client_body proxy fastcgi uwsgi scgi; do echo "${kind_}_temp_path $folder/temp-$kind_;"; done
        sed "s/PORT/$nginx_port/g"
        echo "}"
    } >"$folder/nginx.conf"
    /usr/sbin/nginx -c "$folder/nginx.conf" -e "$folder/error.log" &
    nginx=$!
    for _ in $(seq 3000); do
        if curl -s -o /dev/null "http://127.0.0.1:$nginx_port/"; then return 0; fi
        sleep 0.1
    done
    cat "$folder/error.log" >&2
    fail "nginx did not start"
}
