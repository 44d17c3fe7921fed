mtaq_unit(test_qadopt USES mtaq_queue)
