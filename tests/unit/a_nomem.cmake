# Allocations that fail on request (tests/unit/nomem.h).
add_library(mtaq_nomem STATIC unit/nomem.c)
target_include_directories(mtaq_nomem PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/unit)
target_compile_options(mtaq_nomem PRIVATE -Wno-pedantic)
target_link_libraries(mtaq_nomem PUBLIC mtaq_base mtaq_flags)
target_link_options(mtaq_nomem INTERFACE -Wl,--wrap=malloc,--wrap=calloc
	-Wl,--wrap=realloc,--wrap=strdup,--wrap=aligned_alloc,--wrap=asprintf
	-Wl,--wrap=emalloc,--wrap=erealloc)

mtaq_unit(test_nomem USES mtaq_nomem mtaq_base mtaq_sched mtaq_site mtaq_smtp
	mtaq_mail)
mtaq_unit(test_qnomem USES mtaq_nomem mtaq_queue)
mtaq_unit(test_inomem USES mtaq_nomem mtaq_ingress
	ARGS ${PROJECT_SOURCE_DIR})
