#!/bin/sh
# links_test.sh - `./dev links` tells addresses that are there from dead ones, on a server of its own. usage: links_test.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
fail() { printf 'links_test: %s\n' "$*" >&2; exit 1; }
cat >"$folder/server.py" <<'SERVER'
import http.server, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = {"/there": 200, "/moved": 301, "/shy": 403}.get(self.path, 404)
        self.send_response(status)
        if status == 301:
            self.send_header("Location", "/there")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
SERVER
mkfifo "$folder/port"
python3 "$folder/server.py" >"$folder/port" &
server=$!
read -r port <"$folder/port"
at=http://127.0.0.1:$port
printf '%s\n' "[a]($at/there#part), [b]($at/moved), [c]($at/shy)." "An example, not asked: \`$at/never\`" >"$folder/good.md"
export no_proxy=127.0.0.1
"$root/tools/links" "$folder/good.md" >"$folder/out" || fail "$(cat "$folder/out")"
grep -q 'links: 3 asked, 0 dead' "$folder/out" || fail "$(cat "$folder/out")"
printf '%s\n' "text" "[d]($at/gone), [e](http://127.0.0.1:1/)" >"$folder/bad.md"
! "$root/tools/links" "$folder/good.md" "$folder/bad.md" >"$folder/out" || fail "dead links were not said"
grep -q 'gone: answers 404' "$folder/out" || fail "$(cat "$folder/out")"
grep -q '127.0.0.1:1/: .*refused' "$folder/out" || fail "$(cat "$folder/out")"
grep -q 'bad.md:2' "$folder/out" || fail "where is not said: $(cat "$folder/out")"
grep -q '5 asked, 2 dead' "$folder/out" || fail "$(cat "$folder/out")"
