# Warnings are errors, with gcc and with clang; not where a distribution builds with a compiler that was never seen here.
option(MOLT_WERROR "Warnings are errors" ON)
if(MOLT_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_options(
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wcast-align -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wconversion -Wno-sign-conversion
  -fno-common -fstack-protector-strong)
add_compile_definitions(_POSIX_C_SOURCE=200809L)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
