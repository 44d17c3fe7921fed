# The engine under attack: the sink's misbehaviour in turn.
add_test(NAME crash_misbehaviour COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/misbehaviour.py
	$<TARGET_FILE:mtaq> --recipients 3000)
set_tests_properties(crash_misbehaviour PROPERTIES LABELS "crash;threads"
	TIMEOUT 600)
# kill -9 at random moments under load.
add_test(NAME crash_kill_engine COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/kill_engine.py
	$<TARGET_FILE:mtaq> --cycles 10 --messages 200 --batch 1)
set_tests_properties(crash_kill_engine PROPERTIES LABELS "crash;threads"
	TIMEOUT 600)
# Stops, disks, the drop folder.
add_test(NAME crash_hard_times COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/hard_times.py $<TARGET_FILE:mtaq>)
set_tests_properties(crash_hard_times PROPERTIES LABELS "crash;threads"
	TIMEOUT 600)
