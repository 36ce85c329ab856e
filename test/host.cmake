molt_test(NAME unit-store SOURCES unit/store_test.c LIBS molt_host PkgConfig::SQLITE Threads::Threads)
molt_test(NAME e2e-store-kill SOURCES e2e/store_kill_test.c LIBS molt_host)
molt_test(NAME unit-facts SOURCES unit/facts_test.c LIBS molt_host molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-publish SOURCES unit/publish_test.c LIBS molt_host molt_host_image PkgConfig::OPENSSL)
