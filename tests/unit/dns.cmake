mtaq_unit(test_dns USES mtaq_dns)
mtaq_unit(test_dns_fake USES mtaq_dns)
