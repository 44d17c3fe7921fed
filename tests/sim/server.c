/*
 * tests/sim/server.c - a mail server that does what servers do, and worse
 *
 *	GREET ─► COMMAND ◄─► DATA        a line at a time
 *	   └─► SILENT, LEFT              says nothing more; has closed
 *
 * Each host has a mood for some minutes (well, ill, dead); a connection draws
 * faults by its mood: refused, silent or slow at any reply, 4yz, 5yz, 421,
 * hang up, reset, one reply too many, replies in pieces, a mail that is taken
 * and never answered.
 */
#include "sim.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_  1100u
#define MOOD_US    (600ull * 1000000)
#define TOLD_MAX   16u
#define SECOND_US  1000000ull
#define DISLIKE_US (600 * SECOND_US)

enum server_state {
	GREET,
	COMMAND,
	DATA,
	SILENT,
	LEFT
};
enum mood {
	WELL,
	ILL,
	DEAD
};

struct taken { /* told when so many octets have been read */
	uint64_t at;
	uint32_t count, slot[RCPTS], k[RCPTS];
};

struct server {
	enum server_state state;
	uint32_t conn, site, mails, fault, mail_slot;
	bool lies; /* has said more than it was asked */
	bool mail, wrong, refuses;
	uint32_t rcpts, slot[RCPTS], k[RCPTS];
	struct content content;
	uint64_t at; /* octets of the content that came */
	size_t len;  /* of line */
	uint32_t told_count;
	/* What follows is not cleared for a new one. */
	struct server *next; /* when it is spare */
	struct taken told[TOLD_MAX];
	char line[LINE_MAX_];
};
static struct server *spare;

static enum mood mood_of(uint32_t site, uint32_t host)
{
	uint64_t h = hash_pair(hash_pair(world->seed, site * 8 + host),
			       world->now_us / MOOD_US);

	if (world->calm)
		return WELL;
	h %= 100;
	return h < 80 ? WELL : h < 95 ? ILL : DEAD;
}

enum connect_answer server_connect(uint32_t site, uint32_t host)
{
	enum mood m = mood_of(site, host);

	if (m == DEAD || (!world->calm && chance(m == ILL ? 100 : 3)))
		return chance(700) ? CONNECT_REFUSED : CONNECT_SILENT;
	return CONNECT_OK;
}

/* --- saying ---------------------------------------------------------------- */

static void leave(struct server *s)
{
	s->state = LEFT;
	net_end(s->conn, chance(300), below(2) * below(SECOND_US));
}

static uint64_t delay(const struct server *s)
{
	if (!chance(s->fault * 4))
		return 0;
	return chance(50) ? below(900) * SECOND_US : below(3 * SECOND_US);
}

static void put(struct server *s, const char *words)
{
	size_t len = strlen(words), n;
	uint64_t in_us = delay(s);

	if (!chance(s->fault * 2)) {
		net_reply(s->conn, words, len, in_us);
		return;
	}
	for (; len > 0; len -= n, words += n) { /* in pieces */
		n = chance(700) ? 1 : some(len);
		net_reply(s->conn, words, n, in_us + below(SECOND_US / 10));
	}
}

/* It does not like the sender, whose other mail must wait as well: now and
 * then, and when all is calm in the beginning, so that nothing but time can
 * wake that. */
static bool dislikes(struct server *s)
{
	bool early = world->now_us < world->started_us + DISLIKE_US;
	bool goodbye;

	if (world->calm ? !early || !chance(100) : !chance(s->fault / 8))
		return false;
	goodbye = chance(500);
	put(s, goodbye ? "421 4.7.26 who is that\r\n"
		       : "450 4.7.26 who is that\r\n");
	if (goodbye)
		leave(s);
	return true;
}

/* A reply in place of the right one: true, it was drawn. */
static bool fails(struct server *s)
{
	static const char *const words[] = {
		"451 4.3.0 try again later\r\n",
		"450 4.7.1 greylisted\r\n",
		"421 4.3.2 going down\r\n",
		"452 4.2.2 mailbox full\r\n",
		"554 5.7.1 go away\r\n",
		"",
		"",
	};
	uint32_t i, r;

	if (!chance(s->fault))
		return false;
	i = (uint32_t)below(ARRAY_LEN(words));
	if (i == 6) {
		s->state = SILENT;
		return true;
	}
	for (r = 0; i == 4 && r < s->rcpts; r++)
		world->msgs[s->slot[r]].rcpt[s->k[r]].refused = true;
	s->refuses = i == 4;
	if (words[i][0] != '\0')
		put(s, words[i]);
	if (i == 2 || i == 5)
		leave(s);
	return true;
}

/* All recipients of a message. */
static void mark(uint32_t slot, bool lied)
{
	struct msg *m = &world->msgs[slot];
	uint32_t i;

	for (i = 0; slot != NOBODY && i < m->count; i++) {
		m->rcpt[i].lied = m->rcpt[i].lied || lied;
		m->rcpt[i].refused = m->rcpt[i].refused || !lied;
	}
}

/* What the client is sending: it may take a stray reply for an answer to a
 * MAIL that has not come yet. */
void server_sees(struct server *s, const struct iovec *iov, size_t count)
{
	uint32_t slot;
	size_t i;

	for (i = 0; s->lies && i < count; i++) {
		const char *p = iov[i].iov_base, *end = p + iov[i].iov_len;

		while ((p = memmem(p, (size_t)(end - p), "MAIL FROM:<s", 12)) !=
		       NULL) {
			const char *to = memchr(p, '>', (size_t)(end - p));

			p += 11;
			if (to == NULL)
				break;
			ledger_rcpt(span_of(p, (size_t)(to - p)), &slot);
			mark(slot, true);
		}
	}
}

static void say(struct server *s, const char *words)
{
	if (s->state == SILENT || s->state == LEFT)
		return;
	put(s, words);
	if (!chance(s->fault / 4))
		return;
	s->lies = true;
	mark(s->mail_slot, true);
	net_sees(s->conn);
	world->count.said_bad++;
	put(s, chance(500) ? words : "250 2.0.0 stray\r\n");
}

/* --- a mail ------------------------------------------------------------------ */

static void forget_mail(struct server *s)
{
	uint32_t i;

	for (i = 0; i < s->rcpts; i++)
		ledger_leave(s->slot[i], s->k[i], s->conn);
	s->rcpts = 0;
	s->mail = false;
}

static void rcpt(struct server *s, const char *line)
{
	const char *from = strchr(line, '<'), *end = strchr(line, '>');
	uint32_t slot, k;

	if (from == NULL || end == NULL || !s->mail) {
		say(s, "503 5.5.1 not now\r\n");
		return;
	}
	ledger_carry(span_of(from + 1, (size_t)(end - from - 1)), s->conn,
		     &slot, &k);
	if (chance(s->fault)) {
		bool final = chance(300);

		if (final)
			world->msgs[slot].rcpt[k].refused = true;
		ledger_leave(slot, k, s->conn);
		say(s, final         ? "550 5.1.1 no such user\r\n"
		       : chance(300) ? "452 4.5.3 too many\r\n"
				     : "450 4.7.1 greylisted\r\n");
		return;
	}
	if (s->rcpts == RCPTS) {
		say(s, "452 4.5.3 too many\r\n");
		return;
	}
	s->slot[s->rcpts] = slot;
	s->k[s->rcpts++] = k;
	say(s, "250 2.1.5 ok\r\n");
}

/* True: and its answer, once read, is the end of it. */
static bool take(struct server *s)
{
	uint32_t i, in_life = NOBODY;
	struct taken *t;

	if (s->wrong || s->at != s->content.len)
		sim_fail("no segment recycled under a send",
			 "message %lu came with other octets (%lu of %lu)",
			 (unsigned long)world->msgs[s->slot[0]].n,
			 (unsigned long)s->at, (unsigned long)s->content.len);
	for (i = 0; i < s->rcpts; i++) {
		uint32_t of = ledger_took(s->slot[i], s->k[i]);

		in_life = of != NOBODY ? of : in_life;
	}
	if (in_life != NOBODY)
		ledger_repeat(in_life);
	world->count.taken++;
	if (++s->mails > world->plan.messages)
		sim_fail("limits never exceeded",
			 "%u mails in a session, session.messages is %u",
			 s->mails, world->plan.messages);
	if (chance(s->fault)) { /* taken, and nobody is told */
		if (chance(500))
			s->state = SILENT;
		else
			leave(s);
		return false;
	}
	say(s, "250 2.0.0 taken\r\n");
	if (s->lies || s->told_count == TOLD_MAX)
		return false;
	t = &s->told[s->told_count++];
	t->at = net_said(s->conn);
	t->count = s->rcpts;
	memcpy(t->slot, s->slot, sizeof(t->slot));
	memcpy(t->k, s->k, sizeof(t->k));
	return true;
}

static void dot(struct server *s)
{
	bool tells = false;

	s->state = COMMAND;
	if (s->rcpts == 0)
		say(s, "554 5.5.1 no recipients\r\n");
	else if (!dislikes(s) && !fails(s))
		tells = take(s);
	if (!tells)
		forget_mail(s);
	s->mail = false;
}

static void data_line(struct server *s, const char *p, size_t len)
{
	const struct content *c = &s->content;
	uint64_t at = s->at;

	if (len == 3 && p[0] == '.') {
		dot(s);
		return;
	}
	if (p[0] == '.') {
		p++;
		len--;
	}
	s->at += len;
	if (s->wrong || s->rcpts == 0)
		return;
	if (s->at > c->len)
		s->wrong = true;
	else if (at < c->head_len)
		s->wrong = len != c->head_len || memcmp(p, c->head, len) != 0;
	else
		s->wrong = memcmp(p, c->rest + (at - c->head_len), len) != 0;
}

/* --- commands ---------------------------------------------------------------- */

static void data(struct server *s)
{
	uint32_t i;

	if (s->rcpts == 0) {
		say(s, "554 5.5.1 no valid recipients\r\n");
		s->mail = false;
		return;
	}
	if (fails(s)) {
		forget_mail(s);
		return;
	}
	say(s, "354 go on\r\n");
	for (i = 0; i < s->told_count; i++)
		s->told[i].at = net_said(s->conn);
	s->state = s->state == COMMAND ? DATA : s->state;
	s->at = 0;
	s->wrong = false;
	content_of(world->msgs[s->slot[0]].n, &s->content);
}

/* Whose mail it is stands in the sender's address too. */
static void mail(struct server *s, const char *line)
{
	const char *from = strchr(line, '<'), *end = strchr(line, '>');
	uint32_t i;

	net_used(s->conn);
	forget_mail(s);
	s->refuses = false;
	s->mail_slot = NOBODY;
	/* Said before the dot's answer was read: that is final only with the
	 * 354 of this one (SMTP.md 19). */
	for (i = 0; i < s->told_count; i++)
		s->told[i].at = UINT64_MAX;
	if (from != NULL && end != NULL)
		ledger_rcpt(span_of(from + 1, (size_t)(end - from - 1)),
			    &s->mail_slot);
	if (s->lies)
		mark(s->mail_slot, true);
	if (fails(s)) {
		if (s->refuses)
			mark(s->mail_slot, false);
		return;
	}
	s->mail = true;
	say(s, "250 2.1.0 ok\r\n");
}

static void command(struct server *s, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		if (!fails(s))
			say(s, chance(900) ? "250-mx.sim\r\n250-PIPELINING\r\n"
					     "250-ENHANCEDSTATUSCODES\r\n"
					     "250 8BITMIME\r\n"
					   : "250 mx.sim\r\n");
	} else if (strncmp(line, "HELO", 4) == 0) {
		say(s, "250 mx.sim\r\n");
	} else if (strncmp(line, "MAIL", 4) == 0) {
		mail(s, line);
	} else if (strncmp(line, "RCPT", 4) == 0) {
		rcpt(s, line);
	} else if (strncmp(line, "DATA", 4) == 0) {
		data(s);
	} else if (strncmp(line, "RSET", 4) == 0) {
		forget_mail(s);
		say(s, "250 2.0.0 ok\r\n");
	} else if (strncmp(line, "QUIT", 4) == 0) {
		say(s, "221 2.0.0 bye\r\n");
		leave(s);
	} else {
		say(s, "500 5.5.1 what?\r\n");
	}
}

/* --- octets ------------------------------------------------------------------ */

static void line_do(struct server *s, const char *p, size_t len)
{
	char words[LINE_MAX_];

	if (s->state == DATA) {
		data_line(s, p, len);
		return;
	}
	if (s->state != COMMAND)
		return;
	BUG_ON(len < 2 || len > sizeof(words));
	memcpy(words, p, len - 2);
	words[len - 2] = '\0';
	command(s, words);
}

void server_input(struct server *s, const char *p, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(p, '\n', len);
		size_t n = nl == NULL ? len : (size_t)(nl - p) + 1;

		if (s->len == 0 && nl != NULL) {
			line_do(s, p, n);
		} else {
			BUG_ON(s->len + n > LINE_MAX_);
			memcpy(s->line + s->len, p, n);
			s->len += n;
			if (nl != NULL) {
				size_t whole = s->len;

				s->len = 0;
				line_do(s, s->line, whole);
			}
		}
		p += n;
		len -= n;
	}
}

void server_read(struct server *s, uint64_t octets)
{
	uint32_t i, j, kept = 0;

	for (i = 0; i < s->told_count; i++) {
		struct taken *t = &s->told[i];

		if (t->at > octets || s->lies) {
			s->told[kept++] = *t;
			continue;
		}
		for (j = 0; j < t->count; j++)
			ledger_told(t->slot[j], t->k[j]);
		ledger_told_mail(t->slot[0], t->k[0], net_worker(s->conn));
	}
	s->told_count = kept;
}

bool server_reads(const struct server *s)
{
	return s->state != SILENT || s->at % 3 != 0;
}

struct server *server_new(uint32_t conn, uint32_t site)
{
	struct server *s = spare;

	if (s != NULL)
		spare = s->next;
	else
		s = malloc(sizeof(*s));
	BUG_ON(s == NULL);
	memset(s, 0, offsetof(struct server, next));
	s->conn = conn;
	s->site = site;
	s->fault = world->calm ? 0 : world->plan.fault;
	if (mood_of(site, 0) == ILL)
		s->fault += 150;
	s->state = COMMAND;
	s->mail_slot = NOBODY;
	if (fails(s))
		return s;
	say(s, "220 mx.sim ESMTP\r\n");
	return s;
}

void server_gone(struct server *s)
{
	forget_mail(s);
}

void server_free(struct server **s)
{
	if (*s == NULL)
		return;
	(*s)->next = spare;
	spare = *s;
	*s = NULL;
}
