mtaq_fuzz(fuzz_transfer USES mtaq_transfer COVERS src/transfer/frame.c
	src/transfer/item.c)
