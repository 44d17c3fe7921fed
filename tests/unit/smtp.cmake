# The dialogues of tests/transcripts, each played whole and octet by octet.
file(GLOB dialogues CONFIGURE_DEPENDS
	${CMAKE_CURRENT_SOURCE_DIR}/transcripts/*.smtp)
mtaq_unit(test_transcripts USES mtaq_smtp ARGS ${dialogues})
mtaq_unit(test_reply USES mtaq_smtp)
mtaq_unit(test_session USES mtaq_smtp)
mtaq_unit(test_group USES mtaq_smtp)
mtaq_unit(test_chunk USES mtaq_smtp)
mtaq_unit(test_stream USES mtaq_smtp)
# Servers made by rule and by seed.  The linker lets the test count what the
# session allocates.
mtaq_unit(test_generated USES mtaq_site mtaq_smtp)
target_sources(test_generated PRIVATE unit/gen_case.c unit/gen_compare.c
	unit/gen_judge.c unit/gen_reply.c unit/gen_run.c unit/gen_server.c unit/gen_stream.c
	unit/gen_wire.c)
target_link_options(test_generated PRIVATE
	-Wl,--wrap=malloc -Wl,--wrap=calloc)
mtaq_unit(test_transcript USES mtaq_smtp)
