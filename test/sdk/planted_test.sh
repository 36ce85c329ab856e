#!/bin/sh
# planted_test.sh - bugs in the ports that some scenario must see: each patch of planted/ is applied to a copy of its one source
# file, the scenario's programs are linked with it, and the scenario, which the sound programs pass, must fail.
# usage: planted_test.sh path/to/molt folder-of-sketches build-folder; the build is ninja's, which says how it compiles.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
molt=$1
sound=$2
build=$3
. "$here/../e2e/server.sh"
sketches=$sound
. "$here/lab.sh"
helpers=
# shellcheck disable=SC2329,SC2086 # called by the trap; a list
clean_up_helper() {
    [ -z "$helpers" ] || kill $helpers 2>/dev/null || true
    clean_up
}
trap clean_up_helper EXIT

: >old.port
python3 "$here/sntp.py" -3000 >old.port &
helpers=$!
: >now.port
python3 "$here/sntp.py" 0 >now.port &
helpers="$helpers $!"
serve --no-limit 127.0.0.1 --listen https://127.0.0.1:0 --tls-cert "$sound/server.pem" --tls-key "$sound/server.key"
for _ in $(seq 600); do
    SDK_CHIP_TLS_PORT=$(sed -n 's/.*plane=device url=https:.*port=\([0-9]*\).*/\1/p' serve.log)
    [ -z "$SDK_CHIP_TLS_PORT" ] || [ ! -s old.port ] || [ ! -s now.port ] || break
    sleep 0.1
done
SDK_CHIP_PORT=$(sed -n 's/.*plane=device url=http:.*port=\([0-9]*\).*/\1/p' serve.log)
export SDK_CHIP_PORT SDK_CHIP_TLS_PORT
old_time="SDK_SNTP_PORT=$(cat old.port)"
now_time="SDK_SNTP_PORT=$(cat now.port)"
"$molt" keygen maker.key --no-passphrase >/dev/null 2>&1
"$molt" keygen thief.key --no-passphrase >/dev/null 2>&1
"$molt" product trust lamp --key maker.key.pub >/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=stranger -keyout stranger.key -out stranger.pem \
    2>openssl.log || fail "no certificate"
for code in 1 2; do
    for chip in esp8266 esp32; do
        "$molt" sim build $chip-$code.bin --chip $chip --product lamp --code $code >/dev/null
        "$molt" sign $chip-$code.bin --key maker.key --product lamp >/dev/null
        "$molt" publish $chip-$code.bin --product lamp --manifest $chip-$code.suit --adopt >/dev/null 2>&1 || fail "$chip, version $code"
    done
done
thief="SDK_MAKER=$("$molt" key show thief.key.pub --product lamp --chip esp32 | grep -o '0x[0-9A-F]*' | sed 's/0x//' | tr -d '\n')"

# ---- what a user sees; each is called in a subshell, and with the programs of $sketches ----

programs_of() { # SCENARIO
    case $1 in
    session | heap | probe) echo HttpsPinned ;;
    clock | old-time | later) echo Anchors ;;
    strap | basic) echo Basic ;;
    button) echo BlynkButton ;;
    hasty) echo Basic32 ;;
    https32) echo HttpsPinned32 ;;
    signed32) echo Signed32 ;;
    idf | crash | bundle) echo esp_idf ;;
    *) fail "no scenario is called $1" ;;
    esac
}
scenario() {
    case $1 in
    basic) flash esp8266-1.bin; run Basic up-to-date ;;
    strap) flash esp8266-1.bin; run Basic boot-strap SDK_STRAP_UART=1 ;;
    session)
        flash esp8266-1.bin
        run HttpsPinned up-to-date
        says HttpsPinned "tls: full, records 1024, alive 1" "tls: resumed, records 1024, alive 1" offered
        [ "$(grep -c probe HttpsPinned.log)" = 2 ] || fail "probed again"
        ;;
    heap)
        flash esp8266-1.bin
        run HttpsPinned out-of-memory SDK_HEAP=14000
        never_says HttpsPinned "tls: full"
        ;;
    clock) flash esp8266-1.bin; run Anchors tls-outside-validity; never_says Anchors "tls: " ;;
    old-time) flash esp8266-1.bin; run Anchors tls-outside-validity "$old_time"; never_says Anchors "tls: " ;;
    later)
        flash esp8266-1.bin
        run Anchors tls-outside-validity
        [ "$(grep -c "handshake later" Anchors.log)" = 3 ] || fail "not put off"
        says Anchors "handshake later" "handshake later" "handshake later" "handshake now" tls-outside-validity
        ;;
    button) flash esp8266-1.bin; run BlynkButton "V2: up-to-date" SDK_END_COUNT=5 ;;
    probe)
        flash esp8266-1.bin
        run HttpsPinned up-to-date SDK_SERVER_S=30
        never_says HttpsPinned "tls: full, records 16384"
        ;;
    hasty) flash32 esp32-1.bin; run Basic32 up-to-date ;;
    https32) flash32 esp32-1.bin; run HttpsPinned32 up-to-date "$now_time" ;;
    signed32) flash32 esp32-1.bin; run Signed32 bad-signature "$thief" ;;
    idf) flash32 esp32-1.bin; run esp_idf up-to-date ;;
    bundle) # does not know the server's authority
        flash32 esp32-1.bin
        run esp_idf tls-not-trusted SDK_URL=https://molt.test:8443 SDK_BUNDLE=stranger.pem
        ;;
    crash) # is tried once
        flash32 esp32-1.bin
        run esp_idf failed-before SDK_SICK=2
        [ "$(grep -c "^boot 2" esp_idf.log)" = 1 ] || fail "what crashed is tried again"
        ;;
    esac
}

# ---- the same programs with one source file changed ----

commands_of() { ninja -C "$build" -t commands "$1" 2>/dev/null; }
link_with() { # PROGRAM SOURCE CHANGED-SOURCE: into planted/PROGRAM
    commands_of "$1" >commands
    grep -E -- "-c $root/$2\$" commands >compiles || true # the program's own, what it stands on, or the library's
    compile=$(grep -F "/$1.dir/" compiles || grep -F "/sdk-below-" compiles || tail -n 1 compiles)
    link=$(grep -F -- "-o test/sdk/$1 " commands | tail -n 1)
    object=$(printf '%s\n' "$compile" | sed 's/.* -o \([^ ]*\.o\) .*/\1/')
    [ -n "$compile" ] && [ -n "$link" ] || fail "ninja does not say how $1 is built"
    compile=$(printf '%s\n' "$compile" | sed "s|-c $root/$2|-iquote $root/$(dirname "$2") -w -c $3|; s| -o [^ ]*\.o | -o $folder/bug.o |; s|-MF [^ ]*|-MF $folder/bug.d|")
    link=$(printf '%s\n' "$link" | sed "s| $object||; s| -o test/sdk/$1 | $folder/bug.o -o $folder/planted/$1 |")
    (cd "$build" && eval "$compile" && eval "$link") >compile.log 2>&1 || { cat compile.log >&2; fail "it does not compile"; }
}

mkdir planted
cp "$sound/sdk-partitions" planted/
passed=
for patch in "$here"/planted/*.patch; do
    what=$(sed -n '1s/^scenario: //p' "$patch")
    source=$(sed -n 's|^+++ b/||p' "$patch")
    case " $passed " in
    *" $what "*) ;;
    *)
        device=$((device + 5))
        began=$(date +%s)
        (scenario "$what") >scenario.log 2>&1 || { cat scenario.log >&2; fail "$what fails without a bug"; }
        passed="$passed $what"
        echo $((20 + 5 * ($(date +%s) - began))) >"limit.$what"
        ;;
    esac
    rm -rf src
    mkdir -p "src/$(dirname "$source")"
    cp "$root/$source" "src/$source"
    patch -s -p1 -d src <"$patch" >patch.log 2>&1 || { cat patch.log >&2; fail "$(basename "$patch") does not fit any more; plant the bug again"; }
    program=$(programs_of "$what")
    for code in 1 2; do
        link_with "sdk-$program-$code" "$source" "$folder/src/$source"
    done
    device=$((device + 5)) # others than before: the server remembers
    if (
        # shellcheck disable=SC2030 # in this subshell only
        sketches=$folder/planted
        limit=$(cat "limit.$what") # never so short that the sound programs would not have passed, too
        scenario "$what"
    ) >scenario.log 2>&1; then
        cat ./*.log >&2
        fail "$(basename "$patch" .patch): NOT SEEN by $what"
    fi
    echo "$(basename "$patch" .patch): seen by $what"
done
