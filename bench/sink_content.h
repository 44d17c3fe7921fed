#ifndef MTAQ_BENCH_SINK_CONTENT_H
#define MTAQ_BENCH_SINK_CONTENT_H

/*
 * The content of one message as it comes by: un-stuffed, hashed, searched
 * for the header X-Mtaq-Token, and forgotten.  The hash is CRC32C over the
 * exact octets after un-stuffing; the ledger prints it with the length.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_TOKEN_MAX 96u
#define SINK_CARRY_MAX 160u

/* What came last, as far as the end of the data (CRLF . CRLF) cares. */
enum sink_dot {
	SINK_DOT_LINE, /* at the start of a line */
	SINK_DOT_MID,  /* within a line */
	SINK_DOT_CR,   /* after a CR */
	SINK_DOT_DOT,  /* a dot at the start of a line, held back */
	SINK_DOT_DOTCR /* and a CR behind it, held back too */
};

struct sink_content {
	uint64_t len;
	uint32_t crc;
	uint32_t bare_lf; /* line feeds without a carriage return */
	enum sink_dot dot;
	bool in_header;
	uint8_t token_len, carry_len;
	char token[SINK_TOKEN_MAX];
	char carry[SINK_CARRY_MAX]; /* a header line cut by the network */
};

void sink_content_begin(struct sink_content *c);
/* Octets behind DATA.  Returns how many belonged to the content, its final
 * dot included; *done_r tells whether that dot has come. */
size_t sink_content_data(struct sink_content *c, const char *p, size_t n,
			 bool *done_r);
/* Octets of a BDAT chunk: nothing is stuffed. */
void sink_content_raw(struct sink_content *c, const char *p, size_t n);

#endif
