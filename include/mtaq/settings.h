#ifndef MTAQ_SETTINGS_H
#define MTAQ_SETTINGS_H

/*
 * The configuration of the whole program, in plain data.
 *
 * Every field is a row of the one table in src/options/table.c (name, type,
 * default, range, help), from which come the parser, conf/mtaq.yaml and
 * docs/mtaq.yaml.md; a test compares the three.  What a field means is said
 * there: `mtaq check --defaults` prints it.  The names below are the names in
 * the file with '.' for the nesting and the unit at the end.
 *
 * Strings and lists belong to the struct and live until settings_free().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_FILE        "/etc/mtaq/mtaq.yaml"
#define SETTINGS_FILE_ENV    "MTAQ_CONFIG"
#define SETTINGS_LIST_MAX    100u       /* items of one list */
#define SETTINGS_TIMES_MAX   16u        /* of retry */
#define SETTINGS_SERVERS_MAX 8u         /* of dns.servers */
#define SETTINGS_ROUTES_MAX  10000u     /* entries of routes: */
#define SETTINGS_FILE_MAX    (4u << 20) /* octets of the file */

enum settings_io {
	SETTINGS_IO_AUTO,
	SETTINGS_IO_URING,
	SETTINGS_IO_EPOLL
};

enum settings_level {
	SETTINGS_LEVEL_ERROR,
	SETTINGS_LEVEL_WARNING,
	SETTINGS_LEVEL_INFO,
	SETTINGS_LEVEL_DEBUG
};

/* What to do about a bare CR or LF in submitted content (SMTP.md 22). */
enum settings_newlines {
	SETTINGS_NEWLINES_FIX,
	SETTINGS_NEWLINES_REFUSE
};

/* 8-bit content towards a host without 8BITMIME (SMTP.md 24). */
enum settings_eightbit {
	SETTINGS_EIGHTBIT_SEND,
	SETTINGS_EIGHTBIT_BOUNCE
};

/* What servers take that not all take. */
enum settings_auto {
	SETTINGS_AUTO, /* where a server has shown that it takes it */
	SETTINGS_OFF,
	SETTINGS_ON
};

struct settings_words { /* a list of words */
	char **items;
	uint32_t count;
};

struct settings_times { /* a list of durations */
	uint32_t *items_s;
	uint32_t count;
};

struct settings_endpoint {
	char *host; /* IP literal (without brackets) or host name */
	uint16_t port;
};

struct settings_endpoints {
	struct settings_endpoint *items;
	uint32_t count;
};

struct settings_route {
	char *domain; /* lower case, or "*" for all that have no other */
	struct settings_endpoint to;
};

struct settings_routes { /* sorted by domain (strcmp), each once */
	struct settings_route *items;
	uint32_t count;
};

struct settings {
	char *hostname; /* EHLO name; never empty after settings_load() */
	char *spool;
	char *runtime;
	char *user;                          /* "": stay who we are */
	struct settings_words own_addresses; /* IP literals */
	uint32_t workers;                    /* 0: auto */
	enum settings_io io_backend;

	struct {
		struct settings_endpoints servers; /* IP literals only */
		uint64_t timeout_ms; /* for one query to one server */
		uint32_t outstanding_max;
	} dns;

	struct {
		uint16_t port;
		struct settings_words sources; /* IP literals; empty: any */
		enum settings_auto chunking;   /* SMTP.md 20 */
		uint32_t chunks_ahead;
		struct { /* SMTP.md 10 */
			uint64_t connect_ms, greeting_ms, ehlo_ms;
			uint64_t mail_ms, rcpt_ms, data_ms, block_ms, dot_ms;
			uint64_t rset_ms, quit_ms, session_ms;
		} timeout;
	} smtp;

	struct {
		char *events; /* "": no event log */
		enum settings_level level;
	} log;

	struct {
		char *listen; /* path, loopback IP:port, or "": nowhere */
		uint32_t top_sites;
	} metrics;

	struct {
		uint32_t connections;    /* outgoing sessions, all workers */
		uint32_t submitters;     /* connections to the socket */
		uint32_t tasks;          /* loaded at once */
		uint32_t queue_tasks;    /* of one queue */
		uint32_t queues;         /* known at once */
		uint64_t unsynced_bytes; /* then submitters are not read */
	} limits;

	struct settings_routes routes;

	struct settings_times retry; /* at least one; the last repeats */
	uint32_t age_limit_s;
	uint32_t greylist_s;     /* least delay after 45x 4.7.1 */
	uint32_t mailbox_full_s; /* least delay after 452 4.2.2 */

	struct {
		uint64_t idle_ms, age_ms;
		uint32_t messages;           /* of one session */
		enum settings_auto grouping; /* SMTP.md 19 */
	} session;

	struct {
		uint64_t bad_first_ms, bad_max_ms;
	} host;

	struct {
		uint32_t connections; /* per site */
		uint32_t connects_per_second;
	} site;

	struct {
		uint32_t first_s;
		uint32_t max;
	} unsure;

	uint32_t max_unsynced_outcomes; /* a worker */
	uint64_t stop_grace_ms;

	uint64_t message_bytes_max;
	uint64_t min_free_bytes;

	struct {
		uint32_t interval_s;
		uint32_t age_s;     /* younger records wait */
		uint64_t log_bytes; /* uncovered log that starts one */
		uint32_t deltas;    /* live changes that start one */
	} checkpoint;

	struct {
		uint32_t segment_bytes;
		uint32_t segments_ahead;
		uint64_t index_bytes_max; /* LMDB's map */
	} queue;

	bool received; /* add a Received line */
	enum settings_newlines bare_newlines;
	enum settings_eightbit eightbit;
};

/*
 * Read and check the file.  0, or
 *	-EINVAL	 the file says something that it may not
 *	-ENOMEM
 *	or what opening and reading it said.
 * On failure *set_r is untouched and words, a C string of at most words_size
 * octets, says for each error what, where and why: FILE:LINE:COLUMN: error,
 * the line, a caret under the column, and what was probably meant.
 */
int settings_load(const char *path, struct settings *set_r, char *words,
		  size_t words_size);

/* As settings_load() from memory; name stands for the file in messages. */
int settings_parse(const char *name, const char *text, size_t len,
		   struct settings *set_r, char *words, size_t words_size);

/* Frees what the struct holds and clears it. */
void settings_free(struct settings *set);

/*
 * Which file a command reads: `option` (the argument of -c) when not NULL,
 * else $MTAQ_CONFIG when set and not empty, else SETTINGS_FILE.
 */
const char *settings_path(const char *option);

/*
 * Where mail for domain (lower case) goes instead of to its MX: its own
 * entry, else that of "*", else NULL.  Borrowed from set.
 */
const struct settings_endpoint *settings_route(const struct settings *set,
					       const char *domain, size_t len);

#endif
