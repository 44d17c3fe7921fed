#ifndef MTAQ_OPTIONS_OPTION_H
#define MTAQ_OPTIONS_OPTION_H

/*
 * One row of the option table, and its values as text.  The parser, the
 * sample file and the manual all read the same rows.
 */
#include "base/buf.h"
#include "mtaq/settings.h"

enum option_type {
	OPTION_SECTION,   /* no value: what stands before a dot in names */
	OPTION_HOSTNAME,  /* char *: full name or address literal */
	OPTION_WORD,      /* char *: any text without controls */
	OPTION_PATH,      /* char *: absolute, or "" where min is 0 */
	OPTION_LOCAL,     /* char *: absolute path, loopback IP:port, or "" */
	OPTION_NUMBER,    /* uint32_t */
	OPTION_AUTO,      /* uint32_t: 0 is "auto" */
	OPTION_PORT,      /* uint16_t */
	OPTION_MS,        /* uint64_t: a duration in ms */
	OPTION_SECONDS,   /* uint32_t: a duration in s */
	OPTION_BYTES,     /* uint64_t: a size */
	OPTION_BYTES32,   /* uint32_t: a size */
	OPTION_BOOL,      /* bool: yes or no */
	OPTION_CHOICE,    /* an enum: one of .choices */
	OPTION_TIMES,     /* struct settings_times */
	OPTION_ADDRESSES, /* struct settings_words of IP literals */
	OPTION_SERVERS,   /* struct settings_endpoints of IP literals */
	OPTION_ROUTES     /* struct settings_routes */
};

struct option_row {
	const char *name; /* as in the file, '.' for the nesting */
	enum option_type type;
	size_t offset; /* in struct settings */
	/* Least and most, in the unit of the field; of lists, of an item. */
	uint64_t min, max;
	const char *standard;       /* the default, as text */
	const char *const *choices; /* of OPTION_CHOICE, ended by NULL */
	const char *help;           /* one or more sentences */
};

extern const struct option_row option_table[];
extern const size_t option_count;

bool option_is_list(enum option_type type);

/*
 * Parse text into the field of set.  0, -ENOMEM, or -EINVAL with why as a
 * C string of at most why_size octets.  A list gets one more item; a char *
 * is replaced.  Not for sections and routes.
 */
int option_set(const struct option_row *o, struct span text,
	       struct settings *set, char *why, size_t why_size);
/* One more entry of routes:, not yet sorted. */
int option_add_route(struct settings *set, struct span domain, struct span to,
		     char *why, size_t why_size);
/* Forget the items of a list, or a char *. */
void option_clear(const struct option_row *o, struct settings *set);
/* The field as YAML on one line, quoted where needed, or as JSON. */
void option_print(const struct option_row *o, const struct settings *set,
		  bool json, struct buf *out);
/* "1s to 1h", "auto or 1 to 64", "yes or no" ... */
void option_print_range(const struct option_row *o, struct buf *out);

/* Units, for the above and for tests.  0 or -EINVAL (also when too large). */
int option_duration(struct span text, uint64_t *ms_r);
int option_size(struct span text, uint64_t *bytes_r);
void option_print_duration(uint64_t ms, struct buf *out);
void option_print_size(uint64_t bytes, struct buf *out);
/* host:port, [v6]:port; standard_port 0: the port must be there. */
int option_endpoint(struct span text, uint16_t standard_port,
		    struct settings_endpoint *to_r);
bool option_is_ip(struct span text);
/* A host name of letters, digits, hyphens and underscores. */
bool option_is_name(struct span text);

#endif
