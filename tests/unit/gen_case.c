/*
 * tests/unit/gen_case.c - which cases there are
 *
 * Numbered.  First one fault: every place x every kind of reply x every way
 * in which it can come, in every mode, with sends that complete at once or
 * late.  Then two faults: every pair of places x the kinds that matter most.
 * Then the same for chunks (rule 20), one mail at a time and several ahead.
 * Then up to three of everything, by seed and number.
 */
#include "gen.h"

#include <string.h>

const char *const gen_slot_names[SLOT_COUNT] = {
	"greeting", "EHLO",   "HELO",   "STARTTLS", "handshake", "EHLO again",
	"MAIL",     "RCPT 1", "RCPT 2", "RCPT 3",   "DATA",      "in content",
	"dot",      "RSET",   "QUIT",   "idle",     "proof",     "proof's RSET",
};
const char *const gen_cut_names[CUT_COUNT] = { "whole", "octets", "in two",
					       "inside CRLF" };
const char *const gen_close_names[CLOSE_COUNT] = { "stays open", "close after",
						   "close in the middle",
						   "reset" };
const char *const gen_delay_names[DELAY_COUNT] = { "at once", "just in time",
						   "too late", "drips",
						   "trickles" };
const char *const gen_mode_names[MODE_COUNT] = { "not offered", "not allowed",
						 "pipelined", "grouped",
						 "chunked" };

/* How one fault's reply can come. */
static const struct way {
	enum gen_cut cut;
	unsigned cut_at;
	enum gen_close close;
	enum gen_delay delay;
} ways[] = {
	{ CUT_NONE, 0, CLOSE_NO, DELAY_NO },
	{ CUT_OCTETS, 0, CLOSE_NO, DELAY_NO },
	{ CUT_AT, 0, CLOSE_NO, DELAY_NO },
	{ CUT_AT, 2, CLOSE_NO, DELAY_NO },
	{ CUT_AT, 3, CLOSE_NO, DELAY_NO },
	{ CUT_AT, 7, CLOSE_NO, DELAY_NO },
	{ CUT_CRLF, 0, CLOSE_NO, DELAY_NO },
	{ CUT_NONE, 0, CLOSE_AFTER, DELAY_NO },
	{ CUT_NONE, 0, CLOSE_MIDDLE, DELAY_NO },
	{ CUT_NONE, 0, CLOSE_RESET, DELAY_NO },
	{ CUT_OCTETS, 0, CLOSE_AFTER, DELAY_NO },
	{ CUT_NONE, 0, CLOSE_AFTER, DELAY_JUST },
	{ CUT_NONE, 0, CLOSE_MIDDLE, DELAY_JUST },
	{ CUT_NONE, 0, CLOSE_RESET, DELAY_JUST },
	{ CUT_NONE, 0, CLOSE_NO, DELAY_JUST },
	{ CUT_NONE, 0, CLOSE_NO, DELAY_BEYOND },
	{ CUT_NONE, 0, CLOSE_NO, DELAY_DRIP },
	{ CUT_NONE, 0, CLOSE_NO, DELAY_TRICKLE },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Kinds for pairs, by name. */
static const char *const pair_names[] = {
	"none",           "250",          "354",      "451-enhanced",
	"452-too-many",   "550-unknown",  "502",      "421",
	"differ-550-250", "garbage",      "then-250", "then-421",
	"too-many-lines", "550-then-250",
};
#define PAIRS (sizeof(pair_names) / sizeof(pair_names[0]))

static unsigned kind_named(const char *name)
{
	unsigned k = 0;

	while (strcmp(gen_kinds[k].name, name) != 0)
		k++;
	return k;
}

/* --- what a fault needs to happen ------------------------------------- */

static void add(struct gen_case *c, enum gen_slot slot, unsigned mail,
		const char *name)
{
	if (c->fault_count < GEN_FAULTS && gen_fault_at(c, slot, mail) == NULL)
		c->fault[c->fault_count++] = (struct gen_fault){
			.slot = slot, .mail = mail, .kind = kind_named(name)
		};
}

static void make_way_for(struct gen_case *c, const struct gen_fault *f)
{
	if (f->slot == AT_HELO)
		add(c, AT_EHLO, 0, "502");
	if (f->slot == AT_RSET)
		add(c, c->mode == MODE_CHUNKED ? AT_RCPT_1 : AT_DATA, f->mail,
		    "451-enhanced");
	if (f->slot == AT_DATA && c->mode == MODE_CHUNKED &&
	    c->without == WITHOUT_NONE)
		c->without = WITHOUT_CODES;
	if (f->slot >= AT_PROOF && c->mails < 2)
		c->mails = 2;
	if (f->slot >= AT_STARTTLS && f->slot <= AT_EHLO_TLS &&
	    c->tls < TLS_TAKEN)
		c->tls = TLS_TAKEN;
	if (f->slot == AT_CONTENT)
		c->body = BODY_LARGE;
	if (f->slot >= AT_RCPT_1 && f->slot <= AT_RCPT_3 &&
	    c->rcpts[f->mail] < 1 + f->slot - AT_RCPT_1)
		c->rcpts[f->mail] = 1 + f->slot - AT_RCPT_1;
	if (f->slot == AT_QUIT)
		c->quit = true;
	if (c->mails <= f->mail)
		c->mails = f->mail + 1;
}

static void finish(struct gen_case *c)
{
	unsigned i, n = c->fault_count;

	for (i = 0; i < n; i++) {
		struct gen_fault f = c->fault[i];

		make_way_for(c, &f);
	}
}

static unsigned long take(unsigned long *n, unsigned long radix)
{
	unsigned long digit = *n % radix;

	*n /= radix;
	return digit;
}

/* --- one fault -------------------------------------------------------- */

static unsigned long singles(void)
{
	return AT_PROOF * gen_kind_count * WAYS * MODE_CHUNKED * 2ul *
	       GEN_PLACES;
}

static void make_single(unsigned long n, struct gen_case *c)
{
	struct gen_fault *f = &c->fault[0];
	unsigned long number = n;
	const struct way *w = &ways[take(&n, WAYS)];
	unsigned m;

	c->fault_count = 1;
	f->kind = (unsigned)take(&n, gen_kind_count);
	f->slot = (enum gen_slot)take(&n, AT_PROOF);
	c->mode = (enum gen_mode)take(&n, MODE_CHUNKED);
	c->late = take(&n, 2) == 1;
	f->mail = (unsigned)take(&n, GEN_PLACES);
	f->cut = w->cut;
	f->cut_at = w->cut_at;
	f->close = w->close;
	f->delay = w->delay;
	c->mails = c->mode == MODE_GROUPED ? 3 : f->mail + 1;
	for (m = 0; m < GEN_MAILS; m++)
		c->rcpts[m] = 1 + (unsigned)(number + m + number / WAYS) % 3;
	c->tls = number % 7 == 0   ? TLS_MUST
		 : number % 3 == 0 ? TLS_OFF
				   : TLS_MAY;
	c->body = number % 5 == 0 ? BODY_DOTS : BODY_SHORT;
	c->quit = number % 2 == 0;
	c->lazy = number % 11 == 0;
	c->aged = number % 13 == 0;
}

/* --- two faults ------------------------------------------------------- */

static unsigned long pairs(void)
{
	return (unsigned long)AT_PROOF * AT_PROOF * PAIRS * PAIRS * 2;
}

static void make_pair(unsigned long n, struct gen_case *c)
{
	unsigned long number = n;
	unsigned m;

	c->fault_count = 2;
	c->mode = take(&n, 2) ? MODE_GROUPED : MODE_PIPELINED;
	c->fault[0].kind = kind_named(pair_names[take(&n, PAIRS)]);
	c->fault[1].kind = kind_named(pair_names[take(&n, PAIRS)]);
	c->fault[0].slot = (enum gen_slot)take(&n, AT_PROOF);
	c->fault[1].slot = (enum gen_slot)take(&n, AT_PROOF);
	c->fault[0].mail = c->fault[1].mail = c->mode == MODE_GROUPED;
	if (c->fault[1].slot <= c->fault[0].slot)
		c->fault[1].mail++; /* of the next mail */
	c->mails = GEN_PLACES;
	for (m = 0; m < GEN_MAILS; m++)
		c->rcpts[m] = 1 + (unsigned)(number / 2 + m) % 3;
	c->tls = number % 3 == 0 ? TLS_OFF : TLS_MAY;
	c->quit = number % 2 == 0;
}

/* --- chunks ----------------------------------------------------------- */

static const enum gen_slot chunk_slots[] = {
	AT_EHLO, AT_MAIL, AT_RCPT_1, AT_RCPT_2, AT_CONTENT,
	AT_DOT,  AT_RSET, AT_IDLE,   AT_PROOF,  AT_PROOF_RSET,
};
#define CHUNK_SLOTS (sizeof(chunk_slots) / sizeof(chunk_slots[0]))

static unsigned long chunk_singles(void)
{
	return CHUNK_SLOTS * gen_kind_count * WAYS * 2ul * GEN_PLACES * 2ul;
}

static unsigned long chunk_pairs(void)
{
	return CHUNK_SLOTS * CHUNK_SLOTS * PAIRS * PAIRS * 2ul;
}

/* One recipient each, as flights have, but now and then. */
static void make_chunked(unsigned long number, struct gen_case *c)
{
	unsigned m;

	c->mode = MODE_CHUNKED;
	c->mails = GEN_PLACES + 1;
	for (m = 0; m < GEN_MAILS; m++)
		c->rcpts[m] = (number + m) % 9 == 0 ? 2 : 1;
	c->tls = number % 7 == 0 ? TLS_MUST : TLS_OFF;
	c->body = number % 5 == 0    ? BODY_DOTS
		  : number % 17 == 0 ? BODY_LARGE
				     : BODY_SHORT;
	c->quit = number % 2 == 0;
	c->lazy = number % 11 == 0;
	c->runs = number % 13 == 0;
	c->address_like = number % 19 == 0;
}

static void make_chunk_single(unsigned long n, struct gen_case *c)
{
	struct gen_fault *f = &c->fault[0];
	unsigned long number = n;
	const struct way *w = &ways[take(&n, WAYS)];

	make_chunked(number, c);
	c->fault_count = 1;
	f->kind = (unsigned)take(&n, gen_kind_count);
	f->slot = chunk_slots[take(&n, CHUNK_SLOTS)];
	c->late = take(&n, 2) == 1;
	f->mail = (unsigned)take(&n, GEN_PLACES);
	c->ahead = take(&n, 2) == 0 ? 1 : 2 + (unsigned)(number % 3);
	f->cut = w->cut;
	f->cut_at = w->cut_at;
	f->close = w->close;
	f->delay = w->delay;
	c->aged = number % 23 == 0;
}

static void make_chunk_pair(unsigned long n, struct gen_case *c)
{
	unsigned long number = n;

	make_chunked(number, c);
	c->fault_count = 2;
	c->fault[0].kind = kind_named(pair_names[take(&n, PAIRS)]);
	c->fault[1].kind = kind_named(pair_names[take(&n, PAIRS)]);
	c->fault[0].slot = chunk_slots[take(&n, CHUNK_SLOTS)];
	c->fault[1].slot = chunk_slots[take(&n, CHUNK_SLOTS)];
	c->ahead = take(&n, 2) == 0 ? 1 : 2 + (unsigned)(number % 3);
	c->fault[0].mail = c->fault[1].mail = number % 2;
	if (c->fault[1].slot <= c->fault[0].slot)
		c->fault[1].mail++;
}

/* --- any -------------------------------------------------------------- */

/* splitmix64: every number of a seed is a case of its own. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static unsigned below(uint64_t *state, unsigned n)
{
	return (unsigned)(next(state) % n);
}

static void make_any_chunked(uint64_t *state, struct gen_case *c)
{
	unsigned i;

	c->ahead = 1 + below(state, below(state, 4) == 0 ? GEN_MAILS : 5);
	c->mails = 1 + below(state, c->ahead < 6 ? 6 : GEN_MAILS);
	for (i = 0; i < GEN_MAILS; i++)
		if (below(state, 8) > 0)
			c->rcpts[i] = 1;
	if (below(state, 8) == 0)
		c->without = (enum gen_without)below(state, WITHOUT_COUNT);
	c->runs = below(state, 8) == 0;
	c->address_like = below(state, 8) == 0;
}

static void make_any(uint64_t state, struct gen_case *c)
{
	unsigned i, plain;

	c->mode = (enum gen_mode)below(&state, MODE_COUNT);
	if (below(&state, 2) == 0)
		c->mode = below(&state, 2) == 0 ? MODE_GROUPED : MODE_CHUNKED;
	c->tls = (enum gen_tls)below(&state, TLS_COUNT);
	c->body = below(&state, 8) == 0 ? BODY_LARGE
					: (enum gen_body)below(&state, 2);
	c->mails = 1 + below(&state, GEN_PLACES);
	for (i = 0; i < GEN_MAILS; i++)
		c->rcpts[i] = 1 + below(&state, GEN_RCPTS);
	if (c->mode == MODE_CHUNKED)
		make_any_chunked(&state, c);
	c->late = below(&state, 2) == 0;
	c->lazy = below(&state, 4) == 0;
	c->quit = below(&state, 2) == 0;
	c->stuck = below(&state, 16) == 0;
	c->aged = below(&state, 16) == 0;
	c->fault_count = 1 + below(&state, GEN_FAULTS);
	for (i = 0; i < c->fault_count; i++) {
		struct gen_fault *f = &c->fault[i];

		plain = below(&state, 2);
		f->slot = (enum gen_slot)below(&state, SLOT_COUNT);
		f->mail = below(&state, c->mails);
		f->kind = below(&state, gen_kind_count);
		if (plain)
			continue;
		f->cut = (enum gen_cut)below(&state, CUT_COUNT);
		f->cut_at = below(&state, 64);
		f->close = (enum gen_close)below(&state, CLOSE_COUNT);
		f->delay = (enum gen_delay)below(&state, DELAY_COUNT);
	}
}

unsigned long gen_case_fixed(void)
{
	return singles() + pairs() + chunk_singles() + chunk_pairs();
}

void gen_case_make(unsigned long n, uint64_t seed, struct gen_case *c)
{
	unsigned long at = n;
	bool again;

	memset(c, 0, sizeof(*c));
	c->ahead = 1;
	if (at < singles())
		make_single(at, c);
	else if ((at -= singles()) < pairs())
		make_pair(at, c);
	else if ((at -= pairs()) < chunk_singles())
		make_chunk_single(at, c);
	else if ((at -= chunk_singles()) < chunk_pairs())
		make_chunk_pair(at, c);
	else
		make_any(seed * 0x100000001b3u + n, c);
	/* The greeting is not a mail's: do something else instead. */
	again = n < singles() && c->fault[0].mail > 0 &&
		(c->fault[0].slot < AT_MAIL || c->fault[0].slot == AT_QUIT);
	if (again) {
		memset(c, 0, sizeof(*c));
		c->ahead = 1;
		make_any(seed * 0x100000001b3u + n, c);
	}
	finish(c);
}

void gen_case_print(const struct gen_case *c, FILE *out)
{
	static const char *const tls[] = { "off", "wanted", "taken", "must" };
	static const char *const without[] = { "", ", without CHUNKING",
					       ", without codes",
					       ", without PIPELINING" };
	unsigned i;

	fprintf(out, "# mode %s, tls %s, mails %u (%u %u %u)%s%s%s%s%s\n",
		gen_mode_names[c->mode], tls[c->tls], c->mails, c->rcpts[0],
		c->rcpts[1], c->rcpts[2], c->late ? ", late" : "",
		c->lazy ? ", lazy" : "", c->quit ? ", quit" : "",
		c->stuck ? ", stuck" : "", c->aged ? ", aged" : "");
	if (c->mode == MODE_CHUNKED)
		fprintf(out, "# ahead %u%s%s%s\n", c->ahead,
			without[c->without], c->runs ? ", runs chunks" : "",
			c->address_like ? ", RSET is answered as RCPT" : "");
	for (i = 0; i < c->fault_count; i++) {
		const struct gen_fault *f = &c->fault[i];

		fprintf(out, "# %s of mail %u: %s, %s (%u), %s, %s\n",
			gen_slot_names[f->slot], f->mail + 1,
			gen_kinds[f->kind].name, gen_cut_names[f->cut],
			f->cut_at, gen_close_names[f->close],
			gen_delay_names[f->delay]);
	}
}
