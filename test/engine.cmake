# The engine's promises: log and keep stores, power cuts, planted bugs, faults of the network.
molt_test(NAME unit-log SOURCES unit/log_test.c LIBS sim)
molt_test(NAME unit-keep SOURCES unit/keep_test.c LIBS sim)
molt_test(NAME unit-agent-keep SOURCES unit/agent_keep_test.c agent_rig.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-agent-fs SOURCES unit/agent_fs_test.c agent_rig.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-decide-checkin SOURCES unit/decide_checkin_test.c unit/world.c LIBS molt_brain)
add_test(NAME e2e-file-system COMMAND ${CMAKE_SOURCE_DIR}/test/e2e/fs_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-file-system PROPERTIES TIMEOUT 600)
molt_test(NAME unit-agent-resume SOURCES unit/agent_resume_test.c agent_rig.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-agent-pack SOURCES unit/agent_pack_test.c agent_rig.c chip_rig.c LIBS sim molt_host molt_host_image PkgConfig::ZLIB)
# The same device with a decoder of less than 4 KB.
molt_test(NAME unit-agent-pack-small SOURCES unit/agent_pack_test.c agent_rig.c chip_rig.c
          ${CMAKE_SOURCE_DIR}/device/src/pack/pack.c ${CMAKE_SOURCE_DIR}/device/src/pack/predict.c
          ${CMAKE_SOURCE_DIR}/device/src/update/unpack.c LIBS sim molt_host molt_host_image PkgConfig::ZLIB)
target_compile_definitions(unit-agent-pack-small PRIVATE MOLT_PACK_ROWS=120u)

# One program, one CTest entry a scenario.
add_executable(powercut-engine powercut/engine_test.c powercut/states.c powercut/boot_view.c chip_rig.c)
target_include_directories(powercut-engine PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/test)
target_link_libraries(powercut-engine PRIVATE sim molt_host_image PkgConfig::CMOCKA PkgConfig::ZLIB)
foreach(scenario raw raw-rotate raw-back gzip rollback rollback-back first again eboot-raw eboot-gzip molt-boot molt-boot-gzip 512K 4M2M esp32-4M)
  add_test(NAME powercut-engine-${scenario} COMMAND powercut-engine ${scenario})
  set_tests_properties(powercut-engine-${scenario} PROPERTIES TIMEOUT 600)
endforeach()
set_tests_properties(powercut-engine-512K powercut-engine-4M2M powercut-engine-esp32-4M PROPERTIES TIMEOUT 1500 LABELS long)

# Once more with a molt-boot whose log has 8 states, so that its record and the exchange take part and the states close.
add_executable(powercut-engine-boot powercut/engine_test.c powercut/states.c powercut/boot_view.c chip_rig.c
  ${CMAKE_SOURCE_DIR}/device/src/slots/boot_record.c)
target_compile_definitions(powercut-engine-boot PRIVATE MOLT_BOOT_SECTOR=4096u MOLT_BOOT_LOG=4032u)
target_include_directories(powercut-engine-boot PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/test)
target_link_libraries(powercut-engine-boot PRIVATE sim molt_host_image PkgConfig::CMOCKA PkgConfig::ZLIB)
foreach(scenario boot boot-smaller boot-bad)
  add_test(NAME powercut-engine-${scenario} COMMAND powercut-engine-boot ${scenario})
  set_tests_properties(powercut-engine-${scenario} PROPERTIES TIMEOUT 3600 LABELS long)
endforeach()

add_executable(powercut-fs powercut/fs_test.c powercut/states.c agent_rig.c chip_rig.c)
target_include_directories(powercut-fs PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/test)
target_link_libraries(powercut-fs PRIVATE sim molt_host_image PkgConfig::CMOCKA PkgConfig::ZLIB)
foreach(scenario faults staged staged-rotate staged-8266 in-place in-place-gzip esp32-4M 1M64)
  add_test(NAME powercut-fs-${scenario} COMMAND powercut-fs ${scenario})
  set_tests_properties(powercut-fs-${scenario} PROPERTIES TIMEOUT 600)
endforeach()
set_tests_properties(powercut-fs-staged-rotate powercut-fs-staged-8266 powercut-fs-in-place-gzip powercut-fs-1M64
                     PROPERTIES TIMEOUT 1500 LABELS long)

molt_test(NAME powercut-rows SOURCES powercut/rows_test.c agent_rig.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
target_compile_definitions(powercut-rows PRIVATE ENGINE_PAGE="${CMAKE_SOURCE_DIR}/doc/engine.md")

molt_test(NAME property-network-fault SOURCES property/network_fault_test.c agent_rig.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
add_test(NAME property-network-fault-all COMMAND property-network-fault all)
set_tests_properties(property-network-fault-all PROPERTIES TIMEOUT 3600 LABELS long)

molt_test(NAME unit-update-cost SOURCES unit/update_cost_test.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
add_test(NAME unit-device-size COMMAND ${CMAKE_SOURCE_DIR}/tools/device_size.py)
molt_test(NAME powercut-fault SOURCES powercut/fault_test.c chip_rig.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME powercut-pack SOURCES powercut/pack_test.c chip_rig.c LIBS sim molt_host molt_host_image PkgConfig::ZLIB)
add_test(NAME powercut-pack-every COMMAND powercut-pack every)
set_tests_properties(powercut-pack-every PROPERTIES TIMEOUT 1800 LABELS long)

include(${CMAKE_CURRENT_SOURCE_DIR}/planted/planted.cmake)
molt_test(NAME unit-pack-update SOURCES unit/update_pack_test.c chip_rig.c LIBS sim molt_host molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-inplace SOURCES unit/inplace_test.c LIBS sim molt_host molt_host_image)
target_include_directories(unit-inplace SYSTEM PRIVATE ${BEARSSL_INCLUDE})
molt_test(NAME powercut-inplace SOURCES powercut/inplace_test.c LIBS sim molt_host molt_host_image TIMEOUT 600)
target_include_directories(powercut-inplace SYSTEM PRIVATE ${BEARSSL_INCLUDE})
