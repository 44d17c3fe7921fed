mtaq_fuzz(fuzz_reply USES mtaq_smtp COVERS src/smtp/reply.c)
mtaq_fuzz(fuzz_ehlo USES mtaq_smtp COVERS src/smtp/ehlo.c)
mtaq_fuzz(fuzz_wire USES mtaq_smtp mtaq_mail COVERS src/smtp/send.c)
mtaq_fuzz(fuzz_session USES mtaq_smtp COVERS src/smtp/session.c
	src/smtp/send.c src/smtp/life.c src/smtp/group.c src/smtp/chunk.c
	src/smtp/stream.c src/smtp/report.c
	src/smtp/reply.c src/smtp/pool.c)
mtaq_fuzz(fuzz_transcript USES mtaq_smtp COVERS src/smtp/transcript.c)
