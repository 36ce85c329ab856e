molt_test(NAME unit-args SOURCES unit/args_test.c LIBS molt_cli_parts)

add_executable(make_image e2e/make_image.c)
target_include_directories(make_image PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(make_image PRIVATE molt_host_image)
add_test(NAME e2e-cli COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cli_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
set_tests_properties(e2e-cli PROPERTIES TIMEOUT 120)
add_test(NAME e2e-cli-server COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cli_server_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
add_test(NAME e2e-openapi COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/openapi_valid.sh ${CMAKE_SOURCE_DIR}/server/api/openapi.json $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-cli-server e2e-openapi PROPERTIES TIMEOUT 120)
add_test(NAME e2e-sign COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/sign_test.sh $<TARGET_FILE:molt_cli>)
# An independent reader and writer of SUIT envelopes; found by MOLT_VENV, as esptool is.
add_test(NAME e2e-manifest-interop COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/manifest_interop.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-sign e2e-manifest-interop PROPERTIES TIMEOUT 180)
