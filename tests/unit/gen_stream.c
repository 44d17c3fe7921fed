/*
 * tests/unit/gen_stream.c - the oracle's part for chunks (rule 20)
 *
 * Written from docs/SMTP.md.  A flight is MAIL RCPT BDAT, behind others with
 * RSET in front.  Its answers are kept: j->stream is where in items[] those
 * begin that are not final yet, and judge_heard() knows none from there on.
 */
#include "gen.h"

#include <string.h>

#define BYTES_MAX (256u << 10)

static unsigned cls(const struct judge_item *it)
{
	return it->code / 100;
}

static bool is_of_address(struct smtp_enhanced e)
{
	return e.cls != 0 && e.subject == 1;
}

bool judge_chunks(const struct judge *j)
{
	return j->c->mode == MODE_CHUNKED && j->chunking && j->codes &&
	       j->pipelining;
}

bool judge_proof_due(const struct judge *j)
{
	return judge_chunks(j) && !j->proven &&
	       (j->chunks > 0 || j->c->ahead > 1);
}

bool judge_has_left(const struct judge *j, unsigned mail)
{
	const struct judge_mail *m = &j->mail[mail];

	if (!m->bdat)
		return m->item[AT_DOT] >= 0;
	return m->head &&
	       m->content_sent == gen_content(j->c->body, mail)->bytes;
}

bool judge_may_follow(const struct judge *j, unsigned mail)
{
	size_t bytes = gen_content(j->c->body, mail)->bytes;
	unsigned m, ahead = 0;

	if (!judge_chunks(j) || !j->proven || j->sole ||
	    j->mail[mail].rcpts > 1)
		return false;
	for (m = 0; m < mail; m++) {
		if (judge_over(j, m))
			continue;
		if (j->mail[m].rcpts > 1)
			return false;
		bytes += gen_content(j->c->body, m)->bytes;
		ahead++;
	}
	return ahead < j->c->ahead && bytes <= BYTES_MAX;
}

bool judge_is_unknown(unsigned code)
{
	return code == 500 || code == 502 || code == 503 || code == 504;
}

bool judge_is_taken(const struct gen_said *said)
{
	return said->enhanced.cls != 0 && said->enhanced.subject != 1;
}

/* --- the proof -------------------------------------------------------- */

void judge_proof(struct judge *j, const struct gen_said *said, bool left_over)
{
	unsigned code = said->code;

	if (j->items[j->heard - 1].slot == AT_PROOF) {
		if (code == 500 || code == 502 || code == 504) {
			j->no_chunks = true;
			j->end = END_BROKE;
		} else if (code < 400) {
			judge_nonsense(j);
		}
	} else if (code != 250 || left_over) {
		judge_nonsense(j);
	} else {
		j->proven = true;
		j->sole = is_of_address(said->enhanced);
	}
}

/* --- flights ---------------------------------------------------------- */

/* Where the flight of this mail begins. */
static int begins(const struct judge *j, unsigned mail)
{
	int at = j->mail[mail].item[AT_MAIL];

	return at - (j->items[at - 1].slot == AT_RSET &&
		     j->items[at - 1].mail + 1 == mail &&
		     j->mail[mail - 1].flight && at - 1 >= j->stream);
}

static bool was_refused(const struct judge *j, unsigned mail,
			enum gen_slot slot)
{
	int at = j->mail[mail].item[slot];

	return at < j->heard && cls(&j->items[at]) >= 4;
}

/* This one is final: what comes of it, for those behind it. */
static void be_final(struct judge *j, unsigned mail, int next)
{
	const struct judge_item *it = &j->items[j->mail[mail].item[AT_DOT]];

	j->stream = next;
	if (it->code == 0)
		return;
	j->flights++;
	if (cls(it) == 2) {
		j->carried++;
		j->chunks++;
	} else if (judge_is_unknown(it->code) &&
		   !was_refused(j, mail, AT_RCPT_1) &&
		   !was_refused(j, mail, AT_MAIL)) {
		j->no_chunks = true;
		j->end = END_SAID;
		j->last = *it;
	}
}

/* The flights in front of this mail's are final. */
static void those_before(struct judge *j, unsigned mail)
{
	unsigned m = j->items[j->stream].mail;

	if (j->items[j->stream].slot == AT_RSET)
		m++;
	for (; m < mail && j->end == END_NOT; m++)
		be_final(j, m, begins(j, m + 1));
}

/* May the answer to this item be one? */
static bool is_in_step(const struct judge *j, const struct judge_item *it,
		       const struct gen_said *said)
{
	unsigned c = said->code / 100;

	if (c == 3)
		return false;
	if (it->slot == AT_RSET)
		return c == 2 && !is_of_address(said->enhanced);
	if (c != 2)
		return true;
	if (it->slot == AT_MAIL)
		return is_of_address(said->enhanced);
	if (it->slot == AT_RCPT_1)
		return is_of_address(said->enhanced) &&
		       !was_refused(j, it->mail, AT_MAIL);
	return judge_is_taken(said) && judge_has_left(j, it->mail) &&
	       !was_refused(j, it->mail, AT_RCPT_1);
}

static void on_goodbye(struct judge *j, struct judge_item *it, unsigned mail)
{
	those_before(j, mail);
	if (j->end != END_NOT)
		return;
	j->stream = -1;
	j->end = END_SAID;
	j->last = *it;
	if (it->slot == AT_RSET) { /* it is about who comes behind it */
		j->last.slot = AT_MAIL;
		j->last.mail = mail;
	}
}

void judge_stream(struct judge *j, const struct gen_said *said, bool left_over)
{
	struct judge_item *it = &j->items[j->heard];
	unsigned mail = it->mail + (it->slot == AT_RSET);
	bool last = j->mail[mail].item[AT_DOT] == j->sent - 1;
	bool bye = said->code == 421;

	if (bye ? left_over && !last
		: !is_in_step(j, it, said) ||
			    (left_over && last && it->slot == AT_DOT)) {
		judge_nonsense(j);
		return;
	}
	it->code = said->code;
	it->enhanced = said->enhanced;
	j->heard++;
	if (bye) {
		on_goodbye(j, it, mail);
	} else if (it->slot == AT_MAIL) {
		those_before(j, mail);
	} else if (it->slot == AT_DOT && last) {
		be_final(j, mail, -1);
		if (!judge_has_left(j, mail)) { /* rule 18 */
			j->end = END_SAID;
			j->last = *it;
		}
	}
}

void judge_stream_broke(struct judge *j)
{
	const struct judge_item *it = &j->items[j->heard];
	unsigned mail = it->mail + (it->slot == AT_RSET);
	bool refused;

	if (j->in_len > 0)
		return;
	j->end = END_NOT;
	those_before(j, mail);
	if (j->end != END_NOT)
		return;
	j->end = END_BROKE;
	refused = it->slot != AT_RSET && (was_refused(j, mail, AT_MAIL) ||
					  was_refused(j, mail, AT_RCPT_1));
	if (refused && j->mail[mail].item[AT_DOT] == j->sent - 1)
		be_final(j, mail, -1);
	else if (refused)
		be_final(j, mail, j->mail[mail].item[AT_DOT] + 1);
}

/* --- what the end means for it ---------------------------------------- */

struct judge_verdict judge_flight_ended(const struct judge *j, unsigned mail)
{
	struct judge_verdict v = { .result = SMTP_LOST,
				   .stage = SMTP_STAGE_MAIL };
	const int *item = j->mail[mail].item;

	if (j->end == END_SAID && j->last.code == 421)
		return v; /* nobody has looked at it */
	if (judge_has_left(j, mail)) {
		v.result = SMTP_UNSURE;
		v.stage = SMTP_STAGE_EOD;
	} else if (j->end == END_SAID) {
		return v; /* by words to another mail, not to this one */
	} else if (item[AT_RCPT_1] < j->heard) {
		v.stage = SMTP_STAGE_EOD;
	} else if (item[AT_MAIL] < j->heard) {
		v.stage = SMTP_STAGE_RCPT;
	}
	return v;
}

/* --- what may be said ------------------------------------------------- */

bool judge_reset_ahead(struct judge *j, bool last)
{
	unsigned m = j->given;

	while (m > 0 && j->mail[m - 1].item[AT_MAIL] < 0)
		m--; /* the first that has not begun */
	if (j->stream < 0)
		return false;
	if (last || m == j->given || !judge_has_left(j, m - 1) ||
	    !judge_may_follow(j, m))
		judge_wrong(j, "RSET, and no flight may follow");
	j->mail[m - 1].rset = j->led = true;
	return true;
}

void judge_bdat(struct judge *j, const char *line)
{
	const struct judge_mail *m;
	char want[64];
	int at = j->sent - 1;
	unsigned mail = j->items[at].mail;

	if (j->items[at].slot != AT_RCPT_1 || j->heard > at - 1 ||
	    !judge_chunks(j) || !j->proven || j->mail[mail].rcpts != 1) {
		judge_wrong(j, "BDAT where none may be");
		return;
	}
	m = &j->mail[mail];
	snprintf(want, sizeof(want), "BDAT %zu LAST\r\n",
		 gen_content(j->c->body, mail)->bytes);
	if (strcmp(line, want) != 0)
		judge_wrong(j, "wanted %s", want);
	judge_flight_begins(j, mail);
	if (j->stream < 0)
		j->stream = m->item[AT_MAIL];
}

size_t judge_chunk(struct judge *j, unsigned mail, const char *p, size_t len,
		   bool hold)
{
	const struct gen_content *c = gen_content(j->c->body, mail);
	struct judge_mail *m = &j->mail[mail];
	char want[64];
	size_t n = (size_t)snprintf(want, sizeof(want), "BDAT %zu LAST\r\n",
				    c->bytes);

	if (!m->head) {
		if (len < n || memcmp(p, want, n) != 0)
			judge_wrong(j, "not %s", want);
		m->head = true;
		return len < n ? len : n;
	}
	n = c->bytes - m->content_sent;
	if (n > len)
		n = len;
	if (memcmp(p, c->text + m->content_sent, n) != 0)
		judge_wrong(j, "a chunk differs from the message");
	m->content_sent += n;
	if (hold && judge_has_left(j, mail))
		judge_wrong(j, "a chunk's end left while a reply was unread");
	return n;
}
