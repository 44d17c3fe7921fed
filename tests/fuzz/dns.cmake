mtaq_fuzz(fuzz_dns USES mtaq_dns)
