# How the server is run: settings, metrics, webhooks, limits, drills.
molt_test(NAME unit-config SOURCES unit/config_test.c LIBS molt_serve)
molt_test(NAME unit-net-list SOURCES unit/net_list_test.c LIBS molt_brain)
add_test(NAME e2e-config COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/config_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:settings> ${CMAKE_SOURCE_DIR}/doc/operations.md)
set_tests_properties(e2e-config PROPERTIES TIMEOUT 600)
