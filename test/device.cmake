molt_test(NAME unit-reason SOURCES unit/reason_test.c LIBS molt)
molt_test(NAME unit-text SOURCES unit/text_test.c LIBS molt)
molt_test(NAME unit-checkin SOURCES unit/checkin_test.c LIBS molt)
