mtaq_fuzz(fuzz_sink USES mtaq_bench COVERS bench/sink_smtp.c)
mtaq_fuzz(fuzz_sink_dns USES mtaq_bench COVERS bench/sink_dns.c)
