/*
 * queue/decision.c - an operator's decision in octets
 */
#include "queue/decision.h"

#include <endian.h>
#include <errno.h>

#define VERSION    1u
#define PICK_BYTES 10u

int queue_decision_check(const struct queue_decision *dec)
{
	const struct queue_filter *f = &dec->filter;

	if (dec->verb < QUEUE_VERB_HOLD || dec->verb > QUEUE_VERB_RESUME)
		return -EINVAL;
	if (dec->verb >= QUEUE_VERB_PAUSE && dec->pick_count > 0)
		return -EINVAL;
	if (dec->pick_count > QUEUE_PICKS_MAX ||
	    f->tenant.len > QUEUE_WORD_MAX ||
	    f->campaign.len > QUEUE_WORD_MAX || f->domain.len > QUEUE_WORD_MAX)
		return -EINVAL;
	return 0;
}

static void pack_word(struct buf *to, struct span word)
{
	buf_add_char(to, (char)(unsigned char)word.len);
	buf_add_span(to, word);
}

int queue_decision_pack(const struct queue_decision *dec, struct buf *to)
{
	uint16_t count = htole16((uint16_t)dec->pick_count), rcpt;
	uint32_t i, at_s = htole32(dec->at_s);
	uint64_t id;

	buf_add_char(to, VERSION);
	buf_add_char(to, (char)dec->verb);
	buf_add(to, &count, sizeof(count));
	buf_add(to, &at_s, sizeof(at_s));
	pack_word(to, dec->filter.tenant);
	pack_word(to, dec->filter.campaign);
	pack_word(to, dec->filter.domain);
	for (i = 0; i < dec->pick_count; i++) {
		id = htole64(dec->picks[i].id);
		rcpt = htole16(dec->picks[i].rcpt);
		buf_add(to, &id, sizeof(id));
		buf_add(to, &rcpt, sizeof(rcpt));
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

static bool take_pick(struct span *from, struct queue_pick *pick)
{
	if (!take(from, &pick->id, sizeof(pick->id)) ||
	    !take(from, &pick->rcpt, sizeof(pick->rcpt)))
		return false;
	pick->id = le64toh(pick->id);
	pick->rcpt = le16toh(pick->rcpt);
	return true;
}

int queue_decision_parse(struct span raw, struct queue_pick *picks,
			 struct queue_decision *dec_r)
{
	struct queue_decision dec = { .picks = picks };
	uint8_t version, verb;
	uint16_t count;
	uint32_t i;

	if (!take(&raw, &version, 1) || version != VERSION ||
	    !take(&raw, &verb, 1) || !take(&raw, &count, sizeof(count)) ||
	    !take(&raw, &dec.at_s, sizeof(dec.at_s)) ||
	    !take_word(&raw, &dec.filter.tenant) ||
	    !take_word(&raw, &dec.filter.campaign) ||
	    !take_word(&raw, &dec.filter.domain))
		return -EPROTO;
	dec.verb = (enum queue_verb)verb;
	dec.at_s = le32toh(dec.at_s);
	dec.pick_count = le16toh(count);
	if (raw.len != (size_t)dec.pick_count * PICK_BYTES ||
	    queue_decision_check(&dec) < 0)
		return -EPROTO;
	for (i = 0; i < dec.pick_count; i++)
		if (!take_pick(&raw, &picks[i]))
			return -EPROTO;
	*dec_r = dec;
	return 0;
}
