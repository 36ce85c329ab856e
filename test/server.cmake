molt_test(NAME unit-device-id SOURCES unit/device_id_test.c LIBS molt_server)
molt_test(NAME unit-static-name SOURCES unit/static_name_test.c LIBS molt_server)
molt_test(NAME unit-client SOURCES unit/client_test.c LIBS molt_server)
molt_test(NAME unit-api SOURCES unit/api_test.c LIBS molt_api molt_host_image)
molt_test(NAME unit-openapi SOURCES unit/openapi_test.c LIBS molt_api)
target_compile_definitions(unit-openapi PRIVATE MOLT_VERSION="${PROJECT_VERSION}")
molt_test(NAME e2e-http-conformance SOURCES e2e/http_conformance_test.c e2e/http_fixture.c LIBS molt_http)
molt_test(NAME property-head SOURCES property/head_property_test.c LIBS molt_http molt_llhttp PkgConfig::UV)
molt_test(NAME e2e-http-limits SOURCES e2e/http_limits_test.c e2e/http_fixture.c LIBS molt_http)
molt_test(NAME unit-decide SOURCES unit/decide_test.c unit/world.c LIBS molt_brain)
molt_test(NAME e2e-skins SOURCES e2e/skins_test.c e2e/serve_case.c LIBS molt_serve molt_host_image PkgConfig::OPENSSL)
molt_test(NAME unit-nudge SOURCES unit/nudge_test.c unit/world.c LIBS molt_serve)
molt_test(NAME unit-throttle SOURCES unit/throttle_test.c LIBS molt_brain)
molt_test(NAME unit-decide-rules SOURCES unit/decide_rules_test.c unit/world.c LIBS molt_brain)
molt_test(NAME unit-attempt SOURCES unit/attempt_test.c unit/world.c LIBS molt_brain)
molt_test(NAME unit-attempt-checkin SOURCES unit/attempt_checkin_test.c unit/world.c LIBS molt_brain)
molt_test(NAME e2e-static-dir SOURCES e2e/static_dir_test.c e2e/serve_case.c LIBS molt_serve molt_host_image)
molt_test(NAME unit-rules SOURCES unit/rules_test.c unit/world.c LIBS molt_brain Threads::Threads)
molt_test(NAME unit-device-row SOURCES unit/device_row_test.c LIBS molt_brain Threads::Threads)
molt_test(NAME unit-devices-cost SOURCES unit/devices_cost_test.c unit/world.c LIBS molt_brain)
molt_test(NAME unit-devices SOURCES unit/devices_test.c LIBS molt_brain Threads::Threads)
molt_test(NAME property-decide SOURCES property/decide_property_test.c unit/world.c LIBS molt_brain)
molt_test(NAME e2e-serve SOURCES e2e/serve_test.c e2e/serve_case.c e2e/serve_process.c LIBS molt_serve molt_host_image)
molt_test(NAME e2e-serve-kill SOURCES e2e/serve_kill_test.c e2e/serve_case.c e2e/serve_process.c postgres.c
          LIBS molt_serve molt_host_image PkgConfig::PQ)
add_test(NAME e2e-serve-kill-postgresql COMMAND e2e-serve-kill)
set_tests_properties(e2e-serve-kill-postgresql PROPERTIES ENVIRONMENT MOLT_TEST_STORE=postgresql TIMEOUT 600)
molt_test(NAME e2e-postgres SOURCES e2e/postgres_test.c e2e/serve_case.c postgres.c LIBS molt_serve molt_host_image PkgConfig::PQ)
molt_test(NAME e2e-http-send SOURCES e2e/http_send_test.c e2e/http_fixture.c LIBS molt_http)
molt_test(NAME e2e-http-tls SOURCES e2e/http_tls_test.c e2e/http_fixture.c LIBS molt_http PkgConfig::OPENSSL)
molt_test(NAME property-attempt SOURCES property/attempt_property_test.c unit/world.c LIBS molt_brain)

molt_test(NAME unit-api-scope SOURCES unit/api_scope_test.c postgres.c LIBS molt_api PkgConfig::PQ)
molt_test(NAME unit-api-rollout SOURCES unit/api_rollout_test.c postgres.c LIBS molt_api PkgConfig::PQ)
molt_test(NAME unit-rollout SOURCES unit/rollout_test.c unit/world.c LIBS molt_serve Threads::Threads)

# What runs the server's threads; ./dev test runs these once more under ThreadSanitizer.
set_tests_properties(unit-store unit-rules unit-device-row unit-devices unit-rollout e2e-store-kill e2e-http-conformance e2e-http-limits e2e-http-send
                     e2e-http-tls e2e-skins e2e-static-dir e2e-serve e2e-serve-kill PROPERTIES LABELS threads)

# Rollouts against a slow reference: some histories, and with ./dev test --full a hundred thousand.
foreach(histories 10000 100000)
  set(name property-rollout)
  if(histories GREATER 10000)
    set(name property-rollout-long)
  endif()
  molt_test(NAME ${name} SOURCES property/rollout_property_test.c property/rollout_reference.c unit/world.c
            LIBS molt_brain TIMEOUT 900)
  target_compile_definitions(${name} PRIVATE HISTORIES=${histories}u)
endforeach()
set_tests_properties(property-rollout-long PROPERTIES LABELS long)

molt_test(NAME unit-decide-pack SOURCES unit/decide_pack_test.c unit/world.c LIBS molt_brain)
molt_test(NAME unit-packs SOURCES unit/packs_test.c LIBS molt_server molt_host_image Threads::Threads)
molt_test(NAME e2e-packs SOURCES e2e/packs_test.c e2e/serve_case.c LIBS molt_serve molt_host_image PkgConfig::OPENSSL)
set_tests_properties(unit-packs e2e-packs PROPERTIES LABELS threads)

# hawkBit's DDI.
molt_test(NAME unit-attempt-ddi SOURCES unit/attempt_ddi_test.c unit/world.c LIBS molt_brain)
molt_test(NAME e2e-ddi SOURCES e2e/ddi_test.c e2e/serve_case.c LIBS molt_serve molt_host_image PkgConfig::JANSSON)
molt_test(NAME e2e-lists SOURCES e2e/lists_test.c e2e/serve_case.c LIBS molt_serve molt_host_image PkgConfig::JANSSON)
set_tests_properties(e2e-ddi e2e-lists PROPERTIES LABELS threads)

# kill -9 under load: some, and with ./dev test --full a thousand times.
foreach(kills 24 1000)
  set(name e2e-kill-load)
  if(kills GREATER 24)
    set(name e2e-kill-load-long)
  endif()
  molt_test(NAME ${name} SOURCES e2e/kill_load_test.c e2e/serve_case.c e2e/serve_process.c
            LIBS molt_serve molt_host_image Threads::Threads TIMEOUT 1800)
  target_compile_definitions(${name} PRIVATE KILLS=${kills}u)
endforeach()
set_tests_properties(e2e-kill-load-long PROPERTIES LABELS long)
