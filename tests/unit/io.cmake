mtaq_unit(test_wheel USES mtaq_base)
mtaq_unit(test_io USES mtaq_io)
mtaq_unit(test_io_edges USES mtaq_io)
set_tests_properties(io_edges PROPERTIES LABELS "unit;threads")
