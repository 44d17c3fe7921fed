/*
 * engine/share.c - which recipients of a task one transaction takes
 *
 * At most as many as the session takes (RFC 9422's RCPTMAX), and as the site
 * has shown that it does: after a transaction in which it put some over
 * (rule 14), the others are as large as what it let through, for a day.
 *
 * Those who need SMTPUTF8 go without those who do not: a host that does not
 * offer it must cost only the former (rule 24).
 */
#include "engine/worker_private.h"

static bool is_utf8(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((s.p[i] & 0x80) != 0)
			return true;
	return false;
}

bool share_needs_utf8(const struct queue_view *view, struct span rcpt)
{
	return (view->flags & QUEUE_MSG_UTF8) != 0 &&
	       (is_utf8(view->sender) || is_utf8(rcpt));
}

uint32_t share_room(const struct worker_state *s, const struct conn *c)
{
	uint32_t learned = site_rcpts_max(c->site->site, s->now_ms);
	uint32_t room = smtp_session_room(c->smtp);

	return learned > 0 && learned < room ? learned : room;
}

void share_fill(struct attempt *a, uint32_t max)
{
	struct sched_task *task = a->task;
	struct queue_rcpt r;
	uint32_t at;
	bool needs;

	for (at = task_next_open(task, 0); at < task->span && a->count < max;
	     at = task_next_open(task, at + 1)) {
		queue_view_rcpt(&a->view, task->first + at, &r);
		needs = share_needs_utf8(&a->view, r.address);
		if (a->count == 0)
			a->utf8 = needs;
		else if (needs != a->utf8)
			continue;
		a->domain = r.domain;
		a->index[a->count] = (uint16_t)(task->first + at);
		a->rcpts[a->count++] = (struct smtp_rcpt){
			.address = r.address,
			.params = r.params,
		};
	}
}

void share_learn(struct worker_state *s, const struct attempt *a)
{
	if (a->again > 0 && a->any_accepted)
		site_rcpts_learn(a->wsite->site, a->count - a->again,
				 s->now_ms);
}
