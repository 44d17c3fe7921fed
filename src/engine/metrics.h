#ifndef MTAQ_ENGINE_METRICS_H
#define MTAQ_ENGINE_METRICS_H

/*
 * The page of metrics: names, units and labels.  They are an interface like
 * the event log's keys: dashboards and alerts rely on them.
 */
#include "report/metric.h"

/* For exporter_settings: arg is the running struct engine. */
void metrics_page(struct metric_out *out, void *arg);

#endif
