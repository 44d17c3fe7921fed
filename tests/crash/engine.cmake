# The engine under attack: the sink's misbehaviour in turn.
add_test(NAME crash_misbehaviour COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/crash/misbehaviour.py
	$<TARGET_FILE:mtaq> --recipients 3000)
set_tests_properties(crash_misbehaviour PROPERTIES LABELS "crash;threads"
	TIMEOUT 600)
