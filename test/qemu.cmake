# Firmware in QEMU beside a real server. The first test builds the firmware; ./dev has done so already.
set(RIG_FIRMWARE ${CMAKE_SOURCE_DIR}/build/firmware)
add_test(NAME qemu-firmware COMMAND ${CMAKE_SOURCE_DIR}/tools/firmware)
set_tests_properties(qemu-firmware PROPERTIES TIMEOUT 600 FIXTURES_SETUP firmware)

# Loaded into QEMU, so never with a sanitizer.
set(RIG_PLUGIN ${CMAKE_CURRENT_BINARY_DIR}/qemu_plugin.so)
add_custom_command(OUTPUT ${RIG_PLUGIN} COMMAND cc -std=c11 -O2 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -fPIC -shared -o ${RIG_PLUGIN}
                   ${CMAKE_CURRENT_SOURCE_DIR}/qemu/plugin.c DEPENDS qemu/plugin.c VERBATIM)
add_custom_target(qemu_plugin DEPENDS ${RIG_PLUGIN})

# molt_qemu_test(NAME name BOARD RIG_RV32 SOURCES qemu/update_test.c [DEFINES ...] [LONG])
function(molt_qemu_test)
  cmake_parse_arguments(ARG "LONG" "NAME;BOARD;TIMEOUT" "SOURCES;DEFINES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  molt_test(NAME ${ARG_NAME} TIMEOUT ${ARG_TIMEOUT} SOURCES ${ARG_SOURCES} qemu/qemu_rig.c qemu/qemu_rig_server.c LIBS sim PkgConfig::JANSSON)
  target_compile_definitions(${ARG_NAME} PRIVATE _GNU_SOURCE RIG_BOARD=${ARG_BOARD} RIG_FIRMWARE="${RIG_FIRMWARE}"
                             RIG_MOLT="$<TARGET_FILE:molt_cli>" RIG_PLUGIN="${RIG_PLUGIN}" RIG_PYTHON="${CMAKE_SOURCE_DIR}/build/venv/bin/python"
                             RIG_MIDDLE="${CMAKE_CURRENT_SOURCE_DIR}/qemu/middle.py" ${ARG_DEFINES})
  add_dependencies(${ARG_NAME} molt_cli qemu_plugin)
  set_tests_properties(${ARG_NAME} PROPERTIES FIXTURES_REQUIRED firmware)
  if(ARG_LONG)
    set_tests_properties(${ARG_NAME} PROPERTIES LABELS long)
  endif()
endfunction()

foreach(board rv32 lx106)
  string(TOUPPER RIG_${board} id)
  molt_qemu_test(NAME qemu-update-${board} BOARD ${id} SOURCES qemu/update_test.c)
  molt_qemu_test(NAME qemu-tls-${board} BOARD ${id} SOURCES qemu/tls_test.c)
  molt_qemu_test(NAME qemu-refusal-${board} BOARD ${id} SOURCES qemu/refusal_test.c)
  molt_qemu_test(NAME qemu-kill-${board} BOARD ${id} SOURCES qemu/kill_test.c DEFINES KILLS=100 TIMEOUT 600)
  molt_qemu_test(NAME qemu-cut-${board} BOARD ${id} SOURCES qemu/cut_test.c DEFINES EVERY=0 TIMEOUT 600)
  molt_qemu_test(NAME qemu-cut-every-${board} BOARD ${id} SOURCES qemu/cut_test.c DEFINES EVERY=1 TIMEOUT 20000 LONG)
  molt_qemu_test(NAME qemu-kill-long-${board} BOARD ${id} SOURCES qemu/kill_test.c DEFINES KILLS=2500 TIMEOUT 7200 LONG)
endforeach()
molt_qemu_test(NAME qemu-fleet SOURCES qemu/fleet_test.c BOARD RIG_RV32)
molt_qemu_test(NAME qemu-bus SOURCES qemu/bus_test.c BOARD RIG_LX106)
molt_qemu_test(NAME qemu-stock-eboot SOURCES qemu/stock_test.c BOARD RIG_LX106)
add_test(NAME qemu-demo COMMAND ${CMAKE_SOURCE_DIR}/tools/demo_qemu $<TARGET_FILE:molt_cli>)
set_tests_properties(qemu-demo PROPERTIES TIMEOUT 600 FIXTURES_REQUIRED firmware)
