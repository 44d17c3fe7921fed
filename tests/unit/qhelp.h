#ifndef MTAQ_TESTS_QHELP_H
#define MTAQ_TESTS_QHELP_H

/*
 * For tests of the log half: a store that only counts, and messages whose
 * every octet follows from a number.
 */
#include "mtaq/queue.h"

/* What the store double tells queue_open(); set before. */
extern uint64_t qdouble_checkpoint_lsn, qdouble_cursor_lsn;

struct qfile;

/* A new folder (tmpdir.h); free() its name after qhelp_remove(). */
char *qhelp_folder(void);
void qhelp_remove(const char *dir);
/* Before a test and behind it: an empty folder, a disk (qfile.h), and a store
 * to which nothing has come. */
void qhelp_begin(char **dir_r, struct qfile **disk_r);
void qhelp_end(char **dir, struct qfile **disk);
/* A small spool there, two segments ahead; as queue_open(). */
int qhelp_open(const char *dir, const struct queue_file_ops *file,
	       uint32_t segment_bytes, struct queue **q_r,
	       struct queue_report *report_r);

/* Message n: rcpts and octets of content follow from it. */
struct qhelp_message {
	struct queue_message msg;
	struct queue_rcpt rcpts[8];
	struct iovec iov[2];
	char text[8][64], content[];
};
struct qhelp_message *qhelp_message(uint64_t n, size_t content_bytes);
/* Is this message n, whole? */
bool qhelp_is(const struct queue_view *view, uint64_t n);
/* Put and commit it; 0 or negative errno. */
int qhelp_add(struct queue *q, uint64_t n, size_t bytes, uint64_t *id_r);
/* Does the queue open `id` as message n?  0, or what opening said, -EBADMSG. */
int qhelp_check(struct queue *q, uint64_t id, uint64_t n);
int qhelp_check_at(struct queue *q, uint64_t id, uint64_t place, uint64_t n);

#endif
