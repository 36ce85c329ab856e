#!/bin/sh
# dev_test.sh - what `./dev test` says at its end, run in a tree of a few tests some of which are made to fail: how many did, and the last
# lines of each that did, whatever bytes are in them; and which of them passed when they were run again.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { sed 's/^/| /' said >&2; printf 'dev_test: %s\n' "$*" >&2; exit 1; }

mkdir -p tools build/venv build/npm test/e2e/cose
: >tools/packages.txt
for list in tools/requirements.txt build/venv/requirements.txt test/e2e/cose/package-lock.json build/npm/package-lock.json; do echo list >"$list"; done
printf '#!/bin/sh\n' >tools/tidy
cp tools/tidy tools/firmware
cp "$root/dev" .
chmod +x dev tools/tidy tools/firmware
cat >talk.sh <<'TALK'
awk 'BEGIN { for (i = 1; i <= 100; i++) print "'"$1"' line " i "."; for (i = 0; i < 4; i++) long = long "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234"; print long "END" }'
printf 'odd: \000 \377 \033 odd\n'
case $2 in
again) [ -f "again.$1" ] || { : >"again.$1" && exit 1; } ;; # no good the first time
*) exit "$2" ;;
esac
TALK
python3 - <<'PY'
import json
names = ["asan", "release", "tsan", "dev"]
json.dump({"version": 6, "configurePresets": [{"name": n, "generator": "Ninja", "binaryDir": "${sourceDir}/build/" + n} for n in names],
           "buildPresets": [{"name": n, "configurePreset": n} for n in names],
           "testPresets": [{"name": n, "configurePreset": n, "output": {"outputOnFailure": True}} for n in names]}, open("CMakePresets.json", "w"))
with open("CMakeLists.txt", "w") as file:
    print('cmake_minimum_required(VERSION 3.25)\nproject(some NONE)\nenable_testing()\nadd_custom_target(thread-tests)', file=file)
    for name, status in ("e2e-well", 0), ("e2e-first", 1), ("e2e-other", 3), ("e2e-last", 0), ("e2e-moody", "again"), ("property-moody", "again"):
        print(f'add_test(NAME {name} COMMAND sh "${{CMAKE_SOURCE_DIR}}/talk.sh" {name} {status})', file=file)
    print('set_tests_properties(e2e-well PROPERTIES LABELS threads)', file=file)
PY

./dev test 'first|other|well|last' >said 2>&1 && fail "it is content"
[ "$(tail -n 1 said)" = '3 passed, 2 failed' ] || fail "it counts wrongly" # two, and one again with threads
for name in e2e-first e2e-other; do
    grep -aq "Test *#.*$name .*Failed" said || fail "it does not say that $name failed"
    count=$(grep -ac "^    $name line " said || true)
    [ "$count" -gt 30 ] && [ "$count" -lt 40 ] || fail "there are $count lines of $name" # beside the long one and what becomes of the odd one
    grep -aq "^    $name line 100[.]" said || fail "the last lines of $name are not there"
done
[ "$(grep -ac '^    odd: ' said)" = 2 ] || fail "the lines with odd bytes are not there"
grep -aq 'e2e-well line' said && fail "what passed talks, too"
grep -aq 'END' said && fail "a line without end is not cut"
./dev test well >said 2>&1 || fail "a test that passes fails"
[ "$(tail -n 1 said)" = '2 passed, 0 failed' ] || fail "it counts wrongly"

# What fails beside others and passes alone: the run is good and says which; but not for an example that a property test found, not after
# a sanitizer's report, and not when many fail.
again() { rm -f build/asan/again.*; ./dev test "$1" >said 2>&1; }
again 'moody|well' && fail "what a property test found is forgotten"
[ "$(tail -n 1 said)" = '3 passed, 1 failed; failed at first, passed alone: e2e-moody' ] || fail "it counts wrongly"
grep -aq 'e2e-moody line 100[.]' said || fail "it does not show why it failed at first"
again 'e2e-moody' || fail "the second run does not count"
[ "$(tail -n 1 said)" = '1 passed, 0 failed; failed at first, passed alone: e2e-moody' ] || fail "it counts wrongly"
again 'moody|first|other' && fail "it is content"
[ "$(tail -n 1 said)" = '0 passed, 4 failed' ] || fail "it runs many again"
sed -i 's/odd: /ERROR: AddressSanitizer: odd: /' talk.sh
again 'e2e-moody' && fail "a sanitizer's report is forgotten"
[ "$(tail -n 1 said)" = '0 passed, 1 failed' ] || fail "it counts wrongly"
./dev test >said 2>&1 && fail "it is content"
[ "$(tail -n 1 said)" = '5 passed, 3 failed' ] || fail "it counts wrongly" # all of them, one again with threads, and tidy
echo "dev_test: good"
