/*
 * queue/record.c - records: sealed, and read
 *
 * Offsets and lengths are checked here against the envelope although its CRC
 * fits: a fuzzer, or a program of another age, may have written it.
 */
#include "queue/record_disk.h"

#include "base/bug.h"
#include "base/crc32c.h"
#include "queue/bits.h"
#include "queue/decision.h"

#include <errno.h>
#include <string.h>

#define CRC_COVERS offsetof(struct record_head, crc)

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
	    h.type > QUEUE_REC_CKPT || h.envelope > RECORD_ENVELOPE_MAX ||
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

static struct rest rest_of(struct span envelope)
{
	return (struct rest){ envelope.p, envelope.len, false };
}

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

static void take_stands(struct rest *r, const struct disk_msg *d,
			struct queue_view *v)
{
	struct disk_adopted a;

	v->adopted_s = 0;
	v->stand_table = NULL;
	if ((d->flags & ADOPTED) == 0 || !take_struct(r, &a, sizeof(a)))
		return;
	v->stand_table = take(r, d->rcpt_count * sizeof(struct disk_stand));
	v->adopted_s = a.at_s;
	r->wrong = r->wrong || a.at_s == 0;
	v->origin_id = d->number;
	memcpy(v->origin_spool, d->submission, sizeof(v->origin_spool));
}

static bool decode_msg(struct span envelope, struct queue_record *rec)
{
	struct rest r = rest_of(envelope);
	struct queue_view *v = &rec->msg;
	const char *end = envelope.p + envelope.len;
	struct disk_msg d;

	if (!take_struct(&r, &d, sizeof(d)) || d.rcpt_count == 0 ||
	    d.rcpt_count > QUEUE_RCPTS_MAX || d.size > QUEUE_CONTENT_MAX ||
	    rec->content_bytes > d.size)
		return false;
	v->rcpt_table = take(&r, d.rcpt_count * sizeof(struct disk_rcpt));
	take_stands(&r, &d, v);
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
	v->flags = d.flags & ~ADOPTED;
	v->size = d.size;
	v->content = NULL;
	v->content_count = 0;
	v->pin = v->pins = NULL;
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

bool queue_view_stand(const struct queue_view *view, uint32_t i,
		      struct queue_stand *stand_r)
{
	const char *table = view->stand_table;
	struct disk_stand d;

	BUG_ON(i >= view->rcpt_count);
	if (table == NULL)
		return false;
	memcpy(&d, table + i * sizeof(d), sizeof(d));
	*stand_r = (struct queue_stand){ d.slot, d.attempts, d.unsure };
	return true;
}

static bool decode_part(struct span envelope, const struct record_head *h,
			struct queue_record *rec)
{
	struct rest r = rest_of(envelope);
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

static bool decode_out(struct span envelope, struct queue_out_rcpt *rcpts,
		       struct queue_out *out)
{
	struct rest r = rest_of(envelope);
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

static bool decode_dec(struct span envelope, struct queue_decision *dec)
{
	struct rest r = rest_of(envelope);
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

bool record_task_next(struct span *tasks, struct record_task *task_r)
{
	struct rest r = rest_of(*tasks);
	struct disk_task d;
	const void *open;

	if (!take_struct(&r, &d, sizeof(d)))
		return false;
	open = take(&r, d.open);
	if (open == NULL || d.open == 0 || d.open > sizeof(task_r->open))
		return false;
	*task_r = (struct record_task){ .slot = d.slot,
					.first = d.first,
					.attempts = d.attempts,
					.unsure = d.unsure };
	memcpy(task_r->open, open, d.open);
	if (!bits_has(task_r->open, 0) ||
	    d.first + bits_end(task_r->open, QUEUE_OPEN_WORDS) >
		    QUEUE_RCPTS_MAX)
		return false;
	*tasks = span_of(r.p, r.left);
	return true;
}

static bool decode_move(struct span envelope, const struct record_head *h,
			struct queue_record *rec)
{
	struct rest r = rest_of(envelope);
	struct queue_move *move = &rec->move;
	struct record_task task;
	struct disk_move d;
	struct span tasks;

	if (!take_struct(&r, &d, sizeof(d)) ||
	    (d.type != QUEUE_REC_MSG &&
	     (d.type != QUEUE_REC_DEC || d.tasks > 0)) ||
	    (d.why != 0) != ((h->flags & RECORD_FLAG_ABANDONED) != 0))
		return false;
	move->id = d.id;
	move->from = d.from;
	move->type = d.type;
	move->why = d.why;
	move->tasks = tasks = take_span(&r, d.tasks);
	rec->raw = span_of(r.p, r.left);
	if (r.wrong)
		return false;
	while (tasks.len > 0)
		if (!record_task_next(&tasks, &task))
			return false;
	if (d.why != 0)
		return true;
	if (d.type == QUEUE_REC_DEC)
		return decode_dec(rec->raw, &rec->dec);
	if (!decode_msg(rec->raw, rec))
		return false;
	rec->msg.id = d.id;
	return true;
}

bool record_decode(const void *p, const struct record_head *h,
		   struct queue_out_rcpt *rcpts, struct queue_record *rec_r)
{
	struct disk_ckpt ckpt;
	struct rest r;

	/* What is not of a message takes longer to clear than a message to
	 * read, and nobody looks at it. */
	if (h->type != QUEUE_REC_MSG)
		memset(rec_r, 0, sizeof(*rec_r));
	rec_r->lsn = h->lsn;
	rec_r->end = record_end(h);
	rec_r->type = (enum queue_record_type)h->type;
	rec_r->content_bytes = record_content_bytes(h);
	rec_r->envelope = (const char *)p + RECORD_HEAD;
	rec_r->raw = span_of(rec_r->envelope, h->envelope);
	switch (rec_r->type) {
	case QUEUE_REC_MSG:
		return decode_msg(rec_r->raw, rec_r);
	case QUEUE_REC_PART:
		return decode_part(rec_r->raw, h, rec_r);
	case QUEUE_REC_OUT:
		return decode_out(rec_r->raw, rcpts, &rec_r->out);
	case QUEUE_REC_DEC:
		return decode_dec(rec_r->raw, &rec_r->dec);
	case QUEUE_REC_CKPT:
		r = rest_of(rec_r->raw);
		if (!take_struct(&r, &ckpt, sizeof(ckpt)))
			return false;
		rec_r->ckpt.lsn = ckpt.lsn;
		rec_r->ckpt.made_s = ckpt.made_s;
		return true;
	case QUEUE_REC_MOVE:
		return decode_move(rec_r->raw, h, rec_r);
	case QUEUE_REC_BODY:
		return true;
	}
	return false;
}
