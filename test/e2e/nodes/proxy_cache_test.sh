#!/bin/sh
# proxy_cache_test.sh - artifacts may be kept by any cache for ever: nginx with proxy_cache, told nothing but what molt's own headers say, asks
# the server once for each file, gives parts and revalidations itself, and goes on when the server is away. Answers to devices are never kept.
# usage: proxy_cache_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/../nginx.sh"
. "$(dirname "$0")/../server.sh"
# shellcheck disable=SC2329 # called by the trap
stop_all() {
    stop_nginx
    clean_up
}
trap stop_all EXIT

"$molt" sim build 2.bin --chip esp8266 --product lamp --code 2 --size 65536 >/dev/null
serve --threads 1
"$molt" publish 2.bin --product lamp --adopt >/dev/null 2>&1
mkdir kept && chmod 777 kept
start_nginx <<CONF
log_format asked '\$upstream_cache_status \$request_uri'; access_log $folder/access.log asked;
proxy_cache_path $folder/kept keys_zone=kept:1m;
server {
  listen 127.0.0.1:PORT;
  location / { proxy_pass $url; proxy_cache kept; proxy_cache_lock on; add_header X-Cache \$upstream_cache_status always; }
}
CONF
cache=$nginx_port
ask() { # PATH CURL-ARGUMENTS...: sets status and kept; the body in got
    path=$1
    shift
    status=$(curl -s -o got -D head -w '%{http_code}' "$@" "http://127.0.0.1:$cache$path")
    kept=$(sed -n 's/^X-Cache: \([A-Z]*\).*/\1/p' head)
}
digest=$(sha256sum 2.bin | cut -c 1-64)
file=/molt/v1/artifact/$digest

# Ten at once, and the server is asked once.
for n in 1 2 3 4 5 6 7 8 9 10; do
    curl -s -o "got.$n" "http://127.0.0.1:$cache$file" &
    clients="${clients-} $!"
done
for client in $clients; do wait "$client" || fail "a client got nothing"; done
for n in 1 2 3 4 5 6 7 8 9 10; do cmp -s "got.$n" 2.bin || fail "client $n got something else"; done
all_noted() { [ "$(grep -c "$file" access.log)" = 10 ]; } # nginx notes a request behind its answer
until_ok all_noted
[ "$(grep -c "^MISS $file" access.log)" = 1 ] || fail "the server was asked more than once: $(cat access.log)"
ask "$file"
[ "$status $kept" = "200 HIT" ] || fail "it was not kept: $status $kept"
grep -qi '^cache-control: public, max-age=31536000, immutable' head || fail "it may not be kept for ever: $(cat head)"
ask "$file" -r 100-199
[ "$status $kept" = "206 HIT" ] || fail "a part: $status $kept"
[ "$(wc -c <got)" = 100 ] && dd if=2.bin bs=100 skip=1 count=1 2>/dev/null | cmp -s - got || fail "another part"
ask "$file" -H "If-None-Match: \"$digest\""
[ "$status $kept" = "304 HIT" ] || fail "what somebody has already: $status $kept"

# What a device is told is its own.
for _ in 1 2; do
    ask /p/lamp/5ccf7f000001.version
    [ "$status $kept" = "200 MISS" ] || fail "a version file was kept: $status $kept"
    ask /p/lamp/lamp.bin -A ESP8266-http-Update -H 'x-ESP8266-STA-MAC: 5C:CF:7F:00:00:02' -H 'x-ESP8266-free-space: 600000' -H 'x-ESP8266-sketch-md5: 0'
    [ "$status $kept" = "200 MISS" ] || fail "a device's image was kept: $status $kept"
    ask /molt/v1/artifact/0000000000000000000000000000000000000000000000000000000000000000
    [ "$status $kept" = "404 MISS" ] || fail "that there is no such file was kept: $status $kept"
done

# The server is away.
kill "$server"
wait "$server" || fail "the server ended badly"
server=
ask "$file"
[ "$status $kept" = "200 HIT" ] || fail "without the server: $status $kept"
cmp -s got 2.bin || fail "without the server it is something else"
echo "proxy_cache_test: good"
