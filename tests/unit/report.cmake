mtaq_unit(test_report USES mtaq_report)
mtaq_unit(test_eventlog USES mtaq_nomem mtaq_report)
target_link_options(test_eventlog PRIVATE -Wl,--wrap=fdatasync)
