/*
 * queue/record.c - records between structs and octets
 *
 *	head (32)    struct record_head
 *	envelope     one of the structs disk_* below, its table, its strings
 *	content      MSG and PART only
 *
 *	MSG   disk_msg, rcpt_count x disk_rcpt, tenant campaign sender params,
 *	      then each recipient's address domain params.  A domain that the
 *	      address ends with is not stored again.
 *	PART  disk_part
 *	OUT   disk_out, rcpt_count x disk_out_rcpt, tenant campaign domain note,
 *	      then each recipient's note
 *	DEC   disk_dec, id_count x u64, tenant campaign domain note; of a site
 *	      its name stands for the domain
 *	CKPT  disk_ckpt
 *
 * Offsets and lengths are checked here against the envelope although its CRC
 * fits: a fuzzer, or a program of another age, may have written it.
 */
#include "queue/record.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "queue/decision.h"

#include <errno.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "records are read in place and are little-endian");
_Static_assert(sizeof(struct record_head) == RECORD_HEAD, "on disk");

#define CRC_COVERS        offsetof(struct record_head, crc)
#define DOMAIN_IN_ADDRESS 0x01u

struct disk_msg {
	uint8_t submission[16];
	uint64_t number, size;
	uint32_t arrived_s, due_s, expires_s, flags;
	uint16_t rcpt_count;
	uint8_t tenant, campaign; /* lengths */
	uint16_t sender, params;
};
_Static_assert(sizeof(struct disk_msg) == 56, "on disk");

struct disk_rcpt {
	uint32_t at; /* from the table's begin */
	uint16_t address, domain, params, flags;
};
_Static_assert(sizeof(struct disk_rcpt) == 12, "on disk");

struct disk_part {
	uint64_t id, offset;
};
_Static_assert(sizeof(struct disk_part) == RECORD_PART_SIZE, "on disk");

struct disk_out {
	uint64_t id;
	uint32_t slot;
	uint16_t rcpt_count, note;
	uint8_t tenant, campaign, domain, zero[5];
};
_Static_assert(sizeof(struct disk_out) == 24, "on disk");

struct disk_out_rcpt {
	uint16_t rcpt;
	uint8_t state, attempts, unsure, zero;
	uint16_t note;
	uint32_t due_s;
};
_Static_assert(sizeof(struct disk_out_rcpt) == 12, "on disk");

struct disk_dec {
	uint8_t verb, tenant, campaign, domain;
	uint32_t made_s;
	uint16_t id_count, note;
	uint32_t zero;
};
_Static_assert(sizeof(struct disk_dec) == 16, "on disk");

struct disk_ckpt {
	uint64_t lsn;
	uint32_t made_s, zero;
};
_Static_assert(sizeof(struct disk_ckpt) == RECORD_CKPT_SIZE, "on disk");

/* --- writing ------------------------------------------------------------- */

static char *put(char *p, const void *from, size_t len)
{
	if (len > 0)
		memcpy(p, from, len);
	return p + len;
}

static char *put_span(char *p, struct span s)
{
	return put(p, s.p, s.len);
}

static bool words_fit(struct span tenant, struct span campaign,
		      struct span domain)
{
	return tenant.len <= QUEUE_WORD_MAX && campaign.len <= QUEUE_WORD_MAX &&
	       domain.len <= QUEUE_WORD_MAX;
}

int record_content_size(const struct iovec *iov, int count, size_t max,
			size_t *bytes_r)
{
	size_t n = 0;
	int i;

	if (count < 0)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		if (iov[i].iov_len > max - n)
			return -EMSGSIZE;
		n += iov[i].iov_len;
	}
	*bytes_r = n;
	return 0;
}

static bool domain_in_address(const struct queue_rcpt *r)
{
	return r->domain.len > 0 && r->domain.len <= r->address.len &&
	       memcmp(r->address.p + r->address.len - r->domain.len,
		      r->domain.p, r->domain.len) == 0;
}

int record_message_size(const struct queue_message *msg, size_t *envelope_r,
			size_t *content_r)
{
	const struct span none = { 0 };
	size_t size = sizeof(struct disk_msg), content;
	uint32_t i;
	int err = record_content_size(msg->content, msg->content_count,
				      QUEUE_PART_MAX, &content);

	if (err < 0)
		return err;
	if (msg->rcpt_count == 0 || content > msg->size)
		return -EINVAL;
	if (msg->rcpt_count > QUEUE_RCPTS_MAX ||
	    msg->size > QUEUE_CONTENT_MAX || msg->sender.len > UINT16_MAX ||
	    msg->params.len > UINT16_MAX ||
	    !words_fit(msg->tenant, msg->campaign, none))
		return -EMSGSIZE;
	size += msg->tenant.len + msg->campaign.len + msg->sender.len +
		msg->params.len;
	for (i = 0; i < msg->rcpt_count; i++) {
		const struct queue_rcpt *r = &msg->rcpts[i];

		if (r->address.len > UINT16_MAX || r->params.len > UINT16_MAX ||
		    r->domain.len > QUEUE_WORD_MAX)
			return -EMSGSIZE;
		size += sizeof(struct disk_rcpt) + r->address.len +
			r->params.len;
		if (!domain_in_address(r))
			size += r->domain.len;
	}
	if (size > QUEUE_ENVELOPE_MAX)
		return -EMSGSIZE;
	*envelope_r = size;
	*content_r = content;
	return 0;
}

static char *put_rcpt(char *p, const char *table, const struct queue_rcpt *r,
		      char *entry)
{
	bool within = domain_in_address(r);
	struct disk_rcpt d = {
		.at = (uint32_t)(p - table),
		.address = (uint16_t)r->address.len,
		.domain = (uint16_t)r->domain.len,
		.params = (uint16_t)r->params.len,
		.flags = within ? DOMAIN_IN_ADDRESS : 0,
	};

	put(entry, &d, sizeof(d));
	p = put_span(p, r->address);
	if (!within)
		p = put_span(p, r->domain);
	return put_span(p, r->params);
}

void record_message_write(const struct queue_message *msg, char *p)
{
	struct disk_msg d = {
		.number = msg->number,
		.size = msg->size,
		.arrived_s = msg->arrived_s,
		.due_s = msg->due_s,
		.expires_s = msg->expires_s,
		.flags = msg->flags,
		.rcpt_count = (uint16_t)msg->rcpt_count,
		.tenant = (uint8_t)msg->tenant.len,
		.campaign = (uint8_t)msg->campaign.len,
		.sender = (uint16_t)msg->sender.len,
		.params = (uint16_t)msg->params.len,
	};
	char *table;
	uint32_t i;

	memcpy(d.submission, msg->submission, sizeof(d.submission));
	table = put(p, &d, sizeof(d));
	p = table + msg->rcpt_count * sizeof(struct disk_rcpt);
	p = put_span(p, msg->tenant);
	p = put_span(p, msg->campaign);
	p = put_span(p, msg->sender);
	p = put_span(p, msg->params);
	for (i = 0; i < msg->rcpt_count; i++)
		p = put_rcpt(p, table, &msg->rcpts[i],
			     table + i * sizeof(struct disk_rcpt));
}

int record_out_size(const struct queue_out *out, size_t *envelope_r)
{
	size_t size = sizeof(struct disk_out);
	uint32_t i;

	if (out->rcpt_count == 0)
		return -EINVAL;
	if (out->rcpt_count > QUEUE_RCPTS_MAX || out->note.len > UINT16_MAX ||
	    !words_fit(out->tenant, out->campaign, out->domain))
		return -EMSGSIZE;
	size += out->tenant.len + out->campaign.len + out->domain.len +
		out->note.len;
	for (i = 0; i < out->rcpt_count; i++) {
		const struct queue_out_rcpt *r = &out->rcpts[i];

		if (r->state < QUEUE_WAITING || r->state > QUEUE_CANCELLED ||
		    r->rcpt >= QUEUE_RCPTS_MAX ||
		    (i > 0 && r->rcpt <= out->rcpts[i - 1].rcpt))
			return -EINVAL;
		if (r->note.len > UINT16_MAX)
			return -EMSGSIZE;
		size += sizeof(struct disk_out_rcpt) + r->note.len;
	}
	if (size > QUEUE_ENVELOPE_MAX)
		return -EMSGSIZE;
	*envelope_r = size;
	return 0;
}

void record_out_write(const struct queue_out *out, char *p)
{
	struct disk_out d = {
		.id = out->id,
		.slot = out->slot,
		.rcpt_count = (uint16_t)out->rcpt_count,
		.note = (uint16_t)out->note.len,
		.tenant = (uint8_t)out->tenant.len,
		.campaign = (uint8_t)out->campaign.len,
		.domain = (uint8_t)out->domain.len,
	};
	uint32_t i;

	p = put(p, &d, sizeof(d));
	for (i = 0; i < out->rcpt_count; i++) {
		const struct queue_out_rcpt *r = &out->rcpts[i];
		struct disk_out_rcpt e = {
			.rcpt = r->rcpt,
			.state = r->state,
			.attempts = r->attempts,
			.unsure = r->unsure,
			.note = (uint16_t)r->note.len,
			.due_s = r->due_s,
		};

		p = put(p, &e, sizeof(e));
	}
	p = put_span(p, out->tenant);
	p = put_span(p, out->campaign);
	p = put_span(p, out->domain);
	p = put_span(p, out->note);
	for (i = 0; i < out->rcpt_count; i++)
		p = put_span(p, out->rcpts[i].note);
}

int record_decision_size(const struct queue_decision *dec, size_t *envelope_r)
{
	struct span place = queue_decision_place(dec);

	if (!queue_decision_fits(dec))
		return -EINVAL;
	if (dec->id_count > QUEUE_DECISION_IDS_MAX ||
	    dec->note.len > UINT16_MAX ||
	    !words_fit(dec->tenant, dec->campaign, place))
		return -EMSGSIZE;
	*envelope_r = sizeof(struct disk_dec) + 8 * (size_t)dec->id_count +
		      dec->tenant.len + dec->campaign.len + place.len +
		      dec->note.len;
	return 0;
}

void record_decision_write(const struct queue_decision *dec, char *p)
{
	struct span place = queue_decision_place(dec);
	struct disk_dec d = {
		.verb = (uint8_t)dec->verb,
		.tenant = (uint8_t)dec->tenant.len,
		.campaign = (uint8_t)dec->campaign.len,
		.domain = (uint8_t)place.len,
		.made_s = dec->made_s,
		.id_count = (uint16_t)dec->id_count,
		.note = (uint16_t)dec->note.len,
	};

	p = put(p, &d, sizeof(d));
	p = put(p, dec->ids, 8 * (size_t)dec->id_count);
	p = put_span(p, dec->tenant);
	p = put_span(p, dec->campaign);
	p = put_span(p, place);
	put_span(p, dec->note);
}

void record_part_write(uint64_t id, uint64_t offset, char *p)
{
	struct disk_part d = { id, offset };

	put(p, &d, sizeof(d));
}

void record_ckpt_write(const struct queue_ckpt *ckpt, char *p)
{
	struct disk_ckpt d = { .lsn = ckpt->lsn, .made_s = ckpt->made_s };

	put(p, &d, sizeof(d));
}

static uint32_t envelope_crc(const struct record_head *h, const char *rec)
{
	uint32_t crc = crc32c(0, h, CRC_COVERS);

	return crc32c(crc, rec + RECORD_HEAD, h->envelope);
}

void record_seal(char *rec, struct record_head h)
{
	BUG_ON(h.length < RECORD_HEAD + h.envelope);
	h.magic = RECORD_MAGIC;
	h.crc = envelope_crc(&h, rec);
	memcpy(rec, &h, sizeof(h));
}

void record_move(char *rec, uint64_t from, uint64_t by, uint32_t group)
{
	struct record_head h;

	memcpy(&h, rec, sizeof(h));
	BUG_ON(h.magic != RECORD_MAGIC || h.lsn < from);
	h.lsn += by;
	h.group = group;
	if (h.type == QUEUE_REC_PART) {
		struct disk_part d;

		memcpy(&d, rec + RECORD_HEAD, sizeof(d));
		if (d.id >= from)
			d.id += by;
		memcpy(rec + RECORD_HEAD, &d, sizeof(d));
	}
	record_seal(rec, h);
}

/* --- reading ------------------------------------------------------------- */

bool record_head_read(const void *p, uint64_t room, uint64_t lsn,
		      struct record_head *h_r)
{
	struct record_head h;

	if (room < RECORD_HEAD)
		return false;
	memcpy(&h, p, sizeof(h));
	if (h.magic != RECORD_MAGIC || h.lsn != lsn || h.type < QUEUE_REC_MSG ||
	    h.type > QUEUE_REC_CKPT || h.envelope > QUEUE_ENVELOPE_MAX ||
	    h.length < RECORD_HEAD + h.envelope ||
	    record_content_bytes(&h) > QUEUE_PART_MAX ||
	    record_room(h.length) > room)
		return false;
	*h_r = h;
	return true;
}

bool record_envelope_ok(const void *p, const struct record_head *h)
{
	return envelope_crc(h, p) == h->crc;
}

bool record_content_ok(const void *p, const struct record_head *h)
{
	return crc32c(0, (const char *)p + RECORD_HEAD + h->envelope,
		      record_content_bytes(h)) == h->content_crc;
}

/* What is left of an envelope. */
struct rest {
	const char *p;
	size_t left;
	bool wrong;
};

static const void *take(struct rest *r, size_t len)
{
	const char *p = r->p;

	if (r->wrong || len > r->left) {
		r->wrong = true;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

static struct span take_span(struct rest *r, size_t len)
{
	const void *p = take(r, len);

	return span_of(p, p == NULL ? 0 : len);
}

static bool take_struct(struct rest *r, void *to, size_t len)
{
	const void *p = take(r, len);

	if (p != NULL)
		memcpy(to, p, len);
	return p != NULL;
}

static bool rcpts_within(const char *table, uint32_t count, const char *end)
{
	uint64_t size = (uint64_t)(end - table);
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct disk_rcpt d;
		uint64_t last;

		memcpy(&d, table + i * sizeof(d), sizeof(d));
		last = (uint64_t)d.at + d.address + d.params;
		if (d.flags & DOMAIN_IN_ADDRESS) {
			if (d.domain > d.address)
				return false;
		} else {
			last += d.domain;
		}
		if (last > size)
			return false;
	}
	return true;
}

static bool decode_msg(struct rest r, struct queue_record *rec)
{
	struct queue_view *v = &rec->msg;
	const char *end = r.p + r.left;
	struct disk_msg d;

	if (!take_struct(&r, &d, sizeof(d)) || d.rcpt_count == 0 ||
	    d.rcpt_count > QUEUE_RCPTS_MAX || d.size > QUEUE_CONTENT_MAX ||
	    rec->content_bytes > d.size)
		return false;
	v->rcpt_table = take(&r, d.rcpt_count * sizeof(struct disk_rcpt));
	v->tenant = take_span(&r, d.tenant);
	v->campaign = take_span(&r, d.campaign);
	v->sender = take_span(&r, d.sender);
	v->params = take_span(&r, d.params);
	if (r.wrong || !rcpts_within(v->rcpt_table, d.rcpt_count, end))
		return false;
	v->id = rec->lsn;
	v->rcpt_count = d.rcpt_count;
	v->arrived_s = d.arrived_s;
	v->expires_s = d.expires_s;
	v->flags = d.flags;
	v->size = d.size;
	rec->due_s = d.due_s;
	rec->submission_number = d.number;
	memcpy(rec->submission, d.submission, sizeof(rec->submission));
	return true;
}

void queue_view_rcpt(const struct queue_view *view, uint32_t i,
		     struct queue_rcpt *rcpt_r)
{
	const char *table = view->rcpt_table, *p;
	struct disk_rcpt d;

	BUG_ON(i >= view->rcpt_count);
	memcpy(&d, table + i * sizeof(d), sizeof(d));
	p = table + d.at;
	rcpt_r->address = span_of(p, d.address);
	p += d.address;
	if (d.flags & DOMAIN_IN_ADDRESS) {
		rcpt_r->domain = span_of(p - d.domain, d.domain);
	} else {
		rcpt_r->domain = span_of(p, d.domain);
		p += d.domain;
	}
	rcpt_r->params = span_of(p, d.params);
}

static bool decode_part(struct rest r, const struct record_head *h,
			struct queue_record *rec)
{
	struct disk_part d;

	if (!take_struct(&r, &d, sizeof(d)) ||
	    d.offset > QUEUE_CONTENT_MAX - rec->content_bytes)
		return false;
	rec->part.id = d.id;
	rec->part.offset = d.offset;
	rec->part.length = rec->content_bytes;
	rec->part.abandoned = h->flags & RECORD_FLAG_ABANDONED;
	return true;
}

static bool decode_out(struct rest r, struct queue_out_rcpt *rcpts,
		       struct queue_out *out)
{
	struct disk_out d;
	const char *table;
	uint32_t i;

	if (!take_struct(&r, &d, sizeof(d)) || d.rcpt_count == 0 ||
	    d.rcpt_count > QUEUE_RCPTS_MAX)
		return false;
	out->id = d.id;
	out->slot = d.slot;
	out->rcpt_count = d.rcpt_count;
	out->rcpts = rcpts;
	table = take(&r, d.rcpt_count * sizeof(struct disk_out_rcpt));
	out->tenant = take_span(&r, d.tenant);
	out->campaign = take_span(&r, d.campaign);
	out->domain = take_span(&r, d.domain);
	out->note = take_span(&r, d.note);
	for (i = 0; !r.wrong && i < d.rcpt_count; i++) {
		struct disk_out_rcpt e;

		memcpy(&e, table + i * sizeof(e), sizeof(e));
		if (e.state < QUEUE_WAITING || e.state > QUEUE_CANCELLED ||
		    e.rcpt >= QUEUE_RCPTS_MAX ||
		    (i > 0 && e.rcpt <= rcpts[i - 1].rcpt))
			return false;
		rcpts[i] = (struct queue_out_rcpt){
			.rcpt = e.rcpt,
			.state = e.state,
			.attempts = e.attempts,
			.unsure = e.unsure,
			.due_s = e.due_s,
			.note = take_span(&r, e.note),
		};
	}
	return !r.wrong;
}

static bool decode_dec(struct rest r, struct queue_decision *dec)
{
	struct disk_dec d;
	struct span place;

	if (!take_struct(&r, &d, sizeof(d)) ||
	    d.id_count > QUEUE_DECISION_IDS_MAX)
		return false;
	dec->verb = (enum queue_verb)d.verb;
	dec->made_s = d.made_s;
	dec->id_count = d.id_count;
	dec->ids = take(&r, 8 * (size_t)d.id_count);
	dec->tenant = take_span(&r, d.tenant);
	dec->campaign = take_span(&r, d.campaign);
	place = take_span(&r, d.domain);
	dec->note = take_span(&r, d.note);
	return queue_decision_set_place(dec, place) && !r.wrong;
}

bool record_decode(const void *p, const struct record_head *h,
		   struct queue_out_rcpt *rcpts, struct queue_record *rec_r)
{
	struct rest r = { (const char *)p + RECORD_HEAD, h->envelope, false };
	struct disk_ckpt ckpt;

	memset(rec_r, 0, sizeof(*rec_r));
	rec_r->lsn = h->lsn;
	rec_r->end = record_end(h);
	rec_r->type = (enum queue_record_type)h->type;
	rec_r->content_bytes = record_content_bytes(h);
	rec_r->raw = span_of(r.p, r.left);
	switch (rec_r->type) {
	case QUEUE_REC_MSG:
		return decode_msg(r, rec_r);
	case QUEUE_REC_PART:
		return decode_part(r, h, rec_r);
	case QUEUE_REC_OUT:
		return decode_out(r, rcpts, &rec_r->out);
	case QUEUE_REC_DEC:
		return decode_dec(r, &rec_r->dec);
	case QUEUE_REC_CKPT:
		if (!take_struct(&r, &ckpt, sizeof(ckpt)))
			return false;
		rec_r->ckpt.lsn = ckpt.lsn;
		rec_r->ckpt.made_s = ckpt.made_s;
		return true;
	case QUEUE_REC_MOVE:
	case QUEUE_REC_BODY:
		return true;
	}
	return false;
}
