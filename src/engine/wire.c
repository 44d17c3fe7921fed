/*
 * engine/wire.c - an outcome in one piece, for a lane
 *
 *	struct head | tenant campaign domain note | struct part, note | ...
 *
 * Copied with memcpy, so nothing needs to be aligned.
 */
#include "engine/wire.h"

#include "base/hash.h"

#include "base/bug.h"

struct head {
	uint64_t id;
	uint32_t slot, rcpt_count;
	uint32_t tenant_len, campaign_len, domain_len, note_len;
};

struct part {
	uint32_t due_s, note_len;
	uint16_t rcpt;
	uint8_t state, attempts, unsure;
};

size_t out_wire_size(const struct queue_out *out)
{
	size_t size = sizeof(struct head) + out->tenant.len +
		      out->campaign.len + out->domain.len + out->note.len;
	uint32_t i;

	for (i = 0; i < out->rcpt_count; i++)
		size += sizeof(struct part) + out->rcpts[i].note.len;
	return size;
}

static bool is_or_any(uint64_t asked, uint64_t hash)
{
	return asked == 0 || asked == hash;
}

uint64_t wire_word_hash(struct span word)
{
	uint64_t hash = hash_bytes(word.p, word.len, 0);

	return hash == 0 ? 1 : hash; /* 0 means any */
}

bool recall_covers(const struct to_worker_recall *m,
		   const struct word_hashes *words)
{
	return is_or_any(m->words.tenant, words->tenant) &&
	       is_or_any(m->words.campaign, words->campaign) &&
	       is_or_any(m->words.domain, words->domain);
}

bool recall_names(const struct to_worker_recall *m, uint64_t id)
{
	uint32_t low = 0, high = m->id_count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (m->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return m->id_count == 0 || (low < m->id_count && m->ids[low] == id);
}

static char *put(char *at, const void *p, size_t len)
{
	if (len > 0)
		memcpy(at, p, len);
	return at + len;
}

void out_wire_put(const struct queue_out *out, void *to)
{
	struct head h = {
		.id = out->id,
		.slot = out->slot,
		.rcpt_count = out->rcpt_count,
		.tenant_len = (uint32_t)out->tenant.len,
		.campaign_len = (uint32_t)out->campaign.len,
		.domain_len = (uint32_t)out->domain.len,
		.note_len = (uint32_t)out->note.len,
	};
	char *at = put(to, &h, sizeof(h));
	uint32_t i;

	at = put(at, out->tenant.p, out->tenant.len);
	at = put(at, out->campaign.p, out->campaign.len);
	at = put(at, out->domain.p, out->domain.len);
	at = put(at, out->note.p, out->note.len);
	for (i = 0; i < out->rcpt_count; i++) {
		const struct queue_out_rcpt *r = &out->rcpts[i];
		struct part p = {
			.due_s = r->due_s,
			.note_len = (uint32_t)r->note.len,
			.rcpt = r->rcpt,
			.state = r->state,
			.attempts = r->attempts,
			.unsure = r->unsure,
		};

		at = put(at, &p, sizeof(p));
		at = put(at, r->note.p, r->note.len);
	}
}

static struct span take(const char **at, size_t len)
{
	struct span s = span_of(*at, len);

	*at += len;
	return s;
}

void out_wire_get(const void *from, struct queue_out_rcpt *rcpts,
		  size_t rcpts_max, struct queue_out *out_r)
{
	const char *at = from;
	struct head h;
	struct part p;
	uint32_t i;

	memcpy(&h, at, sizeof(h));
	at += sizeof(h);
	BUG_ON(h.rcpt_count > rcpts_max);
	*out_r = (struct queue_out){ .id = h.id,
				     .slot = h.slot,
				     .rcpts = rcpts,
				     .rcpt_count = h.rcpt_count };
	out_r->tenant = take(&at, h.tenant_len);
	out_r->campaign = take(&at, h.campaign_len);
	out_r->domain = take(&at, h.domain_len);
	out_r->note = take(&at, h.note_len);
	for (i = 0; i < h.rcpt_count; i++) {
		memcpy(&p, at, sizeof(p));
		at += sizeof(p);
		rcpts[i] = (struct queue_out_rcpt){
			.rcpt = p.rcpt,
			.state = p.state,
			.attempts = p.attempts,
			.unsure = p.unsure,
			.due_s = p.due_s,
			.note = take(&at, p.note_len),
		};
	}
}

static struct site_pause_rule *find_rule(const struct site_pauses *p,
					 struct span name)
{
	uint32_t i;

	for (i = 0; i < p->count; i++)
		if (span_eq_nocase(span_str(p->rules[i].name), name))
			return (struct site_pause_rule *)&p->rules[i];
	return NULL;
}

const struct site_pause_rule *site_pauses_find(const struct site_pauses *p,
					       struct span name)
{
	return find_rule(p, name);
}

void site_pauses_see(struct site_pauses *p, struct span name)
{
	struct site_pause_rule *rule = find_rule(p, name);

	if (rule != NULL)
		rule->seen = true;
}
