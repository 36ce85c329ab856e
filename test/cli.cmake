molt_test(NAME unit-args SOURCES unit/args_test.c LIBS molt_cli_parts)

add_executable(make_image e2e/make_image.c)
target_include_directories(make_image PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(make_image PRIVATE molt_host_image)
add_test(NAME e2e-cli COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cli_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
set_tests_properties(e2e-cli PROPERTIES TIMEOUT 600)
add_test(NAME e2e-manual COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/manual_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-manual PROPERTIES TIMEOUT 600)
add_test(NAME e2e-cli-server COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cli_server_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
add_test(NAME e2e-openapi COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/openapi_valid.sh ${CMAKE_SOURCE_DIR}/server/api/openapi.json $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-cli-server e2e-openapi PROPERTIES TIMEOUT 600)
add_test(NAME e2e-sign COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/sign_test.sh $<TARGET_FILE:molt_cli>)
# An independent reader and writer of SUIT envelopes; found by MOLT_VENV, as esptool is.
add_test(NAME e2e-manifest-interop COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/manifest_interop.sh $<TARGET_FILE:molt_cli>)
add_test(NAME e2e-pkcs11 COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/pkcs11_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-sign e2e-manifest-interop e2e-pkcs11 PROPERTIES TIMEOUT 600)
add_test(NAME e2e-static-publish COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/static_publish_test.sh $<TARGET_FILE:molt_cli>)
add_test(NAME e2e-publish-signed COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/publish_signed_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-static-publish e2e-publish-signed PROPERTIES TIMEOUT 600)

# A malicious server against devices with a trust anchor: one test a row of attacks.py.
set(attacks ${CMAKE_CURRENT_SOURCE_DIR}/e2e/attacks/attacks.py)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${attacks})
execute_process(COMMAND /usr/bin/python3 ${attacks} --list OUTPUT_VARIABLE rows OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" rows "${rows}")
foreach(row ${rows})
  add_test(NAME attacks-${row} COMMAND /usr/bin/python3 ${attacks} $<TARGET_FILE:molt_cli> ${row})
  set_tests_properties(attacks-${row} PROPERTIES TIMEOUT 180)
endforeach()
# Its waits are the device's own, by the clock; unit-agent-signed has the same attack in virtual time.
set_tests_properties(attacks-slow-retrieval PROPERTIES TIMEOUT 600 LABELS long)
add_test(NAME e2e-pack COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/pack_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
set_tests_properties(e2e-pack PROPERTIES TIMEOUT 600)
# espsecure as judge; found by MOLT_VENV, as esptool is.
add_test(NAME e2e-stock-sign COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/stock_sign_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-stock-sign PROPERTIES TIMEOUT 600)
add_test(NAME e2e-rollout COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/rollout_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-rollout PROPERTIES TIMEOUT 600)
add_test(NAME e2e-enrol COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/enrol_test.sh $<TARGET_FILE:molt_cli>)
# Debian's own SWUpdate as a client.
add_test(NAME e2e-swupdate COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/swupdate_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-swupdate PROPERTIES TIMEOUT 600)
