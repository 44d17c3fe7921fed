mtaq_unit(test_admin USES mtaq_admin)
