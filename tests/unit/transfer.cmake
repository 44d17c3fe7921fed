mtaq_unit(test_transfer USES mtaq_transfer)
