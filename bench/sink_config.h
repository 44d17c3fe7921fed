#ifndef MTAQ_BENCH_SINK_CONFIG_H
#define MTAQ_BENCH_SINK_CONFIG_H

/*
 * What the options of `mtaq sink` say, and the stages of a session that
 * they speak of.  Filled once by sink_options(), then only read.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_ADDRESSES_MAX 4096u
#define SINK_ADDRESS_TEXT  64u

/* Where in a session something goes wrong. */
enum sink_stage {
	SINK_CONNECT,  /* accepted, nothing said yet */
	SINK_GREETING, /* the 220 */
	SINK_EHLO,     /* EHLO or HELO */
	SINK_MAIL,
	SINK_RCPT,
	SINK_DATA,    /* DATA, or a message's first BDAT */
	SINK_CONTENT, /* while the content is coming */
	SINK_EOD,     /* the final dot, or BDAT LAST */
	SINK_STAGES,
};

/* What is done to a reply that has been decided. */
enum sink_trick {
	SINK_DROP,  /* the connection ends instead */
	SINK_HANG,  /* nothing is said any more, the connection stays */
	SINK_MISS,  /* this one is left out, all goes on */
	SINK_DUP,   /* it is said twice */
	SINK_STRAY, /* a 250 that nobody asked for goes before it */
	SINK_TRICKS,
};

extern const char *const sink_stage_names[SINK_STAGES];
extern const char *const sink_trick_names[SINK_TRICKS];

struct sink_address {
	struct sockaddr_storage sa;
	socklen_t sa_len;
	char text[SINK_ADDRESS_TEXT]; /* 127.0.0.2 or ::1, without the port */
	uint32_t delay_ms;
	_Atomic uint32_t open; /* connections now */
};

struct sink_config {
	struct sink_address *addresses; /* own */
	size_t address_count;
	struct sink_address dns; /* sa_len 0: no DNS */
	uint32_t port, threads;
	uint64_t seed;

	/* what EHLO offers */
	bool no_pipelining, no_chunking, no_8bitmime, no_smtputf8, no_dsn,
		no_enhanced;
	uint64_t size_max; /* 0: SIZE is not offered, nothing too large */
	const char *hostname;

	/* misbehaviour */
	double fail[SINK_STAGES][2]; /* [0]: 4yz, [1]: 5yz */
	double trick[SINK_TRICKS][SINK_STAGES];
	uint32_t delay_ms;
	const char *delay_at;
	double greylist_s;
	double tarpit; /* share of sessions */
	uint32_t tarpit_ms;
	uint32_t messages_max, connections_max, rcpts_max, idle_ms;
	bool messages_silent, split, reset, data_always, bdat_spill, providers,
		stubborn;

	/* names */
	const char *zone;
	uint32_t domains, mx, sites, ttl;
	bool mx_equal, dns_truncate;
	double dead_first, nxdomain, null_mx, servfail, timeout, no_mx;
	const char *dead_address;

	/* what is told */
	const char *ledger, *stats;
	bool ledger_ok_only, ledger_us, json;
	uint32_t stats_every_s;
	int ready_fd;
};

/* Read the command line.  0, or a sysexits code after saying what is wrong;
 * -1 after --help.  *c is to be freed by sink_config_free() in any case. */
int sink_options(struct sink_config *c, int argc, char **argv);
void sink_config_free(struct sink_config *c);

/* "ADDRESS", "ADDRESS:PORT", "[V6]:PORT".  False when it is none. */
bool sink_address_parse(struct sink_address *a, const char *text,
			uint32_t port);
uint32_t sink_address_port(const struct sink_address *a);
void sink_address_set_port(struct sink_address *a, uint32_t port);

/* A number in [0, 1) that depends on nothing but its arguments. */
double sink_draw(uint64_t seed, uint64_t what, uint64_t key);

#endif
