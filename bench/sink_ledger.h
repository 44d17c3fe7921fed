#ifndef MTAQ_BENCH_SINK_LEDGER_H
#define MTAQ_BENCH_SINK_LEDGER_H

/*
 * The ledger: a line for each recipient whose fate was decided.  Lines are
 * gathered for one turn of a loop; the loop writes them before it sends the
 * replies of that turn, so that no client knows of a 2yz that the ledger
 * does not.  write(2) is enough: the page cache survives kill -9.
 */
#include "base/buf.h"
#include "bench/sink_content.h"

enum sink_kind {
	SINK_OK,       /* taken, and the 2yz is sent */
	SINK_WITHHELD, /* taken, and the 2yz is not sent, on purpose */
	SINK_REJ4,
	SINK_REJ5,
};

struct sink_entry {
	enum sink_kind kind;
	uint64_t now_us, transaction, session;
	const struct sink_content *content; /* NULL: none yet */
	struct span recipient, sender;      /* empty: "-" */
	const char *server, *stage, *code;
};

struct sink_ledger {
	struct buf lines;
	int fd; /* -1: no ledger */
	bool ok_only;
	uint64_t unit_us; /* of the first column: 1000, or 1 */
};

/* Nothing is owned of fd, which is open for appending. */
void sink_ledger_init(struct sink_ledger *l, int fd, bool ok_only);
void sink_ledger_free(struct sink_ledger *l);
void sink_ledger_add(struct sink_ledger *l, const struct sink_entry *e);
/* To the file.  0 or a negative errno: then nothing may be promised. */
int sink_ledger_write(struct sink_ledger *l);

#endif
