/*
 * site/rollup.c - which domains share a site
 *
 * Hosts of equal preference are a rank.  Two sets are the same site when they
 * hold the same hosts in the same ranks: the numbers do not matter, and the
 * order within a rank is the resolver's dice.
 */
#include "site/site.h"

#include "base/hash.h"

static bool ends_at_dot(struct span name, const char *suffix)
{
	struct span end = span_str(suffix);

	if (!span_ends_nocase(name, end))
		return false;
	return name.len == end.len || name.p[name.len - end.len - 1] == '.';
}

static bool host_matches(const struct mx_host *host,
			 const struct site_preset *preset)
{
	int i;

	for (i = 0; i < SITE_SUFFIXES_MAX && preset->suffixes[i] != NULL; i++)
		if (ends_at_dot(span_str(host->name), preset->suffixes[i]))
			return true;
	return false;
}

/* All hosts must match: else one could slip a host of one's own into a site
 * that carries the mail of others. */
static const struct site_preset *preset_of(const struct mxset *set,
					   const struct site_preset *presets,
					   size_t count)
{
	size_t p;

	for (p = 0; p < count; p++) {
		uint16_t h = 0;

		while (h < set->host_count &&
		       host_matches(&set->hosts[h], &presets[p]))
			h++;
		if (h > 0 && h == set->host_count)
			return &presets[p];
	}
	return NULL;
}

static uint64_t host_hash(const struct mx_host *host)
{
	struct span name = span_str(host->name);
	uint16_t port = host->addr_count > 0 ? host->addrs[0].port : 0;
	uint64_t hash = hash_pair(hash_bytes(name.p, name.len, 0), port);
	size_t i;

	/* A name tells a host; without one (a routes: entry), its addresses. */
	for (i = 0; name.len == 0 && i < host->addr_count; i++)
		hash = hash_pair(hash, hash_bytes(host->addrs[i].ip, 16, 0));
	return hash;
}

/* Sums do not see the order within a rank. */
static uint64_t set_hash(const struct mxset *set)
{
	uint64_t hash = set->implicit ? 1 : 0, rank = 0;
	uint16_t i;

	for (i = 0; i < set->host_count; i++) {
		if (i > 0 &&
		    set->hosts[i].preference != set->hosts[i - 1].preference) {
			hash = hash_pair(hash, rank);
			rank = 0;
		}
		rank += hash_u64(host_hash(&set->hosts[i]));
	}
	return hash_pair(hash, rank);
}

void site_key(const struct mxset *set, const struct site_preset *presets,
	      size_t preset_count, uint32_t policy, uint32_t source,
	      struct site_key *key_r)
{
	const struct site_preset *preset =
		preset_of(set, presets, preset_count);
	uint64_t way = (uint64_t)policy << 32 | source, owner, hash;

	if (preset == NULL) {
		owner = hash = hash_pair(set_hash(set), way);
	} else {
		struct span name = span_str(preset->name);

		/* Limits are the receiver's for a source address; it does
		 * not see our TLS policies. */
		owner = hash_pair(hash_bytes(name.p, name.len, 1), source);
		hash = preset->one_set ? owner : set_hash(set);
		hash = hash_pair(hash, way);
	}
	*key_r = (struct site_key){ .hash = hash,
				    .owner = owner,
				    .preset = preset };
}
