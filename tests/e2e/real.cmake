# Real parts: MX records from nsd, mail taken by Postfix in a private root.
foreach(backend io_uring epoll)
	add_test(NAME e2e_real_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_real.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_real_${backend} PROPERTIES LABELS "e2e"
		TIMEOUT 600 ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
