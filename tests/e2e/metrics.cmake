# What Prometheus sees of a living daemon; the parser is Debian's
# python3-prometheus-client, which only Debian's Python finds.
add_test(NAME e2e_metrics COMMAND /usr/bin/python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/test_metrics.py $<TARGET_FILE:mtaq>)
set_tests_properties(e2e_metrics PROPERTIES LABELS "e2e;threads" TIMEOUT 600)
