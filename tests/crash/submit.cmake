# It dies between durability and the answer.
add_library(die_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/crash/die_at.c)
target_compile_definitions(die_at PRIVATE _GNU_SOURCE)
add_test(NAME crash_submit COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/submit.py $<TARGET_FILE:mtaq>
	--cycles 21)
set_tests_properties(crash_submit PROPERTIES LABELS crash TIMEOUT 600
	ENVIRONMENT "MTAQ_TEST_DIE_AT=$<TARGET_FILE:die_at>")
