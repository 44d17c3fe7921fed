/*
 * tests/unit/test_generated.c - the session against generated servers
 *
 *	test_generated [--cases N] [--seed S] [--only NUMBER]
 *
 * Every state x every kind of reply x every cut, close and delay: see
 * gen_case.c for what is tried, gen_judge.c for what must come of it.  The
 * exhaustive cases always run; N is how many run in all.  A case that fails
 * is played again with its dialogue printed in the words of
 * tests/transcripts/, ready to become a file there.  The counts are printed
 * at the end, and too few of a class is a failure: then the test has become
 * blind there.
 *
 * Memory: the sessions' allocations are counted (the linker wraps malloc and
 * calloc of the libraries).  One session at a time never needs more than
 * OBJECTS_MAX, however many cases are played.
 */
#include "gen.h"

#include "site/plan.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* pool, session, commands, a reply; each mail under way, and its answers */
#define OBJECTS_MAX (4 + 2 * GEN_MAILS)

static unsigned long allocations;
static bool counting;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
	allocations += counting;
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	allocations += counting;
	return __real_calloc(n, bytes);
}

/* --- the plan follows the verdict ------------------------------------- */

#define NOW 1000000u

static struct plan plan_of(const struct smtp_verdict *v, bool carried,
			   uint8_t unsure, uint32_t expires_s)
{
	static struct backoff_settings set;
	static uint64_t queues; /* each in a queue of its own: any jitter */
	struct reply_class class;
	struct plan_ask ask = { .verdict = v,
				.class = &class,
				.unsure = unsure,
				.again = 1,
				.session_carried = carried,
				.queue_hash = ++queues,
				.slot = NOW,
				.expires_s = expires_s,
				.now_s = NOW };
	struct plan plan;

	if (set.retry_count == 0)
		backoff_settings_default(&set);
	reply_classify(v, NULL, &class);
	plan_recipient(&set, &ask, &plan);
	return plan;
}

static enum plan_act act_wanted(const struct smtp_verdict *v, bool carried)
{
	static const enum plan_act acts[] = {
		[SMTP_ACCEPTED] = PLAN_DELIVERED, [SMTP_DEFERRED] = PLAN_RETRY,
		[SMTP_REJECTED] = PLAN_BOUNCE,    [SMTP_AGAIN] = PLAN_AGAIN,
		[SMTP_LOST] = PLAN_RETRY,         [SMTP_UNSURE] = PLAN_RETRY,
	};

	if (v->stage == SMTP_STAGE_MAIL &&
	    (v->result == SMTP_LOST || v->code == 421))
		return PLAN_PUT_BACK; /* rules 5, 9 */
	if (v->stage == SMTP_STAGE_MAIL && v->code == 452 && carried &&
	    v->enhanced.subject == 5 && v->enhanced.detail == 3)
		return PLAN_PUT_BACK; /* rule 5, as OpenSMTPD has it */
	return acts[v->result];
}

/* Rules 17 and 31: how long at least? */
static uint32_t least_s(const struct smtp_verdict *v)
{
	const struct smtp_enhanced *e = &v->enhanced;

	if (v->result == SMTP_UNSURE)
		return 15 * 60;
	if ((v->code == 450 || v->code == 451) && e->cls == 4 &&
	    e->subject == 7 && e->detail == 1)
		return 5 * 60;
	if (v->code == 452 && e->cls == 4 && e->subject == 2 && e->detail == 2)
		return 60 * 60;
	return 1;
}

const char *gen_plan_wrong(const struct smtp_verdict *v, bool carried)
{
	struct plan p = plan_of(v, carried, 0, UINT32_MAX);
	enum plan_act want = act_wanted(v, carried);
	struct reply_class class;

	if (p.act != want)
		return "the plan does not follow the verdict";
	if (p.act == PLAN_RETRY && p.slot < NOW + least_s(v))
		return "tried again too early";
	if (p.act == PLAN_RETRY && v->result != SMTP_UNSURE &&
	    plan_of(v, carried, 0, NOW).act != PLAN_EXPIRE)
		return "tried again beyond the age limit";
	if (v->result == SMTP_UNSURE &&
	    plan_of(v, carried, 4, UINT32_MAX).act != PLAN_HOLD)
		return "not held after five unsure results";
	reply_classify(v, NULL, &class);
	if (v->stage == SMTP_STAGE_RCPT && v->code >= 400 && v->code != 421 &&
	    class.scope != SCOPE_RECIPIENT && class.scope != SCOPE_MESSAGE)
		return "an answer to RCPT slows more than the recipient";
	return NULL;
}

/* --- the report ------------------------------------------------------- */

static void print_row(const char *title, const char *const *names,
		      const unsigned long *counts, int n)
{
	int i;

	printf("%-8s", title);
	for (i = 0; i < n; i++)
		printf("%s %s %lu", i == 0 ? "" : ",", names[i], counts[i]);
	printf("\n");
}

static void print_kinds(const struct gen_tally *t)
{
	unsigned i, k;

	printf("kinds   ");
	for (i = 0; i < gen_kind_count; i++) {
		unsigned long sum = 0;

		if (i > 0 &&
		    strcmp(gen_kinds[i].group, gen_kinds[i - 1].group) == 0)
			continue;
		for (k = 0; k < gen_kind_count; k++)
			if (strcmp(gen_kinds[k].group, gen_kinds[i].group) == 0)
				sum += t->by_kind[k];
		printf("%s %s %lu", i == 0 ? "" : ",", gen_kinds[i].group, sum);
	}
	printf("\n");
}

/* Cases in which more than so many mails were under way. */
static unsigned long over(const struct gen_tally *t, unsigned ahead)
{
	unsigned long n = 0;

	while (++ahead <= GEN_MAILS)
		n += t->by_ahead[ahead];
	return n;
}

static void print_report(const struct gen_tally *t, uint64_t seed)
{
	static const char *const ends[] = { "no end", "words", "nonsense",
					    "broke" };
	const char *results[SMTP_RESULT_COUNT];
	int i;

	for (i = 0; i < SMTP_RESULT_COUNT; i++)
		results[i] = smtp_result_name((enum smtp_result)i);
	printf("%lu cases (seed %llu), %lu faults met, %lu batches, %lu events, "
	       "%lu waits, %lu allocations\n",
	       t->cases, (unsigned long long)seed, t->hits, t->batches,
	       t->events, t->waits, allocations);
	print_row("modes", gen_mode_names, t->by_mode, MODE_COUNT);
	print_row("places", gen_slot_names, t->by_slot, SLOT_COUNT);
	print_kinds(t);
	print_row("cuts", gen_cut_names, t->by_cut, CUT_COUNT);
	print_row("closes", gen_close_names, t->by_close, CLOSE_COUNT);
	print_row("delays", gen_delay_names, t->by_delay, DELAY_COUNT);
	print_row("results", results, t->results, SMTP_RESULT_COUNT);
	print_row("ends", ends, t->ends, 4);
	printf("chunks   flights %lu, cases of over 1, 4, 12 under way: %lu, "
	       "%lu, %lu; compared %lu, verdicts the same %lu, extra copies "
	       "%lu, %lu without chunks\n",
	       t->flights, over(t, 1), over(t, 4), over(t, 12), t->compared,
	       t->same, t->copies, t->twin_copies);
}

static int is_blind(const struct gen_tally *t)
{
	int i, blind = t->hits < t->cases / 2;

	blind |= t->flights < t->cases / 20 || over(t, 1) < t->cases / 100 ||
		 t->same < t->cases / 10;

	for (i = 0; i < SMTP_RESULT_COUNT; i++)
		blind |= t->results[i] < t->cases / 500;
	for (i = END_SAID; i <= END_BROKE; i++)
		blind |= t->ends[i] < t->cases / 50;
	if (blind)
		printf("too few cases of a class: the test has become blind\n");
	return blind;
}

/* --- running ---------------------------------------------------------- */

static struct {
	unsigned long number;
	uint64_t seed;
	bool told;
} now;

/* A case of chunks once more, plain and grouped. */
static const char *compare(const struct gen_case *c, struct smtp_pool *pool,
			   struct gen_tally *tally,
			   const struct gen_outcome *chunked, FILE *out)
{
	struct gen_outcome twin;
	struct gen_case other = *c;
	const char *wrong = NULL;
	int mode;

	if (c->mode != MODE_CHUNKED || c->late)
		return NULL;
	other.ahead = 1;
	for (mode = MODE_PIPELINED; wrong == NULL && mode <= MODE_GROUPED;
	     mode++) {
		other.mode = (enum gen_mode)mode;
		if (out != NULL)
			fprintf(out, "# %s:\n", gen_mode_names[mode]);
		wrong = gen_run(&other, pool, tally, &twin, out);
		if (wrong == NULL)
			wrong = gen_compare(c, chunked, &twin, tally);
	}
	return wrong;
}

/* A fresh pool: what went wrong may have left the other one odd. */
static void play_again(void)
{
	struct gen_tally tally = { 0 };
	struct gen_outcome came;
	struct gen_case c;
	const char *wrong;

	if (now.told)
		return;
	now.told = true;
	counting = false;
	gen_case_make(now.number, now.seed, &c);
	printf("case %lu of seed %llu\n", now.number,
	       (unsigned long long)now.seed);
	gen_case_print(&c, stdout);
	wrong = gen_run(&c, smtp_pool_new(GEN_RCPTS), &tally, &came, stdout);
	if (wrong == NULL)
		wrong = compare(&c, smtp_pool_new(GEN_RCPTS), &tally, &came,
				stdout);
	printf("FAILED: %s\nagain: test_generated --seed %llu --only %lu\n",
	       wrong == NULL ? "only in company" : wrong,
	       (unsigned long long)now.seed, now.number);
	fflush(stdout);
}

/* BUG_ON() was hit: this is a test program, so say where. */
static void on_abort(int signo)
{
	signal(signo, SIG_DFL);
	play_again();
	abort();
}

static bool play(unsigned long number, struct smtp_pool *pool,
		 struct gen_tally *tally, FILE *out)
{
	struct gen_outcome came;
	struct gen_case c;
	const char *wrong;

	now.number = number;
	gen_case_make(number, now.seed, &c);
	if (out != NULL)
		gen_case_print(&c, out);
	counting = true;
	wrong = gen_run(&c, pool, tally, &came, out);
	if (wrong == NULL)
		wrong = compare(&c, pool, tally, &came, out);
	counting = false;
	if (wrong != NULL) {
		printf("%s\n", wrong);
		play_again();
		return false;
	}
	if (allocations > OBJECTS_MAX) {
		printf("%lu allocations: memory is not bounded\n", allocations);
		play_again();
		return false;
	}
	return true;
}

static int play_all(unsigned long cases)
{
	static struct gen_tally tally;
	unsigned long n;
	struct smtp_pool *pool;
	bool good = true;

	gen_contents_make();
	counting = true;
	pool = smtp_pool_new(GEN_RCPTS);
	counting = false;
	for (n = 0; n < cases && good; n++)
		good = play(n, pool, &tally, NULL);
	print_report(&tally, now.seed);
	if (!good)
		return EXIT_FAILURE;
	smtp_pool_free(&pool); /* asserts that all was given back */
	gen_contents_free();
	return is_blind(&tally) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int play_one(unsigned long number)
{
	struct gen_tally tally = { 0 };
	struct smtp_pool *pool = smtp_pool_new(GEN_RCPTS);
	bool good;

	gen_contents_make();
	good = play(number, pool, &tally, stdout);
	printf("# %s\n", good ? "as it must be" : "wrong");
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	unsigned long cases = 400000, only = 0;
	bool one = false;
	int i;

	now.seed = 1;
	for (i = 1; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 0);

		if (strcmp(argv[i], "--cases") == 0) {
			cases = value;
		} else if (strcmp(argv[i], "--seed") == 0) {
			now.seed = value;
		} else if (strcmp(argv[i], "--only") == 0) {
			only = value;
			one = true;
		} else {
			break;
		}
	}
	if (i != argc) {
		fprintf(stderr, "use: [--cases N] [--seed S] [--only N]\n");
		return 64;
	}
	signal(SIGABRT, on_abort);
	if (cases < gen_case_fixed())
		cases = gen_case_fixed();
	return one ? play_one(only) : play_all(cases);
}
