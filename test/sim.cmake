molt_test(NAME unit-flash SOURCES unit/flash_test.c LIBS sim)
molt_test(NAME unit-layout SOURCES unit/layout_test.c LIBS sim)
