/*
 * report/metric.c - figures as text for Prometheus
 *
 *	# HELP name words
 *	# TYPE name counter|gauge|histogram
 *	name{key="value"} number
 */
#include "report/metric.h"

#include "base/bug.h"
#include "base/utf8.h"

static size_t family_len(const struct metric_out *out, const char *name,
			 enum metric_type type)
{
	size_t len = strlen(name), total = strlen("_total");

	if (type != METRIC_COUNTER)
		return len;
	BUG_ON(len <= total || strcmp(name + len - total, "_total") != 0);
	return out->open ? len - total : len;
}

void metric_family(struct metric_out *out, const char *name,
		   enum metric_type type, const char *help)
{
	static const char *const types[] = { [METRIC_COUNTER] = "counter",
					     [METRIC_GAUGE] = "gauge",
					     [METRIC_HISTOGRAM] = "histogram" };
	int len = (int)family_len(out, name, type);

	BUG_ON(strpbrk(help, "\\\n\"") != NULL);
	buf_printf(out->buf, "# HELP %.*s %s\n# TYPE %.*s %s\n", len, name,
		   help, len, name, types[type]);
}

/* What is no UTF-8 would make the whole page unreadable. */
static void add_value(struct buf *b, struct span value)
{
	const unsigned char *p = (const unsigned char *)value.p;
	size_t i, len;

	for (i = 0; i < value.len; i += len) {
		len = utf8_len(p + i, value.len - i);
		if (len == 0) {
			len = 1;
			buf_add_char(b, '?');
		} else if (p[i] == '\n') {
			buf_add_span(b, SPAN("\\n"));
		} else {
			if (p[i] == '"' || p[i] == '\\')
				buf_add_char(b, '\\');
			buf_add(b, p + i, len);
		}
	}
}

void metric_number(struct metric_out *out, const char *name,
		   const struct metric_label labels[METRIC_LABELS],
		   uint64_t value)
{
	struct buf *b = out->buf;
	unsigned i, n = 0;

	buf_add_span(b, span_str(name));
	for (i = 0; labels != NULL && i < METRIC_LABELS; i++) {
		if (labels[i].key == NULL)
			continue;
		buf_printf(b, "%c%s=\"", n++ == 0 ? '{' : ',', labels[i].key);
		add_value(b, labels[i].value);
		buf_add_char(b, '"');
	}
	buf_printf(b, "%s %llu\n", n > 0 ? "}" : "", (unsigned long long)value);
}

/* Without the zeros that say nothing; OpenMetrics wants le="1.0". */
static void add_ratio(struct buf *b, uint64_t value, uint64_t per)
{
	uint64_t rest = value % per * 10, whole = value / per;

	buf_printf(b, "%llu.", (unsigned long long)whole);
	do {
		buf_add_char(b, (char)('0' + rest / per));
		rest = rest % per * 10;
	} while (rest > 0);
}

void metric_ratio(struct metric_out *out, const char *name, uint64_t value,
		  uint64_t per)
{
	buf_printf(out->buf, "%s ", name);
	add_ratio(out->buf, value, per);
	buf_add_char(out->buf, '\n');
}

void metric_histogram(struct metric_out *out, const char *name,
		      const struct histo_view *v, uint64_t per)
{
	struct buf *b = out->buf;
	uint64_t below = 0;
	unsigned i;

	for (i = 0; i < v->bounds->count; i++) {
		below += v->buckets[i];
		buf_printf(b, "%s_bucket{le=\"", name);
		add_ratio(b, v->bounds->at[i], per);
		buf_printf(b, "\"} %llu\n", (unsigned long long)below);
	}
	buf_printf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", name,
		   (unsigned long long)v->count, name);
	add_ratio(b, v->sum, per);
	buf_printf(b, "\n%s_count %llu\n", name, (unsigned long long)v->count);
}

void metric_end(struct metric_out *out)
{
	if (out->open)
		buf_add_span(out->buf, SPAN("# EOF\n"));
}
