/*
 * base/tally.c - histograms that one thread writes and any thread reads
 *
 * The count is the sum of the buckets, so that a reader who comes between two
 * writes never sees a bucket that is not counted.
 */
#include "base/tally.h"

#include "base/bug.h"

#include <string.h>

void histo_init(struct histo *h, const struct histo_bounds *bounds)
{
	unsigned i;

	BUG_ON(bounds->count == 0 || bounds->count > HISTO_BOUNDS_MAX);
	h->bounds = bounds;
	for (i = 0; i <= HISTO_BOUNDS_MAX; i++)
		atomic_init(&h->buckets[i], 0);
	atomic_init(&h->sum, 0);
}

void histo_observe(struct histo *h, uint64_t value)
{
	const struct histo_bounds *b = h->bounds;
	unsigned i = 0;

	while (i < b->count && value > b->at[i])
		i++;
	tally_add(&h->buckets[i], 1);
	tally_add(&h->sum, value);
}

void histo_read(const struct histo *h, struct histo_view *v)
{
	uint64_t n;
	unsigned i;

	BUG_ON(v->bounds != NULL && v->bounds != h->bounds);
	v->bounds = h->bounds;
	for (i = 0; i <= h->bounds->count; i++) {
		n = tally_read(&h->buckets[i]);
		v->buckets[i] += n;
		v->count += n;
	}
	v->sum += tally_read(&h->sum);
}

void histo_since(const struct histo_view *earlier,
		 const struct histo_view *later, struct histo_view *v_r)
{
	unsigned i;

	BUG_ON(later->bounds == NULL);
	*v_r = *later;
	for (i = 0; i <= later->bounds->count; i++)
		v_r->buckets[i] -= earlier->buckets[i];
	v_r->count -= earlier->count;
	v_r->sum -= earlier->sum;
}

uint64_t histo_quantile(const struct histo_view *v, unsigned per_mille)
{
	/* In thousandths of an observation. */
	uint64_t rank = v->count * per_mille, below = 0, low, width, within;
	unsigned i;

	if (v->count == 0)
		return 0;
	for (i = 0; i < v->bounds->count; i++) {
		if ((below + v->buckets[i]) * 1000 >= rank && v->buckets[i] > 0)
			break;
		below += v->buckets[i];
	}
	low = i == 0 ? 0 : v->bounds->at[i - 1];
	if (i == v->bounds->count)
		return low;
	width = v->bounds->at[i] - low;
	within = rank > below * 1000 ? rank - below * 1000 : 0;
	return low + width * within / (v->buckets[i] * 1000);
}
