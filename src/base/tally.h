#ifndef MTAQ_BASE_TALLY_H
#define MTAQ_BASE_TALLY_H

/*
 * Figures that one thread writes and any thread reads, a moment old: counters
 * and histograms.  Writing is a load and a store, no locked instruction and
 * no memory: cheap enough for every message.
 *
 * A histogram has fixed upper bounds, rising, shared by all its copies;
 * bucket i counts values <= bounds[i], the last one what is larger.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTO_BOUNDS_MAX 20u

/* Only the counter's own thread may do this. */
static inline void tally_add(_Atomic uint64_t *n, uint64_t more)
{
	atomic_store_explicit(
		n, atomic_load_explicit(n, memory_order_relaxed) + more,
		memory_order_relaxed);
}

static inline uint64_t tally_read(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static inline void tally_set(_Atomic uint64_t *n, uint64_t value)
{
	atomic_store_explicit(n, value, memory_order_relaxed);
}

struct histo_bounds {
	uint64_t at[HISTO_BOUNDS_MAX]; /* in the unit of what is observed */
	unsigned count;
};

struct histo {
	const struct histo_bounds *bounds;
	_Atomic uint64_t buckets[HISTO_BOUNDS_MAX + 1];
	_Atomic uint64_t sum;
};

/* All of it zero but for the bounds, which must outlive it. */
void histo_init(struct histo *h, const struct histo_bounds *bounds);
/* Only the histogram's own thread may do this. */
void histo_observe(struct histo *h, uint64_t value);

/* What histograms of the same bounds hold together. */
struct histo_view {
	const struct histo_bounds *bounds;
	uint64_t buckets[HISTO_BOUNDS_MAX + 1];
	uint64_t count, sum;
};
/* Add h to v; v is all zero before the first. */
void histo_read(const struct histo *h, struct histo_view *v);
/* later - earlier: what came between two looks at the same histograms. */
void histo_since(const struct histo_view *earlier,
		 const struct histo_view *later, struct histo_view *v_r);
/*
 * The value below which `per_mille` thousandths of what was observed lie, as
 * Prometheus' histogram_quantile() estimates it: linear within the bucket; in
 * the last bucket its lower bound.  0 when nothing was observed.
 */
uint64_t histo_quantile(const struct histo_view *v, unsigned per_mille);

#endif
