molt_test(NAME unit-args SOURCES unit/args_test.c LIBS molt_cli_parts)
