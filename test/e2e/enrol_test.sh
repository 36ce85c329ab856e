#!/bin/sh
# enrol_test.sh - which devices a server takes in: open, by token, by list, by approval; devices registered and set in numbers.
# usage: enrol_test.sh path/to/molt
set -eu
molt=$1
. "$(dirname "$0")/server.sh"

ask() { # STATUS PATH [curl options]: the answer is in reply
    want=$1
    path=$2
    shift 2
    status=$(curl -s -o reply -w '%{http_code}' "$@" "http://127.0.0.1:$port$path")
    [ "$status" = "$want" ] || fail "$path is answered $status, not $want"
}
known() { "$molt" device show "$1" >/dev/null 2>&1; }
reason() { "$molt" device why "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["reason"]["id"])'; }

"$molt" sim build 2.bin --chip esp8266 --product lamp --code 2 >/dev/null
"$molt" publish 2.bin --product lamp >/dev/null
"$molt" device set 5ccf7f000001 --new --product lamp --chip esp8266 --tag roof >/dev/null
token=$("$molt" token create --device 5ccf7f000001 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')

# By token: who has none is answered the same whether it is known or not, on every skin, and nothing is made of it.
serve --enrol token
for id in 5CCF7F000001 5CCF7F000002; do
    ask 403 "/$id.version"
    cp reply first
    ask 403 "/$id.bin"
    cmp -s first reply || fail "the answers differ"
    ask 403 "/$id.json"
    ask 403 "/k/wrong/$id.version"
    ask 401 "/lamp/controller/v1/$id"
    ask 403 "/any" -H "x-ESP8266-STA-MAC: $id"
    ask 403 /p/lamp/poll -H "RAUC-Serial: $id"
done

# The whole answer is the same for a device that is known and one that is not, whatever is asked for without its token, with a wrong
# one or with that of another device.
probe() { # ID PREFIX: all answers, without the time of day, the id written as ID
    for path in .version .bin .suit .json; do curl -s -i "http://127.0.0.1:$port$2/$1$path"; done
    curl -s -I "http://127.0.0.1:$port$2/$1.bin"
    curl -s -i -r 100- "http://127.0.0.1:$port$2/$1.bin"
    curl -s -i "http://127.0.0.1:$port$2/any" -A ESP8266-http-Update -H "x-ESP8266-STA-MAC: $1"
    curl -s -i "http://127.0.0.1:$port$2/p/lamp/poll" -H "RAUC-Serial: $1"
    curl -s -i "http://127.0.0.1:$port$2/molt/v1/artifact/$digest?id=$1"
    printf 'a line\n' | curl -s -i "http://127.0.0.1:$port$2/molt/v1/log?id=$1" --data-binary @-
    printf '\245\001\154%s\002\001\004\000\013\000\014\001' "$1" |
        curl -s -i "http://127.0.0.1:$port$2/molt/v1/check-in" -H 'Content-Type: application/cbor' --data-binary @-
    for path in '' /configData /deploymentBase/1 /cancelAction/1 /softwaremodules/1/artifacts /softwaremodules/1/artifacts/lamp-2.bin; do
        curl -s -i "http://127.0.0.1:$port$2/lamp/controller/v1/$1$path"
    done
    curl -s -i -X PUT -d '{"data":{"version":"1"}}' "http://127.0.0.1:$port$2/lamp/controller/v1/$1/configData"
    curl -s -i -d '{"status":{"execution":"closed","result":{"finished":"success"}}}' "http://127.0.0.1:$port$2/lamp/controller/v1/$1/deploymentBase/1/feedback"
}
digest=$(sha256sum 2.bin | cut -d ' ' -f 1)
"$molt" device set 5ccf7f0000bb --new --product lamp --chip esp8266 >/dev/null
stranger=$("$molt" token create --device 5ccf7f0000bb 2>/dev/null)
for prefix in '' /k/wrong "/k/$stranger"; do
    for id in 5ccf7f000001 5ccf7f000002; do probe "$id" "$prefix" | grep -v '^Date:' | sed "s/$id/ID/g" >"answers.$id"; done
    cmp -s answers.5ccf7f000001 answers.5ccf7f000002 || { diff answers.* >&2; fail "with '$prefix', known devices can be told from others"; }
    [ "$(grep -ac '^HTTP/1.1 40[13]' answers.5ccf7f000001)" = "$(grep -ac '^HTTP/1.1' answers.5ccf7f000001)" ] || fail "something is answered: $(grep -a '^HTTP' answers.5ccf7f000001)"
done
"$molt" device forget 5ccf7f0000bb >/dev/null
known 5ccf7f000002 && fail "a device was made without a token"
ask 200 "/k/$token/5CCF7F000001.version"
[ "$(cat reply)" = 2 ] || fail "the device with the token is offered $(cat reply)"
ask 403 "/k/$token/5CCF7F000002.version"
ask 200 /health

# A token of the product lets a device in: a gateway's proves it, an enrolment's does not. Neither reaches a device of another
# product, whatever product the path names.
"$molt" publish 2.bin --product other --version 2 --code 2 >/dev/null
"$molt" device set 5ccf7f0000aa --new --product other --chip esp8266 >/dev/null
shared() { "$molt" token create "$1" lamp 2>/dev/null; }
gateway=$(shared --gateway)
enrol=$(shared --enrol)
ask 200 "/k/$gateway/p/other/5CCF7F000010.version"
[ "$(cat reply)" = 2 ] || fail "a device of the gateway is offered $(cat reply)"
ask 200 /lamp/controller/v1/5CCF7F000011 -H "Authorization: GatewayToken $gateway"
ask 200 "/k/$enrol/5CCF7F000012.version"
[ "$(cat reply)" = 2 ] || fail "an enrolled device is offered $(cat reply)"
ask 200 "/k/$gateway/5CCF7F000001.version"
for shared in "$gateway" "$enrol"; do
    ask 403 "/k/$shared/5CCF7F0000AA.version"
    ask 403 "/k/$shared/p/lamp/5CCF7F0000AA.version"
    ask 401 /other/controller/v1/5CCF7F0000AA -H "Authorization: GatewayToken $shared"
done
is() { # DEVICE PRODUCT VERIFIED
    "$molt" device show "$1" --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
sys.exit(0 if [d["product"], str(d["verified"])] == sys.argv[1:] else str(d))' "$2" "$3" || fail "$1 is wrong"
}
is 5ccf7f000010 lamp True
is 5ccf7f000011 lamp True
is 5ccf7f000012 lamp False
"$molt" token list | grep -q 'gateway *lamp' || fail "the list does not say whose the token is"
"$molt" token create --gateway nothing 2>/dev/null && fail "a token of a product that is none was made"

"$molt" device forget 5ccf7f0000aa >/dev/null
"$molt" device forget --filter 'id ~ 5ccf7f00001?' | grep -qx 'devices forgotten: 3' || fail "forgetting by filter does not say how many"
for id in 5ccf7f0000aa 5ccf7f000010 5ccf7f000011 5ccf7f000012; do known "$id" && fail "$id was forgotten and is there"; done
known 5ccf7f000001 || fail "a device that the filter does not match was forgotten"

# Guessing is bounded: after a minute's worth of wrong tokens an address is not told any more, whatever it sends. With each second it may be
# wrong once more, so the right token follows the wrong ones at once, and all of it comes again, with tokens and a device that the server has
# not seen, when such a second lay between.
guess() { # NUMBER: guesses has the status of 300 wrong tokens and of the gateway's
    curl -s -o reply -w '%{http_code}\n' "http://127.0.0.1:$port/k/molt_$1_[1-300]/5CCF7F000001.version" \
        --next -s -o reply -w '%{http_code}\n' "http://127.0.0.1:$port/k/$gateway/5CCF7F0010$1.version" >guesses
}
tries=10
guess "$tries"
[ "$(head -n 30 guesses | sort -u)" = 403 ] || fail "wrong tokens are answered $(sort guesses | uniq -c)"
while [ "$(tail -n 2 guesses | sort -u)" != 429 ]; do
    tries=$((tries + 1))
    [ "$tries" -le 60 ] || fail "after 300 wrong tokens, one and a right one are answered $(tail -n 2 guesses)"
    guess "$tries"
done
known 5ccf7f0010$tries && fail "a device was made by a token that was not looked at"
"$molt" device forget --filter 'id ~ 5ccf7f0010??' >/dev/null

# By list: those that were registered.
serve --enrol list
ask 200 /5CCF7F000001.version
ask 403 /5CCF7F000003.version
ask 401 /lamp/controller/v1/5CCF7F000003
known 5ccf7f000003 && fail "a device was made that is not in the list"
"$molt" device set 5ccf7f000003 --new --product lamp --chip esp8266 --tag roof >/dev/null
ask 200 /5CCF7F000003.version
[ "$(cat reply)" = 2 ] || fail "the registered device is offered $(cat reply)"

# By approval: taken in, and offered nothing until somebody releases it.
serve --enrol approval
ask 200 /p/lamp/5CCF7F000004.version
[ "$(cat reply)" = 0 ] || fail "a newcomer is offered $(cat reply)"
[ "$(reason 5ccf7f000004)" = held ] || fail "it is not held"
"$molt" device set 5ccf7f000004 --release --tag roof >/dev/null
ask 200 /p/lamp/5CCF7F000004.version
[ "$(cat reply)" = 2 ] || fail "a released newcomer is offered $(cat reply)"

# Many at once, while the server runs; and a filter that is none changes nothing.
serve --enrol open
"$molt" device set --filter 'tag = roof' --hold --group top | grep -q 'changed: 3' || fail "not three were changed"
for id in 5ccf7f000001 5ccf7f000003 5ccf7f000004; do [ "$(reason "$id")" = held ] || fail "$id is not held"; done
"$molt" device set --filter 'tag >' --hold 2>/dev/null && fail "a filter that is none was taken"
"$molt" device set --filter '' --hold 2>/dev/null && fail "an empty filter was taken"
"$molt" device set --filter 'group = top' --release >/dev/null
[ "$(reason 5ccf7f000001)" = offered ] || fail "it is not released"

# Out as CSV and as JSON, and back in elsewhere: the same comes out again.
"$molt" device set 5ccf7f000001 --tag a --tag b --attribute floor=12 --pin 2 >/dev/null
"$molt" device export >out.csv
"$molt" device export --json >out.json
[ "$(head -n 1 out.csv | tr -d '\r')" = id,product,channel,chip,group,tags,attributes,pin,held ] || fail "the first line is $(head -n 1 out.csv)"
grep -q '^5ccf7f000001,lamp,stable,esp8266,top,a b,floor=12,2,no' out.csv || { cat out.csv >&2; fail "a row is wrong"; }
for kind in csv json; do
    MOLT_DATA="$folder/data-$kind"
    "$molt" publish 2.bin --product lamp >/dev/null
    "$molt" device import "out.$kind" | grep -q 'imported: 3' || fail "not three were imported from $kind"
    "$molt" device export >again.csv
    cmp -s out.csv again.csv || { diff out.csv again.csv >&2; fail "what comes out of $kind is not what went in"; }
done
printf 'id,group\r\n"5ccf7f000005","a ""quoted"" group"\r\nnot/an/id,x\r\n' >bad.csv
"$molt" device import bad.csv >bad.log 2>&1 && fail "an id that is none was taken"
printf 'id,group\n5ccf7f000006,"open\n' >bad.csv
"$molt" device import bad.csv 2>bad.log && fail "a quote that does not end was taken"
grep -q 'line 2' bad.log || fail "it does not say where: $(cat bad.log)"
printf 'id,group\n5ccf7f000006,a,b\n' >bad.csv
"$molt" device import bad.csv 2>bad.log && fail "a row with too many cells was taken"
printf 'id,colour\n5ccf7f000006,red\n' >bad.csv
"$molt" device import bad.csv 2>bad.log && fail "a column that is none was taken"

# Thousands in a few transactions, and none of a batch with a row that is refused; a running server knows them all.
seq 5000 | awk 'BEGIN { print "id,product,chip,group" } { printf "240ac40%05x,lamp,esp32,hall\n", $1 }' >many.csv
serve
"$molt" device import many.csv | grep -q 'imported: 5000' || fail "not five thousand were imported"
[ "$("$molt" device export --filter 'group = hall' | wc -l)" = 5001 ] || fail "not five thousand are there"
"$molt" device set --filter 'group = hall' --group cellar | grep -q 'changed: 5000' || fail "not five thousand were changed"
[ "$("$molt" device export --filter 'group = cellar' | wc -l)" = 5001 ] || fail "not five thousand were moved"
"$molt" device export --json --filter 'group = cellar' | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)) != 5000)' ||
    fail "not five thousand are there as JSON"
# A server that answers no more after the first page: what was written is said not to be all, and as JSON it is none.
cat >half.py <<'HALF'
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        more = "after=" in self.path
        body = b'{}' if more else b'{"devices":[{"id":"5ccf7f000001"},{"id":"5ccf7f000002"}],"next":"5ccf7f000002"}'
        self.send_response(500 if more else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
HALF
: >half.port
trap 'kill "$half" 2>/dev/null || true; clean_up' EXIT
python3 half.py >half.port 2>/dev/null &
half=$!
until_ok test -s half.port
for format in '' --json; do
    "$molt" device export $format --server "http://127.0.0.1:$(cat half.port)" --token x >half.out 2>half.log && fail "half of it is taken for all"
    grep -q 'not all: it ends after 2 devices' half.log || fail "it says $(cat half.log)"
    [ "$(grep -c 5ccf7f00000 half.out)" = 2 ] || fail "it wrote $(cat half.out)"
done
python3 -c 'import json; json.load(open("half.out"))' 2>/dev/null && fail "half of the JSON is JSON"
kill "$half"
wait "$half" 2>/dev/null || true
trap clean_up EXIT
printf 'id,product\n5ccf7f000007,lamp\n5ccf7f000008,nothing\n5ccf7f000009,lamp\n' >bad.csv
"$molt" device import bad.csv 2>bad.log && fail "a product that is none was taken"
grep -q 'device 2 (5ccf7f000008)' bad.log || fail "it does not say which: $(cat bad.log)"
known 5ccf7f000007 && fail "a part of a refused batch is in"
printf 'id\n5ccf7f000007\n5C:CF:7F:00:00:07\n' >bad.csv
"$molt" device import bad.csv 2>bad.log && fail "a device that is there twice was taken"
grep -q 'twice' bad.log || fail "it says $(cat bad.log)"
echo "enrol_test: good"
