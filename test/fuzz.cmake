# molt_fuzz(NAME image LIBS molt): test/fuzz/image_fuzz.c, with its corpus in test/fuzz/corpus/image.
# With MOLT_FUZZ (preset fuzz) it is the libFuzzer program fuzz-image; else a test that replays the corpus.
function(molt_fuzz)
  cmake_parse_arguments(ARG "" "NAME" "LIBS" ${ARGN})
  if(MOLT_FUZZ)
    add_executable(fuzz-${ARG_NAME} fuzz/${ARG_NAME}_fuzz.c)
    target_compile_options(fuzz-${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz-${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz-${ARG_NAME} fuzz/${ARG_NAME}_fuzz.c fuzz/replay.c)
    add_test(NAME property-fuzz-${ARG_NAME}
             COMMAND fuzz-${ARG_NAME} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${ARG_NAME})
    set_tests_properties(property-fuzz-${ARG_NAME} PROPERTIES TIMEOUT 120)
  endif()
  target_include_directories(fuzz-${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(fuzz-${ARG_NAME} PRIVATE ${ARG_LIBS})
endfunction()

if(MOLT_FUZZ)
  # The libraries report their branches to libFuzzer too.
  target_compile_options(molt PRIVATE -fsanitize=fuzzer-no-link)
  target_compile_options(molt_host PRIVATE -fsanitize=fuzzer-no-link)
  target_compile_options(molt_api PRIVATE -fsanitize=fuzzer-no-link)
  target_compile_options(molt_http PRIVATE -fsanitize=fuzzer-no-link)
endif()

molt_fuzz(NAME image LIBS molt)
molt_fuzz(NAME inflate LIBS molt PkgConfig::ZLIB)
molt_fuzz(NAME api LIBS molt_api)
molt_fuzz(NAME http LIBS molt)
molt_fuzz(NAME checkin LIBS molt)
molt_fuzz(NAME facts LIBS molt_host)
molt_fuzz(NAME agent LIBS molt)
molt_fuzz(NAME request LIBS molt_http molt_llhttp PkgConfig::UV)
