# Rules of docs/SMTP.md that need the whole program, on each back end.
add_library(always_pending MODULE ${CMAKE_CURRENT_SOURCE_DIR}/e2e/always_pending.c)
target_compile_definitions(always_pending PRIVATE _GNU_SOURCE)
foreach(backend io_uring epoll)
	add_test(NAME e2e_rules_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_rules.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_rules_${backend} PROPERTIES LABELS "e2e;threads"
		TIMEOUT 600 ENVIRONMENT
		"MTAQ_TEST_IO=${backend};MTAQ_TEST_PENDING=$<TARGET_FILE:always_pending>")
endforeach()
