add_executable(qkill crash/qkill.c)
target_link_libraries(qkill PRIVATE mtaq_qlog_alone)
add_test(NAME qkill COMMAND qkill 20)
set_tests_properties(qkill PROPERTIES LABELS crash TIMEOUT 300)
