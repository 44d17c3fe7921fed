# The dialogues and the mail of the tests are the seeds of the fuzzers.
if(MTAQ_FUZZ)
	find_package(Python3 REQUIRED COMPONENTS Interpreter)
	file(GLOB seed_sources CONFIGURE_DEPENDS
		${CMAKE_CURRENT_SOURCE_DIR}/transcripts/*.smtp
		${CMAKE_CURRENT_SOURCE_DIR}/mail/*.eml)
	set(seed_script ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/seeds.py)
	set(seed_stamp ${CMAKE_CURRENT_BINARY_DIR}/seeds.stamp)
	add_custom_command(OUTPUT ${seed_stamp}
		COMMAND ${Python3_EXECUTABLE} ${seed_script}
			${CMAKE_CURRENT_SOURCE_DIR}/transcripts
			${CMAKE_CURRENT_SOURCE_DIR}/mail
			${CMAKE_CURRENT_BINARY_DIR}/seeds
		COMMAND ${CMAKE_COMMAND} -E touch ${seed_stamp}
		DEPENDS ${seed_script} ${seed_sources})
	add_custom_target(fuzz_seeds ALL DEPENDS ${seed_stamp})
endif()
