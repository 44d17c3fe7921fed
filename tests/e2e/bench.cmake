# Each measurement of bench/run.sh with small numbers: do its figures come?
# None takes 5 s on an idle machine.  They meet all cores, so one at a time.
foreach(name connections deliver depth drip e2e latency limit multi parked queues restart rtt
	session sizes storm submit wal)
	add_test(NAME bench_${name} COMMAND python3
		${CMAKE_CURRENT_SOURCE_DIR}/e2e/bench_test.py
		$<TARGET_FILE:mtaq> ${name})
	set_tests_properties(bench_${name} PROPERTIES LABELS bench TIMEOUT 300
		RESOURCE_LOCK bench)
endforeach()

# bench/inject.c; bench/compare.py with small numbers.
add_test(NAME compare_small COMMAND python3
	${CMAKE_CURRENT_SOURCE_DIR}/e2e/compare_test.py $<TARGET_FILE:mtaq>
	$<TARGET_FILE:bench_inject>)
set_tests_properties(compare_small PROPERTIES LABELS bench TIMEOUT 600
	RESOURCE_LOCK bench SKIP_RETURN_CODE 77)
