mtaq_unit(test_base USES mtaq_base)
set_tests_properties(base PROPERTIES LABELS "unit;threads")
mtaq_unit(test_crc32c USES mtaq_base)
mtaq_unit(test_near USES mtaq_base)
