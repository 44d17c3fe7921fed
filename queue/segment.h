#ifndef MTAQ_QUEUE_SEGMENT_H
#define MTAQ_QUEUE_SEGMENT_H

/*
 * Segment files and the set of them.
 *
 * A file DIR/log/seg-NNNNNNNN is written full once and then used again and
 * again in place.  Who it is, is said by its header: a sequence number, and
 * where the segment before it ends.  LSN = sequence x bytes + offset.
 *
 *	             store: segments_give()         log: segments_take()
 *	(new) ─► ready ring ──────────────► log: begin, publish ─► in the table
 *	           ▲                                                   │
 *	           └── idle list ◄── store: segments_free() ◄──────────┘
 *
 * Roles: the log role takes, begins and publishes; the store role frees and
 * gives; any thread pins what is in the table.  A struct segment lives until
 * segments_close(), so a pin may be tried on a stale pointer: it checks the
 * sequence number afterwards.
 */
#include "queue/file.h"

#include <stdatomic.h>
#include <stdbool.h>

#define SEGMENT_HEAD    4096u  /* octets before the first record */
#define SEGMENT_TABLE   65536u /* segments of the log at once: 4 TiB */
#define SEGMENT_READY   128u   /* ring of those ready */
#define SEGMENT_RESERVE 3u     /* ready ones that new mail leaves alone */

struct queue_pins;

enum segment_kind {         /* as its header was found */
	SEGMENT_FREE,       /* written full, never used, or freed */
	SEGMENT_LIVE,       /* has a sequence number */
	SEGMENT_UNFINISHED, /* was not yet written full */
	SEGMENT_BROKEN      /* both copies of its header are damaged */
};

struct segment {
	uint32_t number;           /* of its file */
	enum segment_kind kind;    /* when the set was opened */
	_Atomic uint64_t sequence; /* 0: not in the table */
	_Atomic uint64_t end;      /* LSN: records below are durable */
	_Atomic int32_t pins;      /* -1: may not be pinned */
	_Atomic bool damaged;      /* never freed */
	_Atomic bool unreadable;   /* damaged, and walks may step over it */
	int unread;                /* errno: its header could not be read */
	uint64_t cut;              /* octets of a file cut off; 0: whole */
	const char *_Atomic map;
	uint64_t prev_sequence, prev_end; /* as its header says */
	_Atomic bool end_known;           /* by a header, or this process */
	struct segment *all, *idle;       /* lists */
};

struct segments {
	const struct queue_file_ops *file;
	char *dir;
	uint32_t bytes;
	struct segment *_Atomic table[SEGMENT_TABLE]; /* by sequence */
	struct segment *_Atomic all;
	struct segment *_Atomic unfinished; /* to be tried again */
	struct segment *making; /* the store's: being written in pieces */
	int making_fd;
	uint64_t made; /* octets of it */
	uint32_t owed; /* of the reserve: made whatever free_bytes_min says */
	_Atomic uint32_t next_number;
	_Atomic uint64_t count;
	_Atomic uint64_t first, last; /* sequences; bounds of the table */
	struct segment *ready[SEGMENT_READY];
	_Atomic uint32_t ready_from, ready_to;
	struct segment *idle; /* the store role's */
	_Atomic uint64_t idle_count;
	_Atomic uint64_t space; /* free on disk when last looked at */
};

/*
 * Look at the files in dir/log.  -EPROTO: a version that is not ours.
 * -EINVAL: bytes is not what they have (bytes 0 takes what they have, or the
 * default when there is none).  Live ones are in the table, their ends as far
 * as headers say.  A header that the disk cannot read is no error here: see
 * segments_unread().
 */
int segments_open(const struct queue_file_ops *file, const char *dir,
		  uint32_t bytes, struct segments **set_r);
void segments_close(struct segments **set);
/* One whose header could not be read; NULL: there is none. */
const struct segment *segments_unread(const struct segments *set);

/* Make the path of a segment's file; false when it does not fit. */
bool segment_path(const struct segments *set, const struct segment *seg,
		  char *path, size_t size);
uint32_t segments_ready(const struct segments *set);
/* See how much room the disk has. */
void segments_look(struct segments *set);
/* Write a new file full, or an unfinished one again; takes long. */
int segment_create(struct segments *set, struct segment **seg_r);
/* The same a piece at a time (some ms), then it is given to the ready ring:
 * 1: not whole yet; 0: one has become ready; or a negative errno value.
 * Store role. */
int segment_create_some(struct segments *set);

/* --- store role ---------------------------------------------------------- */

void segments_give(struct segments *set, struct segment *seg);
/* From the idle list to the ring, as far as it takes them. */
void segments_fill(struct segments *set);
/* Out of the table, to the idle list.  keep: called again once no pin can be
 * taken any more; true gives the segment back.  -EBUSY. */
int segments_free(struct segments *set, struct segment *seg,
		  bool (*keep)(const void *arg, uint64_t end), const void *arg);

/* --- log role ------------------------------------------------------------ */

/* A ready one, when more than keep are; else NULL. */
struct segment *segments_take(struct segments *set, uint32_t keep);
/* The lowest unused sequence number > after whose place in the table is free;
 * 0: there is none. */
uint64_t segments_next_sequence(const struct segments *set, uint64_t after);
/* Map it by its open descriptor, once for all its lives; fd stays the
 * caller's.  0, or a negative errno of mmap(). */
int segment_map(struct segments *set, struct segment *seg, int fd,
		const char **map_r);

/*
 * Write the header and sync it: before any record, so that a sequence number
 * is used once only, whatever a crash leaves.  Gives the descriptor to write
 * records with.
 */
int segment_begin(struct segments *set, struct segment *seg, uint64_t sequence,
		  int *fd_r);
void segment_publish(struct segments *set, struct segment *seg,
		     uint64_t sequence);

/* --- any thread ---------------------------------------------------------- */

static inline uint64_t segment_first(const struct segments *set,
				     uint64_t sequence)
{
	return sequence * set->bytes + SEGMENT_HEAD;
}

struct segment *segments_find(const struct segments *set, uint64_t sequence);
/* -ENOENT: not there; -EAGAIN: it is just being freed. */
int segment_pin(const struct segments *set, uint64_t sequence,
		struct segment **seg_r);
void segment_unpin(struct segment *seg);
/* The same through what this thread has pinned already; pins NULL: without. */
int segment_pin_shared(const struct segments *set, struct queue_pins *pins,
		       uint64_t sequence, struct segment **seg_r);
void segment_unpin_shared(struct queue_pins *pins, struct segment *seg);
/*
 * Its octets offset..offset+len-1, mapped and brought in.  -EUCLEAN: the file
 * is cut off before them; -EIO and what mapping says.  Valid while pinned.
 */
int segment_show(struct segments *set, struct segment *seg, uint64_t offset,
		 uint64_t len, const char **p_r);
/* They will be asked for soon. */
void segment_ahead(const struct segments *set, const struct segment *seg,
		   uint64_t offset);
/* The LSN >= from of the next record whose head and envelope are right, or
 * to.  Pages that cannot be read are stepped over; *err, when it is 0, takes
 * what the first of them said (nothing where the file is cut off). */
uint64_t segment_resync(struct segments *set, struct segment *seg,
			uint64_t from, uint64_t to, int *err);

#endif
