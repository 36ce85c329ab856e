#!/bin/sh
# access_test.sh - users, tokens and the audit log from the command line and over HTTP, with real sockets, cookies and headers;
# an export is checked by a program of another hand, and everything that is done to the log behind the server's back is found.
# usage: access_test.sh path/to/molt
set -eu
molt=$1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/server.sh"

password='correct horse battery'
printf '%s\n' "$password" >password
expect() { grep -q -- "$2" "$1" || fail "$1 does not say '$2': $(cat "$1")"; }
refuse() { # STATUS command...: its exit status, and what it said is in out
    want=$1
    shift
    status=0
    "$@" >out 2>&1 || status=$?
    [ "$status" = "$want" ] || fail "'$*' ended with $status, not $want: $(cat out)"
}

# ---- in this process: no server, no token ----
"$molt" sim build 1.bin --chip esp8266 --product lamp --code 1 >/dev/null
"$molt" publish 1.bin --product lamp >/dev/null
"$molt" publish 1.bin --product other >/dev/null
"$molt" user add anna --role operator@lamp --password-file password >out
expect out 'user anna: operator@lamp'
refuse 1 "$molt" user add anna --no-password
refuse 1 "$molt" user add bert --role king --no-password
expect out "'king' is no role"
refuse 2 "$molt" user add 'Anna B' --no-password
printf 'short\n' >weak
refuse 1 "$molt" user passwd anna --password-file weak
expect out 'weak-password'
"$molt" user add bert --role viewer --role approver@other --no-password >/dev/null
"$molt" user list >out
expect out 'bert .*viewer, approver@other .*no password'
refuse 2 "$molt" user set bert
"$molt" user set bert --role viewer --disable >out
expect out 'user bert: viewer, disabled, no password'
"$molt" user remove bert >/dev/null
[ "$("$molt" user list --json | python3 -c 'import json, sys; print([u["name"] for u in json.load(sys.stdin)["users"]])')" = "['anna']" ] ||
    fail "bert is still there"
token=$("$molt" token create --role uploader --product lamp --expires 90d --label ci 2>/dev/null)
"$molt" token list >out
expect out 'lamp .*uploader .*in 89 d.*ci'
refuse 2 "$molt" token create --expires soon
"$molt" audit list >out
expect out 'local .*command line .*POST /users .*done'
expect out 'invalid-request'
"$molt" audit list --find '/users/bert' --limit 1 >out 2>&1
expect out 'DELETE /users/bert'
grep -q "$password" out && fail "the audit log holds a password"

# ---- over HTTP ----
serve
admin=$(sed -n 's/.*plane=admin .*port=\([0-9]*\).*/\1/p' serve.log)
api="http://127.0.0.1:$admin/api/v1"
ask() { # STATUS METHOD PATH [curl options]: the answer is in reply, its head in head
    want=$1
    method=$2
    path=$3
    shift 3
    status=$(curl -s -D head -o reply -w '%{http_code}' -X "$method" "$@" "$api$path")
    [ "$status" = "$want" ] || fail "$method $path is answered $status, not $want: $(cat reply)"
}
login="{\"name\":\"anna\",\"password\":\"$password\"}"
ask 401 POST /session -d '{"name":"anna","password":"wrong"}'
ask 403 POST /session -d "$login" -H 'Sec-Fetch-Site: cross-site'
ask 201 POST /session -d "$login" -c jar
expect head 'Set-Cookie: molt_session=[0-9a-f]*; Max-Age=43200; HttpOnly; SameSite=Strict'
csrf=$(python3 -c 'import json; print(json.load(open("reply"))["csrf"])')
ask 200 GET /releases -b jar
grep -q '"other"' reply && fail "anna sees the other product"
ask 401 PATCH /devices/5ccf7f000001 -b jar -d '{}'
ask 404 PATCH /devices/5ccf7f000001 -b jar -d '{}' -H "X-CSRF-Token: $csrf"
ask 403 GET /users -b jar
ask 403 GET /audit -b jar
ask 403 PATCH /devices/5ccf7f000001 -H "Authorization: Bearer $token" -d '{}'
"$molt" user set anna --disable >/dev/null
ask 401 GET /releases -b jar
tries=0 # as long as it takes: on a slow machine some are forgotten meanwhile
status=401
while [ "$status" = 401 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || fail "anybody may try for ever"
    status=$(curl -s -o reply -w '%{http_code}' -X POST -d '{"name":"anna","password":"wrong"}' "$api/session")
done
[ "$status" = 429 ] && [ "$tries" -ge 9 ] || fail "try $tries is answered $status"
expect reply 'too-many-tries'
expect serve.log 'event=audit seq=[0-9]* hash=[0-9a-f]* who="user anna" status=401'
expect serve.log 'who="local" status=200'
"$molt" audit list --who 'user anna' >out
expect out 'user anna .*127.0.0.1 .*POST /session .*wrong-password'
"$molt" audit verify >out
expect out '^good: '
end=$(sed -n 's/^the end is //p' out)
grep -q "hash=${end#*:} " serve.log || fail "the server's log has another end"

# ---- the export, by another program: hashlib ----
"$molt" audit export >export.jsonl
python3 - export.jsonl "${end#*:}" <<'PY'
import hashlib, json, sys
before, seq = "0" * 64, 0
for line in open(sys.argv[1]):
    e = json.loads(line)
    seq += 1
    assert e["seq"] == seq, (e, seq)
    text = "\n".join(["molt-audit-1", before, str(e["seq"]), str(e["at_ms"]), e["who"], e["from"], e["action"],
                      e["product"] or "", e["detail"], str(e["status"]), e["reason"] or ""]) + "\n"
    before = hashlib.sha256(text.encode()).hexdigest()
    assert before == e["hash"], (seq, before, e["hash"])
assert before == sys.argv[2] and seq > 10, (seq, before)
PY
grep -q "$password" export.jsonl && fail "the export holds a password"
"$molt" audit verify --since export.jsonl >out
expect out '^good: '
"$molt" audit verify --expect "$end" >out
sed 's/"who":"user anna"/"who":"user bert"/' export.jsonl >forged.jsonl
refuse 1 "$molt" audit verify --since forged.jsonl
expect out 'is not what .molt audit export. wrote'
refuse 1 "$molt" audit verify --since password

# ---- tampering: changed, taken out, cut, cut with its own note, and made anew from an entry on ----
kill "$server"
wait "$server" || fail "the server ended badly"
server=
tamper() { # SQL WHAT-VERIFY-SAYS [options of verify]
    rm -rf tampered
    cp -R data tampered
    python3 -c 'import sqlite3, sys; db = sqlite3.connect("tampered/molt.db"); db.executescript(sys.argv[1]); db.commit()' "$1"
    says=$2
    shift 2
    refuse 1 "$molt" audit verify --data tampered "$@"
    expect out "^BAD at entry $says"
}
last=${end%%:*}
tamper "UPDATE audit SET who = 'user bert' WHERE seq = 2" '2: the entry is not what was written'
tamper 'DELETE FROM audit WHERE seq = 3' '3: an entry is missing'
tamper "DELETE FROM audit WHERE seq = $last" "$last: the log is cut"
cut="DELETE FROM audit WHERE seq > 4; UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)"
tamper "$cut" '5: the log ends before the entry that was written down' --expect "$end"
tamper "$cut" '5: the log ends before the entry that was written down' --since export.jsonl
"$molt" audit verify --data tampered >out # and without it, a log that is shorter by its end looks whole
expect out '^good: 4 entries'
echo "users, tokens, sessions and the audit log hold"
