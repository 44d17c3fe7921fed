# What the disk does to a log and an index, and what must come of it.
add_library(fail_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/crash/fail_at.c)
target_compile_definitions(fail_at PRIVATE _GNU_SOURCE)
set(torn 12)
set(disk 16)
if(MTAQ_SANITIZE OR MTAQ_COVERAGE)
	set(torn 6)
	set(disk 8)
endif()
foreach(test torn disk)
	add_test(NAME crash_${test} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/${test}.py
		$<TARGET_FILE:mtaq> --cycles ${${test}})
	set_tests_properties(crash_${test} PROPERTIES LABELS "crash;threads"
		TIMEOUT 600 ENVIRONMENT
		"MTAQ_TEST_FAIL_AT=$<TARGET_FILE:fail_at>")
endforeach()
