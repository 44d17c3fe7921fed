# A spool that the program of format version 1 wrote (tests/spool-v1/).
add_executable(list_v1 ${CMAKE_CURRENT_SOURCE_DIR}/spool-v1/list.c)
target_link_libraries(list_v1 PRIVATE mtaq_queue mtaq_flags)
set(spool_v1 python3 ${CMAKE_CURRENT_SOURCE_DIR}/spool-v1/test_spool_v1.py
	$<TARGET_FILE:mtaq> $<TARGET_FILE:list_v1>)
add_test(NAME spool_v1 COMMAND ${spool_v1} all_of_it_is_as_it_was
	verify_changes_nothing kill_9_in_the_first_start_is_harmless)
set_tests_properties(spool_v1 PROPERTIES LABELS unit TIMEOUT 600
	ENVIRONMENT "MTAQ_TEST_DIE_AT=$<TARGET_FILE:die_at>")
add_test(NAME e2e_spool_v1 COMMAND ${spool_v1} the_daemon_delivers_all_of_it
	it_is_raised_to_the_present_version
	kill_9_after_the_first_start_loses_nothing)
set_tests_properties(e2e_spool_v1 PROPERTIES LABELS "e2e;threads" TIMEOUT 600)
