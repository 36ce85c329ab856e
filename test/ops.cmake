# How the server is run: settings, metrics, webhooks, limits, drills.
molt_test(NAME unit-config SOURCES unit/config_test.c LIBS molt_serve)
molt_test(NAME unit-net-list SOURCES unit/net_list_test.c LIBS molt_brain)
add_test(NAME e2e-config COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/config_test.sh $<TARGET_FILE:molt_cli> $<TARGET_FILE:handbook> ${CMAKE_SOURCE_DIR}/doc/operations.md)
set_tests_properties(e2e-config PROPERTIES TIMEOUT 600)
molt_test(NAME unit-api-match SOURCES unit/api_match_test.c LIBS molt_api Threads::Threads)
molt_test(NAME unit-metrics SOURCES unit/metrics_test.c LIBS molt_brain)
add_test(NAME e2e-metrics COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/venv.sh ${CMAKE_CURRENT_SOURCE_DIR}/e2e/metrics_test.py $<TARGET_FILE:molt_cli> ${CMAKE_SOURCE_DIR}/doc)
set_tests_properties(e2e-metrics PROPERTIES TIMEOUT 600)
