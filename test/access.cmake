# Who may do what: accounts, roles, tokens, sessions; and the log of what was done.
molt_test(NAME unit-store-access SOURCES unit/store_access_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::PQ)
molt_test(NAME unit-store-audit SOURCES unit/store_audit_test.c postgres.c
          LIBS molt_host PkgConfig::SQLITE PkgConfig::OPENSSL PkgConfig::PQ)
foreach(test unit-store-access unit-store-audit)
  add_test(NAME ${test}-postgresql COMMAND ${test})
  set_tests_properties(${test}-postgresql PROPERTIES ENVIRONMENT MOLT_TEST_STORE=postgresql TIMEOUT 600)
endforeach()
molt_test(NAME unit-totp SOURCES unit/totp_test.c LIBS molt_api)
molt_test(NAME unit-password SOURCES unit/password_test.c LIBS molt_api Threads::Threads)
molt_test(NAME unit-api-access SOURCES unit/api_access_test.c postgres.c LIBS molt_api PkgConfig::SQLITE PkgConfig::PQ)
target_compile_definitions(unit-api-access PRIVATE MOLT_ACCESS_PAGE="${CMAKE_SOURCE_DIR}/doc/access.md")
molt_test(NAME unit-api-audit SOURCES unit/api_audit_test.c postgres.c LIBS molt_api PkgConfig::SQLITE PkgConfig::PQ)
add_test(NAME e2e-access COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/access_test.sh $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-access PROPERTIES TIMEOUT 600)
add_test(NAME e2e-audit-kill COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/e2e/audit_kill_test.py $<TARGET_FILE:molt_cli>)
set_tests_properties(e2e-audit-kill PROPERTIES TIMEOUT 600)
molt_test(NAME unit-oidc SOURCES unit/oidc_test.c LIBS molt_api PkgConfig::OPENSSL)
