#ifndef MTAQ_INGRESS_LINK_H
#define MTAQ_INGRESS_LINK_H

/*
 * One Unix stream socket that never blocks by itself, for the client.
 */
#include "base/buf.h"

struct link {
	int fd; /* -1: not open */
	struct buf rx;
};

void link_init(struct link *l);
void link_free(struct link *l);
/* 0 or a negative errno; -EAGAIN: the daemon's queue of connections is full. */
int link_open(struct link *l, const char *path);
void link_close(struct link *l); /* forgets what was received */
/* Write p[*done..len) as far as the socket takes it and move *done.  0 or a
 * negative errno. */
int link_write(struct link *l, const char *p, size_t len, size_t *done);
/* Append what is there to rx.  0; -ECONNRESET at the end of the stream; or
 * what the socket said. */
int link_read(struct link *l);
/* Until there is something to read, or room to write when asked for.  0 or
 * -ETIMEDOUT. */
int link_wait(struct link *l, bool write, uint64_t deadline_ms);
uint64_t link_now_ms(void);
void link_pause(int ms);

#endif
