/*
 * tests/unit/gen_server.c - a server that does as a case says
 *
 * It reads commands and content, keeps the state that a server has, and
 * answers rightly, but where the case has a fault for the place.  What its
 * reply means (gen_reply_means) is what it does: a 2yz to RCPT is an accepted
 * recipient, a 3yz to DATA makes it read content.  So it knows what it truly
 * took, whatever the network makes of its words.
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 10

const struct gen_fault *gen_fault_at(const struct gen_case *c,
				     enum gen_slot slot, unsigned mail)
{
	bool of_mail = slot >= AT_MAIL && slot != AT_QUIT && slot < AT_PROOF;
	unsigned i;

	for (i = 0; i < c->fault_count; i++)
		if (c->fault[i].slot == slot &&
		    (!of_mail || c->fault[i].mail == mail))
			return &c->fault[i];
	return NULL;
}

uint32_t gen_limit_ms(enum gen_slot slot)
{
	static const uint16_t seconds[SLOT_COUNT] = {
		[AT_GREETING] = 300, [AT_EHLO] = 300,     [AT_HELO] = 300,
		[AT_STARTTLS] = 120, [AT_HANDSHAKE] = 60, [AT_EHLO_TLS] = 300,
		[AT_MAIL] = 300,     [AT_RCPT_1] = 300,   [AT_RCPT_2] = 300,
		[AT_RCPT_3] = 300,   [AT_DATA] = 120,     [AT_CONTENT] = 180,
		[AT_DOT] = 600,      [AT_RSET] = 60,      [AT_QUIT] = 10,
		[AT_IDLE] = 30,      [AT_PROOF] = 60,     [AT_PROOF_RSET] = 60,
	};

	return seconds[slot] * 1000u;
}

static void push(struct gen_server *v, struct gen_push p, uint64_t now_ms)
{
	if (p.at_ms < v->last_ms)
		p.at_ms = v->last_ms;
	if (p.at_ms < now_ms)
		p.at_ms = now_ms;
	if (p.step == 0)
		p.step = p.len;
	if (v->tail - v->head == GEN_PUSHES)
		abort();
	v->push[v->tail++ % GEN_PUSHES] = p;
	v->last_ms = p.at_ms;
	if (p.gap_ms > 0)
		v->last_ms += (uint64_t)p.gap_ms * (p.len / p.step + 1);
}

static void push_octets(struct gen_server *v, const char *p, size_t len,
			struct gen_push how, uint64_t now_ms)
{
	if (len == 0)
		return;
	if (v->said_len + len > sizeof(v->said))
		abort();
	memcpy(v->said + v->said_len, p, len);
	how.type = PUSH_OCTETS;
	how.at = v->said_len;
	how.len = (uint32_t)len;
	v->said_len += (uint32_t)len;
	push(v, how, now_ms);
}

/* Where CUT_AT and CUT_CRLF divide a reply. */
static size_t cut_place(const struct gen_fault *f, const char *p, size_t len)
{
	if (f->cut == CUT_CRLF && len > 1 && p[len - 1] == '\n')
		return len - 1;
	return f->cut == CUT_AT && len > 1 ? 1 + f->cut_at % (len - 1) : 0;
}

static void push_cut(struct gen_server *v, const struct gen_fault *f,
		     const char *p, size_t len, uint64_t now_ms)
{
	uint32_t limit = gen_limit_ms(f->slot);
	struct gen_push how = { .at_ms = now_ms };
	size_t at = cut_place(f, p, len);

	if (f->delay == DELAY_JUST)
		how.at_ms = (v->last_ms > now_ms ? v->last_ms : now_ms) +
			    limit - 1000;
	else if (f->delay == DELAY_BEYOND)
		how.at_ms = (v->last_ms > now_ms ? v->last_ms : now_ms) +
			    limit + 1000;
	else if (f->delay == DELAY_DRIP)
		how.gap_ms = 1000;
	else if (f->delay == DELAY_TRICKLE)
		how.gap_ms = limit / 3000 * 1000;
	if (f->cut == CUT_OCTETS || how.gap_ms > 0)
		how.step = 1;
	push_octets(v, p, at, how, now_ms);
	push_octets(v, p + at, len - at, how, now_ms);
}

static void say_plain(struct gen_server *v, const char *text, uint64_t now_ms)
{
	push_octets(v, text, strlen(text), (struct gen_push){ 0 }, now_ms);
}

/* Say what belongs here, or the fault; returns the code that it means. */
static unsigned say(struct gen_server *v, enum gen_slot slot, const char *right,
		    uint64_t now_ms)
{
	const struct gen_fault *f = gen_fault_at(v->c, slot, v->mail);
	char reply[GEN_REPLY_MAX];
	unsigned code;
	size_t len;

	if (v->mute)
		return 0;
	if (f == NULL) {
		say_plain(v, right, now_ms);
		return gen_reply_means(right, strlen(right));
	}
	v->hits++;
	len = gen_reply(f->kind, right, reply);
	code = gen_reply_means(reply, len);
	v->strays |= slot == AT_CONTENT || slot == AT_IDLE || len == 0 ||
		     gen_parse(reply, len, &(struct gen_said){ 0 }) != (int)len;
	v->honest &= !v->strays;
	v->bye |= code == 421;
	if (f->close == CLOSE_MIDDLE)
		len /= 2;
	push_cut(v, f, reply, len, now_ms);
	if (f->close != CLOSE_NO) {
		push(v,
		     (struct gen_push){ .type = f->close == CLOSE_RESET
							? PUSH_RESET
							: PUSH_CLOSE },
		     now_ms);
		v->mute = true;
	}
	return code;
}

/* --- commands --------------------------------------------------------- */

static void say_ehlo(struct gen_server *v, uint64_t now_ms)
{
	enum gen_without without = v->c->without;
	bool alone = v->c->mode == MODE_SINGLE || without == WITHOUT_PIPELINING;
	char text[256];

	snprintf(text, sizeof(text), "250-mx\r\n%s%s%s%s250 8BITMIME\r\n",
		 alone ? "" : "250-PIPELINING\r\n",
		 v->c->tls == TLS_MAY || v->tls ? "" : "250-STARTTLS\r\n",
		 without == WITHOUT_CHUNKING ? "" : "250-CHUNKING\r\n",
		 without == WITHOUT_CODES ? "" : "250-ENHANCEDSTATUSCODES\r\n");
	say(v, v->tls ? AT_EHLO_TLS : AT_EHLO, text, now_ms);
}

static bool any_taken(const struct gen_server *v)
{
	return v->taken[0] || v->taken[1] || v->taken[2];
}

static void on_mail(struct gen_server *v, uint64_t now_ms)
{
	v->mail = v->mails < GEN_MAILS ? v->mails++ : GEN_MAILS - 1;
	memset(v->taken, 0, sizeof(v->taken));
	v->idle_said = false;
	v->open = say(v, AT_MAIL, "250 2.1.0 ok\r\n", now_ms) / 100 == 2;
}

static void on_rcpt(struct gen_server *v, const char *line, uint64_t now_ms)
{
	unsigned i = (unsigned)(line[10] - '0') % GEN_RCPTS;
	const char *right =
		v->open ? "250 2.1.5 ok\r\n" : "503 5.5.1 no MAIL\r\n";
	unsigned code = say(v, (enum gen_slot)(AT_RCPT_1 + i), right, now_ms);

	v->taken[i] = code / 100 == 2;
	/* To take somebody behind a refused MAIL is no answer that one means;
	 * a chunk is judged by the refusal when no more of it comes. */
	v->honest &= v->open || code / 100 != 2 || v->c->mode != MODE_CHUNKED;
}

static void on_data(struct gen_server *v, uint64_t now_ms)
{
	const char *right =
		any_taken(v) ? "354 go\r\n" : "554 5.5.1 no recipients\r\n";

	v->content = say(v, AT_DATA, right, now_ms) / 100 == 3;
	v->body_at = 0;
	v->body_bad = false;
}

/* Content where commands are due; as others do, it has enough in the end. */
static void on_unknown(struct gen_server *v, uint64_t now_ms)
{
	bool last = ++v->errors == ERRORS_MAX;

	v->honest = false;
	if (v->mute)
		return;
	say_plain(v,
		  last ? "421 4.7.0 too many errors\r\n" : "500 5.5.2 what\r\n",
		  now_ms);
	v->mute = last;
	if (last)
		push(v, (struct gen_push){ .type = PUSH_CLOSE }, now_ms);
}

static void on_rset(struct gen_server *v, uint64_t now_ms)
{
	const char *right =
		v->c->address_like ? "250 2.1.5 ok\r\n" : "250 2.0.0 ok\r\n";

	v->open = false;
	memset(v->taken, 0, sizeof(v->taken));
	say(v, v->proof ? AT_PROOF_RSET : AT_RSET, right, now_ms);
	v->proof = false;
}

static void on_bdat(struct gen_server *v, const char *line, uint64_t now_ms)
{
	/* No mail of ours has six octets. */
	v->proof = !v->open && strcmp(line, "BDAT 6 LAST\r\n") == 0;
	v->body_at = 0;
	v->body_bad = false;
	v->chunk_left = strtoul(line + 5, NULL, 10);
	v->runs = v->c->runs && !any_taken(v);
	if (!v->runs)
		return;
	v->ran |= !v->proof;
	v->chunk_left = 0;
	if (v->proof)
		say(v, AT_PROOF, "503 5.5.1 no MAIL\r\n", now_ms);
	else
		say(v, AT_DOT, "503 5.5.1 no recipients\r\n", now_ms);
}

static void on_command(struct gen_server *v, const char *line, uint64_t now_ms)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		say_ehlo(v, now_ms);
	} else if (strncmp(line, "HELO", 4) == 0) {
		say(v, AT_HELO, "250 mx\r\n", now_ms);
	} else if (strncmp(line, "STARTTLS", 8) == 0) {
		say(v, AT_STARTTLS, "220 2.0.0 go\r\n", now_ms);
	} else if (strncmp(line, "MAIL", 4) == 0) {
		on_mail(v, now_ms);
	} else if (strncmp(line, "RCPT", 4) == 0) {
		on_rcpt(v, line, now_ms);
	} else if (strncmp(line, "DATA", 4) == 0) {
		on_data(v, now_ms);
	} else if (strncmp(line, "RSET", 4) == 0) {
		on_rset(v, now_ms);
	} else if (strncmp(line, "BDAT", 4) == 0) {
		on_bdat(v, line, now_ms);
	} else if (strncmp(line, "QUIT", 4) == 0) {
		say(v, AT_QUIT, "221 2.0.0 bye\r\n", now_ms);
	} else {
		on_unknown(v, now_ms);
	}
}

/* --- content ---------------------------------------------------------- */

/* All of the content is here: the dot, or the last octet of the chunk. */
static void on_end(struct gen_server *v, size_t want, uint64_t now_ms)
{
	bool whole = !v->body_bad && v->body_at == want;
	bool any = any_taken(v);
	unsigned i, code;

	v->content = v->open = false;
	code = say(v, AT_DOT,
		   any ? "250 2.0.0 queued\r\n" : "554 5.5.1 no recipients\r\n",
		   now_ms);
	for (i = 0; i < GEN_RCPTS; i++)
		if (code / 100 == 2 && v->taken[i] && whole)
			v->has[v->mail][i] = true;
	v->honest &= !(v->bye && code / 100 == 2); /* who says 421 goes */
	memset(v->taken, 0, sizeof(v->taken));
	if (gen_fault_at(v->c, AT_IDLE, v->mail) != NULL && !v->idle_said) {
		v->idle_said = true;
		say(v, AT_IDLE, "250 2.0.0 unasked\r\n", now_ms);
	}
}

static void on_dot(struct gen_server *v, uint64_t now_ms)
{
	on_end(v, gen_content(v->c->body, v->mail)->wire_len - 3, now_ms);
}

static void on_body(struct gen_server *v, const char *line, size_t len,
		    uint64_t now_ms)
{
	const struct gen_content *body = gen_content(v->c->body, v->mail);

	if (v->body_at == 0 && gen_fault_at(v->c, AT_CONTENT, v->mail) != NULL)
		say(v, AT_CONTENT, "451 4.3.0 broken\r\n", now_ms);
	if (v->body_at + len > body->wire_len ||
	    memcmp(body->wire + v->body_at, line, len) != 0)
		v->body_bad = true;
	v->body_at += len;
}

/* How many of these octets are the chunk's. */
static size_t on_chunk(struct gen_server *v, const char *p, size_t len,
		       uint64_t now_ms)
{
	const struct gen_content *body = gen_content(v->c->body, v->mail);

	if (v->body_at == 0 && !v->proof &&
	    gen_fault_at(v->c, AT_CONTENT, v->mail) != NULL)
		say(v, AT_CONTENT, "451 4.3.0 broken\r\n", now_ms);
	if (len > v->chunk_left)
		len = v->chunk_left;
	v->body_bad |= v->body_at + len > body->bytes ||
		       memcmp(body->text + v->body_at, p, len) != 0;
	v->body_at += len;
	v->chunk_left -= len;
	if (v->chunk_left > 0)
		return len;
	if (v->proof)
		say(v, AT_PROOF, "503 5.5.1 no MAIL\r\n", now_ms);
	else
		on_end(v, body->bytes, now_ms);
	return len;
}

void gen_server_read(struct gen_server *v, const char *p, size_t len,
		     uint64_t now_ms)
{
	while (len > 0) {
		const char *lf = memchr(p, '\n', len);
		size_t n = lf == NULL ? len : (size_t)(lf - p) + 1;

		if (v->chunk_left > 0) {
			n = on_chunk(v, p, len, now_ms);
			p += n;
			len -= n;
			continue;
		}
		if (v->line_len + n >= sizeof(v->line))
			abort();
		memcpy(v->line + v->line_len, p, n);
		v->line_len += n;
		p += n;
		len -= n;
		if (lf == NULL)
			return;
		v->line[v->line_len] = '\0';
		if (!v->content)
			on_command(v, v->line, now_ms);
		else if (strcmp(v->line, ".\r\n") == 0)
			on_dot(v, now_ms);
		else
			on_body(v, v->line, v->line_len, now_ms);
		v->line_len = 0;
	}
}

void gen_server_tls(struct gen_server *v)
{
	v->tls = true;
	v->line_len = 0;
}

void gen_server_start(struct gen_server *v, const struct gen_case *c,
		      uint64_t now_ms)
{
	memset(v, 0, offsetof(struct gen_server, said));
	v->said_len = v->hits = 0;
	v->c = c;
	v->honest = true;
	v->last_ms = now_ms;
	say(v, AT_GREETING, "220 mx\r\n", now_ms);
}
