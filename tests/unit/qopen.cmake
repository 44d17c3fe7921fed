mtaq_unit(test_qopen USES mtaq_queue)
