# The log half alone, with a double of the store half.
add_library(mtaq_qlog_alone STATIC $<TARGET_OBJECTS:mtaq_qlog>
	${CMAKE_CURRENT_SOURCE_DIR}/unit/qfile.c
	${CMAKE_CURRENT_SOURCE_DIR}/unit/qhelp.c)
target_include_directories(mtaq_qlog_alone PUBLIC
	${CMAKE_CURRENT_SOURCE_DIR}/unit)
target_link_libraries(mtaq_qlog_alone PUBLIC mtaq_base)

mtaq_unit(test_qlog USES mtaq_qlog_alone)
mtaq_unit(test_qearly USES mtaq_qlog_alone)
mtaq_unit(test_qmove USES mtaq_qlog_alone)
mtaq_unit(test_qpins USES mtaq_qlog_alone)
mtaq_unit(test_touch USES mtaq_qlog_alone)
mtaq_unit(test_qrecover USES mtaq_qlog_alone)
mtaq_unit(test_qpages USES mtaq_qlog_alone)
mtaq_unit(test_qreserve USES mtaq_qlog_alone)
mtaq_unit(test_qroles USES mtaq_qlog_alone)
set_tests_properties(qroles PROPERTIES LABELS "unit;threads")
