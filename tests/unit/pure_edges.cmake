mtaq_unit(test_pure_edges USES mtaq_smtp)
mtaq_unit(test_mail_edges USES mtaq_mail)
