# The dialogues of tests/transcripts, each played whole and octet by octet.
file(GLOB dialogues CONFIGURE_DEPENDS
	${CMAKE_CURRENT_SOURCE_DIR}/transcripts/*.smtp)
mtaq_unit(test_transcripts USES mtaq_smtp ARGS ${dialogues})
mtaq_unit(test_session USES mtaq_smtp)
mtaq_unit(test_group USES mtaq_smtp)
