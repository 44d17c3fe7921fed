mtaq_fuzz(fuzz_options USES mtaq_options COVERS src/options/load.c
	src/options/set.c src/options/unit.c src/options/tree.c
	src/options/print.c)
