#ifndef MTAQ_CMD_SUBMIT_DROP_H
#define MTAQ_CMD_SUBMIT_DROP_H

/*
 * A file in the drop folder (docs/SUBMISSION.md): written in incoming/tmp,
 * made durable, renamed into incoming/new.  Nothing of it counts before
 * submit_drop_end() gave 0.
 */
#include "mtaq/submit.h"

struct submit_drop;

/* 0 or a negative errno value; -EROFS: the spool was exported, and nobody will
 * look into this folder. */
int submit_drop_open(const char *spool, const uint8_t *id,
		     struct submit_drop **drop_r);
int submit_drop_put(struct submit_drop *d, const struct submit_message *msg);
/* Finish, and knock at the socket: a daemon that started meanwhile looks.
 * -EROFS: it was exported meanwhile; nothing is left there. */
int submit_drop_end(struct submit_drop *d, const char *socket_path);
/* Removes what was not ended. */
void submit_drop_free(struct submit_drop **drop);

#endif
