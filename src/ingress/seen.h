#ifndef MTAQ_INGRESS_SEEN_H
#define MTAQ_INGRESS_SEEN_H

/*
 * Which messages of which submission this daemon has taken in its life, so
 * that a client that comes back and repeats does not double its mail.  What
 * an earlier life took, the queue knows (queue_store_submitted()).
 *
 * A message's number (struct queue_message .number) is made of its frame,
 * its place in the frame and, where a long recipient list was split, its
 * share:	frame << 32 | place << 16 | share.
 *
 * Kept per submission: the ids of the last SUBMIT_FRAMES_OPEN frames (a
 * client repeats no others), for INGRESS_SEEN_S.  The table holds at most
 * ids_max ids; beyond that the submission that has been quiet longest goes
 * first.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INGRESS_SEEN_S (3u * 86400u)

struct ingress_seen;

struct ingress_seen *ingress_seen_new(size_t ids_max); /* NULL: no memory */
void ingress_seen_free(struct ingress_seen **seen);

/* The message is durable as id.  Any order, twice is allowed.  0 or -ENOMEM
 * (then a repetition is found by the queue or not at all). */
int ingress_seen_add(struct ingress_seen *seen, const uint8_t submission[16],
		     uint64_t number, uint64_t id, uint32_t now_s);
/* 1: taken, as *id_r; 0: not known. */
int ingress_seen_find(const struct ingress_seen *seen,
		      const uint8_t submission[16], uint64_t number,
		      uint64_t *id_r);
/* The client has all answers: forget its ids. */
void ingress_seen_end(struct ingress_seen *seen, const uint8_t submission[16]);
/* Forget what is older than INGRESS_SEEN_S; cheap when nothing is. */
void ingress_seen_expire(struct ingress_seen *seen, uint32_t now_s);
size_t ingress_seen_ids(const struct ingress_seen *seen);

/* One connection at a time may bring a submission; false: another does. */
bool ingress_seen_hold(struct ingress_seen *seen, const uint8_t submission[16],
		       uint32_t now_s);
void ingress_seen_release(struct ingress_seen *seen,
			  const uint8_t submission[16]);

#endif
