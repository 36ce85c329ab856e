molt_test(NAME unit-store-clock SOURCES unit/store_clock_test.c LIBS molt_host)
molt_test(NAME unit-node-leases SOURCES unit/node_leases_test.c postgres.c LIBS molt_host Threads::Threads PkgConfig::PQ)
molt_test(NAME unit-store-nodes SOURCES unit/store_nodes_test.c postgres.c LIBS molt_host Threads::Threads PkgConfig::PQ)
molt_test(NAME unit-merge SOURCES unit/merge_test.c LIBS molt_host)
molt_test(NAME property-merge SOURCES property/merge_property_test.c LIBS molt_host)
molt_test(NAME unit-store SOURCES unit/store_test.c postgres.c LIBS molt_host PkgConfig::SQLITE Threads::Threads PkgConfig::PQ)
molt_test(NAME unit-s3-sign SOURCES unit/s3_sign_test.c LIBS molt_host)
molt_test(NAME unit-store-files SOURCES unit/store_files_test.c postgres.c LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME e2e-store-kill SOURCES e2e/store_kill_test.c LIBS molt_host)
molt_test(NAME unit-facts SOURCES unit/facts_test.c LIBS molt_host molt_host_image)
molt_test(NAME unit-facts-gzip SOURCES unit/facts_gzip_test.c LIBS molt_host molt_host_image PkgConfig::ZLIB)
molt_test(NAME unit-publish SOURCES unit/publish_test.c LIBS sim molt_host molt_host_image PkgConfig::OPENSSL)
molt_test(NAME property-facts SOURCES property/facts_property_test.c LIBS molt_host molt_host_image)
molt_test(NAME unit-sign SOURCES unit/sign_test.c LIBS molt_host)
molt_test(NAME unit-manifest-keys SOURCES unit/manifest_keys_test.c LIBS molt_host)
molt_test(NAME unit-seal SOURCES unit/seal_test.c LIBS molt_host)
molt_test(NAME property-manifest SOURCES property/manifest_property_test.c LIBS molt_host)
molt_test(NAME unit-publish-signed SOURCES unit/publish_signed_test.c postgres.c LIBS molt_host molt_host_image PkgConfig::PQ)
# The decoder as a device with 4 KB for it builds it.
molt_test(NAME unit-pack-small SOURCES unit/pack_small_test.c ${CMAKE_SOURCE_DIR}/device/src/pack/pack.c
          ${CMAKE_SOURCE_DIR}/device/src/pack/predict.c LIBS molt_host molt_host_image)
target_compile_definitions(unit-pack-small PRIVATE MOLT_PACK_ROWS=120u)
molt_test(NAME unit-pack SOURCES unit/pack_test.c LIBS molt_host)
target_compile_definitions(unit-pack PRIVATE MOLT_PACK_PAGE="${CMAKE_SOURCE_DIR}/doc/pack.md")
molt_test(NAME unit-detools SOURCES unit/detools_test.c LIBS molt_host molt_host_image)
molt_test(NAME property-pack SOURCES property/pack_property_test.c LIBS molt_host molt_host_image)
molt_test(NAME unit-filter SOURCES unit/filter_test.c LIBS molt_host)
molt_test(NAME unit-window SOURCES unit/window_test.c LIBS molt_host)
molt_test(NAME property-filter SOURCES property/filter_property_test.c LIBS molt_host)
molt_test(NAME unit-store-history SOURCES unit/store_history_test.c postgres.c LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME unit-store-releases SOURCES unit/store_releases_test.c postgres.c LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME unit-store-rollout SOURCES unit/store_rollout_test.c postgres.c LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME unit-store-results SOURCES unit/store_results_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME property-results SOURCES property/results_property_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME unit-store-migrate SOURCES unit/store_migrate_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
target_compile_definitions(unit-store-migrate PRIVATE MOLT_VECTORS="${CMAKE_CURRENT_SOURCE_DIR}/vectors/store")

# The same tests of the store on PostgreSQL, each on a cluster of its own.
foreach(test unit-store unit-store-files unit-store-history unit-store-releases unit-store-rollout unit-store-results unit-store-migrate
             property-results)
  add_test(NAME ${test}-postgresql COMMAND ${test})
  set_tests_properties(${test}-postgresql PROPERTIES ENVIRONMENT MOLT_TEST_STORE=postgresql TIMEOUT 600)
endforeach()
molt_test(NAME unit-store-copy SOURCES unit/store_copy_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ) # goes from one to the other
set_tests_properties(unit-store-copy PROPERTIES ENVIRONMENT MOLT_TEST_STORE=postgresql)
# A database that refuses COPY: what goes by it, and with --full all of the store.
molt_test(NAME unit-store-copy-refused SOURCES unit/store_copy_refused_test.c postgres.c LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
foreach(test unit-store unit-store-results unit-store-copy unit-store-files unit-store-history unit-store-releases unit-store-rollout
             unit-store-migrate property-results)
  set(name ${test}-no-copy)
  if(NOT test MATCHES "^unit-store(|-results|-copy)$")
    set(name ${name}-long)
  endif()
  add_test(NAME ${name} COMMAND ${test})
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "MOLT_TEST_STORE=postgresql;MOLT_TEST_KNOWS=less" TIMEOUT 600)
  if(name MATCHES "-long$")
    set_tests_properties(${name} PROPERTIES LABELS long)
  endif()
endforeach()
