/*
 * queue/decision.c - an operator's decision in octets
 */
#include "queue/decision.h"

#include <endian.h>
#include <errno.h>

#define VERSION 1u

bool queue_decision_fits(const struct queue_decision *dec)
{
	if (dec->verb < QUEUE_VERB_HOLD || dec->verb > QUEUE_VERB_SITE_RESUME)
		return false;
	if (!queue_decision_of_site(dec))
		return dec->site.len == 0;
	return dec->site.len > 0 && dec->domain.len == 0 &&
	       dec->tenant.len == 0 && dec->campaign.len == 0 &&
	       dec->id_count == 0;
}

bool queue_decision_set_place(struct queue_decision *dec, struct span place)
{
	if (queue_decision_of_site(dec))
		dec->site = place;
	else
		dec->domain = place;
	return queue_decision_fits(dec);
}

static void pack_word(struct buf *to, struct span word)
{
	buf_add_char(to, (char)(unsigned char)word.len);
	buf_add_span(to, word);
}

int queue_decision_pack(const struct queue_decision *dec, struct buf *to)
{
	uint16_t count = htole16((uint16_t)dec->id_count);
	uint32_t i, made_s = htole32(dec->made_s);
	uint64_t id;

	buf_add_char(to, VERSION);
	buf_add_char(to, (char)dec->verb);
	buf_add(to, &count, sizeof(count));
	buf_add(to, &made_s, sizeof(made_s));
	pack_word(to, dec->tenant);
	pack_word(to, dec->campaign);
	pack_word(to, queue_decision_place(dec));
	for (i = 0; i < dec->id_count; i++) {
		id = htole64(dec->ids[i]);
		buf_add(to, &id, sizeof(id));
	}
	return to->failed;
}

/* Take len octets off the front; false when there are fewer. */
static bool take(struct span *from, void *to, size_t len)
{
	if (from->len < len)
		return false;
	memcpy(to, from->p, len);
	from->p += len;
	from->len -= len;
	return true;
}

static bool take_word(struct span *from, struct span *word_r)
{
	uint8_t len;

	if (!take(from, &len, 1) || from->len < len)
		return false;
	*word_r = span_of(from->p, len);
	from->p += len;
	from->len -= len;
	return true;
}

int queue_decision_parse(struct span raw, uint64_t *ids,
			 struct queue_decision *dec_r)
{
	struct queue_decision dec = { .ids = ids };
	struct span place;
	uint8_t version, verb;
	uint16_t count;
	uint32_t i;

	if (!take(&raw, &version, 1) || version != VERSION ||
	    !take(&raw, &verb, 1) || !take(&raw, &count, sizeof(count)) ||
	    !take(&raw, &dec.made_s, sizeof(dec.made_s)) ||
	    !take_word(&raw, &dec.tenant) || !take_word(&raw, &dec.campaign) ||
	    !take_word(&raw, &place))
		return -EUCLEAN;
	dec.verb = (enum queue_verb)verb;
	dec.made_s = le32toh(dec.made_s);
	dec.id_count = le16toh(count);
	if (!queue_decision_set_place(&dec, place) ||
	    dec.id_count > QUEUE_DECISION_IDS_MAX ||
	    raw.len != dec.id_count * sizeof(uint64_t))
		return -EUCLEAN;
	for (i = 0; i < dec.id_count; i++) {
		take(&raw, &ids[i], sizeof(ids[i]));
		ids[i] = le64toh(ids[i]);
	}
	*dec_r = dec;
	return 0;
}
