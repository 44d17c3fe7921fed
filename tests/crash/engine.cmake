# The engine under attack, on each back end.  100 kills and 50 power cuts in
# all; a sanitizer takes ten times as long for each.
set(kills 50)
set(cuts 25)
set(moves 15)
if(MTAQ_SANITIZE OR MTAQ_COVERAGE)
	set(kills 10)
	set(cuts 8)
	set(moves 6)
endif()
foreach(backend io_uring epoll)
	# The sink's misbehaviour in turn.
	add_test(NAME crash_misbehaviour_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/misbehaviour.py
		$<TARGET_FILE:mtaq> --recipients 1500)
	# kill -9 at random moments under load.
	add_test(NAME crash_kill_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/kill.py
		$<TARGET_FILE:mtaq> --cycles ${kills})
	# Stops, disks, the drop folder.
	add_test(NAME crash_hard_times_${backend} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/hard_times.py
		$<TARGET_FILE:mtaq>)
	set_tests_properties(crash_misbehaviour_${backend}
		crash_kill_${backend} crash_hard_times_${backend}
		PROPERTIES LABELS "crash;threads" TIMEOUT 600
		ENVIRONMENT "MTAQ_TEST_IO=${backend}")
endforeach()
# One session, one outcome that is not on disk: two copies a kill at most.
add_test(NAME crash_kill_one COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/kill.py $<TARGET_FILE:mtaq>
	--one --cycles ${cuts})
# Messages that follow each other unanswered: no more than with DATA.
add_test(NAME crash_kill_chunks COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/kill.py $<TARGET_FILE:mtaq>
	--chunks --cycles 10)
set_tests_properties(crash_kill_one crash_kill_chunks PROPERTIES
	LABELS "crash;threads" TIMEOUT 600)
# The power goes.
foreach(fs ext4 xfs)
	add_test(NAME crash_power_${fs} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/crash/power.py $<TARGET_FILE:mtaq>
		--fs ${fs} --cycles ${cuts} --back-end $<TARGET_FILE:qkill>)
	set_tests_properties(crash_power_${fs} PROPERTIES LABELS crash
		TIMEOUT 600)
endforeach()
# ... and while mail goes to another node.
add_library(cut_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/crash/cut_at.c)
target_compile_definitions(cut_at PRIVATE _GNU_SOURCE)
add_test(NAME crash_transfer COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/transfer.py $<TARGET_FILE:mtaq>
	--cycles ${moves})
set_tests_properties(crash_transfer PROPERTIES LABELS crash TIMEOUT 600
	ENVIRONMENT "MTAQ_TEST_CUT_AT=$<TARGET_FILE:cut_at>")
