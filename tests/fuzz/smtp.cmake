mtaq_fuzz(fuzz_reply USES mtaq_smtp)
mtaq_fuzz(fuzz_session USES mtaq_smtp)
if(MTAQ_FUZZ)
	# The dialogues are the corpus of the session.
	find_package(Python3 REQUIRED COMPONENTS Interpreter)
	execute_process(COMMAND ${Python3_EXECUTABLE}
		${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dialogue_corpus.py
		${CMAKE_CURRENT_SOURCE_DIR}/transcripts
		${CMAKE_CURRENT_BINARY_DIR}/corpus-fuzz_session
		COMMAND_ERROR_IS_FATAL ANY)
endif()
