mtaq_unit(test_base USES mtaq_base)
