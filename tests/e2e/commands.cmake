# What commands print and how they exit.
add_test(NAME e2e_commands COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_commands.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_commands PROPERTIES LABELS e2e TIMEOUT 300)
