#ifndef MTAQ_TESTS_QDAY_H
#define MTAQ_TESTS_QDAY_H

/*
 * A day in the life of a spool: mail in, tasks out, outcomes, a decision, two
 * checkpoints, events, a segment emptied by moving its rest.  Something may fail in it, and the day ends there; the
 * morning after, with nothing failing, the log is whole, the spool opens, and
 * each recipient that was acknowledged is open unless its final outcome was
 * durable.
 */
#include "mtaq/queue.h"

/* Is an error that the queue gave the one that the test had made? */
extern bool (*qday_excuse)(int error);
/* The disk of the day; NULL: the system's.  The morning has the system's. */
extern bool qday_ends_early; /* before its first checkpoint */
extern uint64_t qday_moved;  /* messages, in all days that came so far */
extern const struct queue_file_ops *qday_file;
extern struct queue_settings qday_settings;

void qday_begin(void); /* a folder */
void qday_end(void);
bool qday_run(void); /* false: it ended with an excused error */
void qday_morning(void);
void qday_clean(void); /* the folder is empty again */

#endif
