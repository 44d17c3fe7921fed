# Parts that fail for good.
add_library(sick_disk MODULE ${CMAKE_CURRENT_SOURCE_DIR}/e2e/sick_disk.c)
target_compile_definitions(sick_disk PRIVATE _GNU_SOURCE)
add_test(NAME e2e_faults COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_faults.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_faults PROPERTIES LABELS e2e TIMEOUT 300
	ENVIRONMENT "MTAQ_TEST_SICK_DISK=$<TARGET_FILE:sick_disk>")
