#ifndef MTAQ_REPORT_EVENTLOG_H
#define MTAQ_REPORT_EVENTLOG_H

/*
 * The event log: a file of event lines that neither loses nor doubles one in
 * a crash.  At start the half line that a crash may have left is cut off, and
 * the last whole line says where to go on.  The file is synced before the
 * cursor lets the log's segments go.
 *
 * A new file begins with {"lsn":L,"n":N,"type":"begin"}: the key of the last
 * event before it, so that rotation leaves no gap unnoticed.
 */
#include "mtaq/queue.h"

struct eventlog;
struct event_exported; /* report/event.h */

/* path is copied.  0, or a negative errno value of the file or the queue. */
int eventlog_open(struct queue *q, const char *path, struct eventlog **log_r);
void eventlog_close(struct eventlog **log);
/* Write what has become durable: 1: something was written, 0: nothing new,
 * or a negative errno value (nothing is lost: the same again later). */
int eventlog_write(struct eventlog *log);
/* All that is durable is written (eventlog_write() gave 0): write that this
 * recipient was exported, unless an export that did not come to its end wrote
 * so before.  e->lsn and e->n are set here; call it in one order each time. */
int eventlog_exported(struct eventlog *log, struct event_exported *e);
/* Sync the file and let go of what is in it. */
int eventlog_sync(struct eventlog *log);
/* Go on in a new file (the old one was renamed): for log rotation.  0, or a
 * negative errno value: it goes on in the old one. */
int eventlog_reopen(struct eventlog *log);

#endif
