#ifndef MTAQ_QUEUE_DELTA_H
#define MTAQ_QUEUE_DELTA_H

/*
 * What memory knows of the queue beyond the index: tasks that are new or have
 * changed since a checkpoint wrote them, tasks that are loaded, and the rows
 * of the index that have lost their meaning (tombs).
 *
 * Each open recipient lies in exactly one task of the delta, or in the row of
 * the index that no task of the delta overlaps and no tomb names: where both
 * know a recipient, the delta wins.
 *
 *	            next()
 *	   IDLE ───────────────► LOADED        IDLE ──► DECIDING (an OUT of a
 *	    ▲  ◄───────────────    │                      decision is under way)
 *	    │        return()      │ OUT
 *	 COMING (parts missing)    ▼
 *	                      gone, or IDLE at a new slot
 *
 * Nothing here reads the index or a file.
 */
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "queue/index.h"

enum task_state {
	TASK_IDLE,   /* may be given when due */
	TASK_COMING, /* parts of its message are missing */
	TASK_LOADED,
	TASK_DECIDING
};

enum task_row {    /* the row of the index that has this task's key */
	ROW_NEVER, /* there is none */
	ROW_MAYBE, /* a transaction of unknown fate may have written one */
	ROW_IN     /* there is one */
};

struct decision;
struct line; /* a queue in memory: (tenant, campaign, domain) */

struct task {
	uint64_t id, place; /* of its message: where it lies */
	struct line *line;
	uint32_t slot, not_before_s, expires_s, share;
	uint16_t base, load_first; /* bit i: recipient base + i */
	uint16_t segments;
	uint8_t words, attempts, unsure, flags;
	uint8_t state, row;   /* enum task_state, enum task_row */
	bool dirty;           /* the index does not have it as it is */
	bool given;           /* an OUT for it was handed out */
	bool pulled;          /* ... which was of dec */
	struct decision *dec; /* that waits for it, decide.c's; NULL */
	uint32_t taken;       /* place in the checkpoint's array, from 1 */
	struct heap_node due; /* in line->due while IDLE with a time */
	struct list in_line;
	struct list in_dirty; /* or in the list of a message that is coming */
	struct list in_early; /* in delta.early, or in a list of decided ones */
	union {
		uint64_t one;
		uint64_t *many;
	} open;
};

struct line {
	uint32_t handle, number; /* number 0: not in the index */
	struct heap due;
	struct heap_node ready; /* in delta.ready */
	struct list tasks;      /* every task */
	struct list in_idle;    /* in delta.idle while it has no task */
	uint32_t task_count, loaded;
	uint32_t unwritten; /* tasks that are taken and dirty */
	/* Rows are loaded up to `window` tasks; so many of them have come to
	 * an outcome since `window_s`. */
	uint32_t window, window_done, window_s;
	/* Rows from `at` on may be unknown here, none before slot next_slot;
	 * UINT32_MAX: there are none. */
	struct index_key at;
	uint32_t next_slot;
	struct index_key tomb_last; /* none of its tombs is behind it */
	bool paused;
	uint16_t words_len;
	char words[]; /* as packed by line_pack() */
};

#define LINE_WORDS_MAX (3 * (QUEUE_WORD_MAX + 1))

struct tomb { /* a row of the index to delete */
	struct index_key key;
	struct list link;
	uint32_t taken;
	bool gone; /* in the open transaction */
};

struct delta {
	struct map tasks;   /* by (id, line) */
	struct map loaded;  /* by (id, load_first) */
	struct map lines;   /* by words */
	struct map numbers; /* by number */
	struct map tombs;   /* by key */
	struct line **by_handle;
	uint32_t handles, handle_free,
		line_count;    /* below handle_free: taken */
	struct heap ready;     /* lines that have a task to give, by time */
	struct list idle;      /* lines without tasks, oldest first */
	struct list dirty;     /* tasks */
	struct list tomb_list; /* tombs that no checkpoint has taken */
	struct list early;     /* IDLE tasks to give whatever their time */
	uint64_t dirty_count, tomb_count, task_count, loaded_count;
	uint32_t sequence; /* of equal times first come, first served */
	uint32_t line_tasks_max, window_first;
	uint32_t now_s; /* as of the last apply */
	bool replaying; /* behind a partial checkpoint: any key may have a row */
	bool tombs_left; /* there may be some of queues not in memory */
	bool spoiled;    /* the checkpoint under way must begin again */
	struct index_totals totals;
	/* Entries of the checkpoint that take notice of what goes. */
	struct task **taken_tasks;
	size_t taken_count, taken_size, taken_tomb_count, taken_tomb_size;
	struct tomb **taken_tombs;
};

int delta_init(struct delta *d, uint32_t line_tasks_max);
void delta_free(struct delta *d);

/* --- lines ------------------------------------------------------------------ */

size_t line_pack(char words[LINE_WORDS_MAX], struct span tenant,
		 struct span campaign, struct span domain);
void line_unpack(const struct line *line, struct span *tenant_r,
		 struct span *campaign_r, struct span *domain_r);
/* Does a filter want the queue of these packed words? */
bool line_words_wanted(const struct queue_filter *filter, const char *words);
static inline bool line_wanted(const struct queue_filter *filter,
			       const struct line *line)
{
	return line_words_wanted(filter, line->words);
}
struct line *delta_line_find(const struct delta *d, struct span words);
struct line *delta_line_numbered(const struct delta *d, uint32_t number);
/* A new one, idle; NULL: no memory. */
struct line *delta_line_add(struct delta *d, struct span words);
int delta_line_number(struct delta *d, struct line *line, uint32_t number);
/* A transaction that gave numbers from `from` on has failed: they are free. */
void delta_lines_unnumber(struct delta *d, uint32_t from);
/* Only without tasks. */
void delta_line_free(struct delta *d, struct line *line);
/* Something changed: when does it want to be asked next?  0 or -ENOMEM. */
int delta_line_ready(struct delta *d, struct line *line);
/* May rows be loaded?  A queue has about as many tasks loaded as come to an
 * outcome in a second or a few: what waits for a site that does not move costs
 * no memory and keeps nobody else's tasks out. */
static inline bool line_has_window(const struct delta *d,
				   const struct line *line)
{
	return line->loaded < line->window && line->loaded < d->line_tasks_max;
}
/* A loaded task has come to an outcome. */
void delta_line_moves(struct delta *d, struct line *line);
/* A row is in the index which memory does not know. */
int delta_line_row(struct delta *d, struct line *line,
		   const struct index_key *key);

/* --- tasks ------------------------------------------------------------------ */

static inline const uint64_t *task_open(const struct task *t)
{
	return t->words == 1 ? &t->open.one : t->open.many;
}

uint32_t task_count(const struct task *t); /* open recipients */
uint16_t task_first(const struct task *t); /* the lowest */
bool task_has(const struct task *t, uint32_t rcpt);
void task_key(const struct task *t, struct index_key *key_r);
void task_row(const struct task *t, struct index_row *row_r);

/*
 * A task in state COMING, in its line, of the recipients of row (the key's
 * queue does not matter), with nothing in the index.  NULL: no memory.
 */
struct task *delta_task_new(struct delta *d, struct line *line,
			    const struct index_row *row);
/* Its message is whole: it counts and is dirty and IDLE.  0 or -ENOMEM. */
int delta_task_arrive(struct delta *d, struct task *t);
/* It was made of a row of the index: it counted before, and is IDLE. */
int delta_task_known(struct delta *d, struct task *t);
/* COMING, LOADED or DECIDING become IDLE.  0 or -ENOMEM. */
int delta_task_idle(struct delta *d, struct task *t);
int delta_task_load(struct delta *d, struct task *t);
void delta_task_deciding(struct delta *d, struct task *t);
/* The index has it as it is (again). */
void delta_task_clean(struct delta *d, struct task *t);
void delta_task_dirty(struct delta *d, struct task *t);
/* The checkpoint under way is to write it.  0 or -ENOMEM. */
int delta_take(struct delta *d, struct task *t);
/* It does not write it after all. */
void delta_untake(struct delta *d, struct task *t);
int delta_take_tomb(struct delta *d, struct tomb *tomb);
/* Entry `at` of those taken is next: what its successors need is on its way
 * from memory. */
void delta_taken_soon(const struct delta *d, size_t at);
void delta_taken_tomb_soon(const struct delta *d, size_t at);
/* An outcome for this recipient is about to be applied. */
void delta_outcome_soon(const struct delta *d, const struct line *line,
			const struct index_key *key);
/* Rows are about to become tasks. */
void delta_rows_soon(const struct delta *d, const struct line *line,
		     const struct index_row *rows, uint32_t count);
/* Forget it; the index is told nothing. */
void delta_task_free(struct delta *d, struct task *t);
/* The task that holds an open recipient; NULL. */
struct task *delta_task_find(const struct delta *d, const struct line *line,
			     uint64_t id, uint32_t rcpt);
/* Some task that overlaps a row; NULL. */
struct task *delta_task_over(const struct delta *d, const struct line *line,
			     const struct index_row *row);
struct task *delta_task_loaded(const struct delta *d, uint64_t id,
			       uint16_t first);
/* Said of a task in ROW_MAYBE: so many recipients are in the index under its
 * key, and were counted there. */
void delta_task_row_is(struct delta *d, struct task *t, uint32_t open);
bool delta_tomb_has(const struct delta *d, const struct line *line,
		    const struct index_key *key);
void delta_tomb_free(struct delta *d, struct tomb *tomb);
/* Does all that has left this row stand in rows that are written? */
bool delta_tomb_ripe(const struct delta *d, const struct tomb *tomb);

/*
 * What an OUT makes of some recipients of a task, all of them open in it: they
 * leave it, for good when final, else for a new task at move's slot with its
 * counts (*to_r, else NULL).  The task itself may be gone afterwards.  0 or -ENOMEM, after which
 * the delta is only good to be freed.
 */
struct move {
	uint32_t slot;
	uint8_t attempts, unsure;
	uint64_t gone[QUEUE_OPEN_WORDS]; /* bit i: recipient i */
};
int delta_move(struct delta *d, struct task *t, const struct move *move,
	       bool final, struct task **to_r);

#endif
