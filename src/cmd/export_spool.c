/*
 * cmd/export_spool.c - a spool is opened, settled, marked
 *
 *	open     lock, recovery: as the daemon does
 *	settle   decisions (hold, cancel ...) become outcomes of all that they
 *		 cover, events that wait are told, a checkpoint
 *	mark     DIR/exported: from here on no daemon opens it
 *
 * The order keeps a crash harmless: until the mark is durable the spool is as
 * a daemon would have left it, and a daemon may start.
 */
#include "cmd/export.h"

#include "engine/tune.h"
#include "report/eventlog.h"
#include "report/note.h"
#include "smtp/dsn.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define PATH_ROOM  4096u
#define NOTES_ROOM (1u << 20)
#define IDLE_MAX   10000 /* turns without an outcome: something is wrong */

int export_spool_open(struct export_spool *s, const char *dir,
		      const struct settings *set, char words[EXPORT_WORDS])
{
	struct queue_settings q;
	int err;

	*s = (struct export_spool){ .dir = dir };
	words[0] = '\0';
	clock_start(&s->clock, 0, set->age_limit_s);
	tune_queue(set, &q);
	q.dir = dir;
	q.file = NULL;
	q.exported_too = true;
	err = queue_open(&q, clock_mail_s(&s->clock), &s->queue, &s->report);
	if (err < 0) {
		snprintf(words, EXPORT_WORDS, "%s%s",
			 s->report.words[0] == '\0' ? "" : s->report.words,
			 err == -EBUSY ? "stop it first"
				       : strerrordesc_np(-err));
		return err;
	}
	clock_start(&s->clock, s->report.saved_s, set->age_limit_s);
	err = queue_mark_read(dir, &s->mark);
	s->marked = err != -ENOENT;
	if (err == 0 || err == -ENOENT)
		return 0;
	s->mark = (struct queue_mark){ .whole_s = 1 }; /* who knows */
	s->illegible = true;
	return 0;
}

void export_spool_close(struct export_spool *s)
{
	if (s->queue != NULL)
		queue_close(&s->queue);
}

/* --- decisions ------------------------------------------------------------------ */

struct settling {
	struct queue *q;
	uint32_t now_s;
	struct queue_out_rcpt rcpts[QUEUE_RCPTS_MAX];
	char notes[NOTES_ROOM], common[4096];
	size_t used;
};

static const char *verb_words(enum queue_verb verb)
{
	return verb == QUEUE_VERB_HOLD      ? "held by an operator"
	       : verb == QUEUE_VERB_CANCEL  ? "cancelled by an operator"
	       : verb == QUEUE_VERB_RELEASE ? "released by an operator"
					    : "retried by an operator";
}

static bool is_rule(const struct queue_decision *d)
{
	return d->verb == QUEUE_VERB_PAUSE || d->verb == QUEUE_VERB_SITE_PAUSE;
}

/* Is a decision in force that is more than a rule? */
static bool anything_to_do(struct queue *q)
{
	struct queue_decision d;
	uint64_t lsn;
	uint32_t n;

	for (n = 0; queue_store_decision(q, n, &lsn, &d) == 0; n++)
		if (!is_rule(&d))
			return true;
	return false;
}

/* What the event of one recipient says. */
static void add_note(struct settling *s, const struct queue_view *view,
		     enum queue_verb verb, struct queue_out_rcpt *r)
{
	struct note_rcpt note = {
		.verdict = { .result = SMTP_DEFERRED,
			     .text = span_str(verb_words(verb)) },
		.rule = verb == QUEUE_VERB_RELEASE ? LOCAL_RELEASED
			: verb == QUEUE_VERB_RETRY ? LOCAL_RETRIED
						   : LOCAL_NONE,
	};
	struct queue_rcpt rcpt;
	size_t size;

	queue_view_rcpt(view, r->rcpt, &rcpt);
	note.to = rcpt.address;
	note.notify = (uint8_t)dsn_notify(rcpt.params);
	note.queued_s =
		s->now_s > view->arrived_s ? s->now_s - view->arrived_s : 0;
	size = note_rcpt_size(&note);
	if (size > sizeof(s->notes) - s->used)
		return; /* the event lacks words, the outcome is the same */
	size = note_rcpt_put(&note, s->notes + s->used);
	r->note = span_of(s->notes + s->used, size);
	s->used += size;
}

static void add_notes(struct settling *s, const struct queue_view *view,
		      enum queue_verb verb, struct queue_out *out)
{
	struct note_common common = { .time_ms = clock_wall_ms(),
				      .size = view->size,
				      .from = view->sender };
	uint32_t i;

	if (note_common_size(&common) <= sizeof(s->common))
		out->note =
			span_of(s->common, note_common_put(&common, s->common));
	s->used = 0;
	for (i = 0; i < out->rcpt_count; i++) {
		s->rcpts[i] = out->rcpts[i];
		add_note(s, view, verb, &s->rcpts[i]);
	}
	out->rcpts = s->rcpts;
}

static int commit(struct settling *s)
{
	struct queue_committed done;
	int rc = queue_commit(s->q, &done);

	while (rc == 0 && (rc = queue_store_apply(s->q, s->now_s)) == 1)
		rc = 0;
	return rc;
}

/* Notes of a thousand recipients may be too much for one record: then none. */
static int put(struct settling *s, enum queue_verb verb, struct queue_out *out)
{
	struct queue_out plain = *out;
	struct queue_view view;
	int err = queue_message_open_at(
		s->q, out->id, queue_store_place(s->q, out->id), &view);
	bool open = err == 0;

	if (open)
		add_notes(s, &view, verb, out);
	err = queue_put_out(s->q, out);
	if (err == -EAGAIN) {
		err = commit(s);
		if (err == 0)
			err = queue_put_out(s->q, out);
	}
	if (err == -EMSGSIZE)
		err = queue_put_out(s->q, &plain);
	if (open)
		queue_message_close(s->q, &view);
	return err;
}

/* 1: outcomes were put; 0: none. */
static int turn(struct settling *s)
{
	enum queue_verb verb;
	struct queue_out out;
	int rc, any = 0;

	rc = queue_store_work(s->q, s->now_s);
	while (rc >= 0 &&
	       (rc = queue_store_decided(s->q, s->now_s, &verb, &out)) == 1) {
		rc = put(s, verb, &out);
		any = 1;
	}
	if (rc < 0)
		return rc;
	rc = commit(s);
	return rc < 0 ? rc : any;
}

int export_settle(struct queue *q, uint32_t now_s)
{
	struct settling *s;
	int rc = 0, idle = 0;

	if (!anything_to_do(q))
		return 0;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->q = q;
	s->now_s = now_s;
	while (rc >= 0 && anything_to_do(q)) {
		rc = turn(s);
		idle = rc == 1 ? 0 : idle + 1;
		if (idle > IDLE_MAX)
			rc = -EDEADLK;
	}
	free(s);
	return rc < 0 ? rc : 0;
}

/* --- the mark --------------------------------------------------------------------- */

/* Files of `mtaq submit` that no daemon has read: accepted mail, too. */
static unsigned dropped(const char *dir)
{
	char path[PATH_ROOM];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/incoming/new", dir);
	d = opendir(path);
	if (d == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int write_all(struct eventlog *log)
{
	int err;

	while ((err = eventlog_write(log)) == 1)
		;
	return err;
}

int export_events_write(struct export_spool *s, const struct settings *set,
			int (*add)(struct eventlog *log,
				   struct export_spool *s),
			char words[EXPORT_WORDS])
{
	struct eventlog *log;
	int err;

	if (set->log.events[0] == '\0')
		return 0;
	err = eventlog_open(s->queue, set->log.events, &log);
	if (err == 0) {
		err = write_all(log);
		if (err == 0 && add != NULL) {
			err = add(log, s);
			if (err == 0)
				err = write_all(log);
		}
		if (err == 0)
			err = eventlog_sync(log);
		eventlog_close(&log);
	}
	if (err < 0)
		snprintf(words, EXPORT_WORDS,
			 "the event log %s cannot be written: %s",
			 set->log.events, strerrordesc_np(-err));
	return err;
}

static int make_mark(struct export_spool *s, char words[EXPORT_WORDS])
{
	struct queue_mark mark = { .made_s = clock_wall_ms() / 1000 };
	unsigned n;
	int err;

	if (getrandom(mark.uuid, sizeof(mark.uuid), 0) != sizeof(mark.uuid))
		return -errno;
	err = queue_mark_write(s->dir, &mark);
	if (err < 0) {
		snprintf(words, EXPORT_WORDS, "%s/" QUEUE_MARK_NAME ": %s",
			 s->dir, strerrordesc_np(-err));
		(void)queue_mark_remove(s->dir);
		return err;
	}
	s->mark = mark;
	s->marked = true;
	/* mtaq submit looks for the mark after it has left its file, so of the
	 * two one sees the other. */
	n = dropped(s->dir);
	if (n == 0)
		return 0;
	err = queue_mark_remove(s->dir);
	s->marked = err < 0;
	snprintf(words, EXPORT_WORDS,
		 "%u files of `mtaq submit` wait in %s/incoming/new: they are "
		 "accepted mail that is not in the queue yet. Start the daemon "
		 "until it has read them, or move them to incoming/new of "
		 "another node, which takes each once",
		 n, s->dir);
	return err < 0 ? err : -EBUSY;
}

int export_spool_mark(struct export_spool *s, const struct settings *set,
		      char words[EXPORT_WORDS])
{
	uint32_t now_s = clock_mail_s(&s->clock);
	int err;

	words[0] = '\0';
	if (s->illegible) {
		snprintf(words, EXPORT_WORDS,
			 "%s/" QUEUE_MARK_NAME " cannot be read or made out, "
			 "so nobody can tell what was exported under which "
			 "name",
			 s->dir);
		return -EUCLEAN;
	}
	if (s->marked)
		return 0;
	err = export_settle(s->queue, now_s);
	if (err < 0)
		snprintf(words, EXPORT_WORDS,
			 "what was decided cannot be applied: %s",
			 strerrordesc_np(-err));
	if (err == 0)
		err = export_events_write(s, set, NULL, words);
	if (err == 0) {
		err = queue_store_checkpoint(s->queue, now_s);
		if (err == -ENOSPC) /* the log has it all */
			err = 0;
		if (err < 0)
			snprintf(words, EXPORT_WORDS,
				 "the index cannot be written: %s",
				 strerrordesc_np(-err));
	}
	return err < 0 ? err : make_mark(s, words);
}

int export_spool_note(struct export_spool *s, char words[EXPORT_WORDS])
{
	int err = queue_mark_write(s->dir, &s->mark);

	if (err < 0)
		snprintf(words, EXPORT_WORDS, "%s/" QUEUE_MARK_NAME ": %s",
			 s->dir, strerrordesc_np(-err));
	return err;
}
