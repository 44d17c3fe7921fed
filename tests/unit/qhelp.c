/*
 * tests/unit/qhelp.c - a store that only counts, and numbered messages
 */
#include "qhelp.h"

#include "base/bug.h"
#include "base/hash.h"
#include "qfile.h"
#include "queue/queue_private.h"
#include "tests/unit/tmpdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t qdouble_checkpoint_lsn, qdouble_cursor_lsn = UINT64_MAX;

int queue_store_open(struct queue *q, uint32_t now_s,
		     struct queue_report *report, uint64_t *checkpoint_lsn_r,
		     uint64_t *cursor_lsn_r)
{
	(void)q;
	(void)now_s;
	(void)report;
	*checkpoint_lsn_r = qdouble_checkpoint_lsn;
	*cursor_lsn_r = qdouble_cursor_lsn;
	return 0;
}

int queue_store_replay(struct queue *q, uint32_t now_s,
		       struct queue_report *report)
{
	struct queue_record rec;
	struct queue_walk *w;
	int err = queue_walk_open(q, qdouble_checkpoint_lsn, &w);

	(void)now_s;
	if (err < 0)
		return err;
	while ((err = queue_log_next(w, &rec)) > 0) {
		report->records++;
		report->messages += rec.type == QUEUE_REC_MSG;
	}
	queue_walk_close(&w);
	return err;
}

void queue_store_close(struct queue *q)
{
	(void)q;
}

char *qhelp_folder(void)
{
	char *dir = malloc(TMPDIR_BYTES);

	BUG_ON(dir == NULL);
	tmpdir_make(dir, "queue", TMPDIR_DISK);
	return dir;
}

void qhelp_remove(const char *dir)
{
	tmpdir_remove(dir);
}

void qhelp_begin(char **dir_r, struct qfile **disk_r)
{
	qdouble_checkpoint_lsn = 0;
	qdouble_cursor_lsn = UINT64_MAX;
	*dir_r = qhelp_folder();
	*disk_r = qfile_new();
}

void qhelp_end(char **dir, struct qfile **disk)
{
	qfile_free(disk);
	qhelp_remove(*dir);
	free(*dir);
	*dir = NULL;
}

int qhelp_open(const char *dir, const struct queue_file_ops *file,
	       uint32_t segment_bytes, struct queue **q_r,
	       struct queue_report *report_r)
{
	struct queue_settings set = {
		.dir = dir,
		.file = file,
		.segment_bytes = segment_bytes,
		.segments_ahead = 2,
		.free_bytes_min = 1 << 20,
	};

	return queue_open(&set, 1, q_r, report_r);
}

static char octet(uint64_t n, size_t i)
{
	return (char)('a' + hash_pair(n, i / 8) % 23 + i % 3);
}

static void fill_rcpts(struct qhelp_message *m, uint64_t n)
{
	uint32_t i;

	m->msg.rcpt_count = (uint32_t)(1 + n % 8);
	for (i = 0; i < m->msg.rcpt_count; i++) {
		struct queue_rcpt *r = &m->rcpts[i];
		int len = snprintf(m->text[i], sizeof(m->text[i]),
				   "user-%llu-%u@example%llu.org",
				   (unsigned long long)n, i,
				   (unsigned long long)n % 100);
		size_t at;

		r->address = span_of(m->text[i], (size_t)len);
		at = (size_t)span_find(r->address, '@') + 1;
		r->domain = span_of(m->text[i] + at, (size_t)len - at);
		if (n % 3 == 0) /* one that the address does not end with */
			r->domain = SPAN("xn--bcher-kva.example");
		if (n % 2 == 0)
			r->params = SPAN("NOTIFY=NEVER");
	}
}

struct qhelp_message *qhelp_message(uint64_t n, size_t content_bytes)
{
	struct qhelp_message *m = calloc(1, sizeof(*m) + content_bytes);
	size_t i, cut = content_bytes / 3;

	BUG_ON(m == NULL);
	for (i = 0; i < content_bytes; i++)
		m->content[i] = octet(n, i);
	fill_rcpts(m, n);
	m->iov[0] = (struct iovec){ m->content, cut };
	m->iov[1] = (struct iovec){ m->content + cut, content_bytes - cut };
	memset(m->msg.submission, (int)(n % 251), sizeof(m->msg.submission));
	m->msg.number = n;
	m->msg.tenant = SPAN("tenant");
	m->msg.campaign = SPAN("spring");
	m->msg.sender = SPAN("bounce@example.net");
	m->msg.rcpts = m->rcpts;
	m->msg.arrived_s = (uint32_t)n + 1;
	m->msg.due_s = (uint32_t)n + 2;
	m->msg.expires_s = (uint32_t)n + 3;
	m->msg.flags = QUEUE_MSG_DOTS;
	m->msg.content = m->iov;
	m->msg.content_count = 2;
	m->msg.size = content_bytes;
	return m;
}

static bool content_is(const struct queue_view *view, uint64_t n)
{
	size_t at = 0, k;
	int i;

	for (i = 0; i < view->content_count; i++) {
		const char *p = view->content[i].iov_base;

		for (k = 0; k < view->content[i].iov_len; k++, at++) {
			if (p[k] != octet(n, at))
				return false;
		}
	}
	return at == view->size;
}

bool qhelp_is(const struct queue_view *view, uint64_t n)
{
	struct qhelp_message *m = qhelp_message(n, 0);
	bool same = view->rcpt_count == m->msg.rcpt_count &&
		    view->arrived_s == m->msg.arrived_s &&
		    view->expires_s == m->msg.expires_s &&
		    view->flags == m->msg.flags &&
		    span_eq(view->tenant, m->msg.tenant) &&
		    span_eq(view->campaign, m->msg.campaign) &&
		    span_eq(view->sender, m->msg.sender) &&
		    view->params.len == 0 && content_is(view, n);
	uint32_t i;

	for (i = 0; same && i < view->rcpt_count; i++) {
		struct queue_rcpt r;

		queue_view_rcpt(view, i, &r);
		same = span_eq(r.address, m->rcpts[i].address) &&
		       span_eq(r.domain, m->rcpts[i].domain) &&
		       span_eq(r.params, m->rcpts[i].params);
	}
	free(m);
	return same;
}

int qhelp_add(struct queue *q, uint64_t n, size_t bytes, uint64_t *id_r)
{
	struct qhelp_message *m = qhelp_message(n, bytes);
	struct queue_committed done;
	uint64_t id = 0;
	int err = queue_put_message(q, &m->msg, &id);

	if (err == 0)
		err = queue_commit(q, &done);
	free(m);
	if (err == 0)
		*id_r = queue_lsn_final(&done, id);
	return err;
}

int qhelp_check(struct queue *q, uint64_t id, uint64_t n)
{
	return qhelp_check_at(q, id, id, n);
}

int qhelp_check_at(struct queue *q, uint64_t id, uint64_t place, uint64_t n)
{
	struct queue_view view;
	int err = queue_message_open_at(q, id, place, &view);

	if (err < 0)
		return err;
	if (view.id != id || !qhelp_is(&view, n))
		err = -EBADMSG;
	queue_message_close(q, &view);
	return err;
}
