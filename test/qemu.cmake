# Firmware in QEMU beside a real server. The first test builds the firmware; ./dev has done so already.
set(RIG_FIRMWARE ${CMAKE_SOURCE_DIR}/build/firmware)
add_test(NAME qemu-firmware COMMAND ${CMAKE_SOURCE_DIR}/tools/firmware)
set_tests_properties(qemu-firmware PROPERTIES TIMEOUT 600 FIXTURES_SETUP firmware)

# molt_qemu_test(NAME qemu-update-rv32 BOARD RIG_RV32 SOURCES qemu/update_test.c [LONG])
function(molt_qemu_test)
  cmake_parse_arguments(ARG "LONG" "NAME;BOARD;TIMEOUT" "SOURCES;DEFINES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  molt_test(NAME ${ARG_NAME} TIMEOUT ${ARG_TIMEOUT} SOURCES ${ARG_SOURCES} qemu/qemu_rig.c LIBS sim PkgConfig::JANSSON)
  target_compile_definitions(${ARG_NAME} PRIVATE _GNU_SOURCE RIG_BOARD=${ARG_BOARD} RIG_FIRMWARE="${RIG_FIRMWARE}"
                             RIG_MOLT="$<TARGET_FILE:molt_cli>" ${ARG_DEFINES})
  add_dependencies(${ARG_NAME} molt_cli)
  set_tests_properties(${ARG_NAME} PROPERTIES FIXTURES_REQUIRED firmware)
  if(ARG_LONG)
    set_tests_properties(${ARG_NAME} PROPERTIES LABELS long)
  endif()
endfunction()

molt_qemu_test(NAME qemu-update-rv32 BOARD RIG_RV32 SOURCES qemu/update_test.c)
molt_qemu_test(NAME qemu-kill-rv32 BOARD RIG_RV32 SOURCES qemu/kill_test.c DEFINES KILLS=25)
molt_qemu_test(NAME qemu-kill-long-rv32 BOARD RIG_RV32 SOURCES qemu/kill_test.c DEFINES KILLS=1000 TIMEOUT 3600 LONG)
