add_library(mtaq_qmodel STATIC ${CMAKE_CURRENT_SOURCE_DIR}/unit/qmodel.c)
target_compile_options(mtaq_qmodel PRIVATE -Wno-pedantic)
target_include_directories(mtaq_qmodel PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/unit)
target_link_libraries(mtaq_qmodel PUBLIC mtaq_queue mtaq_flags
	PkgConfig::CHECK)

mtaq_unit(test_qstore USES mtaq_qmodel)
mtaq_unit(test_qscale USES mtaq_qmodel)
mtaq_unit(test_qindex USES mtaq_queue)
mtaq_unit(test_qrebuild USES mtaq_qmodel)
mtaq_unit(test_compact USES mtaq_qmodel)
mtaq_unit(test_compact_move USES mtaq_qmodel)
