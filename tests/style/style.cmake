add_test(NAME layers COMMAND python3
	${PROJECT_SOURCE_DIR}/tools/check_layers.py ${PROJECT_SOURCE_DIR})
add_test(NAME style COMMAND python3
	${PROJECT_SOURCE_DIR}/tools/check_style.py ${PROJECT_SOURCE_DIR})
set_tests_properties(layers style PROPERTIES LABELS style TIMEOUT 120)
