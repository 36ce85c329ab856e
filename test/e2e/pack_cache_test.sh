#!/bin/sh
# pack_cache_test.sh - packs through a cache that knows no instance manipulation and keeps whatever it may: nginx with
# proxy_cache. Whoever asks gets what he understands, and what is a pack's own address is kept. usage: pack_cache_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/nginx.sh"
. "$(dirname "$0")/server.sh"
# shellcheck disable=SC2329 # called by the trap
stop_all() {
    stop_nginx
    clean_up
}
trap stop_all EXIT

for code in 1 2 3; do "$molt" sim build "esp32-$code.bin" --chip esp32 --product lamp --code "$code" >/dev/null; done
serve
for code in 1 2 3; do "$molt" publish "esp32-$code.bin" --product lamp >/dev/null 2>&1; done
mkdir kept && chmod 777 kept
start_nginx <<CONF
access_log off;
proxy_cache_path $folder/kept keys_zone=kept:1m;
server {
  listen 127.0.0.1:PORT;
  location / {
    proxy_pass $url; proxy_cache kept; proxy_cache_valid any 1h; proxy_ignore_headers Vary;
    add_header X-Cache \$upstream_cache_status always;
  }
}
CONF
cache=$nginx_port

digest() { sha256sum "esp32-$1.bin" | cut -c 1-64; }
identity() { tail -c 32 "esp32-$1.bin" | od -An -v -tx1 | tr -d ' \n'; }
ask() { # PORT PATH CURL-ARGUMENTS...: sets status and kept; the body in got
    port_=$1 path=$2
    shift 2
    status=$(curl -s -o got -D head -w '%{http_code}' "$@" "http://127.0.0.1:$port_$path")
    kept=$(sed -n 's/^X-Cache: \([A-Z]*\).*/\1/p' head)
}
until_status() { # STATUS PORT PATH ...: the pack is made meanwhile
    want=$1
    shift
    for _ in $(seq 3000); do
        ask "$@"
        [ "$status" != "$want" ] || return 0
        sleep 0.1
    done
    fail "$* never answered $want, but $status"
}
whole() { cmp -s got "esp32-$1.bin" || fail "$2: not the image"; }
unpacks() { # CODE BASE-OR-EMPTY
    if [ -n "$2" ]; then "$molt" unpack got --base "esp32-$2.bin" -o out.bin >/dev/null 2>&1; else "$molt" unpack got -o out.bin >/dev/null 2>&1; fi ||
        fail "it does not unpack"
    cmp -s out.bin "esp32-$1.bin" || fail "it gives another image"
}

# ---- by address: kept for ever, but for the refusal while it is being made ----
path=/molt/v1/pack/$(identity 2)/$(identity 1)
ask "$cache" "$path"
[ "$status" = 503 ] || fail "a pack that is not made yet is answered with $status"
until_status 200 "$cache" "$path"
unpacks 2 1
ask "$cache" "$path"
[ "$status $kept" = "200 HIT" ] || fail "the pack was not kept: $status $kept"
unpacks 2 1
cp got pack
ask "$cache" "$path" -r 40-
[ "$status $kept" = "206 HIT" ] || fail "a part of the pack: $status $kept"
tail -c +41 pack | cmp -s - got || fail "another part of the pack"

# ---- RFC 3229: a manipulated answer is nobody else's ----
for code in 2 3; do
    path=/molt/v1/artifact/$(digest "$code")
    until_status 226 "$port" "$path" -H 'A-IM: molt-pack' -H "If-None-Match: \"$(digest 1)\"" # the delta
    unpacks "$code" 1
    until_status 226 "$port" "$path" -H 'A-IM: molt-pack' # and the whole image
done
path=/molt/v1/artifact/$(digest 2)
for _ in 1 2; do # nginx passes A-IM on, but not If-None-Match
    ask "$cache" "$path" -H 'A-IM: molt-pack' -H "If-None-Match: \"$(digest 1)\""
    [ "$status $kept" = "226 MISS" ] || fail "with A-IM: $status $kept"
    if grep -qi '^Delta-Base' head; then unpacks 2 1; else unpacks 2 ''; fi
done
ask "$cache" "$path"
[ "$status $kept" = "200 MISS" ] || fail "without A-IM: $status $kept"
whole 2 "without A-IM"
ask "$cache" "$path"
[ "$status $kept" = "200 HIT" ] || fail "once more: $status $kept"
whole 2 "once more"
ask "$cache" "$path" -H 'A-IM: molt-pack' -H "If-None-Match: \"$(digest 1)\""
[ "$status" = 200 ] || fail "with A-IM, from the cache: $status" # no IM header: it is the image
if grep -qi '^IM:' head; then fail "the image is called a pack"; fi
whole 2 "with A-IM, from the cache"
path=/molt/v1/artifact/$(digest 3)
ask "$cache" "$path"
whole 3 "first without A-IM"
echo "ok"
