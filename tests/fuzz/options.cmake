mtaq_fuzz(fuzz_options USES mtaq_options)
