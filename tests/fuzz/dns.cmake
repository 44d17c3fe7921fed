mtaq_fuzz(fuzz_dns USES mtaq_dns
	COVERS src/dns/answer.c src/dns/plan.c src/base/mxset.c)
mtaq_fuzz(fuzz_mx USES mtaq_dns
	COVERS src/dns/answer.c src/dns/plan.c src/base/mxset.c)
