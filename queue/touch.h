#ifndef MTAQ_QUEUE_TOUCH_H
#define MTAQ_QUEUE_TOUCH_H

/*
 * Bringing pages of a mapping in by touching them: 0, or -EIO where the disk
 * does not give one.  Any thread.  The first call takes SIGBUS for the process;
 * one that comes from elsewhere ends it as if nobody had.
 */
#include <stddef.h>

int touch_pages(const void *p, size_t len);

#endif
