# Grouped transactions through the whole program, on each back end.
foreach(backend io_uring epoll)
	add_test(NAME e2e_group_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_group.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_group_${backend} PROPERTIES LABELS "e2e;threads"
		TIMEOUT 600 ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
