mtaq_unit(test_lane USES mtaq_engine)
set_tests_properties(lane PROPERTIES LABELS "unit;threads")
mtaq_unit(test_recall USES mtaq_engine)
mtaq_unit(test_meter USES mtaq_engine)
mtaq_unit(test_busy USES mtaq_engine)
mtaq_unit(test_drip USES mtaq_engine)
set_tests_properties(meter PROPERTIES LABELS "unit;threads")
mtaq_unit(test_descriptors USES mtaq_engine)
mtaq_unit(test_logger USES mtaq_engine)
set_tests_properties(logger PROPERTIES LABELS "unit;threads")
# A hook between its last look at the lanes and what it does then.
target_link_options(test_logger PRIVATE -Wl,--wrap=queue_staged)
mtaq_unit(test_listener USES mtaq_engine)
set_tests_properties(listener PROPERTIES LABELS "unit;threads")
# Hooks where it is about to wait.
target_link_options(test_listener PRIVATE -Wl,--wrap=bell_doze
	-Wl,--wrap=epoll_wait)
mtaq_unit(test_dispatch USES mtaq_qmodel mtaq_engine)
