#ifndef MTAQ_ENGINE_DISK_H
#define MTAQ_ENGINE_DISK_H

/*
 * The system's files for the queue, with a clock beside fdatasync: how long
 * the log's takes is what a submitter waits for.
 */
#include "base/tally.h"
#include "queue/file.h"

/* For queue_settings.file.  The first call is before there are threads. */
const struct queue_file_ops *disk_ops(void);

/* From now on what this thread syncs is observed there, in microseconds, and
 * *since_us is when the one under way began, 0 when none is.
 * Segments that another thread makes ahead are not the log's business. */
void disk_time_here(struct histo *sync_us, _Atomic uint64_t *since_us);

#endif
