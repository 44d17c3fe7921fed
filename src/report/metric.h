#ifndef MTAQ_REPORT_METRIC_H
#define MTAQ_REPORT_METRIC_H

/*
 * Figures as text for Prometheus: its format 0.0.4, or OpenMetrics 1.0.
 *
 *	metric_family()      HELP and TYPE
 *	metric_number() ...  its samples, all before the next family
 *	metric_end()
 *
 * The two formats differ in the family name of counters (OpenMetrics: without
 * _total) and in the last line.  Errors are the buffer's (`failed`).
 */
#include "base/buf.h"
#include "base/tally.h"

#include <stdbool.h>

enum metric_type {
	METRIC_COUNTER, /* the name must end in _total */
	METRIC_GAUGE,
	METRIC_HISTOGRAM
};

struct metric_out {
	struct buf *buf;
	bool open; /* OpenMetrics */
};

void metric_family(struct metric_out *out, const char *name,
		   enum metric_type type, const char *help);

/* A label; its value may hold anything. */
struct metric_label {
	const char *key; /* NULL: there is none */
	struct span value;
};
#define METRIC_LABELS 2
void metric_number(struct metric_out *out, const char *name,
		   const struct metric_label labels[METRIC_LABELS],
		   uint64_t value);
/* value / per, as thousandths and seconds. */
void metric_ratio(struct metric_out *out, const char *name, uint64_t value,
		  uint64_t per);
/* A histogram without labels.  Bounds and sum are divided by per. */
void metric_histogram(struct metric_out *out, const char *name,
		      const struct histo_view *v, uint64_t per);
void metric_end(struct metric_out *out);

#endif
