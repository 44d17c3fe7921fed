mtaq_fuzz(fuzz_frame USES mtaq_ingress COVERS src/ingress/frame.c
	src/ingress/intake.c src/ingress/arena.c src/ingress/seen.c)
