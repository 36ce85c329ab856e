# Several servers on one PostgreSQL: test/e2e/nodes.
set(nodes_here ${CMAKE_CURRENT_SOURCE_DIR}/e2e/nodes)
add_library(nodes-clock MODULE e2e/nodes/clock_shift.c)
target_link_libraries(nodes-clock PRIVATE ${CMAKE_DL_LIBS})
add_custom_target(nodes-programs ALL DEPENDS nodes-fleet nodes-clock)

add_test(NAME nodes-ledger COMMAND python3 ${nodes_here}/ledger_test.py)
set_tests_properties(nodes-ledger PROPERTIES TIMEOUT 60)
add_test(NAME nodes-proxy-cache COMMAND ${nodes_here}/proxy_cache_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(nodes-proxy-cache PROPERTIES TIMEOUT 600)
