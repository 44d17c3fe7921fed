mtaq_fuzz(fuzz_frame USES mtaq_ingress)
