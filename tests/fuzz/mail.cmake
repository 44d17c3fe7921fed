mtaq_fuzz(fuzz_canon USES mtaq_mail)
mtaq_fuzz(fuzz_header USES mtaq_mail)
mtaq_fuzz(fuzz_address USES mtaq_smtp)
