/*
 * site/conn.c - a connection's life, and what its end says about its host
 *
 *	CONNECTING --connected--> SETUP --ready--> READY --begin/end--> READY
 *	     |                      |                |
 *	     +----------------------+----------------+--close--> gone
 */
#include "site/site_private.h"

#include "base/fetch.h"

#include <stdlib.h>

struct site_conn *site_conn_new(struct site *site, struct site_addr *addr,
				bool probe, uint64_t now_ms)
{
	struct site_table *table = site->table;
	struct list *link = list_pop(&table->conns_free);
	struct site_conn *conn;

	if (link != NULL)
		conn = CONTAINER_OF(link, struct site_conn, link);
	else
		conn = malloc(sizeof(*conn));
	if (conn == NULL)
		return NULL;
	*conn = (struct site_conn){
		.site = site, .addr = addr, .probe = probe, .opened_ms = now_ms
	};
	list_init(&conn->link);
	list_add_tail(&addr->connecting, &conn->link);
	if (probe) {
		BUG_ON(addr->health->probing);
		addr->health->probing = true;
		site->probes++;
	}
	addr->conns++;
	site->connecting++;
	site->limits->conns++;
	table->conns++;
	return conn;
}

struct site *site_conn_site(const struct site_conn *conn)
{
	return conn->site;
}

void site_conn_connected(struct site_conn *conn, uint64_t now_ms)
{
	BUG_ON(conn->state != CONN_CONNECTING);
	conn->site->table->now_ms = now_ms;
	conn->state = CONN_SETUP;
	conn->addr->ours_for_ms = 0;
	list_del(&conn->link);
}

static void probe_over(struct site_conn *conn)
{
	if (!conn->probe)
		return;
	conn->probe = false;
	conn->addr->health->probing = false;
	conn->site->probes--;
}

/* The host has done what a well one does. */
static void conn_prove(struct site_conn *conn)
{
	if (conn->probe)
		conn->addr->health->state = HEALTH_WELL;
	probe_over(conn);
}

void site_conn_ready(struct site_conn *conn, uint64_t now_ms)
{
	BUG_ON(conn->state == CONN_READY);
	conn->state = CONN_READY;
	conn->ready_ms = conn->idle_ms = now_ms;
	conn->site->heard_ms = now_ms;
	list_del(&conn->link);
	conn->site->connecting--;
	conn->site->sessions++;
	conn->addr->sessions++;
	conn->addr->health->sessions++;
	/* A probe has to get past MAIL before others may follow. */
	if (!conn->probe && !conn->addr->health->probing)
		conn->addr->health->state = HEALTH_WELL;
}

static uint32_t in_flight(const struct site_conn *conn)
{
	return conn->begun - conn->ended;
}

static uint32_t messages_max(const struct site_conn *conn)
{
	const struct site *site = conn->site;
	const struct site_table *table = site->table;

	return site_addr_messages(
		conn->addr, site_limits_messages(site->limits, &table->set),
		table->now_ms);
}

uint32_t site_conn_left(const struct site_conn *conn)
{
	uint32_t max = messages_max(conn);

	return conn->begun < max ? max - conn->begun : 0;
}

bool site_conn_carried(const struct site_conn *conn)
{
	return conn->carried > 0;
}

void site_conn_expect(const struct site_conn *conn)
{
	fetch_ahead(conn, sizeof(*conn));
}

void site_conn_expect_addr(const struct site_conn *conn)
{
	fetch_ahead(conn->addr, sizeof(*conn->addr));
	fetch_ahead(conn->site, sizeof(*conn->site));
}

void site_conn_expect_health(const struct site_conn *conn)
{
	fetch_ahead(conn->addr->health, sizeof(*conn->addr->health));
}

/* More sessions than the windows allow, since they have shrunk. */
static bool conn_surplus(const struct site_conn *conn)
{
	const struct limits *l = conn->site->limits;

	return conn->addr->sessions > conn->addr->window.size ||
	       l->conns > l->window.size + conn->site->connecting;
}

/* Has its time come, whatever the load? */
static bool conn_over(const struct site_conn *conn, uint64_t now_ms)
{
	const struct site *site = conn->site;

	return site->paused || !conn->addr->listed ||
	       site_conn_left(conn) == 0 ||
	       now_ms >= conn->ready_ms + site->table->set.age_ms ||
	       (in_flight(conn) == 0 && conn_surplus(conn));
}

enum site_next site_conn_next(struct site_conn *conn,
			      const struct site_load *load, uint64_t now_ms,
			      uint64_t *when_r)
{
	const struct site_settings *set = &conn->site->table->set;
	struct limits *l = conn->site->limits;
	uint64_t when, idle_until;

	BUG_ON(conn->state != CONN_READY);
	conn->site->table->now_ms = now_ms;
	*when_r = SITE_NEVER;
	if (conn_over(conn, now_ms))
		return SITE_CLOSE;
	if (conn->probe && in_flight(conn) > 0)
		return SITE_KEEP;
	when = l->pause_ms > now_ms ? l->pause_ms : pace_when(&l->pace, now_ms);
	if (load->waiting > 0 && when <= now_ms)
		return SITE_TAKE;
	if (load->waiting == 0)
		when = SITE_NEVER;
	if (in_flight(conn) > 0) {
		*when_r = when;
		return SITE_KEEP;
	}
	idle_until = conn->idle_ms + set->idle_ms;
	if (now_ms >= idle_until)
		return SITE_CLOSE;
	if (idle_until > conn->ready_ms + set->age_ms)
		idle_until = conn->ready_ms + set->age_ms;
	*when_r = when < idle_until ? when : idle_until;
	return SITE_KEEP;
}

void site_conn_begin(struct site_conn *conn, uint64_t now_ms)
{
	BUG_ON(conn->state != CONN_READY);
	if (in_flight(conn) == 0)
		conn->site->busy++;
	conn->begun++;
	conn->site->heard_ms = now_ms; /* it was idle, or has just ended one */
	pace_take(&conn->site->limits->pace, now_ms);
}

static void end_one(struct site_conn *conn)
{
	BUG_ON(in_flight(conn) == 0);
	conn->ended++;
	if (in_flight(conn) == 0)
		conn->site->busy--;
}

void site_conn_end(struct site_conn *conn, bool carried, uint64_t now_ms)
{
	end_one(conn);
	conn->idle_ms = conn->site->heard_ms = now_ms;
	if (!carried)
		return;
	conn->carried++;
	conn->addr->health->bad_ms = 0;
	conn_prove(conn);
}

/* --- what replies do ------------------------------------------------------ */

static bool is_goodbye(const struct smtp_verdict *verdict)
{
	return verdict->code == 0 || verdict->code == 421;
}

/* Sessions that share the limits, without this one. */
static uint32_t others_working(const struct site_conn *conn)
{
	return conn->site->limits->conns - conn->site->connecting -
	       (conn->state == CONN_READY ? 1u : 0u);
}

/* A yes is about its recipient alone, and in the same words from every
 * provider. */
static void conn_accepted(struct site_conn *conn,
			  const struct smtp_verdict *verdict,
			  struct reply_class *class_r)
{
	reply_classify(verdict, NULL, class_r);
	conn_prove(conn);
	conn->judged = true;
}

void site_conn_verdict(struct site_conn *conn,
		       const struct smtp_verdict *verdict, uint64_t now_ms,
		       struct reply_class *class_r)
{
	struct site *site = conn->site;
	bool goodbye = is_goodbye(verdict);

	if (verdict->result == SMTP_ACCEPTED) {
		conn_accepted(conn, verdict, class_r);
		return;
	}
	reply_classify(verdict, site_provider(site), class_r);
	site_addr_why(conn->addr, verdict, now_ms);
	if (!goodbye || verdict->stage > SMTP_STAGE_MAIL)
		conn_prove(conn);
	conn->judged = conn->judged || !goodbye;
	if (class_r->scope == SCOPE_HOST &&
	    class_r->kind == REPLY_CONNECTIONS && !goodbye)
		site_addr_crowded(conn->addr, class_r->pause_s * 1000, now_ms);
	if (class_r->scope == SCOPE_SESSION && !goodbye && conn->carried > 0 &&
	    verdict->stage == SMTP_STAGE_MAIL)
		site_addr_learn(conn->addr, &site->table->set, conn->carried,
				now_ms); /* nothing is left: it ends */
	/* A 421 is told once per recipient, and again at the close. */
	if (class_r->scope != SCOPE_SITE || (goodbye && conn->told))
		return;
	conn->told = goodbye;
	site_limits_react(site->limits, class_r, others_working(conn), now_ms);
	site_limits_why(site->limits, verdict);
}

/* The server would not have another connection, or the host is ill. */
static void host_refused(struct site_conn *conn,
			 const struct smtp_verdict *verdict,
			 const struct reply_class *class, uint64_t now_ms)
{
	struct site_addr *addr = conn->addr;
	bool others =
		addr->health->sessions > (conn->state == CONN_READY ? 1u : 0u);
	/* Closing without a word while others work is how some count. */
	bool crowded = class->kind == REPLY_CONNECTIONS || verdict->code == 0;

	site_limits_why(conn->site->limits, verdict);
	if (crowded && others && !conn->probe)
		site_addr_crowded(addr, class->pause_s * 1000, now_ms);
	else
		site_health_fail(addr->health, conn->opened_ms, now_ms);
}

/* It ended in peace, by us or while nothing was going on. */
static void ended_well(struct site_conn *conn)
{
	struct limits *l = conn->site->limits;
	struct site_addr *addr = conn->addr;

	if (conn->state != CONN_READY) {
		/* We gave it up: a bad host has not had its chance. */
		return;
	}
	conn_prove(conn);
	if (conn->carried == 0)
		return;
	if (site_conn_left(conn) == 0)
		site_addr_full(
			addr, site_limits_messages(l, &conn->site->table->set));
	/* In use means exactly that: a surplus that ends because the window
	 * has shrunk must not open it again. */
	window_good(&l->window, l->conns == l->window.size);
	window_good(&addr->window, addr->conns == addr->window.size);
}

static void ended_by_server(struct site_conn *conn,
			    const struct smtp_verdict *verdict,
			    const struct reply_class *class, uint64_t now_ms)
{
	struct site *site = conn->site;
	bool early = conn->state != CONN_READY ||
		     (verdict->stage == SMTP_STAGE_MAIL && is_goodbye(verdict));

	if (class->scope == SCOPE_SITE) {
		conn_prove(conn); /* it speaks: the site's limits decide */
		if (!conn->told)
			site_limits_react(site->limits, class,
					  others_working(conn), now_ms);
		site_limits_why(site->limits, verdict);
	} else if (early && conn->disliked) {
		/* It hung up on a group of transactions: see earn.c. */
	} else if (early && conn->carried > 0) {
		site_addr_learn(conn->addr, &site->table->set, conn->carried,
				now_ms);
		window_good(&conn->addr->window,
			    conn->addr->conns == conn->addr->window.size);
	} else if (early && conn->judged) {
		/* It refused a mail and hung up: not the host's failure, and
		 * nothing that says how many messages it takes. */
	} else if (early) {
		host_refused(conn, verdict, class, now_ms);
	} else if (verdict->code == 0) {
		/* It broke off in the middle of a transaction. */
		window_bad(&conn->addr->window);
	}
}

static bool is_peace(const struct site_conn *conn,
		     const struct smtp_verdict *verdict)
{
	if (verdict == NULL || verdict->stage == SMTP_STAGE_NONE ||
	    verdict->stage == SMTP_STAGE_QUIT ||
	    verdict->stage == SMTP_STAGE_RSET)
		return true;
	/* Idle: what it says then is about no transaction. */
	return conn->state == CONN_READY && conn->begun == conn->ended &&
	       verdict->stage < SMTP_STAGE_MAIL;
}

static void conn_free(struct site_conn *conn)
{
	struct site *site = conn->site;
	struct site_table *table = site->table;

	while (in_flight(conn) > 0)
		end_one(conn);
	site_earn_leave(conn);
	probe_over(conn);
	list_del(&conn->link);
	if (conn->state == CONN_READY) {
		site->sessions--;
		conn->addr->sessions--;
		conn->addr->health->sessions--;
	} else {
		site->connecting--;
	}
	conn->addr->conns--;
	site->limits->conns--;
	table->conns--;
	list_add_head(&table->conns_free, &conn->link);
}

void site_conn_close(struct site_conn **conn,
		     const struct smtp_verdict *verdict, uint64_t now_ms,
		     struct reply_class *class_r)
{
	struct site_conn *c = *conn;
	struct reply_class class = { .kind = REPLY_OTHER,
				     .scope = SCOPE_SESSION };

	*conn = NULL;
	c->site->table->now_ms = now_ms;
	if (verdict != NULL)
		reply_classify(verdict, site_provider(c->site), &class);
	if (is_peace(c, verdict)) {
		ended_well(c);
	} else {
		site_addr_why(c->addr, verdict, now_ms);
		ended_by_server(c, verdict, &class, now_ms);
	}
	conn_free(c);
	if (class_r != NULL)
		*class_r = class;
}

uint64_t site_conn_unmade(struct site_conn **conn, uint64_t now_ms)
{
	struct site_conn *c = *conn;
	uint64_t until;

	BUG_ON(c->state != CONN_CONNECTING);
	*conn = NULL;
	c->site->table->now_ms = now_ms;
	until = site_addr_ours(c->addr, now_ms);
	conn_free(c);
	return until;
}
