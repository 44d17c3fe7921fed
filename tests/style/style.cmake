add_test(NAME layers COMMAND python3
	${PROJECT_SOURCE_DIR}/tools/check_layers.py ${PROJECT_SOURCE_DIR})
add_test(NAME style COMMAND python3
	${PROJECT_SOURCE_DIR}/tools/check_style.py ${PROJECT_SOURCE_DIR})
set_tests_properties(layers style PROPERTIES LABELS style TIMEOUT 120)
add_test(NAME man_agrees COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/style/man_agrees.py $<TARGET_FILE:mtaq>)
set_tests_properties(man_agrees PROPERTIES LABELS style TIMEOUT 120)
add_test(NAME rules_agree COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/style/rules_agree.py)
set_tests_properties(rules_agree PROPERTIES LABELS style TIMEOUT 120)
add_test(NAME completion COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/style/completion_works.py
	${PROJECT_SOURCE_DIR}/conf/completion)
set_tests_properties(completion PROPERTIES LABELS style TIMEOUT 300)
# Does a broken rule break its test?  Here that all patches fit, and one of
# each area; tests/mutants.sh tries all of them (docs/TESTING.md).
add_test(NAME mutants_fit COMMAND
	${CMAKE_CURRENT_SOURCE_DIR}/mutants.sh --fit)
set_tests_properties(mutants_fit PROPERTIES LABELS mutants TIMEOUT 120)
add_test(NAME mutants COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mutants.sh
	17 19 30 45 51 61 70 79 85 91)
set_tests_properties(mutants PROPERTIES LABELS mutants TIMEOUT 600
	COST 90)
