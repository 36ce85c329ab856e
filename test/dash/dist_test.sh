#!/bin/sh
# dist_test.sh - MOLT_DASH_DIST, the way to a program without Node.js: a built folder is enough, and one that is empty, without its
# page, without the notices of what it contains, or cut to nothing is refused in words. The dashboard's part of the tree alone, so
# that nothing else is configured.
# usage: dist_test.sh SOURCE WORK C_COMPILER
set -eu
source=$1 cc=$3
"$source/dash/build.sh" "$2"
dist=$(cd "$2" && pwd)/dist
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tree" "$folder/empty" "$folder/tools"
for part in dash server tools; do ln -s "$source/$part" "$folder/tree/$part"; done
printf 'cmake_minimum_required(VERSION 3.22)\nproject(part C)\nadd_subdirectory(dash)\n' >"$folder/tree/CMakeLists.txt"
# every program but Node.js's
cp -rs /usr/bin/. "$folder/tools/" 2>/dev/null || true
rm -f "$folder/tools/npm" "$folder/tools/node" "$folder/tools/nodejs"

configure() { # BUILD DIST
    PATH="$folder/tools" cmake -G Ninja -S "$folder/tree" -B "$folder/$1" -DCMAKE_C_COMPILER="$cc" "-DMOLT_DASH_DIST=$2" \
        -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF >"$folder/said" 2>&1
}
expect() { # WORDS
    tr -s ' \n' '  ' <"$folder/said" | grep -qF "$1" || { echo "expected \"$1\":" >&2; cat "$folder/said" >&2; exit 1; }
}
build() { PATH="$folder/tools" cmake --build "$folder/$1" >"$folder/said" 2>&1; }

configure good "$dist"
build good || { cat "$folder/said" >&2; exit 1; }
test -s "$folder/good/dash/libmolt_dash_files.a"

if configure none ''; then echo "without npm and a built folder it was configured" >&2; exit 1; fi
expect 'npm builds the dashboard'
for bad in "$folder/empty" "$folder/nowhere"; do
    if configure bad "$bad"; then echo "$bad was taken" >&2; exit 1; fi
    expect 'holds no built dashboard'
done
cp -R "$dist" "$folder/pageless"
rm "$folder/pageless/index.html.gz"
if configure bad "$folder/pageless"; then echo "a folder without its page was taken" >&2; exit 1; fi
expect 'holds no built dashboard'
cp -R "$dist" "$folder/noticeless"
rm "$folder/noticeless/licences.txt"
if configure bad "$folder/noticeless"; then echo "a folder without the notices of what it contains was taken" >&2; exit 1; fi
expect 'licences.txt is not there'
cp -R "$dist" "$folder/cut"
for file in "$folder"/cut/assets/*.js.gz; do : >"$file"; done
configure cut "$folder/cut"
if build cut; then echo "an empty file was embedded" >&2; exit 1; fi
expect 'is empty'
