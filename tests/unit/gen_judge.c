/*
 * tests/unit/gen_judge.c - the oracle: what must come of a dialogue
 *
 * Written from docs/SMTP.md.  It keeps what we sent (items[], in order) and
 * pairs each reply with the oldest item that has none (rule 11).  A verdict is
 * not remembered but read off that list whenever somebody asks: MAIL's answer
 * first, then the recipient's own, then DATA's, then the dot's; where none
 * came, what the end of the session means (rules 3, 5, 17, 19).
 */
#include "gen.h"

#include <stdarg.h>
#include <string.h>

void judge_wrong(struct judge *j, const char *format, ...)
{
	va_list ap;

	if (j->wrong[0] != '\0')
		return;
	va_start(ap, format);
	vsnprintf(j->wrong, sizeof(j->wrong), format, ap);
	va_end(ap);
}

void judge_begin(struct judge *j, const struct gen_case *c, uint64_t now_ms)
{
	unsigned m;
	int s;

	memset(j, 0, offsetof(struct judge, in));
	j->c = c;
	j->born_ms = j->progress_ms = now_ms;
	j->group = j->stream = -1;
	j->sent = 1;
	j->items[0] = (struct judge_item){ .slot = AT_GREETING };
	for (m = 0; m < GEN_MAILS; m++) {
		j->mail[m].rcpts = c->rcpts[m];
		for (s = 0; s <= AT_DOT; s++)
			j->mail[m].item[s] = -1;
	}
}

/* --- what was heard --------------------------------------------------- */

/* The item of mail m at this place, if its answer counts by now. */
const struct judge_item *judge_heard(const struct judge *j, unsigned mail,
				     enum gen_slot slot)
{
	int at = j->mail[mail].item[slot];
	int counts = j->group >= 0    ? j->group
		     : j->stream >= 0 ? j->stream
				      : j->heard;

	if (at < 0 || at >= counts || j->items[at].code == 0)
		return NULL;
	return &j->items[at];
}

static unsigned cls(const struct judge_item *it)
{
	return it == NULL ? 0 : it->code / 100;
}

bool judge_taken_any(const struct judge *j, unsigned mail)
{
	unsigned i;

	for (i = 0; i < j->mail[mail].rcpts; i++)
		if (cls(judge_heard(j, mail, AT_RCPT_1 + i)) == 2)
			return true;
	return false;
}

static bool is_refused(const struct judge *j, unsigned mail)
{
	return cls(judge_heard(j, mail, AT_MAIL)) >= 4;
}

/* Nothing of this mail is to be sent or heard any more. */
bool judge_over(const struct judge *j, unsigned mail)
{
	const struct judge_mail *m = &j->mail[mail];
	enum gen_slot s;
	bool all;

	if (m->item[AT_MAIL] < 0)
		return false;
	for (s = AT_MAIL; s <= AT_DOT; s++)
		if (m->item[s] >= 0 && judge_heard(j, mail, s) == NULL)
			return false;
	if (j->end == END_SAID && j->last.slot >= AT_MAIL &&
	    j->last.slot <= AT_DOT && j->last.mail == mail &&
	    !(m->bdat && j->last.code != 421 && judge_has_left(j, mail)))
		return false; /* it ended under this mail */
	if (m->item[AT_DOT] >= 0)
		return true;
	if (cls(judge_heard(j, mail, AT_DATA)) == 3)
		return false;
	all = m->item[AT_RCPT_1 + m->rcpts - 1] >= 0;
	return is_refused(j, mail) || m->item[AT_DATA] >= 0 ||
	       (all && !judge_taken_any(j, mail));
}

/* Rule 21: is a transaction left open? */
bool judge_rset_due(const struct judge *j)
{
	unsigned m;

	for (m = 0; m < j->given; m++)
		if (judge_over(j, m) && !is_refused(j, m) && !j->mail[m].rset &&
		    (j->mail[m].item[AT_DOT] < 0 ||
		     (j->mail[m].bdat && cls(judge_heard(j, m, AT_DOT)) >= 4)))
			return true;
	return false;
}

/* Rule 20: of a flight some is out, or all to RCPT was heard. */
static bool chunk_is_due(const struct judge *j, unsigned mail)
{
	const struct judge_mail *m = &j->mail[mail];

	if (m->flight)
		return !judge_has_left(j, mail);
	return m->item[AT_DOT] < 0 && !is_refused(j, mail) &&
	       judge_heard(j, mail, AT_RCPT_1 + m->rcpts - 1) != NULL &&
	       judge_taken_any(j, mail);
}

bool judge_content_due(const struct judge *j, unsigned *mail_r)
{
	unsigned m;

	for (m = 0; m < j->given; m++) {
		if (j->mail[m].bdat ? chunk_is_due(j, m)
				    : cls(judge_heard(j, m, AT_DATA)) == 3 &&
					      j->mail[m].item[AT_DOT] < 0) {
			*mail_r = m;
			return true;
		}
	}
	return false;
}

/* The mail that is under way: given, begun or not, and not over. */
static bool current(const struct judge *j, unsigned *mail_r)
{
	unsigned m;

	for (m = 0; m < j->given; m++) {
		if (!judge_over(j, m)) {
			*mail_r = m;
			return true;
		}
	}
	return false;
}

/* --- replies ---------------------------------------------------------- */

void judge_nonsense(struct judge *j)
{
	j->distrust = true;
	j->unsure_group = j->group >= 0;
	j->end = END_NONSENSE;
}

static void said_last(struct judge *j, const struct judge_item *it)
{
	j->end = END_SAID;
	j->last = *it;
}

/* A reply that nobody asked for. */
static void on_early(struct judge *j, const struct gen_said *said)
{
	struct judge_item it = { .code = said->code,
				 .enhanced = said->enhanced,
				 .slot = AT_IDLE };
	unsigned m;
	bool content = judge_content_due(j, &m);
	bool proof = j->heard < j->sent && j->items[j->heard].slot == AT_PROOF;

	if (j->group >= 0 || (said->code != 421 && !content)) {
		judge_nonsense(j);
		return;
	}
	if (said->code / 100 < 4) {
		judge_nonsense(j); /* rule 18: content can only be refused */
		return;
	}
	if (current(j, &m) && !judge_rset_due(j) && !proof) {
		it.mail = m;
		j->mail[m].early = it;
		it.slot = AT_CONTENT;
		j->no_chunks |=
			content && j->mail[m].bdat && judge_is_unknown(it.code);
	}
	said_last(j, &it);
	if (it.slot == AT_CONTENT)
		j->last.slot = AT_DOT; /* of a mail: it is not idle */
}

/* Rules 12, 16: what no server in step with us says. */
static bool is_odd(const struct judge *j, const struct judge_item *it,
		   unsigned c)
{
	if (c == 3)
		return it->slot != AT_DATA;
	if (c != 2)
		return false;
	return it->slot == AT_DATA ||
	       (it->slot >= AT_RCPT_1 && it->slot < AT_DATA &&
		is_refused(j, it->mail));
}

/* The whole group came: rule 19. */
static void judge_group(struct judge *j, bool left_over)
{
	const struct judge_item *it = &j->items[j->sent - 1];
	int mail_at = j->group + 1, i, taken = 0;
	int first = j->group;

	for (i = mail_at + 1; i < j->sent - 1; i++)
		taken += j->items[i].code / 100 == 2;
	if (left_over || it->code / 100 == 2) {
		judge_nonsense(j);
	} else if (it->code / 100 == 3) {
		if (j->items[mail_at].code / 100 != 2)
			judge_nonsense(j);
		else
			j->group = -1;
	} else if (j->items[mail_at].code / 100 != 2 && taken > 0) {
		judge_nonsense(j);
	} else {
		j->group_rset = true;
	}
	if (j->group < 0) {
		j->carried += j->items[first].code / 100 == 2;
		for (i = first; i < j->sent; i++) {
			if (j->items[i].code == 421) {
				said_last(j, &j->items[i]);
				j->heard = i + 1;
				return;
			}
		}
	}
}

static void on_group(struct judge *j, const struct gen_said *said,
		     bool left_over)
{
	struct judge_item *it = &j->items[j->heard];
	int first = j->group, i;

	if (it->slot == AT_RSET) {
		if (said->code != 250 || left_over) {
			judge_nonsense(j);
			return;
		}
		j->heard++;
		it->code = 250;
		j->mail[j->items[first + 1].mail].rset = true;
		j->carried += j->items[first].code / 100 == 2;
		j->group = -1;
		for (i = first; i < j->heard; i++) {
			if (j->items[i].code == 421) {
				said_last(j, &j->items[i]);
				j->heard = i + 1;
				return;
			}
		}
		return;
	}
	it->code = said->code;
	it->enhanced = said->enhanced;
	if (said->code / 100 == 3 && j->heard < j->sent - 1) {
		judge_nonsense(j);
		return;
	}
	if (++j->heard == j->sent)
		judge_group(j, left_over);
}

static void on_ehlo(struct judge *j, const struct judge_item *it,
		    const struct gen_said *said)
{
	if (cls(it) != 2) {
		if (it->slot != AT_HELO &&
		    (it->code == 500 || it->code == 502 || it->code == 504))
			j->helo_due = true; /* rule 9 */
		else
			said_last(j, it);
		return;
	}
	j->pipelining = j->starttls = j->chunking = j->codes = false;
	if (it->slot != AT_HELO) {
		j->chunking = said->chunking;
		j->codes = said->codes;
		j->pipelining = said->pipelining;
		j->starttls = said->starttls;
	}
	if (j->tls_on || j->c->tls == TLS_OFF)
		return;
	if (!j->starttls && j->c->tls == TLS_MUST) {
		said_last(j, it);
		j->last.code = 0;
		j->no_tls = true;
	}
}

static void on_starttls(struct judge *j, const struct judge_item *it,
			bool left_over)
{
	if (it->code == 220 && !left_over)
		j->tls_due = true;
	else if (cls(it) == 2)
		judge_nonsense(j); /* rules 16, 27 */
	else if (j->c->tls == TLS_MUST)
		said_last(j, it);
	j->starttls = false;
}

static void on_chunk(struct judge *j, const struct judge_item *it)
{
	bool taken = judge_taken_any(j, it->mail);

	if (cls(it) == 2) {
		j->carried += taken;
		j->chunks++;
		return;
	}
	j->no_chunks = taken && judge_is_unknown(it->code);
	if (j->no_chunks || !j->proven)
		said_last(j, it);
}

static void on_answer(struct judge *j, const struct gen_said *said,
		      bool left_over)
{
	struct judge_item *it = &j->items[j->heard];
	unsigned c = said->code / 100;

	if (is_odd(j, it, c)) {
		judge_nonsense(j);
		return;
	}
	if (it->slot == AT_DOT && j->mail[it->mail].bdat && c == 2 &&
	    !judge_is_taken(said)) {
		judge_nonsense(j);
		return;
	}
	it->code = said->code;
	it->enhanced = said->enhanced;
	j->heard++;
	if (it->slot == AT_STARTTLS && c == 2 && left_over)
		judge_nonsense(j);
	else if (it->code == 421)
		said_last(j, it);
	else if (it->slot == AT_GREETING && c != 2)
		said_last(j, it);
	else if (it->slot == AT_GREETING)
		j->ehlo_due = true;
	else if (it->slot == AT_EHLO || it->slot == AT_HELO)
		on_ehlo(j, it, said);
	else if (it->slot == AT_STARTTLS)
		on_starttls(j, it, left_over);
	else if (it->slot == AT_PROOF || it->slot == AT_PROOF_RSET)
		judge_proof(j, said, left_over);
	else if (it->slot == AT_DOT && j->mail[it->mail].bdat)
		on_chunk(j, it);
	else if (it->slot == AT_DOT && c == 2)
		j->carried += judge_taken_any(j, it->mail);
	else if (it->slot == AT_RSET && c == 2)
		j->mail[it->mail].rset = true;
	else if (it->slot == AT_RSET || it->slot == AT_QUIT)
		said_last(j, it);
}

/* Only a line's head, the last line's end, or a cap can change what it is. */
static bool parse_again(struct judge *j)
{
	bool lf = j->in[j->in_len - 1] == '\n';
	const char *line;

	if (j->in_len == 1)
		j->in_line_at = j->in_lines = 0;
	line = j->in + j->in_line_at;
	if (j->in_len - j->in_line_at < 6 || j->in_len > 8192)
		lf = true;
	else if (lf && line[3] == '-' && ++j->in_lines < 100)
		lf = false;
	if (j->in[j->in_len - 1] == '\n')
		j->in_line_at = j->in_len;
	return lf;
}

void judge_octets(struct judge *j, const char *p, size_t len, uint64_t now_ms)
{
	struct gen_said said;
	size_t at = 0;
	int n;

	while (at < len && j->end == END_NOT) {
		if (j->tls_due) { /* rule 27 */
			judge_nonsense(j);
			return;
		}
		if (j->in_len == 0)
			j->in_early = j->heard == j->sent;
		j->in[j->in_len++] = p[at++];
		n = parse_again(j) ? gen_parse(j->in, j->in_len, &said) : 0;
		if (n == 0)
			continue;
		j->in_len = 0;
		if (n < 0) {
			judge_nonsense(j);
			return;
		}
		j->progress_ms = now_ms;
		if (j->in_early)
			on_early(j, &said);
		else if (j->group >= 0)
			on_group(j, &said, at < len);
		else if (j->stream >= 0)
			judge_stream(j, &said, at < len);
		else
			on_answer(j, &said, at < len);
		j->was_ready |= judge_is_ready(j);
	}
}

/* --- the end ---------------------------------------------------------- */

/* Rule 19 (c): only the dot's answer came, or it and a 421. */
static bool group_is_known(const struct judge *j)
{
	const struct judge_item *dot = &j->items[j->group];
	int n = j->heard - j->group;

	if (j->in_len > 0 || n == 0 || n > 2 ||
	    (n == 2 && j->items[j->group + 1].code != 421))
		return false;
	return !(dot->enhanced.cls == 2 && dot->enhanced.subject == 1);
}

void judge_broke(struct judge *j)
{
	int first = j->group;

	if (j->end != END_NOT)
		return;
	j->end = END_BROKE;
	if (j->stream >= 0)
		judge_stream_broke(j);
	if (first < 0)
		return;
	if (!group_is_known(j)) {
		j->distrust = j->unsure_group = true;
		return;
	}
	j->group = -1;
	j->carried += j->items[first].code / 100 == 2;
	if (j->items[first].code == 421)
		said_last(j, &j->items[first]);
	else if (j->heard > first + 1)
		said_last(j, &j->items[first + 1]);
}

void judge_tls_done(struct judge *j, bool ok, uint64_t now_ms)
{
	j->progress_ms = now_ms;
	j->tls_due = false;
	if (!ok) {
		j->end = END_BROKE;
		return;
	}
	j->tls_on = j->ehlo_due = true;
	j->helo_due = j->pipelining = j->starttls = false;
	j->chunking = j->codes = false;
}

/* --- verdicts --------------------------------------------------------- */

static enum smtp_stage stage_of(enum gen_slot slot)
{
	if (slot == AT_MAIL)
		return SMTP_STAGE_MAIL;
	if (slot == AT_DATA)
		return SMTP_STAGE_DATA;
	return slot < AT_DATA ? SMTP_STAGE_RCPT : SMTP_STAGE_EOD;
}

/* The first place of this mail whose answer is missing. */
static enum smtp_stage missing(const struct judge *j, unsigned mail)
{
	enum gen_slot s;

	for (s = AT_MAIL; s <= AT_DATA; s++) {
		if (s > AT_MAIL && s < AT_DATA &&
		    s - AT_RCPT_1 >= j->mail[mail].rcpts)
			continue;
		if (s == AT_DATA && j->mail[mail].bdat)
			continue;
		if (judge_heard(j, mail, s) == NULL)
			return stage_of(s);
	}
	return SMTP_STAGE_EOD;
}

/* Had a recipient of this mail been taken before this answer? */
static bool taken_before(const struct judge *j, const struct judge_item *it)
{
	unsigned s;

	for (s = AT_RCPT_1; s < it->slot; s++)
		if (cls(judge_heard(j, it->mail, s)) == 2)
			return true;
	return false;
}

/* Rule 14. */
static bool too_many(const struct judge *j, const struct judge_item *it)
{
	if (it->enhanced.cls != 0)
		return it->enhanced.subject == 5 && it->enhanced.detail == 3 &&
		       (cls(it) == 4 || it->code == 552);
	return it->code == 552 || (it->code == 452 && taken_before(j, it));
}

static struct judge_verdict
words(const struct judge *j, const struct judge_item *it, enum smtp_stage stage)
{
	static const enum smtp_result results[] = { [2] = SMTP_ACCEPTED,
						    [3] = SMTP_ACCEPTED,
						    [4] = SMTP_DEFERRED,
						    [5] = SMTP_REJECTED };
	enum smtp_result result = results[it->code / 100];

	if (stage == SMTP_STAGE_RCPT && too_many(j, it))
		result = SMTP_AGAIN;
	return (struct judge_verdict){ result, stage, it->code, it->enhanced };
}

/* Rule 20: to who does not know BDAT nothing of it came. */
static struct judge_verdict content_words(const struct judge *j, unsigned mail,
					  const struct judge_item *it,
					  enum smtp_stage stage)
{
	struct judge_verdict v = words(j, it, stage);

	if (j->mail[mail].bdat && stage == SMTP_STAGE_EOD &&
	    judge_is_unknown(it->code)) {
		v.result = SMTP_LOST;
		v.stage = SMTP_STAGE_MAIL;
	}
	return v;
}

/* A last word under this mail settles all that were not. */
static bool settled_by_end(const struct judge *j, unsigned mail,
			   struct judge_verdict *v)
{
	const struct judge_mail *m = &j->mail[mail];
	bool its = j->end == END_SAID && j->last.mail == mail;

	if (m->early.code != 0) {
		*v = content_words(j, mail, &m->early, missing(j, mail));
		return true;
	}
	if (its && j->last.slot >= AT_MAIL && j->last.slot <= AT_DOT) {
		*v = content_words(j, mail, &j->last, stage_of(j->last.slot));
		return true;
	}
	if (j->end == END_NOT)
		return false;
	if (m->flight) {
		*v = judge_flight_ended(j, mail);
		return true;
	}
	*v = (struct judge_verdict){ .result = SMTP_LOST,
				     .stage = missing(j, mail) };
	if (m->item[AT_DOT] >= 0 && judge_taken_any(j, mail))
		v->result = SMTP_UNSURE;
	if (j->unsure_group && m->item[AT_DOT] < 0)
		v->stage = SMTP_STAGE_MAIL;
	return true;
}

bool judge_settled(const struct judge *j, unsigned mail, unsigned rcpt,
		   struct judge_verdict *v)
{
	static const enum gen_slot order[] = { AT_MAIL, AT_RCPT_1, AT_DATA,
					       AT_DOT };
	const struct judge_item *it;
	size_t k;

	for (k = 0; k < 4; k++) {
		enum gen_slot s = order[k];

		it = judge_heard(j, mail, s == AT_RCPT_1 ? s + rcpt : s);
		if (it == NULL || (s < AT_DATA && cls(it) == 2) ||
		    (s == AT_DATA && cls(it) == 3))
			continue;
		*v = content_words(j, mail, it, stage_of(s));
		return true;
	}
	return settled_by_end(j, mail, v);
}

/* Is somebody unsure?  Of a flight (rule 20): then chunks are not trusted. */
static bool is_unsure(const struct judge *j, bool flights)
{
	struct judge_verdict v;
	unsigned m, i;

	for (m = 0; m < j->given; m++)
		for (i = 0; i < j->mail[m].rcpts; i++)
			if ((j->mail[m].flight || !flights) &&
			    judge_settled(j, m, i, &v) &&
			    v.result == SMTP_UNSURE)
				return true;
	return false;
}

struct judge_close judge_close(const struct judge *j)
{
	struct judge_close c = { .distrust = j->distrust || is_unsure(j, true),
				 .no_chunks = j->no_chunks ||
					      (j->proof_sent && !j->proven &&
					       j->prompt && !j->distrust),
				 .result = SMTP_LOST };
	unsigned m;

	c.idle = j->was_ready && !current(j, &m);
	if (j->end == END_SAID) {
		c.code = j->last.code;
		c.result = words(j, &j->last, SMTP_STAGE_NONE).result;
		if (j->last.slot == AT_QUIT && j->last.code != 421)
			c.result = SMTP_ACCEPTED;
		if (j->no_tls || j->last.slot == AT_STARTTLS)
			c.result = SMTP_DEFERRED;
		if (j->last.slot == AT_RSET)
			c.idle = !(current(j, &m));
		if (j->no_chunks)
			c.result = SMTP_LOST;
		if (!is_unsure(j, true))
			return c;
	}
	if (is_unsure(j, false))
		c.result = SMTP_UNSURE;
	return c;
}
