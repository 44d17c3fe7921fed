/*
 * tests/unit/gen_wire.c - the oracle's other half: what may be said, and when
 *
 * Every octet of ours is read here as a strict server would read it that had
 * heard what the session heard: commands well formed and in their order
 * (rules 9, 11, 12, 14, 19, 21), content exactly the canonical octets with
 * dots doubled, one dot a mail (17, 23), nothing behind STARTTLS (11, 27).
 */
#include "gen.h"

#include <string.h>

static unsigned code_of(const struct judge *j, enum gen_slot slot)
{
	int i;

	for (i = j->sent - 1; i >= 0; i--)
		if (j->items[i].slot == slot)
			return j->items[i].code;
	return 0;
}

static void add(struct judge *j, enum gen_slot slot, unsigned mail)
{
	if (j->sent == JUDGE_ITEMS) {
		judge_wrong(j, "too many commands");
		return;
	}
	j->items[j->sent] = (struct judge_item){ .slot = slot, .mail = mail };
	if (slot >= AT_MAIL && slot <= AT_DOT)
		j->mail[mail].item[slot] = j->sent;
	j->sent++;
}

static bool all_heard(const struct judge *j)
{
	return j->heard == j->sent;
}

/* May commands of one mail go without waiting for each other's answer? */
static bool together(const struct judge *j)
{
	return j->c->mode >= MODE_PIPELINED && j->pipelining;
}

static void on_hello(struct judge *j, bool helo, bool last)
{
	if (!all_heard(j) || !last)
		judge_wrong(j, "EHLO or HELO within a group");
	if (helo ? !j->helo_due : !j->ehlo_due)
		judge_wrong(j, "EHLO or HELO is not due");
	j->helo_due = j->ehlo_due = false;
	add(j, helo ? AT_HELO : AT_EHLO, 0);
}

static void on_starttls(struct judge *j, bool last)
{
	if (!all_heard(j) || !last)
		judge_wrong(j, "STARTTLS within a group");
	if (!j->starttls || j->tls_on || j->c->tls == TLS_OFF)
		judge_wrong(j, "STARTTLS is not offered or not wanted");
	add(j, AT_STARTTLS, 0);
}

/* The mail whose MAIL was sent last; -1: none. */
static int latest(const struct judge *j)
{
	int m = GEN_MAILS - 1;

	while (m >= 0 && j->mail[m].item[AT_MAIL] < 0)
		m--;
	return m;
}

static void on_mail(struct judge *j)
{
	int before = latest(j);
	unsigned m = (unsigned)(before + 1);

	if (m >= j->given) {
		judge_wrong(j, "MAIL without a mail");
		return;
	}
	if (code_of(j, AT_EHLO) / 100 != 2 && code_of(j, AT_HELO) / 100 != 2)
		judge_wrong(j, "MAIL before EHLO was accepted");
	if (j->starttls && !j->tls_on && j->c->tls == TLS_MUST)
		judge_wrong(j, "MAIL in clear where TLS must be");
	if (judge_proof_due(j))
		judge_wrong(j, "MAIL, and the proof is due");
	if (j->led) {
		j->led = false;
	} else if (all_heard(j)) {
		if (before >= 0 && !judge_over(j, (unsigned)before))
			judge_wrong(j, "MAIL within a mail");
		if (judge_rset_due(j))
			judge_wrong(j, "MAIL in an open transaction");
	} else if (j->items[j->sent - 1].slot == AT_DOT &&
		   j->c->mode >= MODE_GROUPED && together(j) &&
		   !j->mail[before].bdat && j->carried > 0 &&
		   j->heard == j->sent - 1 &&
		   judge_taken_any(j, (unsigned)before)) {
		j->group = j->sent - 1; /* rule 19 */
	} else {
		judge_wrong(j, "MAIL behind an unanswered command");
	}
	add(j, AT_MAIL, m);
	j->mail[m].bdat = judge_chunks(j);
}

static void on_rcpt(struct judge *j, const char *line)
{
	int m = latest(j);
	unsigned i = (unsigned)(line[10] - '0');
	const struct judge_item *mail;

	if (m < 0 || j->mail[m].rcpts <= i ||
	    j->mail[m].item[AT_RCPT_1 + i] >= 0 ||
	    (i > 0 && j->mail[m].item[AT_RCPT_1 + i - 1] < 0) ||
	    j->mail[m].item[AT_DATA] >= 0) {
		judge_wrong(j, "RCPT out of order");
		return;
	}
	mail = judge_heard(j, (unsigned)m, AT_MAIL);
	if (mail != NULL && mail->code / 100 != 2)
		judge_wrong(j, "RCPT after MAIL was refused");
	if (!all_heard(j) && !together(j))
		judge_wrong(j, "RCPT behind an unanswered command");
	add(j, AT_RCPT_1 + i, (unsigned)m);
}

static void on_data(struct judge *j)
{
	int m = latest(j);

	if (m < 0 || j->mail[m].item[AT_DATA] >= 0 || j->mail[m].bdat ||
	    j->mail[m].item[AT_RCPT_1 + j->mail[m].rcpts - 1] < 0) {
		judge_wrong(j, "DATA out of order");
		return;
	}
	if (!all_heard(j) && !together(j))
		judge_wrong(j, "DATA behind an unanswered command");
	if (all_heard(j) && !judge_taken_any(j, (unsigned)m))
		judge_wrong(j, "DATA for nobody");
	add(j, AT_DATA, (unsigned)m);
}

static void on_rset(struct judge *j, bool last)
{
	int m = latest(j);

	if (judge_reset_ahead(j, last)) {
		add(j, AT_RSET, (unsigned)m);
		return;
	}
	if (!all_heard(j) || !last)
		judge_wrong(j, "RSET within a group");
	if (!j->group_rset && !judge_rset_due(j))
		judge_wrong(j, "RSET without an open transaction");
	j->group_rset = false;
	add(j, AT_RSET, m < 0 ? 0 : (unsigned)m);
}

static void on_quit(struct judge *j, bool last)
{
	if (!j->quit_asked || !all_heard(j) || !last)
		judge_wrong(j, "QUIT unasked or within a group");
	add(j, AT_QUIT, 0);
}

void judge_flight_begins(struct judge *j, unsigned mail)
{
	unsigned m, ahead = 0;

	j->mail[mail].flight = j->mail[mail].head = true;
	add(j, AT_DOT, mail);
	for (m = 0; m <= mail; m++)
		ahead += !judge_over(j, m);
	if (ahead > j->most_ahead)
		j->most_ahead = ahead;
}

/* The chunk out of order, and RSET.  How many octets of them are there? */
static size_t on_proof(struct judge *j, const char *p, size_t len)
{
	static const char all[] = "BDAT 6 LAST\r\nMTAQ\r\nRSET\r\n";
	int begun = latest(j) + 1;

	if (len < 6 || memcmp(p, all, 6) != 0 || !judge_proof_due(j))
		return 0;
	if (len != sizeof(all) - 1 || memcmp(p, all, len) != 0 ||
	    !all_heard(j) || (unsigned)begun >= j->given || judge_rset_due(j))
		judge_wrong(j, "not the proof, or not now");
	j->proof_sent = true;
	add(j, AT_PROOF, 0);
	add(j, AT_PROOF_RSET, 0);
	return len;
}

static bool is(const char *line, const char *want)
{
	return strcmp(line, want) == 0;
}

void judge_command(struct judge *j, const char *line, bool last)
{
	if (j->sent > 0 && j->heard < j->sent &&
	    j->items[j->sent - 1].slot == AT_DATA)
		judge_wrong(j, "something behind DATA");
	if (is(line, "EHLO test\r\n") || is(line, "HELO test\r\n"))
		on_hello(j, line[0] == 'H', last);
	else if (is(line, "STARTTLS\r\n"))
		on_starttls(j, last);
	else if (is(line, "MAIL FROM:<s@y>\r\n"))
		on_mail(j);
	else if (strncmp(line, "RCPT TO:<r", 10) == 0 && line[10] >= '0' &&
		 line[10] < '0' + GEN_RCPTS && is(line + 11, "@x>\r\n"))
		on_rcpt(j, line);
	else if (is(line, "DATA\r\n"))
		on_data(j);
	else if (strncmp(line, "BDAT ", 5) == 0)
		judge_bdat(j, line);
	else if (is(line, "RSET\r\n"))
		on_rset(j, last);
	else if (is(line, "QUIT\r\n"))
		on_quit(j, last);
	else
		judge_wrong(j, "not a command: %.60s", line);
}

/* Content of mail m at the head of p; returns how many octets it took. */
static size_t on_content(struct judge *j, unsigned m, const char *p, size_t len,
			 bool hold_dot)
{
	const struct gen_content *c = gen_content(j->c->body, m);
	struct judge_mail *mail = &j->mail[m];
	bool lone = !judge_taken_any(j, m);
	size_t n;

	if (lone && mail->content_sent == 0)
		mail->content_sent = c->wire_len - 3;
	n = c->wire_len - mail->content_sent;
	if (n > len)
		n = len;
	if (memcmp(p, c->wire + mail->content_sent, n) != 0) {
		judge_wrong(j, lone ? "not the lone dot of rule 12"
				    : "content differs from the message");
		return len;
	}
	mail->content_sent += n;
	if (mail->content_sent + 3 > c->wire_len &&
	    mail->content_sent < c->wire_len)
		judge_wrong(j, "half a dot");
	if (mail->content_sent < c->wire_len)
		return n;
	if (hold_dot)
		judge_wrong(j, "the dot left while a reply was unread");
	add(j, AT_DOT, m);
	return n;
}

static size_t on_chunk(struct judge *j, unsigned m, const char *p, size_t len,
		       bool hold)
{
	size_t n = judge_chunk(j, m, p, len, hold);

	if (!j->mail[m].flight && judge_has_left(j, m))
		add(j, AT_DOT, m);
	return n;
}

/* Rule 20: who may fly does. */
static void check_flight(struct judge *j)
{
	int m = latest(j);

	if (m >= 0 && j->proven && j->mail[m].bdat && j->mail[m].rcpts == 1 &&
	    !j->mail[m].flight)
		judge_wrong(j, "MAIL and RCPT without their BDAT");
}

void judge_batch(struct judge *j, const char *p, size_t len, bool pending,
		 uint64_t now_ms)
{
	bool hold = pending || j->in_len > 0;
	unsigned m;

	if (j->end != END_NOT)
		judge_wrong(j, "something after the end");
	if (j->lent)
		judge_wrong(j, "a batch while one is lent");
	if (j->tls_due)
		judge_wrong(j, "clear text where the handshake is due");
	j->lent = true;
	j->progress_ms = now_ms;
	while (len > 0 && j->wrong[0] == '\0') {
		const char *lf = memchr(p, '\n', len);
		char line[256];
		size_t n;

		if (judge_content_due(j, &m)) {
			n = j->mail[m].bdat ? on_chunk(j, m, p, len, hold)
					    : on_content(j, m, p, len, hold);
			p += n;
			len -= n;
			continue;
		}
		if (on_proof(j, p, len) > 0)
			return;
		n = lf == NULL ? len : (size_t)(lf - p) + 1;
		if (lf == NULL || n >= sizeof(line)) {
			judge_wrong(j, "half a command");
			return;
		}
		memcpy(line, p, n);
		line[n] = '\0';
		p += n;
		len -= n;
		judge_command(j, line, len == 0);
	}
	check_flight(j);
}

void judge_flushed(struct judge *j, uint64_t now_ms)
{
	j->lent = false;
	j->progress_ms = now_ms;
}

/* --- the caller ------------------------------------------------------- */

bool judge_is_ready(const struct judge *j)
{
	unsigned m;

	if (j->end != END_NOT || !all_heard(j) || j->tls_due || j->helo_due ||
	    j->ehlo_due || judge_rset_due(j) || j->group >= 0 ||
	    j->stream >= 0 || j->quit_asked || j->sent < 2)
		return false;
	if (j->starttls && j->c->tls != TLS_OFF && !j->tls_on)
		return false; /* STARTTLS comes next */
	for (m = 0; m < j->given; m++)
		if (!judge_over(j, m))
			return false;
	return true;
}

void judge_given(struct judge *j, uint64_t now_ms)
{
	if (judge_is_ready(j)) {
		j->prompt = now_ms - j->progress_ms < 1000;
		j->progress_ms = now_ms;
	} else if (judge_may_follow(j, j->given))
		; /* rule 20 */
	else if (j->c->mode < MODE_GROUPED || judge_chunks(j) ||
		 j->carried == 0 || !together(j))
		judge_wrong(j, "there was room where there is none");
	j->given++;
}

void judge_quit(struct judge *j, uint64_t now_ms)
{
	j->quit_asked = true;
	j->progress_ms = now_ms;
}

/* --- time (rule 10) --------------------------------------------------- */

/* Half a reply holds back a flight: its content would come too early. */
static bool is_held(const struct judge *j)
{
	int m = latest(j) + 1;

	return j->in_len > 0 && judge_chunks(j) && j->proven &&
	       (unsigned)m < j->given && j->mail[m].rcpts == 1;
}

static uint64_t step_ms(const struct judge *j)
{
	enum gen_slot slot = j->items[j->heard].slot;
	unsigned m;

	if (j->lent ||
	    (judge_content_due(j, &m) && (m == 0 || judge_over(j, m - 1))))
		return gen_limit_ms(AT_CONTENT);
	if (j->tls_due)
		return gen_limit_ms(AT_HANDSHAKE);
	if (!all_heard(j)) /* in a stream RSET is MAIL's first half */
		return gen_limit_ms(slot == AT_RSET && j->stream >= 0 ? AT_MAIL
								      : slot);
	return is_held(j) ? gen_limit_ms(AT_MAIL) : 0;
}

uint64_t judge_deadline(const struct judge *j)
{
	uint64_t all = j->born_ms + 3600000u, step = step_ms(j);
	bool dot = j->group >= 0;
	unsigned m;

	if (j->end != END_NOT)
		return SMTP_NEVER;
	for (m = 0; m < j->given; m++)
		dot |= judge_has_left(j, m) && !judge_over(j, m);
	if (step == 0)
		return all;
	step += j->progress_ms;
	/* Giving up on a dot early makes second copies. */
	return dot || step < all ? step : all;
}

bool judge_may_wait(const struct judge *j)
{
	unsigned m;

	if ((judge_content_due(j, &m) && j->in_len > 0) || is_held(j))
		return true; /* half a reply holds the dot back */
	if (j->stream >= 0 && j->end == END_NOT && !j->lent &&
	    (latest(j) + 1 < (int)j->given || judge_content_due(j, &m)))
		return false; /* a flight that might be under way */
	return j->end != END_NOT || j->lent || j->tls_due || !all_heard(j) ||
	       judge_is_ready(j);
}
