#ifndef MTAQ_ADMIN_CLIENT_H
#define MTAQ_ADMIN_CLIENT_H

/*
 * A command's end of the control socket; it blocks.
 *
 *	admin_client_open()
 *	  request in client->out: admin_begin() ... admin_end()
 *	  admin_client_ask()
 *	  admin_client_next() until it gives 0 or an error
 *	admin_client_close()
 */
#include "admin/record.h"

#include <signal.h>

#define ADMIN_ANSWER_WAIT_MS 120000

struct admin_client {
	int fd;
	struct buf in, out;
	size_t at; /* what is read of in */
	/* For the next octets of an answer: ADMIN_ANSWER_WAIT_MS, until
	 * changed. */
	int wait_ms;
	struct admin_record rec;
	const volatile sig_atomic_t *stop; /* or NULL: a handler sets it */
};

/* 0 or what connect() said: -ENOENT, -ECONNREFUSED: no daemon is there. */
int admin_client_open(struct admin_client *c, const char *path);
void admin_client_close(struct admin_client *c);
/* Send what stands in c->out.  Negative errno: the connection is over. */
int admin_client_ask(struct admin_client *c);
/*
 * The next line of the answer in c->rec, borrowed until the next call.
 * 1: a row; 0: the last line, "ok"; -ECANCELED: the last line, "error";
 * -EINTR: *c->stop was set; -EPROTO: no line at all; -ETIMEDOUT; -ECONNRESET; or what the socket said.
 */
int admin_client_next(struct admin_client *c);

#endif
