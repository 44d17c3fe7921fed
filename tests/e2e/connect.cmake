# Finding hosts and connecting to them (docs/SMTP.md 7 to 10, 31, 32): name
# servers good (nsd) and bad, mail servers that do what a test says.
foreach(backend io_uring epoll)
	foreach(name dns connect)
		add_test(NAME e2e_${name}_${backend} COMMAND python3
			${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_${name}.py
			$<TARGET_FILE:mtaq>)
		set_tests_properties(e2e_${name}_${backend} PROPERTIES
			LABELS "e2e" TIMEOUT 600
			ENVIRONMENT "MTAQ_TEST_IO=${backend}")
	endforeach()
endforeach()
