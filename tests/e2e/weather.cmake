# Bad input, then bad weather: what the world does to mtaq, and its words.
add_test(NAME e2e_bad_input COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_bad_input.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_bad_input PROPERTIES LABELS "e2e;weather"
	TIMEOUT 300)
