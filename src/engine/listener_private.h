#ifndef MTAQ_ENGINE_LISTENER_PRIVATE_H
#define MTAQ_ENGINE_LISTENER_PRIVATE_H

/* The ingress thread's own: listener.c (the loop), listener_io.c (octets),
 * listener_open.c (socket and folders), drop.c (the drop folder). */
#include "base/buf.h"
#include "base/list.h"
#include "engine/listener.h"
#include "engine/meter.h"
#include "engine/wire.h"

/* Read at once beyond a frame's end: a single message whole, and of a batch's
 * next frame little, since that is copied. */
#define LISTENER_SPILL (8u << 10)

struct source {
	struct list link; /* in listener.busy, or alone */
	struct list all;  /* in listener.sources */
	struct ingress_conn *conn;
	struct put_gate gate;
	int fd;
	struct ingress_item *held; /* wants a place in the log's lane */
	bool asking;      /* the store is asked whether it knows an item */
	bool unwanted;    /* to be refused, unless the store does */
	char *file;       /* its name in the drop folder; NULL: a socket */
	uint32_t lent;    /* of its items, with the log */
	uint32_t promise; /* number of the frame that said: more follow */
	struct buf ahead; /* read, and no place for it yet */
	bool readable, writable;
	bool ending; /* the peer writes no more: read to the end */
	bool gone;   /* nothing more will be read */
	bool deaf;   /* nothing more can be written */
	bool heard;  /* octets came */
	bool later;  /* the queue could not take all of it now */
};

struct listener {
	struct listener_settings set;
	struct bell *bell; /* the engine's, so that it can be known earlier */
	int epoll, listen;
	int drop_new, drop_rejected; /* folders; -1: none */
	char socket_path[108];
	struct list sources, busy;
	struct ingress_large large; /* over all sources */
	size_t asking;              /* items the store is asked about */
	size_t lent;                /* items with the log */
	uint64_t lent_bytes;
	uint64_t quiet; /* octets lent since the log was rung for, about */
	uint64_t quiet_until_ms; /* 0: nothing waits for a ring */
	size_t promising;        /* sources with a promise */
	uint64_t next_scan_ms, next_tick_ms;
	uint32_t mail_s; /* of this turn */
	uint64_t wall_s;
	bool drop_more; /* the last scan left files for later */
	bool stopping;
	bool listening;    /* the socket is watched */
	bool accept_again; /* a connection was closed */
	atomic_bool stop;
	_Atomic uint64_t connections;
	_Atomic uint64_t accepted[SCHED_CLASS_COUNT]; /* messages */
	_Atomic uint64_t rcpts[SCHED_CLASS_COUNT], bytes;
	_Atomic uint64_t refused[INGRESS_REASON_COUNT];
	pthread_t thread;
	char spill[LISTENER_SPILL];
};

/* A source that reads fd, which is nonblocking; NULL: no memory. */
struct source *listener_add(struct listener *in, int fd, uint32_t uid);
/* Watch its descriptor.  One that cannot be watched, or later breaks, is gone
 * and deaf. */
void source_watch(struct listener *in, struct source *s);
/* What epoll said of it. */
void source_event(struct listener *in, struct source *s, uint32_t events);
/* One step; false: nothing moved, and nothing will without an event or a
 * result. */
bool source_read(struct listener *in, struct source *s);
bool source_write(struct listener *in, struct source *s);

void listener_close_socket(struct listener *in);

/* Make sources of the files that wait in the drop folder. */
void drop_scan(struct listener *in);
/* A file has been read and all of it is answered: remove it, or move it to
 * rejected/ when something in it was refused, or leave it for the next scan
 * when the queue could not take it now. */
void drop_finish(struct listener *in, struct source *s);

#endif
