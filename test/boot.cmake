# molt-boot. The power-cut tests build its core with small sectors and always optimised: they run it some ten thousand times.
add_executable(powercut_boot powercut/boot_test.c powercut/closure.c
    ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/boot.c ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/stock.c
    ${CMAKE_SOURCE_DIR}/firmware/boot/esp8266/swap.c ${CMAKE_SOURCE_DIR}/device/src/slots/boot_record.c
    ${CMAKE_SOURCE_DIR}/device/src/util/crc.c)
target_compile_definitions(powercut_boot PRIVATE MOLT_BOOT_SECTOR=256u MOLT_BOOT_LOG=192u)
target_compile_options(powercut_boot PRIVATE -O2)
target_include_directories(powercut_boot PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/device/src)
foreach(geometry equal larger smaller over-half long)
  add_test(NAME powercut-boot-${geometry} COMMAND powercut_boot ${geometry})
  set_tests_properties(powercut-boot-${geometry} PROPERTIES TIMEOUT 300)
endforeach()
add_test(NAME e2e-molt-boot COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/molt_boot_sim_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-molt-boot PROPERTIES TIMEOUT 180)
