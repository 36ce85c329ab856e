molt_test(NAME unit-args SOURCES unit/args_test.c LIBS molt_cli_parts)

add_executable(make_image e2e/make_image.c)
target_include_directories(make_image PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(make_image PRIVATE molt_host_image)
add_test(NAME e2e-cli COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/cli_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:make_image>)
set_tests_properties(e2e-cli PROPERTIES TIMEOUT 120)
