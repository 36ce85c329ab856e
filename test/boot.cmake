# molt-boot. The power-cut tests build its core with small sectors and always optimised: they run it some ten thousand times.
add_library(powercut_boot_core STATIC
    ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/boot.c ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/second.c
    ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/second_check.c ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/sha256.c ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/stock.c
    ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/swap.c
    ${CMAKE_SOURCE_DIR}/device/src/slots/boot_record.c
    ${CMAKE_SOURCE_DIR}/device/src/util/crc.c)
target_compile_definitions(powercut_boot_core PUBLIC MOLT_BOOT_SECTOR=256u MOLT_BOOT_LOG=192u)
target_compile_options(powercut_boot_core PUBLIC -O2)
target_include_directories(powercut_boot_core PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/device/src)
add_executable(powercut_boot powercut/boot_test.c powercut/closure.c)
target_link_libraries(powercut_boot PRIVATE powercut_boot_core)
foreach(geometry equal larger smaller over-half long)
  add_test(NAME powercut-boot-${geometry} COMMAND powercut_boot ${geometry})
  set_tests_properties(powercut-boot-${geometry} PROPERTIES TIMEOUT 600)
endforeach()
molt_test(NAME unit-molt-boot SOURCES unit/molt_boot_test.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-molt-boot-space SOURCES unit/molt_boot_space_test.c unit/world.c chip_rig.c LIBS molt_brain sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-molt-boot-sector SOURCES unit/molt_boot_sector_test.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
add_executable(powercut_boot_sketch powercut/boot_sketch_test.c chip_rig.c)
target_include_directories(powercut_boot_sketch PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(powercut_boot_sketch PRIVATE sim molt_host_image PkgConfig::CMOCKA PkgConfig::ZLIB)
add_test(NAME powercut-boot-sketch COMMAND powercut_boot_sketch every)
add_test(NAME powercut-boot-again COMMAND powercut_boot_sketch again)
set_tests_properties(powercut-boot-sketch powercut-boot-again PROPERTIES TIMEOUT 600)
add_test(NAME powercut-boot-1m64 COMMAND powercut_boot_sketch 1m64 41) # a sample; all of them with --full
add_test(NAME powercut-boot-1m64-every COMMAND powercut_boot_sketch 1m64 1)
set_tests_properties(powercut-boot-1m64 PROPERTIES TIMEOUT 600)
set_tests_properties(powercut-boot-1m64-every PROPERTIES TIMEOUT 1800 LABELS long)
# Written over what runs: staged by libmolt, installed by molt-boot's second stage.
molt_test(NAME unit-in-place SOURCES unit/in_place_test.c chip_rig.c LIBS sim molt_host molt_host_image PkgConfig::ZLIB)
add_executable(powercut_in_place powercut/in_place_test.c chip_rig.c)
target_include_directories(powercut_in_place PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(powercut_in_place PRIVATE sim molt_host molt_host_image PkgConfig::CMOCKA PkgConfig::ZLIB)
add_test(NAME powercut-in-place COMMAND powercut_in_place every)
add_test(NAME powercut-in-place-1m COMMAND powercut_in_place 1m 97) # a sample
set_tests_properties(powercut-in-place powercut-in-place-1m PROPERTIES TIMEOUT 900)
add_test(NAME e2e-in-place COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/in_place_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-in-place PROPERTIES TIMEOUT 900)
add_test(NAME e2e-molt-boot COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/molt_boot_sim_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-molt-boot PROPERTIES TIMEOUT 600)

# The same bytes that go into images, on an lx106 in QEMU above a stand-in for the chip's ROM.
set(ROM_DIR ${CMAKE_CURRENT_SOURCE_DIR}/qemu/lx106_rom)
set(ROM_FLAGS -std=c99 -ffreestanding -Os -mlongcalls -mtext-section-literals -nostdlib -Wall -Wextra -Werror -Wl,--no-warn-rwx-segments)
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/lx106_rom.elf
  COMMAND ${LX106_GCC} ${ROM_FLAGS} -T ${ROM_DIR}/rom.ld ${ROM_DIR}/rom.S ${ROM_DIR}/rom.c ${ROM_DIR}/rom_stock.c -o ${CMAKE_CURRENT_BINARY_DIR}/lx106_rom.elf
  DEPENDS ${ROM_DIR}/rom.S ${ROM_DIR}/rom.c ${ROM_DIR}/rom_stock.c ${ROM_DIR}/rom.ld VERBATIM)
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/lx106_app.bin
  COMMAND ${LX106_GCC} ${ROM_FLAGS} -Wl,-Ttext=0x40100000 -Wl,-e0x40100000 ${ROM_DIR}/app.S -o ${CMAKE_CURRENT_BINARY_DIR}/lx106_app.elf
  COMMAND ${LX106_OBJCOPY} -O binary -j .text ${CMAKE_CURRENT_BINARY_DIR}/lx106_app.elf ${CMAKE_CURRENT_BINARY_DIR}/lx106_app.bin
  DEPENDS ${ROM_DIR}/app.S VERBATIM)
add_custom_target(lx106_rom DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/lx106_rom.elf ${CMAKE_CURRENT_BINARY_DIR}/lx106_app.bin)
molt_test(NAME qemu-molt-boot TIMEOUT 900 SOURCES qemu/molt_boot_test.c LIBS sim molt_host molt_host_image)
add_dependencies(qemu-molt-boot lx106_rom)
add_test(NAME qemu-eboot-bytes COMMAND ${CMAKE_SOURCE_DIR}/tools/stock_eboot ${CMAKE_CURRENT_BINARY_DIR}/stock)
set_tests_properties(qemu-eboot-bytes PROPERTIES TIMEOUT 600 FIXTURES_SETUP stock_eboot)
set_tests_properties(qemu-molt-boot PROPERTIES FIXTURES_REQUIRED stock_eboot)
target_compile_definitions(qemu-molt-boot PRIVATE _GNU_SOURCE MOLT_EBOOT="${CMAKE_CURRENT_BINARY_DIR}/stock/eboot.bin"
                           MOLT_ROM_ELF="${CMAKE_CURRENT_BINARY_DIR}/lx106_rom.elf" MOLT_APP_BIN="${CMAKE_CURRENT_BINARY_DIR}/lx106_app.bin")
include(${CMAKE_CURRENT_SOURCE_DIR}/planted/boot/boot.cmake)
