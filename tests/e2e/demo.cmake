# bench/demo.py with small numbers.
add_test(NAME demo_small COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/demo_test.py $<TARGET_FILE:mtaq>)
set_tests_properties(demo_small PROPERTIES LABELS e2e TIMEOUT 600)
