# molt_test(NAME unit-image SOURCES unit/image_test.c LIBS molt): a cmocka program and its CTest entry.
function(molt_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/test)
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS} PkgConfig::CMOCKA)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600) # for a machine that does other things, too: it only ends what hangs
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
