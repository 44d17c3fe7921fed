/*
 * queue/move.c - a living message or decision is copied to the log's end
 *
 *	MOVE   what came first: envelope, and the content of its record
 *	PART   each further record of the content; its id is the MOVE's LSN
 *
 * A message that cannot be read, and one that finds no room, is said to be
 * where it was: by a MOVE without anything in it, or, behind a whole one, by a
 * PART that abandons it.  So the store reads in the log what became of each
 * move, in the order in which it asked.
 *
 * Octets are checked where they lie, copied, and the copy is checked by the
 * same CRC: what is written is what was sent here once.
 */
#include "queue/log.h"

#include "base/bug.h"
#include "queue/record.h"

#include <errno.h>

void log_mover_drop(struct queue_log *log)
{
	struct log_mover *m = &log->mover;

	if (m->open)
		queue_message_close(NULL, &m->view);
	*m = (struct log_mover){ .busy = false };
}

/* The content of one record, as it was; else the draft is dropped. */
static int copy_piece(struct queue_log *log, struct log_draft *d)
{
	const struct log_mover *m = &log->mover;
	const struct iovec *piece = &m->view.content[m->next];

	log_draft_copy(log, d, piece->iov_base, piece->iov_len);
	if (d->crc == m->from.crcs[m->next])
		return 0;
	log_draft_drop(log, d);
	return -EUCLEAN;
}

static int put_first(struct queue *q, const struct queue_move *move)
{
	struct log_mover *m = &q->log->mover;
	size_t before = RECORD_MOVE_SIZE + move->tasks.len;
	struct log_draft d;
	int err = log_draft_begin(q, ROOM_MOVE, before + m->from.raw.len,
				  m->view.content[0].iov_len, &d);

	if (err < 0)
		return err;
	record_move_write(move, d.rec + RECORD_HEAD);
	memcpy(d.rec + RECORD_HEAD + before, m->from.raw.p, m->from.raw.len);
	err = copy_piece(q->log, &d);
	if (err == 0)
		m->place = log_draft_end(q->log, &d, QUEUE_REC_MOVE, 0);
	return err;
}

static int put_further(struct queue *q)
{
	struct log_mover *m = &q->log->mover;
	uint64_t offset = 0;
	struct log_draft d;
	int i, err = log_draft_begin(q, ROOM_MOVE, RECORD_PART_SIZE,
				     m->view.content[m->next].iov_len, &d);

	if (err < 0)
		return err;
	for (i = 0; i < m->next; i++)
		offset += m->view.content[i].iov_len;
	record_part_write(m->place, offset, d.rec + RECORD_HEAD);
	err = copy_piece(q->log, &d);
	if (err == 0)
		log_draft_end(q->log, &d, QUEUE_REC_PART, 0);
	return err;
}

static int put_note(struct queue *q, const struct queue_move *move)
{
	struct log_mover *m = &q->log->mover;
	struct queue_move note = { .id = move->id,
				   .from = move->from,
				   .type = move->type,
				   .why = (uint8_t)-m->why };
	struct log_draft d;
	int err;

	if (m->next > 0)
		return queue_put_abandon(q, m->place);
	err = log_draft_begin(q, ROOM_OUT, RECORD_MOVE_SIZE, 0, &d);
	if (err < 0)
		return err;
	record_move_write(&note, d.rec + RECORD_HEAD);
	log_draft_end(q->log, &d, QUEUE_REC_MOVE, RECORD_FLAG_ABANDONED);
	return 0;
}

static void begin(struct queue *q, const struct queue_move *move)
{
	struct log_mover *m = &q->log->mover;

	*m = (struct log_mover){ .busy = true, .id = move->id };
	m->why = log_source_open(q, move, &m->view, &m->from);
	m->open = m->why == 0;
}

int queue_put_move(struct queue *q, const struct queue_move *move)
{
	struct log_mover *m = &q->log->mover;
	int err = q->log->failed;

	if (err == 0 && !m->busy)
		begin(q, move);
	BUG_ON(err == 0 && m->id != move->id);
	/* One record a group: mail need not wait for more than that. */
	if (err == 0 && m->why == 0) {
		err = m->next == 0 ? put_first(q, move) : put_further(q);
		if (err == 0 && ++m->next < m->view.content_count)
			return -EAGAIN;
		if (err < 0 && err != -EAGAIN && q->log->failed == 0)
			m->why = err;
	}
	if (q->log->failed == 0 && m->why < 0)
		err = put_note(q, move);
	if (err != -EAGAIN)
		log_mover_drop(q->log);
	return err;
}

bool queue_place_ok(struct queue *q, const struct queue_move *at)
{
	struct log_source from;
	struct queue_view view;
	int err = log_source_open(q, at, &view, &from);

	if (err == 0)
		queue_message_close(q, &view);
	return err == 0;
}
