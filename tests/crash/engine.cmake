# The engine under attack, on each back end.
foreach(backend io_uring epoll)
	# The sink's misbehaviour in turn.
	add_test(NAME crash_misbehaviour_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/misbehaviour.py
		$<TARGET_FILE:mtaq> --recipients 1500)
	# kill -9 at random moments under load.
	add_test(NAME crash_kill_engine_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/kill_engine.py
		$<TARGET_FILE:mtaq> --cycles 7 --messages 200 --batch 1)
	# Stops, disks, the drop folder.
	add_test(NAME crash_hard_times_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/hard_times.py
		$<TARGET_FILE:mtaq>)
	set_tests_properties(crash_misbehaviour_${backend}
		crash_kill_engine_${backend} crash_hard_times_${backend}
		PROPERTIES LABELS "crash;threads" TIMEOUT 600
		ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
