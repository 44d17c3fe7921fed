# What an operator sees of a living daemon; the terminal is Debian's
# python3-pyte, which only Debian's Python finds.
add_test(NAME e2e_top COMMAND /usr/bin/python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_top.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_top PROPERTIES LABELS "e2e;threads" TIMEOUT 600)
