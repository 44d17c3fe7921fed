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
