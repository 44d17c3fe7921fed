mtaq_fuzz(fuzz_control USES mtaq_admin)
