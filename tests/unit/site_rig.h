#ifndef MTAQ_TESTS_SITE_RIG_H
#define MTAQ_TESTS_SITE_RIG_H

/*
 * Servers that exist only in virtual time, and a client that does what a
 * worker does with a site.
 */
#include "site/site.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct rig_host { /* one MX with one address 192.0.2.<ip> */
	const char *name;
	uint16_t preference;
	uint8_t ip;
};

static inline struct mxset *rig_set(const struct rig_host *hosts, uint16_t n)
{
	struct mxset *set = mxset_new(n);
	uint16_t i;

	ck_assert_ptr_nonnull(set);
	for (i = 0; i < n; i++) {
		struct mx_addr *a = &set->hosts[i].addrs[0];

		mxset_name(set, i, span_str(hosts[i].name));
		set->hosts[i].preference = hosts[i].preference;
		set->hosts[i].addr_count = 1;
		a->family = 4;
		a->port = 25;
		a->ip[0] = 192;
		a->ip[2] = 2;
		a->ip[3] = hosts[i].ip;
	}
	set->expires_ms = UINT64_MAX;
	return set;
}

static inline struct site_key rig_key(const struct rig_host *hosts, uint16_t n)
{
	struct mxset *set = rig_set(hosts, n);
	const struct site_preset *presets;
	struct site_key key;
	size_t count;

	presets = site_presets_builtin(&count);
	site_key(set, presets, count, 0, 0, &key);
	mxset_unref(&set);
	return key;
}

struct rig_server {        /* index is the last octet of its address */
	bool dark;         /* answers nothing */
	bool closed;       /* refuses connections */
	uint16_t greeting; /* 554: that instead of 220 */
	uint32_t cap;      /* connections; more get a 421 greeting */
	uint32_t messages; /* then it closes without a word */
	bool says_so;      /* it answers 452 4.5.3 and does not close */
	bool hangs_up;     /* at every MAIL */
	uint32_t live, most, opened, refused, carried;
};

enum rig_state {
	RIG_FREE,
	RIG_CONNECTING,
	RIG_GREETED,
	RIG_IDLE,
	RIG_BUSY
};

struct rig_conn {
	enum rig_state state;
	struct site_conn *conn;
	struct rig_server *server;
	uint64_t due;
	uint32_t carried;
	bool in; /* counted as live by the server */
};

#define RIG_CONNS 128
struct rig {
	struct site_table *table;
	struct site *site;
	struct rig_server servers[256];
	struct rig_conn conns[RIG_CONNS];
	uint64_t now;
	uint32_t waiting, delivered, put_back;
	enum site_answer answer;
	uint64_t when;
};

static inline struct smtp_verdict rig_verdict(enum smtp_stage stage,
					      uint16_t code, const char *text)
{
	struct smtp_verdict v = { .result = code == 0     ? SMTP_LOST
					    : code >= 500 ? SMTP_REJECTED
							  : SMTP_DEFERRED,
				  .stage = stage,
				  .code = code,
				  .text = span_str(text) };
	return v;
}

static inline void rig_start(struct rig *r, const struct site_settings *set,
			     const struct mxset *mx)
{
	struct site_settings standard;
	const struct site_preset *presets;
	struct site_key key;
	size_t count;

	*r = (struct rig){ .now = 1000000 };
	site_settings_default(&standard);
	r->table = site_table_new(set != NULL ? set : &standard, 1000);
	ck_assert_ptr_nonnull(r->table);
	presets = site_presets_builtin(&count);
	site_key(mx, presets, count, 0, 0, &key);
	r->site = site_get(r->table, &key, mx, r->now);
	ck_assert_ptr_nonnull(r->site);
}

static inline void rig_close(struct rig *r, struct rig_conn *c,
			     enum smtp_stage stage, uint16_t code,
			     const char *text)
{
	struct smtp_verdict v = rig_verdict(stage, code, text);

	if (c->in)
		c->server->live--;
	if (c->state == RIG_BUSY) {
		r->waiting++;
		r->put_back++;
	}
	site_conn_close(&c->conn, stage == SMTP_STAGE_NONE ? NULL : &v, r->now,
			NULL);
	*c = (struct rig_conn){ 0 };
}

/* The transaction is over, the session is not. */
static inline void rig_refuse(struct rig *r, struct rig_conn *c)
{
	struct smtp_verdict v =
		rig_verdict(SMTP_STAGE_MAIL, 452, "too many messages sent");
	struct reply_class class;

	v.enhanced = (struct smtp_enhanced){ 4, 5, 3 };
	site_conn_verdict(c->conn, &v, r->now, &class);
	site_conn_end(c->conn, false, r->now);
	r->waiting++;
	r->put_back++;
	c->state = RIG_IDLE;
	c->due = r->now;
}

static inline void rig_stop(struct rig *r)
{
	int i;

	for (i = 0; i < RIG_CONNS; i++)
		if (r->conns[i].state != RIG_FREE)
			rig_close(r, &r->conns[i], SMTP_STAGE_NONE, 0, "");
	site_put(&r->site);
	site_table_free(&r->table);
}

/* What the server at the other end does next. */
static inline void rig_server_turn(struct rig *r, struct rig_conn *c)
{
	struct rig_server *s = c->server;

	if (c->state == RIG_CONNECTING && s->dark) {
		rig_close(r, c, SMTP_STAGE_CONNECT, 0, "no answer");
	} else if (c->state == RIG_CONNECTING && s->closed) {
		s->refused++;
		rig_close(r, c, SMTP_STAGE_CONNECT, 0, "connection refused");
	} else if (c->state == RIG_CONNECTING) {
		site_conn_connected(c->conn, r->now);
		c->state = RIG_GREETED;
		c->due = r->now + 10;
	} else if (c->state == RIG_GREETED && s->greeting != 0) {
		s->refused++;
		rig_close(r, c, SMTP_STAGE_GREETING, s->greeting, "go away");
	} else if (c->state == RIG_GREETED && s->cap != 0 &&
		   s->live >= s->cap) {
		s->refused++;
		rig_close(r, c, SMTP_STAGE_GREETING, 421,
			  "too many connections");
	} else if (c->state == RIG_GREETED) {
		c->in = true;
		if (++s->live > s->most)
			s->most = s->live;
		site_conn_ready(c->conn, r->now);
		c->state = RIG_IDLE;
		c->due = r->now;
	} else if (c->state == RIG_BUSY && s->hangs_up) {
		rig_close(r, c, SMTP_STAGE_MAIL, 0, "closed");
	} else if (c->state == RIG_BUSY && s->messages != 0 && s->says_so &&
		   c->carried == s->messages) {
		rig_refuse(r, c);
	} else if (c->state == RIG_BUSY && s->messages != 0 &&
		   c->carried == s->messages) {
		rig_close(r, c, SMTP_STAGE_MAIL, 0, "closed");
	} else if (c->state == RIG_BUSY) {
		c->carried++;
		s->carried++;
		r->delivered++;
		site_conn_end(c->conn, true, r->now);
		c->state = RIG_IDLE;
		c->due = r->now;
	}
}

static inline void rig_session_turn(struct rig *r, struct rig_conn *c)
{
	struct site_load load = { .waiting = r->waiting };
	uint64_t when;

	switch (site_conn_next(c->conn, &load, r->now, &when)) {
	case SITE_TAKE:
		ck_assert_uint_gt(r->waiting, 0);
		r->waiting--;
		site_conn_begin(c->conn, r->now);
		c->state = RIG_BUSY;
		c->due = r->now + 50;
		break;
	case SITE_KEEP:
		ck_assert_uint_gt(when, r->now);
		c->due = when < r->now + 20 ? when : r->now + 20;
		break;
	case SITE_CLOSE:
		rig_close(r, c, SMTP_STAGE_NONE, 0, "");
		break;
	}
}

static inline struct rig_conn *rig_open(struct rig *r,
					const struct site_target *target)
{
	struct rig_conn *c = r->conns;

	while (c->state != RIG_FREE)
		c++;
	ck_assert(c < r->conns + RIG_CONNS);
	c->state = RIG_CONNECTING;
	c->conn = target->conn;
	c->server = &r->servers[target->addr.ip[3]];
	c->server->opened++;
	c->due = r->now + (c->server->dark ? 30000 : 10);
	return c;
}

/* Everything that happens at this moment. */
static inline void rig_turn(struct rig *r)
{
	struct site_load load;
	struct site_target target;
	int i;

	for (i = 0; i < RIG_CONNS; i++) {
		struct rig_conn *c = &r->conns[i];

		while (c->state != RIG_FREE && c->due <= r->now)
			if (c->state == RIG_IDLE)
				rig_session_turn(r, c);
			else
				rig_server_turn(r, c);
	}
	load = (struct site_load){ .waiting = r->waiting };
	while ((r->answer = site_want(r->site, &load, r->now, &target,
				      &r->when)) == SITE_OPEN)
		rig_open(r, &target);
	ck_assert_uint_gt(r->when, r->now);
}

static inline void rig_run(struct rig *r, uint64_t ms)
{
	uint64_t end = r->now + ms;

	for (; r->now < end; r->now += 10)
		rig_turn(r);
}

#endif
