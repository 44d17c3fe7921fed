add_test(NAME submit_cli COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/submit_test.py $<TARGET_FILE:mtaq>)
set_tests_properties(submit_cli PROPERTIES LABELS e2e TIMEOUT 120)
