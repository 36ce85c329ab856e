#!/bin/sh
# publish_test.sh - publishing from where people build, with the real program: a watched folder, PlatformIO's script and idf.py's extension
# (both called as those tools call them, by stand-ins of a few lines), and the version that MOLT_FIRMWARE puts into a file.
# usage: publish_test.sh path/to/molt folder-of-sketches
set -eu
MOLT=$1
sketches=$2
export MOLT
tools=$(cd "$(dirname "$0")/../../tools/publish" && pwd)
folder=$(mktemp -d)
watcher=
late=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    [ -z "$watcher" ] || wait "$watcher" 2>/dev/null || true
    [ -z "$late" ] || kill "$late" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
cd "$folder"
export MOLT_DATA="$folder/data"
fail() { printf 'publish_test: %s\n' "$*" >&2; exit 1; }
released() { # PRODUCT CODE
    "$MOLT" release list --json | python3 -c "
import json, sys
rows = json.load(sys.stdin)
rows = rows.get('releases', rows) if isinstance(rows, dict) else rows
sys.exit(0 if any(r['product'] == '$1' and r['code'] == $2 for r in rows) else 1)"
}

# PlatformIO
mkdir build
"$MOLT" sim build build/firmware.bin --chip esp8266 --product pio --code 7 >/dev/null
cat >pio.py <<'PIO'
import sys
class Env:
    def AddCustomTarget(self, name, dependencies, actions, **texts):
        assert name == "molt-publish"
        self.action = actions
    def GetProjectOption(self, name, default):
        return {"custom_molt_product": "pio", "custom_molt_channel": "beta"}.get(name, default)
    def subst(self, text):
        return text.replace("$BUILD_DIR", "build").replace("${PROGNAME}", "firmware")
env = Env()
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"Import": lambda name: None, "env": env})
env.action([], [], env)
PIO
python3 pio.py "$tools/platformio.py" >/dev/null || fail "PlatformIO's script did not publish"
released pio 7 || fail "PlatformIO's release is not there"
echo junk >build/firmware.bin
if python3 pio.py "$tools/platformio.py" >/dev/null 2>&1; then fail "PlatformIO's script hides a refusal"; fi

# idf.py
"$MOLT" sim build build/lamp.bin --chip esp32c3 --product idf --code 8 >/dev/null
echo '{"app_bin": "lamp.bin"}' >build/project_description.json
cat >idf.py <<'IDF'
import sys, types
scope = {}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), scope)
action = scope["action_extensions"]({}, ".")["actions"]["molt-publish"]
assert action["dependencies"] == ["all"]
action["callback"]("molt-publish", None, types.SimpleNamespace(build_dir="build"), product="idf", channel="")
IDF
python3 idf.py "$tools/idf_ext.py" >/dev/null || fail "idf.py's extension did not publish"
released idf 8 || fail "idf.py's release is not there"

# the templates for CI, by the schemas of GitHub and GitLab
judge=${MOLT_VENV:+$MOLT_VENV/bin/}check-jsonschema
"$judge" --builtin-schema vendor.github-workflows "$tools/github.yml" >/dev/null || fail "GitHub takes no such workflow"
"$judge" --builtin-schema vendor.gitlab-ci "$tools/gitlab.yml" >/dev/null || fail "GitLab takes no such template"
sed 's/^  script:/  scripts:/' "$tools/gitlab.yml" >wrong.yml
if "$judge" --builtin-schema vendor.gitlab-ci wrong.yml >/dev/null 2>&1; then fail "the judge of templates sees nothing"; fi

# their own commands, with stand-ins for pip, pio and ESP-IDF in the path
mkdir bin idf
cat >bin/pip <<'PIP'
#!/bin/sh
[ "$*" = "install platformio" ]
PIP
cat >bin/pio <<PIO
#!/bin/sh
[ "\$*" = "run -t molt-publish" ] && [ "\$MOLT_TOKEN" = secret ] && unset MOLT_SERVER && exec python3 "$folder/pio.py" "$tools/platformio.py"
PIO
cat >bin/idf.py <<IDF
#!/bin/sh
[ "\$*" = "molt-publish --product idf" ] && [ "\$EXPORTED" = yes ] && exec python3 "$folder/idf.py" "$tools/idf_ext.py"
IDF
echo "export EXPORTED=yes" >idf/export.sh
chmod +x bin/*
"$MOLT" sim build build/firmware.bin --chip esp8266 --product pio --code 17 >/dev/null
sed -n 's/^ *- run: //p' "$tools/github.yml" >steps.sh
[ "$(wc -l <steps.sh)" = 2 ] || fail "the steps of github.yml are others than this test knows"
PATH="$folder/bin:$PATH" MOLT_SERVER=unused MOLT_TOKEN=secret sh -e steps.sh >/dev/null || fail "github.yml's steps do not publish"
released pio 17 || fail "github.yml's release is not there"
"$MOLT" sim build build/lamp.bin --chip esp32c3 --product idf --code 18 >/dev/null
sed -n '/^  script:/,$s/^    - //p' "$tools/gitlab.yml" >script.sh
[ "$(wc -l <script.sh)" = 2 ] || fail "the script of gitlab.yml is another than this test knows"
PATH="$folder/bin:$PATH" IDF_PATH="$folder/idf" CI_PROJECT_NAME=idf sh -e script.sh >/dev/null || fail "gitlab.yml's script does not publish"
released idf 18 || fail "gitlab.yml's release is not there"

# what the Arduino IDE exports: the sketch's binary, and beside it what is none
export_to=build/esp32.esp32.esp32
mkdir $export_to
"$MOLT" sim build $export_to/lamp.ino.bin --chip esp32 --product ide --code 19 >/dev/null
"$sketches/sdk-partitions" >$export_to/lamp.ino.partitions.bin
"$MOLT" publish $export_to/lamp.ino.bin --product ide >/dev/null 2>&1 || fail "an exported binary is not published"
released ide 19 || fail "the exported binary's release is not there"
if "$MOLT" publish $export_to/lamp.ino.partitions.bin --product ide --code 20 >/dev/null 2>&1; then
    fail "a partition table is published as firmware"
fi

# a watched folder: what is there, what comes, in pieces or by a rename, and what is no firmware; the server comes later
mkdir out
"$MOLT" sim build out/a.bin --chip esp8266 --product watched --code 1 >/dev/null
cp out/a.bin out/ignored.elf
: >watch.log
"$MOLT" publish --watch out --product watched >watch.log 2>&1 &
watcher=$!
wait_for() { # TEXT in what it says: the data folder is left to it meanwhile
    for _ in $(seq 1200); do
        if grep -q "$1" watch.log; then return; fi
        sleep 0.1
    done
    cat watch.log >&2
    fail "the watcher did not say $1"
}
wait_for "^out/a.bin: published as watched .*(code 1), channel stable$"
"$MOLT" sim build whole.bin --chip esp8266 --product watched --code 2 >/dev/null
head -c 100000 whole.bin >out/b.bin # a linker writes it in pieces
tail -c +100001 whole.bin >>out/b.bin
wait_for "^out/b.bin: published as watched .*(code 2)"
"$MOLT" sim build whole.bin --chip esp8266 --product watched --code 3 >/dev/null
mv whole.bin out/a.bin
wait_for "^out/a.bin: published as watched .*(code 3)"
cat out/a.bin >/dev/null
echo '<html>' >out/c.bin
wait_for text-not-firmware
wait_for "out/c.bin: not published"
rm out/c.bin
"$MOLT" sim build out/d.bin --chip esp8266 --product watched --code 4 >/dev/null
wait_for "(code 4)"
kill -INT "$watcher"
wait "$watcher" || fail "Ctrl-C is no good end"
watcher=
released watched 1 && released watched 2 && released watched 3 || fail "what was published from the folder is not there"
[ "$(grep -c "published as" watch.log)" = 4 ] || { cat watch.log >&2; fail "something was published twice"; }
[ "$(grep -c "text-not-firmware:" watch.log)" = 1 ] || { cat watch.log >&2; fail "a refusal is said again and again"; }

# a server that does not answer at first is asked again
cat >late.py <<'LATE'
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.asked += 1
        if Handler.asked == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = b'{"product": "later", "version": "1", "code": 1, "channel": "stable"}'
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
LATE
: >late.port; : >late.log
python3 late.py >late.port 2>late.log &
late=$!
for _ in $(seq 600); do
    [ ! -s late.port ] || break
    sleep 0.1
done
mkdir again
cp out/d.bin again/
: >watch.log
"$MOLT" publish --watch again --product later --server "http://127.0.0.1:$(cat late.port)" --token x >watch.log 2>&1 &
watcher=$!
wait_for "again/d.bin: not published"
wait_for "again/d.bin: published as later"
kill "$watcher"
wait "$watcher" || fail "SIGTERM is no good end"
watcher=
kill "$late"
wait "$late" || true
late=
for wrong in "--watch out" "--watch out --product x file.bin" "--watch out --product x --code 7" "--product x"; do
    status=0
    # shellcheck disable=SC2086 # words
    "$MOLT" publish $wrong >/dev/null 2>&1 || status=$?
    [ "$status" = 2 ] || fail "publish $wrong is taken"
done
if "$MOLT" publish --watch nowhere --product x >/dev/null 2>&1; then fail "a folder that is not there is watched"; fi

# MOLT_FIRMWARE's tag, as the compiler put it into a real program, is what molt finds
grep -qaP 'moltinf\x00product\x00lamp\x00version\x001\.0\.0\x00code\x002\x00confirm\x001\x00\x00' "$sketches/sdk-Basic-2" ||
    fail "the tag is not in the sketch"
echo "publish_test: all good"
