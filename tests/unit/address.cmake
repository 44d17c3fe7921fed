mtaq_unit(test_address USES mtaq_smtp)
