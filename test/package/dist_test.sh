#!/bin/sh
# dist_test.sh - the release tarball: the same bytes from the same commit, in another folder, too; it configures and installs without
# Node.js, git and a network, and carries man pages and completion. usage: dist_test.sh path/to/molt path/to/built-dashboard
set -eu
molt=$1 dash=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'dist_test: %s\n' "$*" >&2; exit 1; }

# ---- twice: from a clone, for somebody may commit meanwhile, and from one of it with other times and permissions ----
git clone -q "$root" "$folder/first"
"$folder/first/tools/package/dist" "$molt" "$dash" "$folder/one" >/dev/null
git clone -q "$folder/first" "$folder/clone"
(umask 077 && cp -r "$dash" "$folder/dash" && TZ=Asia/Tokyo LC_ALL=C "$folder/clone/tools/package/dist" "$molt" "$folder/dash" "$folder/two" >/dev/null)
name=$(cd "$folder/one" && echo molt-*.tar.xz)
cmp "$folder/one/$name" "$folder/two/$name" || fail "the same commit made two tarballs"

# ---- what is in it needs nobody: no npm, no node, no git in PATH, and no network ----
cd "$folder"
tar xf "one/$name"
cd "${name%.tar.xz}"
mkdir ../bin
unset CMAKE_C_COMPILER_LAUNCHER CMAKE_CXX_COMPILER_LAUNCHER # a ccache of whoever runs this is not in the folder
for tool in sh cmake ninja cc gcc ar ranlib ld as pkg-config xtensa-lx106-elf-gcc xtensa-lx106-elf-objcopy sed uname; do
    ! command -v $tool >/dev/null || ln -s "$(command -v $tool)" ../bin/$tool
done
alone() {
    if [ "$(id -u)" = 0 ]; then unshare -n env PATH="$folder/bin" "$@"; else unshare -rn env PATH="$folder/bin" "$@"; fi
}
alone cmake -S . -B out -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DMOLT_TESTS=OFF -DMOLT_DASH_DIST="$PWD/generated/dash" \
    -DMOLT_MANUAL="$PWD/generated/manual" -DCMAKE_INSTALL_PREFIX=/usr >log 2>&1 || fail "not configured: $(tail -n 30 log)"
# all that the build of the program would run, and the part of it that is not the same everywhere
alone ninja -C out -n -v molt_cli >commands
! grep -E '(^|[ /])(npm|node|git|build\.sh|curl|wget|generate) ' commands >needed || fail "the build needs: $(head -n 3 needed)"
alone ninja -C out molt_dash_files >log 2>&1 || fail "the dashboard was not built in: $(tail -n 30 log)"

# ---- every library that CMake asks for is named where packages are built ----
sed -n 's/^ *pkg_check_modules([A-Z]* REQUIRED IMPORTED_TARGET \([a-z0-9]*\))/\1/p' "$root/CMakeLists.txt" | grep -v cmocka >modules
[ "$(wc -l <modules)" -ge 6 ] || fail "CMakeLists.txt asks for only $(cat modules)"
while read -r module; do
    package=$(dpkg -S "$(pkg-config --variable=pcfiledir "$module")/$module.pc" | cut -d: -f1)
    for file in debian/control sbom armv6; do
        case $file/$package in armv6/libpq-dev | armv6/libmosquitto-dev | armv6/libcurl4-openssl-dev) continue ;; esac
        grep -qw -- "$package" "$root/tools/package/$file" || fail "tools/package/$file does not name $package"
    done
done <modules

# ---- installed: the program that is tested here stands for the one that this build would make ----
cp "$molt" out/molt
DESTDIR="$folder/root" alone cmake --install out >log 2>&1 || fail "not installed: $(tail -n 30 log)"
pages=$(find "$folder/root/usr/share/man/man1" -name '*.1' | wc -l)
commands=$("$molt" help | grep -c '^  [a-z]')
[ "$pages" = $((commands + 1)) ] || fail "$pages man pages for $commands commands"
for file in bash-completion/completions/molt zsh/vendor-completions/_molt fish/vendor_completions.d/molt.fish; do
    [ -s "$folder/root/usr/share/$file" ] || fail "no $file"
done
grep -q '^== preact ' "$folder/root/usr/share/doc/molt/licences.txt" || fail "no notices of what the dashboard contains"
[ "$("$folder/root/usr/bin/molt" --version)" = "molt $(echo "$name" | sed 's/molt-\(.*\).tar.xz/\1/')" ] || fail "not the program"
