add_test(NAME sink COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/sink_test.py $<TARGET_FILE:mtaq>)
set_tests_properties(sink PROPERTIES LABELS "e2e;threads" TIMEOUT 300)
