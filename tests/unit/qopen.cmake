mtaq_unit(test_qopen USES mtaq_queue)
mtaq_unit(test_qlimits USES mtaq_queue)
