/*
 * engine/source.c - which of our addresses a site sees (smtp.sources)
 *
 * Always the same one: greylisting knows the triplet of address, sender and
 * recipient, so that a retry must come from where the first attempt came from
 * (docs/SMTP.md 31), and the windows and pauses of a site are those of one
 * source.  Several sources share the sites between them by the highest hash of
 * (site, source): one more takes its share from each, and moves no other site.
 */
#include "engine/worker_private.h"

#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int source_init(struct worker_state *s)
{
	const struct settings_words *words = &s->set->smtp.sources;
	uint32_t i;

	if (words->count == 0)
		return 0;
	s->sources = calloc(words->count, sizeof(*s->sources));
	if (s->sources == NULL)
		return -ENOMEM;
	s->source_count = words->count;
	for (i = 0; i < words->count; i++) {
		struct source_addr *from = &s->sources[i];
		struct span text = span_str(words->items[i]);

		if (io_addr_parse(text, 0, &from->addr) < 0)
			return -EINVAL;
		snprintf(from->text, sizeof(from->text), "%.*s", (int)text.len,
			 text.p);
		from->hash = hash_bytes(text.p, text.len, 0);
	}
	return 0;
}

void source_free(struct worker_state *s)
{
	free(s->sources);
	s->sources = NULL;
}

int source_of(const struct worker_state *s, const struct wsite *ws,
	      const struct mx_addr *to, const struct source_addr **from_r)
{
	int family = to->family == 6 ? AF_INET6 : AF_INET;
	const struct source_addr *best = NULL;
	uint64_t highest = 0, hash;
	uint32_t i;

	for (i = 0; i < s->source_count; i++) {
		if (s->sources[i].addr.u.sa.sa_family != family)
			continue;
		hash = hash_pair(site_hash(ws->site), s->sources[i].hash);
		if (best == NULL || hash > highest) {
			best = &s->sources[i];
			highest = hash;
		}
	}
	/* Not from an address that nobody has named. */
	if (best == NULL && s->source_count > 0)
		return -EAFNOSUPPORT;
	*from_r = best;
	return 0;
}
