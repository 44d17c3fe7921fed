# mtaq explain: each reason that mail can wait for.
add_test(NAME e2e_explain COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_explain.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_explain PROPERTIES LABELS "e2e;threads" TIMEOUT 300)
# What commands print on a terminal, and what in a pipe.
add_test(NAME e2e_terminal COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_terminal.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_terminal PROPERTIES LABELS e2e TIMEOUT 120)
