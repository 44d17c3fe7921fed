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
target_sources(test_qnomem PRIVATE unit/qday.c)

# The same day with calls to the disk and to LMDB that fail.
mtaq_unit(test_qfaults USES mtaq_queue)
target_sources(test_qfaults PRIVATE unit/qday.c)
foreach(call env_create env_open txn_begin txn_renew txn_commit dbi_open get
	put del cursor_open cursor_get cursor_put cursor_del)
	target_link_options(test_qfaults PRIVATE -Wl,--wrap=mdb_${call})
endforeach()
mtaq_unit(test_inomem USES mtaq_nomem mtaq_ingress
	ARGS ${PROJECT_SOURCE_DIR})
