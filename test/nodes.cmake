# Several servers on one PostgreSQL: test/e2e/nodes. What is random or takes minutes is for ./dev test --full.
set(nodes_here ${CMAKE_CURRENT_SOURCE_DIR}/e2e/nodes)
add_library(nodes-clock MODULE e2e/nodes/clock_shift.c)
target_link_libraries(nodes-clock PRIVATE ${CMAKE_DL_LIBS})
if(MOLT_SANITIZE) # preloaded into `ip` as well, which has no sanitizer
  target_compile_options(nodes-clock PRIVATE -fno-sanitize=all)
  target_link_options(nodes-clock PRIVATE -fno-sanitize=all)
endif()
add_custom_target(nodes-programs ALL DEPENDS nodes-fleet nodes-clock)
target_compile_definitions(e2e-replica PRIVATE MOLT="$<TARGET_FILE:molt_cli>") # asks `molt status`
add_dependencies(e2e-replica molt_cli)

add_test(NAME nodes-ledger COMMAND python3 ${nodes_here}/ledger_test.py)
set_tests_properties(nodes-ledger PROPERTIES TIMEOUT 1800)
add_test(NAME nodes-proxy-cache COMMAND ${nodes_here}/proxy_cache_test.sh $<TARGET_FILE:molt_cli>)

# Each promise on purpose: some, and all of them.
set(nodes_promises python3 ${nodes_here}/promises_test.py $<TARGET_FILE:molt_cli> $<TARGET_FILE:nodes-clock>)
add_test(NAME nodes-promises COMMAND ${nodes_promises} a_stop_has_come_to_every_node_when_it_is_answered
         version_file_and_image_are_of_one_release_on_every_node a_poll_asks_no_database
         a_node_that_was_held_up_offers_nothing_before_it_has_heard_the_news)
add_test(NAME nodes-promises-long COMMAND ${nodes_promises})

# Faults and orders at random.
set(nodes_chaos python3 ${nodes_here}/chaos_test.py $<TARGET_FILE:molt_cli> $<TARGET_FILE:nodes-fleet> $<TARGET_FILE:nodes-clock>)
add_test(NAME nodes-chaos COMMAND ${nodes_chaos} devices=200 files=10 cap=40 faults=2 longest=1)
add_test(NAME nodes-chaos-500-long COMMAND ${nodes_chaos} faults=20)
add_test(NAME nodes-chaos-pooled-long COMMAND ${nodes_chaos} pooled=1 faults=12)
add_test(NAME nodes-chaos-long COMMAND ${nodes_chaos} devices=20000 files=200 cap=2000 faults=30 longest=8 connections=256 poll_ms=8000)

# doc/nodes.md on two machines; nodes of two schemas.
add_test(NAME nodes-streaming-long COMMAND python3 ${nodes_here}/streaming_test.py $<TARGET_FILE:molt_cli> ${CMAKE_SOURCE_DIR}/doc/nodes.md)
add_test(NAME nodes-upgrade-long COMMAND python3 ${nodes_here}/upgrade_test.py $<TARGET_FILE:molt_cli> $<TARGET_FILE:nodes-clock> ${CMAKE_BINARY_DIR})
set_tests_properties(nodes-proxy-cache nodes-promises nodes-chaos PROPERTIES TIMEOUT 1800)
set_tests_properties(nodes-chaos PROPERTIES ENVIRONMENT MOLT_SEED=1)
set_tests_properties(nodes-promises-long nodes-chaos-500-long nodes-chaos-pooled-long nodes-chaos-long nodes-streaming-long nodes-upgrade-long
                     PROPERTIES TIMEOUT 3600 LABELS long)

# On a database that has no COPY and no advisory locks.
add_test(NAME unit-nodes-no-copy-long COMMAND unit-nodes)
set_tests_properties(unit-nodes-no-copy-long PROPERTIES ENVIRONMENT MOLT_TEST_KNOWS=less TIMEOUT 600 LABELS long)

# Planted bugs: each breaks a line or two of molt; its first line names the promise that must see it.
file(GLOB nodes_planted CONFIGURE_DEPENDS ${nodes_here}/planted/*.patch)
foreach(patch ${nodes_planted})
  get_filename_component(name ${patch} NAME_WE)
  add_test(NAME planted-nodes-${name} COMMAND python3 ${nodes_here}/planted.py ${patch} ${CMAKE_BINARY_DIR} $<TARGET_FILE:nodes-clock>)
  set_tests_properties(planted-nodes-${name} PROPERTIES TIMEOUT 900 LABELS long)
endforeach()
