molt_test(NAME unit-reason SOURCES unit/reason_test.c LIBS molt)
