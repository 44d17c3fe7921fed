mtaq_fuzz(fuzz_record USES mtaq_qlog_alone COVERS queue/record.c)
