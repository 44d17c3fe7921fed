mtaq_unit(test_options USES mtaq_options ARGS ${PROJECT_SOURCE_DIR})
