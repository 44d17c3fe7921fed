# Real parts: MX records from nsd; Postfix in a private root, in depth.
foreach(backend io_uring epoll)
	add_test(NAME e2e_real_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_real.py $<TARGET_FILE:mtaq>)
	set_tests_properties(e2e_real_${backend} PROPERTIES LABELS "e2e"
		TIMEOUT 600 SKIP_RETURN_CODE 77
		ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()

add_executable(grouped e2e/grouped.c)
target_link_libraries(grouped PRIVATE mtaq_smtp mtaq_flags)

# The same promises with each of five, then all behind one daemon.  How many
# messages the crash tests send: MTAQ_TEST_CRASH_MESSAGES (1000).
foreach(receiver postfix exim opensmtpd aiosmtpd haraka)
	add_test(NAME e2e_real_${receiver} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_receivers.py
		$<TARGET_FILE:mtaq> ${receiver})
	set_tests_properties(e2e_real_${receiver} PROPERTIES LABELS "e2e"
		TIMEOUT 600 SKIP_RETURN_CODE 77
		ENVIRONMENT "MTAQ_TEST_GROUPED=$<TARGET_FILE:grouped>")
endforeach()
foreach(backend io_uring epoll)
	add_test(NAME e2e_real_together_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_receivers.py
		$<TARGET_FILE:mtaq> together)
	set_tests_properties(e2e_real_together_${backend} PROPERTIES LABELS "e2e"
		TIMEOUT 600 SKIP_RETURN_CODE 77
		ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
