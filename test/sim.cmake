molt_test(NAME unit-flash SOURCES unit/flash_test.c LIBS sim)
molt_test(NAME unit-layout SOURCES unit/layout_test.c LIBS sim)
molt_test(NAME unit-eboot SOURCES unit/eboot_test.c LIBS sim molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-esp32-boot SOURCES unit/esp32_boot_test.c LIBS sim molt_host_image)
