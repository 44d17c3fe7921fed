#ifndef MTAQ_REPORT_EXPORTER_H
#define MTAQ_REPORT_EXPORTER_H

/*
 * GET /metrics over HTTP, on a thread of its own (libmicrohttpd's).
 *
 * The page is made by the caller's function, which that thread calls: it must
 * read nothing but what any thread may read.
 */
#include "report/metric.h"

struct exporter;

struct exporter_settings {  /* borrowed for the exporter's life */
	const char *listen; /* path of a Unix socket, or loopback IP:port */
	void (*page)(struct metric_out *out, void *arg);
	void *arg;
};

#define EXPORTER_CLIENTS_MAX 16
#define EXPORTER_IDLE_S      10
#define EXPORTER_PAGE_MAX    (4u << 20)

/*
 * Listen; nobody is answered yet.  A Unix socket's file has mode 0660.
 * -EADDRINUSE: somebody else listens there; -EINVAL: no address of this
 * machine alone; -ENOMEM; or what a system call said.
 */
int exporter_open(const struct exporter_settings *set,
		  struct exporter **exporter_r);
/* 0, or -EAGAIN: no thread. */
int exporter_start(struct exporter *x);
/* End the thread: no page is asked for any more. */
void exporter_stop(struct exporter *x);
/* Removes the socket's file.  Clears the pointer; NULL allowed. */
void exporter_close(struct exporter **exporter);

#endif
