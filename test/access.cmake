# Who may do what: accounts, roles, tokens, sessions; and the log of what was done.
molt_test(NAME unit-store-access SOURCES unit/store_access_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
add_test(NAME unit-store-access-postgresql COMMAND unit-store-access)
set_tests_properties(unit-store-access-postgresql PROPERTIES ENVIRONMENT MOLT_TEST_STORE=postgresql TIMEOUT 600)
molt_test(NAME unit-totp SOURCES unit/totp_test.c LIBS molt_api)
molt_test(NAME unit-password SOURCES unit/password_test.c LIBS molt_api Threads::Threads)
molt_test(NAME unit-api-access SOURCES unit/api_access_test.c postgres.c LIBS molt_api PkgConfig::SQLITE PkgConfig::PQ)
target_compile_definitions(unit-api-access PRIVATE MOLT_ACCESS_PAGE="${CMAKE_SOURCE_DIR}/doc/access.md")
