#!/bin/sh
# run.sh - plants one bug and expects a test to see it. The patch is applied to a copy of its one source file, which is
# compiled and linked before the library that holds the sound one.
# usage: run.sh PATCH CC "CFLAGS" "OBJECTS AND LIBRARIES" TEST-ARGUMENTS...; exit status 1: the bug was not seen.
set -eu
patch_file=$1 cc=$2 cflags=$3 link=$4
shift 4
root=$(cd "$(dirname "$0")/../.." && pwd)
name=$(basename "$patch_file" .patch)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$(sed -n 's|^+++ b/||p' "$patch_file")
mkdir -p "$work/$(dirname "$source")"
cp "$root/$source" "$work/$source"
if ! patch -s -p1 -d "$work" <"$patch_file" >"$work/log" 2>&1; then
    cat "$work/log"
    echo "$name: the patch does not fit any more; plant the bug again"
    exit 1
fi
linker= # as for the test programs
! command -v ld.lld >/dev/null 2>&1 || linker=-fuse-ld=lld
# shellcheck disable=SC2086 # lists of flags and files
if ! $cc $cflags -iquote "$root/$(dirname "$source")" -c "$work/$source" -o "$work/bug.o" >"$work/log" 2>&1 ||
    ! $cc $cflags $linker "$work/bug.o" $link -o "$work/test" >>"$work/log" 2>&1; then
    cat "$work/log"
    echo "$name: it does not compile"
    exit 1
fi
status=0
# The first test that sees it is enough: cmocka ends there.
CMOCKA_TEST_ABORT=1 timeout 840 "$work/test" "$@" >"$work/log" 2>&1 || status=$?
if [ "$status" = 124 ]; then
    echo "$name: no verdict in 840 s, which is not to have seen it"
    exit 1
fi
if [ "$status" = 0 ] || [ "$status" = 2 ] && ! grep -q FAILED "$work/log"; then
    tail -n 5 "$work/log"
    echo "$name: NOT SEEN by the test"
    exit 1
fi
grep -aE "^.  ERROR|^replay|^virtual flash|rror:" "$work/log" | head -n 2 || true
echo "$name: seen"
