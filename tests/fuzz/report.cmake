mtaq_fuzz(fuzz_event USES mtaq_report COVERS src/report/event.c
	src/report/note.c src/base/json.c src/base/utf8.c)
