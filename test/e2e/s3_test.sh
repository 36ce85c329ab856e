#!/bin/sh
# s3_test.sh - artifacts in a bucket of an S3 server of another hand: two servers share it, each device is streamed to, who follows
# is redirected; a bucket that is away, silent, damaged or closed costs nobody but who needs it, and comes back by itself.
# usage: s3_test.sh path/to/molt path/to/folder-with-node_modules
set -eu
[ -n "${HELD_PORT:-}" ] || exec python3 "$(dirname "$0")/hold_port.py" "$0" "$@"
molt=$1
modules=$2
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"

json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
bucket=
bucket_port=$HELD_PORT
open_bucket() {
    : >bucket/port
    : >bucket/errors
    node "$here/s3/s3_server.mjs" "$modules" bucket "$bucket_port" >bucket/port 2>bucket/errors &
    bucket=$!
    until_ok test -s bucket/port
}
close_bucket() { kill "$bucket"; wait "$bucket" || true; bucket=; }
mkdir bucket
trap '[ -z "$bucket" ] || kill "$bucket" 2>/dev/null || true; clean_up' EXIT
open_bucket
export AWS_ENDPOINT_URL="http://127.0.0.1:$bucket_port" AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER
unset AWS_REGION AWS_DEFAULT_REGION AWS_SESSION_TOKEN AWS_ENDPOINT_URL_S3 || true
export MOLT_ARTIFACTS=s3://firmware/molt
asked() { # METHOD DIGEST: how often the bucket was asked
    grep -c "^$1 /firmware/molt/$2 " bucket/log || true
}
get() { # STATUS PATH [curl options]: the body is in reply, the head in head
    want=$1
    path=$2
    shift 2
    status=$(curl -s -m 600 -D head -o reply -w '%{http_code}' "$@" "$url$path") || true
    [ "$status" = "$want" ] || fail "$path is answered $status, not $want: $(cat head)"
}
sketch() { get "$1" "$2" -A ESP8266-http-Update -H "x-ESP8266-STA-MAC: $3" -H 'x-ESP8266-free-space: 600000' -H 'x-ESP8266-sketch-md5: 0'; }

# The first server publishes: what a release has is in the bucket when that is answered, and in the folder.
"$molt" sim build 2.bin --chip esp8266 --product lamp --code 2 >/dev/null
"$molt" sim build 3.bin --chip esp8266 --product lamp --code 3 >/dev/null
digest=$(sha256sum 2.bin | cut -d ' ' -f 1)
serve
"$molt" publish 2.bin --product lamp --adopt >publish.log 2>&1 || fail "$(cat publish.log)"
[ "$(asked PUT "$digest")" = 1 ] || fail "it is not in the bucket: $(cat bucket/log)"
python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert d["cache-control"] == "public, max-age=31536000, immutable" and d["content-type"] == "application/octet-stream", d' \
    "bucket/objects/firmware/molt/${digest}._S3rver_metadata.json"
sketch 200 /lamp.bin 5C:CF:7F:00:00:01
cmp -s reply 2.bin || fail "the first server sends something else"
[ "$(asked GET "$digest")" = 0 ] || fail "it was fetched, and was there"
get 200 "/molt/v1/artifact/$digest"
grep -qi '^cache-control: public, max-age=31536000, immutable' head || fail "a file by its digest is not immutable: $(cat head)"
"$molt" device set gate-1 --new --product lamp --chip esp8266 >/dev/null

# The second has its rows and an empty folder. Twenty devices that ask at once wait for one transfer.
"$molt" store backup second >/dev/null
find second/artifacts -type f -name '????????????????????????????????????????????????????????????????' -delete
first=$MOLT_DATA
MOLT_DATA="$folder/second"
serve --new-per-minute 1000
for device in $(seq 10 29); do
    curl -s -o "reply.$device" -A ESP8266-http-Update -H "x-ESP8266-STA-MAC: 5C:CF:7F:00:00:$device" -H 'x-ESP8266-free-space: 600000' \
        -H 'x-ESP8266-sketch-md5: 0' "$url/lamp.bin" &
    clients="${clients-} $!"
done
for client in $clients; do wait "$client" || fail "a device was not answered"; done
for device in $(seq 10 29); do cmp -s "reply.$device" 2.bin || fail "a device of the second server got something else"; done
[ "$(asked GET "$digest")" = 1 ] || fail "twenty devices fetched it $(asked GET "$digest") times"
# what nobody published is not asked for, however it is named
false=$(printf nothing | sha256sum | cut -d ' ' -f 1)
get 404 "/molt/v1/artifact/$false"
[ "$(asked GET "$false")" = 0 ] || fail "the bucket was asked for what is in no release"

# A hawkBit client and RAUC's ranges on a third, whose folder is empty, too: streamed; with --redirect-downloads sent to the bucket.
empty() { # FOLDER: forgets what it has
    find "$1/artifacts" -type f -delete
}
empty second
serve
get 200 /lamp/controller/v1/gate-1
job=$(sed -n 's|.*deploymentBase/\([0-9]*\).*|\1|p' reply)
get 200 "/lamp/controller/v1/gate-1/deploymentBase/$job"
[ "$(json 'd["deployment"]["chunks"][0]["artifacts"][0]["hashes"]["sha1"]' <reply)" = "$(sha1sum 2.bin | cut -d ' ' -f 1)" ] || fail "its SHA-1 is wrong"
file=$(json 'd["deployment"]["chunks"][0]["artifacts"][0]["_links"]["download"]["href"]' <reply)
get 200 "${file#"$url"}"
cmp -s reply 2.bin || fail "the hawkBit client got something else"
empty second
serve --redirect-downloads
get 302 "/molt/v1/artifact/$digest"
grep -qi '^cache-control: no-store' head || fail "a redirect may be kept: $(cat head)"
link=$(tr -d '\r' <head | sed -n 's/^[Ll]ocation: //p')
case $link in *S3RVER*S3RVER*) fail "the secret key is in the link" ;; esac
[ "$(curl -s -o reply -w '%{http_code}' -r 10- "$link")" = 206 ] || fail "the link gives no range: $(cat reply)"
tail -c +11 2.bin | cmp -s - reply || fail "the link gives other bytes"
[ "$(curl -s -o reply -w '%{http_code}' "$(printf %s "$link" | sed 's/.$/x/')")" = 403 ] || fail "the bucket takes any signature"
file=/${file#http://*/} # below the address of the server, which has changed
get 302 "$file"
get 302 "$file" -r 10-
get 200 "$file" -I
[ "$(curl -sL -m 600 -o reply -w '%{http_code}' "$url$file")" = 200 ] || fail "a client that follows gets no file"
cmp -s reply 2.bin || fail "a client that follows gets another file"
get 200 "/molt/v1/artifact/$digest" -H 'Origin: http://flash.example'
cmp -s reply 2.bin || fail "a browser gets another file"
sketch 200 /lamp.bin 5C:CF:7F:00:00:01
cmp -s reply 2.bin || fail "a board gets another file"

# The bucket is away: nothing is published, what is not here is answered with "later", polls are what they were; then it is back.
close_bucket
serve
if "$molt" publish 3.bin --product lamp >publish.log 2>&1; then fail "a release was published that is not in the bucket"; fi
grep -q 'bucket at 127.0.0.1' publish.log || fail "publishing says $(cat publish.log)"
[ "$("$molt" release list --json | json 'len(d["releases"])')" = 1 ] || fail "it is listed all the same"
empty second
serve
sketch 304 /lamp.bin 5C:CF:7F:00:00:02
get 503 "/molt/v1/artifact/$digest"
grep -qi '^retry-after:' head || fail "it does not say when to come back: $(cat head)"
get 503 "/lamp/controller/v1/gate-1/deploymentBase/$job"
get 200 /5CCF7F000001.version
open_bucket
fetched() { [ "$(curl -s -m 600 -o reply -w '%{http_code}' "$url/molt/v1/artifact/$digest")" = 200 ] && cmp -s reply 2.bin; }
until_ok fetched
"$molt" publish 3.bin --product lamp >publish.log 2>&1 || fail "$(cat publish.log)"

# It is silent: who needs it waits, nobody else does, and the server stops when it is told to.
empty second
serve
: >bucket/silent
curl -s -m 600 -o reply "$url/molt/v1/artifact/$digest" &
waits=$!
until_ok grep -q "^GET /firmware/molt/$digest silent" bucket/log
get 200 /5CCF7F000001.version
"$molt" status >/dev/null || fail "the API waits for the bucket"
kill "$server"
wait "$server" || fail "the server does not stop while the bucket is silent"
server=
wait "$waits" || true
rm bucket/silent

# An object that is damaged is not taken, and `store check` names it.
cp "bucket/objects/firmware/molt/${digest}._S3rver_object" kept
printf x >>"bucket/objects/firmware/molt/${digest}._S3rver_object"
serve
get 503 "/molt/v1/artifact/$digest"
grep -q 'event=artifact-not-fetched .*reason=digest-mismatch' serve.log || fail "it does not say so"
cp kept "bucket/objects/firmware/molt/${digest}._S3rver_object"
get 200 "/molt/v1/artifact/$digest"
cmp -s reply 2.bin || fail "what is mended is not sent"

# Wrong keys are told as such. A store that gets a bucket is uploaded; a backup of one with a bucket is whole.
AWS_SECRET_ACCESS_KEY=wrong "$molt" store upload >upload.log 2>&1 && fail "wrong keys were taken"
grep -q SignatureDoesNotMatch upload.log || grep -q ' 403' upload.log || fail "it says $(cat upload.log)"
export MOLT_ARTIFACTS=s3://firmware/other
kill "$server"
wait "$server" || fail "the server ended badly"
server=
MOLT_DATA=$first
"$molt" store check >check.log 2>&1 && fail "an empty bucket is whole"
grep -q 'no such object' check.log || fail "it says $(cat check.log)"
"$molt" store upload --json | json 'd["artifacts"] == d["uploaded"] > 1' | grep -q True || fail "not everything was uploaded"
[ "$("$molt" store upload --json | json 'd["uploaded"]')" = 0 ] || fail "it was uploaded again"
"$molt" store check >/dev/null || fail "an uploaded bucket is not whole"
empty "$first"
"$molt" store backup whole >/dev/null || fail "a backup out of the bucket fails"
unset MOLT_ARTIFACTS
"$molt" store check --data whole >/dev/null || fail "a backup out of the bucket is not whole"

# What is no bucket is refused at the start, in words.
if "$molt" serve --artifacts http://firmware --listen http://127.0.0.1:0 --admin http://127.0.0.1:0 --data "$first" >bad.log 2>&1; then fail "that is no bucket"; fi
grep -q 's3://BUCKET' bad.log || fail "it says $(cat bad.log)"
echo "s3_test: good"
