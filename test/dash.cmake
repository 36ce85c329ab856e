# The dashboard in Debian's Chromium beside a real server: one script of test/dash a test.
set(dash ${CMAKE_CURRENT_SOURCE_DIR}/dash)
foreach(name actions devices live screens)
  add_test(NAME dash-${name} COMMAND ${dash}/run.sh $<TARGET_FILE:molt_cli> ${CMAKE_SOURCE_DIR}/build/dash/test ${name}_test.mjs)
  set_tests_properties(dash-${name} PROPERTIES TIMEOUT 900)
endforeach()
add_test(NAME dash-types COMMAND ${CMAKE_SOURCE_DIR}/dash/check.sh ${CMAKE_SOURCE_DIR}/build/dash)
set_tests_properties(dash-types PROPERTIES TIMEOUT 600)
