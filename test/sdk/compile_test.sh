#!/bin/sh
# compile_test.sh - every file below device/src is compiled as Arduino does it (all of them, only src on the path) by the
# chips' compilers, and every example as a sketch, against the doubles; what is not for a chip must be empty there.
# usage: compile_test.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../../device/src" && pwd)
examples=$src/../examples
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { printf 'compile_test: %s\n' "$*" >&2; exit 1; }
WARN="-Wall -Wextra -Werror -Werror=return-type -Os -ffunction-sections -fdata-sections"

# NAME C-COMPILER C++-COMPILER FLAGS [none]: the ports into objects in folder/NAME; the rest of src, which is the same code on every
# chip and is optimized for both in qemu-*, and the examples (none: no examples) are only compiled.
arduino() {
    name=$1 cc="$2 -std=gnu17 $WARN $4" cxx="$3 -std=gnu++17 -fno-exceptions -fno-rtti $WARN $4"
    mkdir -p "$folder/$name"
    for file in "$src"/ports/*.c "$src"/ports/*.cpp; do
        case $file in *.c) compiler=$cc ;; *) compiler=$cxx ;; esac
        $compiler -I"$src" -c "$file" -o "$folder/$name/$(basename "$file").o" || fail "$name: $file does not compile"
    done
    # as a component without the rest: it was compiled with the same compiler and flags just before
    [ "${5:-}" != none ] || return 0
    # shellcheck disable=SC2046 # file names of ours, without spaces
    $cc -I"$src" -fsyntax-only $(find "$src" -name '*.c' -not -path '*/ports/*') || fail "$name: the library does not compile"
    sketches=
    for sketch in "$examples"/*/*.ino; do
        case $(basename "$sketch"):$name in MoltBoot*.ino:esp32*) ;; *) sketches="$sketches $sketch" ;; esac
    done
    # shellcheck disable=SC2086
    $cxx -I"$src" -include Arduino.h -x c++ -fsyntax-only $sketches || fail "$name: an example does not compile"
}
is_empty() { # CHIP FILE: nothing of it is in the object
    [ -f "$folder/$1/$2.o" ] || fail "$2 was not compiled on $1"
    symbols=$(nm "$folder/$1/$2.o" 2>/dev/null | grep -ciE ' [TDBR] ' || true)
    [ "$symbols" = 0 ] || fail "$2 is not empty on $1"
}
is_there() { # CHIP SYMBOL FILE
    nm "$folder/$1/$3.o" | grep -q " [TR] $2\$" || fail "$2 is not in $3 on $1"
}

BEARSSL=/usr/include/bearssl
mkdir "$folder/stage" # `molt image boot-code` makes it for sdk-sketches
printf 'static const uint32_t moltBootSector[1024] PROGMEM = {0}, moltBootSecond[256] PROGMEM = {0};\n' >"$folder/stage/boot_stage.h"
LX106="-DARDUINO=10819 -DARDUINO_ARCH_ESP8266 -DESP8266 -mlongcalls -mtext-section-literals
       -isystem /usr/lib/picolibc/xtensa-lx106-elf/include"
arduino esp8266 xtensa-lx106-elf-gcc xtensa-lx106-elf-g++ \
    "$LX106 -I$here/doubles/arduino -I$here/doubles/makers -I$here/doubles/esp8266 -I$folder/stage -isystem $BEARSSL"
for file in esp32_arduino.cpp esp_idf.c esp_idf_flash.c mbedtls.c posix.c lwip.c; do
    is_empty esp8266 $file
done
is_there esp8266 molt_bearssl_sha256 bearssl.c

# ESP32-C3: under Arduino, and as ESP-IDF's component (C only, with its example's main.c).
mkdir "$folder/psa"
ln -s /usr/include/mbedtls /usr/include/psa "$folder/psa/"
echo 'typedef int pthread_mutex_t;' >"$folder/psa/pthread.h" # Debian's mbedTLS is built with threads
RV32="-march=rv32imc_zicsr -mabi=ilp32 -isystem /usr/lib/picolibc/riscv64-unknown-elf/include -isystem $folder/psa
      -DESP_PLATFORM -I$here/doubles/idf"
arduino esp32 riscv64-unknown-elf-gcc riscv64-unknown-elf-g++ \
    "$RV32 -DARDUINO=10819 -DARDUINO_ARCH_ESP32 -DESP32 -I$here/doubles/arduino -I$here/doubles/makers -I$here/doubles/esp32"
for file in esp8266_arduino.cpp esp_idf.c bearssl.c posix.c lwip.c; do
    is_empty esp32 $file
done
is_there esp32 verifyRollbackLater esp32_arduino.cpp
is_there esp32 molt_idf_chip_begin esp_idf_flash.c
arduino idf riscv64-unknown-elf-gcc riscv64-unknown-elf-g++ "$RV32 -DMOLT_WITH_PSA" none # as mbedTLS 4 has it; above, mbedTLS 2
for file in esp8266_arduino.cpp esp32_arduino.cpp arduino.cpp bearssl.c posix.c; do
    is_empty idf $file
done
is_there idf molt_idf_start esp_idf.c
riscv64-unknown-elf-gcc -std=gnu17 $WARN $RV32 -I"$src" -c "$examples/esp_idf/main/main.c" -o "$folder/main.o" ||
    fail "the ESP-IDF example does not compile"
for version in "4, 4, 7" "5, 1, 0" "5, 5, 0" "6, 0, 0"; do # names that came and went
    # shellcheck disable=SC2086
    riscv64-unknown-elf-gcc -std=gnu17 $WARN $RV32 "-DESP_IDF_VERSION=ESP_IDF_VERSION_VAL($version)" -I"$src" -c "$src/ports/esp_idf_flash.c" \
        -o "$folder/flash.o" || fail "the port does not compile with ESP-IDF $version"
done

# ./dev sdk says what it has not checked, and why.
mkdir -p "$folder/trees/arduino/cores/esp32"
said=0
SDK_OUT=$folder/sdk "$here/../../tools/sdk" "$folder/trees" >"$folder/said" 2>&1 || said=$?
[ $said = 2 ] && grep -q "^sdk: no checkout of esp8266/Arduino, arduino-esp32 or ESP-IDF" "$folder/said" || fail "dev sdk takes a folder without checkouts"
touch "$folder/trees/arduino/cores/esp32/Arduino.h"
said=0
SDK_OUT=$folder/sdk "$here/../../tools/sdk" "$folder/trees" >"$folder/said" 2>&1 || said=$?
[ $said = 1 ] && grep -q "^arduino-esp32 .*NOT CHECKED: it needs the headers of ESP-IDF" "$folder/said" || fail "dev sdk hides that ESP-IDF is missing"

# Nothing of the list of reasons may lie in RAM: on an ESP8266 .rodata does.
rodata=$(xtensa-lx106-elf-size -A "$folder/esp8266/arduino.cpp.o" | awk '/^\.rodata/ { sum += $2 } END { print sum + 0 }')
[ "$rodata" -le 256 ] || fail "arduino.cpp has $rodata bytes of .rodata, which is RAM on an ESP8266"
[ "$(find "$src" -name '*.c' -not -path '*/ports/*' | wc -l)" -ge 40 ] || fail "too few files were compiled"
echo "compile_test: all good"
