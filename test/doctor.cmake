molt_test(NAME doctor-causes SOURCES unit/doctor_causes_test.c LIBS molt_doctor_causes)
add_test(NAME doctor-page COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/doctor/page_test.sh $<TARGET_FILE:troubleshooting> ${CMAKE_SOURCE_DIR}/doc/troubleshooting.md)
