# Bad input, then bad weather: what the world does to mtaq, and its words.
add_test(NAME e2e_bad_input COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_bad_input.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_bad_input PROPERTIES LABELS "e2e;weather"
	TIMEOUT 300)
add_library(clock_step MODULE ${CMAKE_CURRENT_SOURCE_DIR}/e2e/clock_step.c)
target_compile_definitions(clock_step PRIVATE _GNU_SOURCE)
add_test(NAME e2e_bad_weather COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_bad_weather.py $<TARGET_FILE:mtaq>)
# COST: the longest ones begin first where nobody knows yet how long they take.
set_tests_properties(e2e_bad_weather PROPERTIES LABELS "e2e;weather"
	TIMEOUT 600 COST 100 ENVIRONMENT
	"MTAQ_TEST_IO=io_uring;MTAQ_CLOCK_STEP=$<TARGET_FILE:clock_step>")
# What the other back end could do otherwise.
add_test(NAME e2e_bad_weather_epoll COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_bad_weather.py $<TARGET_FILE:mtaq>
	few_descriptors_are_shared_out
	without_any_descriptor_left_nothing_is_lost
	with_all_mx_dead_one_probe_at_a_time_knocks)
set_tests_properties(e2e_bad_weather_epoll PROPERTIES LABELS "e2e;weather"
	TIMEOUT 600 ENVIRONMENT "MTAQ_TEST_IO=epoll")
# Confined as containers and the unit do; cmake --install.
add_test(NAME e2e_sandbox COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_sandbox.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_sandbox PROPERTIES LABELS "e2e;install"
	TIMEOUT 300 ENVIRONMENT "MTAQ_BUILD=${PROJECT_BINARY_DIR}")
