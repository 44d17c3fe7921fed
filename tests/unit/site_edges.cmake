mtaq_unit(test_site_edges USES mtaq_site)
