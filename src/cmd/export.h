#ifndef MTAQ_CMD_EXPORT_H
#define MTAQ_CMD_EXPORT_H

/*
 * mtaq export in pieces; mtaq adopt uses those that read a folder.
 *
 *	export.c         options, words
 *	export_spool.c   open, settle what is decided, mark
 *	export_stream.c  what is open as frames, to whoever wants them
 *	export_file.c    frames into a file
 */
#include "engine/clock.h"
#include "mtaq/export.h"
#include "mtaq/settings.h"
#include "transfer/frame.h"
#include "transfer/item.h"

#define EXPORT_WORDS 1024u

struct eventlog;

struct export_spool {
	const char *dir;
	struct queue *queue;
	struct queue_report report;
	struct clock clock;
	struct queue_mark mark;
	bool marked;    /* it was exported */
	bool illegible; /* ... but its mark cannot be made out */
};

/* Open a spool, exported or not; set->spool is not looked at.  0, or a
 * negative errno value and words. */
int export_spool_open(struct export_spool *s, const char *dir,
		      const struct settings *set, char words[EXPORT_WORDS]);
void export_spool_close(struct export_spool *s);
/*
 * Make it ready to be exported, if it is not marked yet: apply what operators
 * have decided, tell events that wait, checkpoint, and set the mark.  -EBUSY:
 * mail waits in the drop folder (nothing is marked).
 */
int export_spool_mark(struct export_spool *s, const struct settings *set,
		      char words[EXPORT_WORDS]);
/* Decisions that change recipients are applied to all that they cover. */
int export_settle(struct queue *q, uint32_t now_s);
/* Write down what whole_s or adopting_s has become. */
int export_spool_note(struct export_spool *s, char words[EXPORT_WORDS]);

/* --- the stream ------------------------------------------------------------ */

/* Who takes the frames: 0 or a negative errno value, which ends it. */
struct export_sink {
	int (*put)(void *arg, const struct transfer_frame *frame);
	void *arg;
};

struct export_totals {
	uint64_t messages, recipients, octets; /* in the stream */
	uint64_t waiting, held, damaged;       /* recipients, by state */
	uint64_t left, left_recipients;        /* could not be read */
	uint64_t pauses;
	struct buf left_words; /* a line for each; buf_free() it */
};

struct export_progress { /* called now and then; NULL: nobody looks */
	void (*draw)(void *arg, uint64_t done, uint64_t all);
	void *arg;
};

struct export_stream {
	struct export_spool *spool;
	struct span hostname;
	struct export_sink sink; /* .put NULL: only count */
	struct export_progress progress;
	bool whole; /* note in the mark that a whole export exists */
};

int export_stream(const struct export_stream *x, struct export_totals *totals_r,
		  char words[EXPORT_WORDS]);
/* Into the event log goes what waits for it, then, unless add is NULL, what
 * that adds.  0, or a negative errno value and words. */
int export_events_write(struct export_spool *s, const struct settings *set,
			int (*add)(struct eventlog *log,
				   struct export_spool *s),
			char words[EXPORT_WORDS]);
/* "exported" for each recipient into the event log, once. */
int export_events(struct export_spool *s, const struct settings *set,
		  char words[EXPORT_WORDS]);

/* --- a bar on the terminal -------------------------------------------------- */

struct progress_bar {
	bool on; /* standard error is a terminal */
	int drawn;
	const char *what;
};
void progress_begin(struct progress_bar *bar, const char *what);
void progress_draw(void *bar, uint64_t done, uint64_t all);
void progress_end(struct progress_bar *bar);

/* --- the file ---------------------------------------------------------------- */

struct export_file;
/* path "-": standard output.  Else the file appears when it is whole; -EEXIST:
 * it is there already. */
int export_file_open(const char *path, struct export_file **file_r);
int export_file_put(void *file, const struct transfer_frame *frame);
/* All is in it: sync it and give it its name. */
int export_file_finish(struct export_file *f);
/* Without a finish before, what was written is removed. */
void export_file_close(struct export_file **file);

#endif
