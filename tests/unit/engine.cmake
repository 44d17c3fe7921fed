mtaq_unit(test_lane USES mtaq_engine)
set_tests_properties(lane PROPERTIES LABELS "unit;threads")
mtaq_unit(test_recall USES mtaq_engine)
