#ifndef MTAQ_INGRESS_SERVER_H
#define MTAQ_INGRESS_SERVER_H

/*
 * The daemon's side of a submission, without I/O: octets from the socket (or
 * from a file of the drop folder) go in, messages ready for the queue come
 * out; what became of them goes in, octets of answers come out.
 *
 *	  read()                                   log thread
 *	    |                                      |        ^
 *	ingress_room/fed -> ingress_next -> struct ingress_item
 *	                                           |        v
 *	  write() <- ingress_answer/sent <- ingress_accepted/refused
 *
 * The thread that owns the sockets calls everything here; only the item's
 * .msg is read by the log thread while the item is out.
 *
 * Per connection:
 *	readable:  while ((p = ingress_room(c, &n)) != NULL && n > 0)
 *			got = read(fd, p, n), ingress_fed(c, got)
 *	then:      while (ingress_next(c, now_s, &item) == 1)
 *			give item to the log thread
 *	back:      ingress_accepted() once its record is DURABLE, or
 *			ingress_refused(); then ingress_next() again, since
 *			room may have come free
 *	writable:  while ((s = ingress_answer(c)).len > 0)
 *			put = write(fd, s.p, s.len), ingress_sent(c, put)
 *	over:      when ingress_over(c), nothing is left to answer and no item
 *			is out: close and ingress_conn_free().  When the peer
 *			is gone: the same without the answers.
 *
 * Each message is taken once: its number is kept per submission id in struct
 * ingress_seen, shared by all connections.  A message already seen is answered
 * with its ids without coming out of ingress_next() again.  Items of one
 * connection come out with rising numbers and must become durable so.
 */
#include "base/tally.h"
#include "ingress/reason.h"
#include "ingress/large.h"
#include "ingress/seen.h"
#include "mtaq/queue.h"
#include "mtaq/settings.h"

#include <stdbool.h>

/*
 * A file of the drop folder is fed like a socket; its answers are dropped with
 * ingress_sent(c, ingress_answer(c).len).  At its end: ingress_complete() and
 * no refusals: unlink it; ingress_for_now(): leave it for later; else it
 * belongs into incoming/rejected.
 */
struct ingress_conn;

struct ingress_item { /* owned by its connection, lent while it is out */
	/*
	 * Ready for queue_put_message().  .content is whole; more than
	 * QUEUE_PART_MAX octets are to be put in parts.
	 */
	struct queue_message msg;
	struct ingress_conn *conn;
	/* An earlier life of the daemon may have taken it: ask
	 * queue_store_submitted(), and when it did, ingress_accepted() with
	 * the id it gives. */
	bool may_repeat;
	void *user; /* the caller's, NULL at first */
};

/* set is borrowed for the connection's life, seen and large as well; uid is
 * the peer's by SO_PEERCRED.  0 or -ENOMEM. */
int ingress_conn_new(const struct settings *set, struct ingress_seen *seen,
		     struct ingress_large *large, uint32_t uid,
		     struct ingress_conn **conn_r);
/* Of a file of the drop folder: a crash may have left it behind after its
 * records were durable. */
void ingress_conn_may_repeat(struct ingress_conn *c);
/* Count refusals there, too: INGRESS_REASON_COUNT counters of the calling
 * thread's, borrowed for the connection's life. */
void ingress_conn_tally(struct ingress_conn *c, _Atomic uint64_t *refusals);
/* No item may be out. */
void ingress_conn_free(struct ingress_conn **conn);

/* Where to read to, and how much; *len_r is 0 while too much waits for the
 * log (stop reading), a large message waits for its place (ingress_waits():
 * ask again after ingress_large_moved()) or the conversation is over. */
void *ingress_room(struct ingress_conn *c, size_t *len_r);
void ingress_fed(struct ingress_conn *c, size_t len);

bool ingress_waits(const struct ingress_conn *c);
/* All 10 s in which its octets would have been read: a large message that does
 * not come while others wait is given up with 75, and its place given back,
 * after INGRESS_LARGE_TICKS calls. */
void ingress_conn_tick(struct ingress_conn *c);

/* 1: an item; 0: none now.  now_s is mail time, utc_s the wall clock for Date
 * and Received lines. */
int ingress_next(struct ingress_conn *c, uint32_t now_s, uint64_t utc_s,
		 struct ingress_item **item_r);

/* The item's message is durable as id.  Takes the item back. */
void ingress_accepted(struct ingress_item *item, uint64_t id);
/*
 * It was not taken: -ENOSPC, or whatever the queue said.  Unless that is
 * -EMSGSIZE or -EINVAL, refuse as well all items of this connection that came
 * out behind it; those that are not out yet are refused here, this frame's
 * and those of the 15 after it: numbers that are taken must rise.
 */
void ingress_refused(struct ingress_item *item, int error);

/* Octets to send; borrowed until ingress_sent(). */
struct span ingress_answer(struct ingress_conn *c);
void ingress_sent(struct ingress_conn *c, size_t len);

uint32_t ingress_items_out(const struct ingress_conn *c);
/* The number of the frame that came last, when it said that the next one
 * follows at once: a group may wait for that.  Else 0. */
uint32_t ingress_more(const struct ingress_conn *c);
/* Octets of frames held; at most 64 MiB and a message more. */
size_t ingress_bytes(const struct ingress_conn *c);
/* Nothing more will be read: end mark, or a breach of the protocol (then
 * ingress_words() says which). */
bool ingress_over(const struct ingress_conn *c);
/* The whole submission came, its end mark too, and all is answered: a file of
 * the drop folder may go. */
bool ingress_complete(const struct ingress_conn *c);
/* The conversation broke for a reason of ours that will pass (memory, another
 * connection with the same submission): a file is to be read again. */
bool ingress_for_now(const struct ingress_conn *c);
/* Messages refused so far, and why the last one was, for people. */
uint64_t ingress_refusals(const struct ingress_conn *c);
const char *ingress_words(const struct ingress_conn *c);

#endif
