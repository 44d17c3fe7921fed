# The daemon with real processes around it, on each back end.
foreach(backend io_uring epoll)
	add_test(NAME e2e_engine_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_engine.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_engine_${backend} PROPERTIES LABELS "e2e;threads"
		TIMEOUT 600 ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()

foreach(backend io_uring epoll)
	add_test(NAME e2e_admin_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_admin.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_admin_${backend} PROPERTIES LABELS "e2e;threads"
		TIMEOUT 600 ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
# A test that is ended leaves nothing behind.
add_test(NAME e2e_ending COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_ending.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_ending PROPERTIES LABELS e2e TIMEOUT 300)
