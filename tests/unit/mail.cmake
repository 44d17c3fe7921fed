add_executable(canon_tool unit/canon_tool.c)
target_link_libraries(canon_tool PRIVATE mtaq_mail mtaq_flags)
add_test(NAME canonical_agrees COMMAND ${CMAKE_COMMAND} -E env
	PYTHONDONTWRITEBYTECODE=1 python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/canonical_agrees.py
	$<TARGET_FILE:canon_tool> ${CMAKE_CURRENT_SOURCE_DIR}/mail)
set_tests_properties(canonical_agrees PROPERTIES LABELS unit TIMEOUT 300)
mtaq_unit(test_header USES mtaq_mail)
mtaq_unit(test_scan USES mtaq_mail)
mtaq_unit(test_canon USES mtaq_mail
	ARGS ${CMAKE_CURRENT_SOURCE_DIR}/mail)
mtaq_unit(test_smuggling USES mtaq_mail mtaq_smtp)
