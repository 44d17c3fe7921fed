# A server that says an octet at a time, on each back end.
foreach(backend io_uring epoll)
	add_test(NAME e2e_drip_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_drip.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_drip_${backend} PROPERTIES LABELS "e2e;threads"
		TIMEOUT 120 ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
