mtaq_unit(test_dns USES mtaq_dns)
