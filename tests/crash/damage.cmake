# What the disk, the memory and the clocks do, and what must come of it.
foreach(shim fail_at nomem_at)
	add_library(${shim} MODULE
		${CMAKE_CURRENT_SOURCE_DIR}/crash/${shim}.c)
	target_compile_definitions(${shim} PRIVATE _GNU_SOURCE)
endforeach()
set(torn 12)
set(disk 16)
set(memory 11)
set(clock 6)
if(MTAQ_SANITIZE OR MTAQ_COVERAGE)
	set(torn 6)
	set(disk 8)
	set(memory 2)
	set(clock 3)
endif()
foreach(test torn disk memory clock)
	add_test(NAME crash_${test} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/${test}.py
		$<TARGET_FILE:mtaq> --cycles ${${test}})
	set_tests_properties(crash_${test} PROPERTIES LABELS "crash;threads"
		TIMEOUT 600 ENVIRONMENT
		"MTAQ_TEST_FAIL_AT=$<TARGET_FILE:fail_at>;MTAQ_TEST_NOMEM_AT=$<TARGET_FILE:nomem_at>;MTAQ_CLOCK_STEP=$<TARGET_FILE:clock_step>")
endforeach()
