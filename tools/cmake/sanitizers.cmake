# MOLT_SANITIZE is a comma-separated list for -fsanitize, set by the presets: "address,undefined" or "thread".
set(MOLT_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")
if(MOLT_SANITIZE)
  add_compile_options(-fsanitize=${MOLT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${MOLT_SANITIZE})
endif()
