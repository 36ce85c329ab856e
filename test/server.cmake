molt_test(NAME unit-device-id SOURCES unit/device_id_test.c LIBS molt_server)
molt_test(NAME unit-client SOURCES unit/client_test.c LIBS molt_server)
