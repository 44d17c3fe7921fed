#ifndef MTAQ_BASE_SPAN_H
#define MTAQ_BASE_SPAN_H

/*
 * Octets with their length.  Text from the network is never a C string
 * (it may hold NUL); it travels as a span.  A span borrows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p; /* may be NULL when len is 0 */
	size_t len;
};

/* A span over a string literal. */
#define SPAN(lit) ((struct span){ (lit), sizeof(lit) - 1 })

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span){ p, len };
}

/* A span over a C string; NULL gives an empty one. */
static inline struct span span_str(const char *s)
{
	return (struct span){ s, s == NULL ? 0 : strlen(s) };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* As span_eq, ASCII letters without their case. */
bool span_eq_nocase(struct span a, struct span b);
/* Does a begin with b, ASCII letters without their case? */
bool span_starts_nocase(struct span a, struct span b);
/* Does a end with b, ASCII letters without their case? */
bool span_ends_nocase(struct span a, struct span b);
/* Where c first stands, or -1. */
ptrdiff_t span_find(struct span a, char c);
/* Without the blanks (space, tab) at both ends. */
struct span span_trim(struct span a);
/* Parse all of a as decimal; false when empty, not digits, or over max. */
bool span_u64(struct span a, uint64_t max, uint64_t *value_r);

#endif
