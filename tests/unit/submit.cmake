mtaq_unit(test_submit USES mtaq_ingress)
set_tests_properties(submit PROPERTIES LABELS "unit;threads")
mtaq_unit(test_frame USES mtaq_ingress)
mtaq_unit(test_intake USES mtaq_ingress)
