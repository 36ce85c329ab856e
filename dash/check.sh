#!/bin/sh
# check.sh - types of the dashboard's sources, and its weight: at most 150 KB go over the wire at the first visit, and as many as
# doc/dashboard.md says.
# usage: dash/check.sh WORK, as build.sh
set -eu
"$(dirname "$0")/build.sh" "$1"
(cd "$1/source" && node node_modules/typescript/bin/tsc --noEmit -p .)
bytes=$(cat "$1"/dist/index.html.gz "$1"/dist/assets/*.gz | wc -c)
printf 'the dashboard weighs %s bytes compressed\n' "$bytes"
[ "$bytes" -le 150000 ] || { echo "that is more than 150000" >&2; exit 1; }
kilobytes() { cat "$@" | wc -c | awk '{ printf "%.0f KB", $1 / 1000 }'; }
said="$(kilobytes "$1"/dist/index.html.gz "$1"/dist/assets/*.gz) over the wire with gzip, $(kilobytes "$1"/dist/index.html.br "$1"/dist/assets/*.br) with Brotli"
grep -qF "$said" "$(dirname "$0")/../doc/dashboard.md" || { echo "doc/dashboard.md does not say: $said" >&2; exit 1; }
