mtaq_unit(test_args USES mtaq_base)
