#ifndef MTAQ_CMD_HISTORY_H
#define MTAQ_CMD_HISTORY_H

/*
 * What the event log knows of a message: the last event of each recipient.
 * The newest HISTORY_BYTES of the log are read, and of the file before it
 * (FILE.1, as logrotate names it).
 */
#include <stdbool.h>
#include <stdint.h>

#define HISTORY_BYTES (UINT64_C(256) << 20)
#define HISTORY_RCPTS 1000u

struct history_rcpt {
	uint32_t rcpt; /* its place in the message */
	uint32_t events, attempt, code;
	bool final; /* delivered, bounced, expired, cancelled */
	char type[16], time[32], to[324], domain[256];
	char host[200], stage[16], class[24], enhanced[16];
	char reply[600];
};

struct history {
	char from[324], tenant[256], campaign[256];
	char accepted[32]; /* when; "": not seen */
	uint64_t size;
	struct history_rcpt *rcpts; /* by .rcpt */
	uint32_t count;
	uint64_t bytes; /* read */
	bool whole;     /* of the newest file nothing was left out */
	int err;        /* -ENOENT: no log; -EACCES; 0 */
};

/* Look for the message (14 letters) in the log at path ("": there is none).
 * Never fails: what could not be read is in err. */
void history_read(struct history *h, const char *path, const char *id);
void history_free(struct history *h);
const struct history_rcpt *history_find(const struct history *h, uint32_t rcpt);

#endif
