mtaq_fuzz(fuzz_sink USES mtaq_bench)
mtaq_fuzz(fuzz_sink_dns USES mtaq_bench)
