# The daemon's sockets in the wrong hands.
add_test(NAME e2e_misuse COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_misuse.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_misuse PROPERTIES LABELS "e2e;threads" TIMEOUT 300)
