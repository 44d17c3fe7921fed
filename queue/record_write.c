/*
 * queue/record_write.c - envelopes from structs to octets
 */
#include "queue/record_disk.h"

#include "queue/bits.h"
#include "queue/decision.h"

#include <errno.h>
#include <string.h>

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

static size_t adopted_size(uint32_t rcpt_count)
{
	return sizeof(struct disk_adopted) +
	       rcpt_count * sizeof(struct disk_stand);
}

int record_message_size(const struct queue_message *msg, size_t *envelope_r,
			size_t *content_r)
{
	const struct span none = { 0 };
	size_t size = sizeof(struct disk_msg), content, adopted = 0;
	uint32_t i;
	int err = record_content_size(msg->content, msg->content_count,
				      QUEUE_PART_MAX, &content);

	if (err < 0)
		return err;
	if (msg->rcpt_count == 0 || content > msg->size ||
	    (msg->stands != NULL) != (msg->adopted_s != 0) ||
	    msg->flags & ADOPTED)
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
	/* On top of the limit: what was taken at one node fits at the next. */
	if (msg->stands != NULL)
		adopted = adopted_size(msg->rcpt_count);
	*envelope_r = size + adopted;
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

static char *put_stands(char *p, const struct queue_message *msg)
{
	struct disk_adopted d = { .at_s = msg->adopted_s };
	uint32_t i;

	p = put(p, &d, sizeof(d));
	for (i = 0; i < msg->rcpt_count; i++) {
		struct disk_stand e = { .slot = msg->stands[i].slot,
					.attempts = msg->stands[i].attempts,
					.unsure = msg->stands[i].unsure };

		p = put(p, &e, sizeof(e));
	}
	return p;
}

void record_message_write(const struct queue_message *msg, char *p)
{
	struct disk_msg d = {
		.number = msg->number,
		.size = msg->size,
		.arrived_s = msg->arrived_s,
		.due_s = msg->due_s,
		.expires_s = msg->expires_s,
		.flags = msg->flags | (msg->stands == NULL ? 0 : ADOPTED),
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
	if (msg->stands != NULL)
		p = put_stands(p, msg);
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

void record_move_write(const struct queue_move *move, char *p)
{
	struct disk_move d = { .id = move->id,
			       .from = move->from,
			       .tasks = (uint32_t)move->tasks.len,
			       .type = move->type,
			       .why = move->why };

	p = put(p, &d, sizeof(d));
	put_span(p, move->tasks);
}

size_t record_task_write(const struct record_task *task, char *p)
{
	struct disk_task d = {
		.slot = task->slot,
		.first = task->first,
		.attempts = task->attempts,
		.unsure = task->unsure,
		.open = (uint16_t)((bits_end(task->open, QUEUE_OPEN_WORDS) +
				    7) /
				   8),
	};

	/* (Little-endian, so the words are their octets.) */
	put(put(p, &d, sizeof(d)), task->open, d.open);
	return sizeof(d) + d.open;
}
