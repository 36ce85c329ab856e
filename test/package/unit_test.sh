#!/bin/sh
# unit_test.sh - the systemd unit: its exposure is what doc/releases.md states, and each of its settings is one that systemd knows.
# usage: unit_test.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'unit_test: %s\n' "$*" >&2; exit 1; }
unit=$root/tools/package/debian/molt.service
score() { systemd-analyze security --no-pager --offline=true "$1" | sed -n 's/.*exposure level for .*: \([0-9.]*\) .*/\1/p'; }
# shellcheck disable=SC2016 # backquotes of Markdown
stated=$(sed -n 's/.*`systemd-analyze security`: \([0-9.]*\),.*/\1/p' "$root/doc/releases.md")
[ -n "$stated" ] || fail "doc/releases.md states no score"
[ "$(score "$unit")" = "$stated" ] || fail "the score is $(score "$unit"), doc/releases.md says $stated"
# the score is of these settings: without one of them it is another
sed '/^SystemCallFilter=/d' "$unit" >"$folder/molt.service"
[ "$(score "$folder/molt.service")" != "$stated" ] || fail "a unit without its filter has the same score"
# a program and a man page that are there, so that what is left to say is about the settings
sed 's,/usr/bin/molt,/bin/true,; /^Documentation=/d' "$unit" >"$folder/molt.service"
systemd-analyze verify --man=no "$folder/molt.service" 2>"$folder/said" || fail "$(cat "$folder/said")"
! grep -i 'molt.service' "$folder/said" || fail "systemd has something to say"
