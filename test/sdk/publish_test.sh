#!/bin/sh
# publish_test.sh - tools/publish against the real program: the watched folder, PlatformIO's script and idf.py's extension
# (both called as those tools call them, by stand-ins of a few lines), and the version that MOLT_FIRMWARE puts into a file.
# usage: publish_test.sh path/to/molt folder-of-sketches
set -eu
MOLT=$1
sketches=$2
export MOLT
tools=$(cd "$(dirname "$0")/../../tools/publish" && pwd)
folder=$(mktemp -d)
watcher=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    [ -z "$watcher" ] || wait "$watcher" 2>/dev/null || true
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

# a watched folder: what is there, what comes, and what is no firmware
mkdir out
"$MOLT" sim build out/a.bin --chip esp8266 --product watched --code 1 >/dev/null
"$tools/watch" out --product watched >watch.log 2>&1 &
watcher=$!
wait_for() { # TEXT in what it says: the data folder is left to it meanwhile
    for _ in $(seq 1200); do
        if grep -q "$1" watch.log; then return; fi
        sleep 0.1
    done
    cat watch.log >&2
    fail "the watcher did not say $1"
}
wait_for "(code 1)"
echo '<html>' >out/b.bin
"$MOLT" sim build out/a.bin --chip esp8266 --product watched --code 2 >/dev/null
wait_for "(code 2)"
wait_for text-not-firmware
kill "$watcher"
wait "$watcher" || true
watcher=
released watched 1 && released watched 2 || fail "what was published from the folder is not there"
[ "$(grep -c text-not-firmware watch.log)" -le 2 ] || { cat watch.log >&2; fail "a refusal is said again and again"; }
if "$tools/watch" out --once --product watched >/dev/null 2>&1; then fail "--once hides a refusal"; fi

# MOLT_FIRMWARE's tag, as the compiler put it into a real program, is what molt finds
grep -qaP 'moltinf\x00product\x00lamp\x00version\x001\.0\.0\x00code\x002\x00confirm\x001\x00\x00' "$sketches/sdk-Basic-2" ||
    fail "the tag is not in the sketch"
echo "publish_test: all good"
