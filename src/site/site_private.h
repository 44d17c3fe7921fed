#ifndef MTAQ_SITE_SITE_PRIVATE_H
#define MTAQ_SITE_SITE_PRIVATE_H

/* The fields behind site.h. */
#include "base/list.h"
#include "base/map.h"
#include "site/site.h"
#include "site/window.h"

/* Health of one address. */
enum health {
	HEALTH_UNKNOWN, /* nothing tried yet */
	HEALTH_WELL,    /* it took a session to ready */
	HEALTH_BAD,     /* until .until_ms; then one probe */
	HEALTH_COUNT
};

/* PIPELINING or CHUNKING, as the newest session was told. */
enum offer {
	OFFER_UNKNOWN,
	OFFER_NO,
	OFFER_YES
};

/* Of one address, for all sites of the table that lead there. */
struct site_health {
	struct site_table *table;
	struct mx_addr addr;
	uint64_t hash;
	uint32_t refs;
	enum health state;
	uint64_t bad_since_ms, until_ms;
	uint32_t bad_ms;   /* the last pause; kept until mail goes through */
	bool probing;      /* a connection is the half-open probe */
	uint32_t sessions; /* ready ones, of all sites */
	char *why; /* SITE_WHY_MAX octets, owned; NULL: it never said no */
	uint64_t why_ms;
	/* earn.c */
	struct earning {
		enum offer offer;
		uint32_t good; /* that came out whole, until it is earned */
		struct site_conn *trier; /* the session that tries; or NULL */
	} group, chunk;
	uint64_t no_chunks_ms; /* until then */
	uint32_t deeper;       /* messages ahead, beyond the first */
	uint32_t flown;        /* towards one more */
};

struct site_addr {
	struct mx_addr addr;
	uint16_t preference;
	bool listed; /* in the newest set */
	char *host;  /* owned */
	struct site_health *health;
	/* Too many connections: not more than hold_size before hold_ms. */
	uint64_t hold_ms;
	uint32_t hold_size;
	uint32_t hold_for_ms;
	/* We could not even send it a SYN: not before ours_ms. */
	uint64_t ours_ms;
	uint32_t ours_for_ms;
	uint32_t conns;         /* all of ours */
	uint32_t sessions;      /* of them ready */
	struct list connecting; /* conns without an answer, oldest first */
	struct window window;
	uint32_t learned;      /* messages a session; 0: nothing learned */
	uint32_t learned_full; /* sessions that reached it in peace */
	uint64_t learned_until_ms;
	struct site_need refused; /* the least that it does not take */
	uint64_t refused_until_ms;
};

/* What a provider's sites share; other sites have one each. */
struct limits {
	uint64_t owner;
	uint32_t refs;
	const struct site_preset *preset;
	uint32_t conns;
	struct window window;
	struct bucket connects;
	struct pace pace; /* messages per second */
	uint64_t hold_ms; /* not more than hold_size before */
	uint32_t hold_size;
	uint64_t pause_ms; /* sends nothing before */
	uint32_t pause_for_ms;
	char why[SITE_WHY_MAX];
};

struct site {
	struct site_table *table;
	struct limits *limits;
	uint64_t hash;
	uint32_t refs;
	struct list unused; /* in the table's list while refs == 0 */
	uint64_t unused_ms;
	bool kept; /* unused for long, for what it taught: table->kept */
	uint32_t rcpts_max; /* rule 14: 0, or what it taught */
	uint64_t rcpts_until_ms;
	uint64_t refresh_ms;
	char *name;
	bool paused;
	uint32_t connecting, sessions, busy;
	uint32_t probes;    /* addresses with a probe out */
	uint32_t turn;      /* where equals begin */
	uint32_t ramp;      /* sessions that bulk mail may have in this step */
	uint64_t ramp_step; /* the table's, when it was last doubled */
	uint64_t heard_ms;  /* a session came, a mail began or ended */
	uint32_t addr_count;
	struct site_addr **addrs; /* by preference; unlisted ones behind */
};

enum conn_state {
	CONN_CONNECTING, /* no answer from the network yet */
	CONN_SETUP,      /* greeting, EHLO, STARTTLS */
	CONN_READY,      /* transactions may begin */
	CONN_STATE_COUNT
};

struct site_conn {
	struct site *site;
	struct site_addr *addr;
	enum conn_state state;
	struct list link; /* addr->connecting, or the table's free list */
	bool probe;
	bool told;   /* the server's last word has been acted on */
	bool judged; /* it has answered a transaction, well or ill */
	bool pipelining, chunking; /* offered */
	bool disliked; /* it hung up on the first group that it saw */
	uint32_t groups, chunks, flights; /* that came out whole */
	uint32_t begun, ended, carried;
	uint64_t opened_ms, ready_ms, idle_ms;
};

struct site_table {
	struct site_settings set;
	struct map sites, limits, health;
	struct list unused; /* oldest first */
	uint32_t kept;      /* of them, at most KEPT_MAX */
	uint32_t conns, conns_max;
	struct list conns_free; /* memory of closed ones */
	uint64_t now_ms;        /* the latest time heard of */
	uint64_t step;          /* site_table_step(); 0: not in steps */
	bool saturated;
	/* trust.c: addresses that are not trusted, oldest first */
	struct map distrusted;
	struct list distrust;
	uint64_t distrust_all_ms; /* one was forgotten: nobody is, till then */
};

/* health.c: with one reference more; NULL when out of memory */
struct site_health *site_health_get(struct site_table *table,
				    const struct mx_addr *addr);
void site_health_put(struct site_health **health);
/* It has failed on a connection that was opened at opened_ms. */
void site_health_fail(struct site_health *health, uint64_t opened_ms,
		      uint64_t now_ms);
bool site_addr_same(const struct mx_addr *a, const struct mx_addr *b);

/* trust.c */
void site_trust_init(struct site_table *table);
void site_trust_free(struct site_table *table);
/* Until when it is not trusted; 0: it is. */
uint64_t site_distrusted_until(const struct site_health *health,
			       uint64_t now_ms);

/* earn.c: what was shown about chunks counts no more */
void site_earn_anew(struct site_health *health);
/* the connection goes */
void site_earn_leave(struct site_conn *conn);
/* See site_host_info. */
void site_earn_describe(const struct site_health *health, uint64_t now_ms,
			struct site_host_info *info);

/* conn.c: a new connection, counted; NULL when out of memory. */
struct site_conn *site_conn_new(struct site *site, struct site_addr *addr,
				bool probe, uint64_t now_ms);

/* host.c: an address */
struct site_addr *site_addr_new(const struct site *site,
				const struct mx_host *host,
				const struct mx_addr *addr);
void site_addr_free(struct site_addr **addr);
/* Remember what it said, for people. */
void site_addr_why(struct site_addr *addr, const struct smtp_verdict *verdict,
		   uint64_t now_ms);
/* It refused a connection because there are too many. */
void site_addr_crowded(struct site_addr *addr, uint32_t pause_ms,
		       uint64_t now_ms);
/* Not it, we: how long it is left alone (site_conn_unmade()). */
uint64_t site_addr_ours(struct site_addr *addr, uint64_t now_ms);
/* The server ended a session after so many messages (rule 5). */
void site_addr_learn(struct site_addr *addr, const struct site_settings *set,
		     uint32_t carried, uint64_t now_ms);
/* A session reached its limit in peace. */
void site_addr_full(struct site_addr *addr, uint32_t messages_max);
/* Messages a session may carry. */
uint32_t site_addr_messages(const struct site_addr *addr, uint32_t messages_max,
			    uint64_t now_ms);
/* Its host has said that it does not take such mail.  Addresses of one host
 * stand together in site->addrs; at is its place there. */
bool site_addr_unfit(const struct site *site, uint32_t at,
		     const struct site_need *need, uint64_t now_ms);
/* The oldest connect has no answer for stagger_ms. */
bool site_addr_slow(const struct site_addr *addr, uint32_t stagger_ms,
		    uint64_t now_ms);

/* limits.c: what a provider's sites share */
struct limits *site_limits_get(struct site_table *table,
			       const struct site_key *key, uint64_t now_ms);
void site_limits_put(struct site_table *table, struct limits **limits);
uint32_t site_limits_messages(const struct limits *limits,
			      const struct site_settings *set);
/* Do what a reply of site scope asks for; sessions are the site's that work
 * besides the one that got it. */
void site_limits_react(struct limits *limits, const struct reply_class *class,
		       uint32_t sessions, uint64_t now_ms);
/* A reply as one short line without controls. */
void site_reply_line(char line[SITE_WHY_MAX],
		     const struct smtp_verdict *verdict);
void site_limits_why(struct limits *limits, const struct smtp_verdict *verdict);

#endif
