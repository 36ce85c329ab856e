molt_test(NAME unit-device-id SOURCES unit/device_id_test.c LIBS molt_server)
