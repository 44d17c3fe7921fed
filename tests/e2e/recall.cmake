# Decisions about mail that is just being sent.
add_library(slow_worker MODULE ${CMAKE_CURRENT_SOURCE_DIR}/e2e/slow_worker.c)
target_compile_definitions(slow_worker PRIVATE _GNU_SOURCE)
add_test(NAME e2e_recall COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_recall.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_recall PROPERTIES LABELS "e2e;threads" TIMEOUT 300
	ENVIRONMENT "MTAQ_TEST_SLOW_WORKER=$<TARGET_FILE:slow_worker>")
