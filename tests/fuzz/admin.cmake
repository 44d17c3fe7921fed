mtaq_fuzz(fuzz_control USES mtaq_admin COVERS src/admin/record.c)
