#!/bin/sh
# licences_test.sh - the notices that travel with the dashboard: the licence file of every package that it depends on is in licences.txt word for
# word, and a package without one, with an empty one, or without a name of its authors in it is not bundled. usage: licences_test.sh SOURCE WORK
set -eu
"$1/dash/build.sh" "$2"
work=$(cd "$2" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'licences_test: %s\n' "$*" >&2; exit 1; }

# ---- what is in the bundle by the lock file, which is not what the text was made from ----
cat >"$folder/check.mjs" <<'NODE'
import { readFileSync } from 'node:fs';
const [source, dist] = process.argv.slice(2);
const text = readFileSync(`${dist}/licences.txt`, 'utf8');
const all = Object.entries(JSON.parse(readFileSync(`${source}/package-lock.json`, 'utf8')).packages);
const inside = all.filter(([path, { dev, optional }]) => path && !dev && !optional);
if (inside.length < 3) throw new Error(`only ${inside.length} packages are in the dashboard`);
for (const [path, { version, license }] of inside) {
  const head = `\n== ${path.split('node_modules/').pop()} ${version} (${license})\n\n`;
  const licence = readFileSync(`${source}/${path}/LICENSE`, 'utf8').trim();
  if (!text.includes(head + licence + '\n')) throw new Error(`not in licences.txt: ${head.trim()} with ${licence.slice(0, 60)}`);
}
const heads = text.match(/^== /gm).length;
if (heads !== inside.length) throw new Error(`${heads} packages are named, ${inside.length} are in the dashboard`);
NODE
node "$folder/check.mjs" "$work/source" "$work/dist"

# ---- a package that brings no notice ----
cp -R "$work/source" "$folder/source"
refused() { # WHY
    if (cd "$folder/source" && node build.mjs "$folder/out") >"$folder/said" 2>&1; then fail "bundled: a package $1"; fi
    grep -q 'uqr 0.* brings no licence file that names its authors' "$folder/said" || fail "$(cat "$folder/said")"
    [ ! -e "$folder/out/licences.txt" ] || fail "notices were written"
}
licence=$folder/source/node_modules/uqr/LICENSE
: >"$licence"
refused "with an empty licence"
echo 'MIT' >"$licence"
refused "whose licence names nobody"
rm "$licence"
refused "without a licence"
