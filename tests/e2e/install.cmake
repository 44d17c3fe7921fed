# What an installed mtaq lives with, and the package itself.
add_test(NAME e2e_install COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_install.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_install PROPERTIES LABELS e2e TIMEOUT 300)

add_test(NAME e2e_deb COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/e2e/deb.sh)
set_tests_properties(e2e_deb PROPERTIES LABELS "e2e;package" TIMEOUT 1800
	COST 60 SKIP_RETURN_CODE 77)
