# A spool's mail goes to another node.
add_library(full_disk MODULE ${CMAKE_CURRENT_SOURCE_DIR}/e2e/full_disk.c)
target_compile_definitions(full_disk PRIVATE _GNU_SOURCE)
add_test(NAME e2e_adopt COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_adopt.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_adopt PROPERTIES LABELS e2e TIMEOUT 900
	ENVIRONMENT "MTAQ_TEST_DIE_AT=$<TARGET_FILE:die_at>;MTAQ_TEST_FULL_DISK=$<TARGET_FILE:full_disk>;MTAQ_CLOCK_STEP=$<TARGET_FILE:clock_step>")
