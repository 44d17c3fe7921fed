# Decisions about mail that is just being sent.
add_test(NAME e2e_recall COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_recall.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_recall PROPERTIES LABELS "e2e;threads" TIMEOUT 300)
