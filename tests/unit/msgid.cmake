mtaq_unit(test_msgid USES mtaq_base)
