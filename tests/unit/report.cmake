mtaq_unit(test_report USES mtaq_report)
