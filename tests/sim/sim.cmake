# The simulator (README.md): the first seed always, another one each time.
file(GLOB sim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/sim/*.c)
add_executable(sim ${sim_sources})
target_link_libraries(sim PRIVATE mtaq_engine mtaq_flags)
target_link_options(sim PRIVATE -Wl,--wrap=clock_gettime -Wl,--wrap=io_new
	-rdynamic)
set(sim_seconds 60)
if(MTAQ_SANITIZE OR MTAQ_COVERAGE)
	set(sim_seconds 15)
endif()
add_test(NAME sim COMMAND sim --seconds ${sim_seconds} --messages 3000 --vary)
set_tests_properties(sim PROPERTIES LABELS sim TIMEOUT 900)
# Do the planted bugs still fit?  bugs.sh itself takes minutes.
add_test(NAME sim_bugs_fit COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/sim/bugs.sh --fit)
set_tests_properties(sim_bugs_fit PROPERTIES LABELS sim TIMEOUT 300)
