# mtaq probe against the sink and against servers that behave badly.
add_test(NAME probe COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_probe.py $<TARGET_FILE:mtaq>)
set_tests_properties(probe PROPERTIES LABELS e2e TIMEOUT 180)
