mtaq_fuzz(fuzz_canon USES mtaq_mail COVERS src/mail/canon.c src/mail/plan.c
	src/mail/scan.c src/mail/header.c src/mail/mime.c src/mail/qp.c)
mtaq_fuzz(fuzz_header USES mtaq_mail
	COVERS src/mail/header.c src/mail/addrs.c src/mail/mime.c)
mtaq_fuzz(fuzz_mbox USES mtaq_mail COVERS src/mail/mbox.c)
mtaq_fuzz(fuzz_qp USES mtaq_mail COVERS src/mail/qp.c)
mtaq_fuzz(fuzz_address USES mtaq_smtp COVERS src/smtp/address.c)
