/*
 * bench/sink_stats.c - count, add up, print as one line of JSON
 */
#include "bench/sink_stats.h"

#include "base/bug.h"

/* clang-format off */
static const char *const counter_names[SINK_COUNTERS] = {
	[SINK_N_SESSIONS] = "sessions",
	[SINK_N_TRANSACTIONS] = "transactions",
	[SINK_N_MESSAGES] = "messages",
	[SINK_N_RECIPIENTS] = "recipients",
	[SINK_N_WITHHELD] = "withheld",
	[SINK_N_OCTETS] = "octets",
	[SINK_N_COMMANDS] = "commands",
	[SINK_N_READS] = "reads",
	[SINK_N_WRITES] = "writes",
	[SINK_N_CAPPED] = "capped",
	[SINK_N_GREYLISTED] = "greylisted",
	[SINK_N_RCPTS_OVER] = "rcpts_over",
	[SINK_N_QUOTA] = "quota",
	[SINK_N_BARE_LF] = "bare_lf",
	[SINK_N_TOO_EARLY] = "too_early",
	[SINK_N_BAD_COMMANDS] = "bad_commands",
	[SINK_N_ABORTED] = "aborted",
	[SINK_N_DNS_QUERIES] = "dns_queries",
	[SINK_N_DNS_TCP] = "dns_tcp",
};

const char *const sink_stage_names[SINK_STAGES] = {
	"connect", "greeting", "ehlo", "mail", "rcpt", "data", "content", "eod",
};

const char *const sink_trick_names[SINK_TRICKS] = {
	"drop", "hang", "miss", "dup", "stray",
};
/* clang-format on */

void sink_stats_session(struct sink_stats *s, uint64_t messages)
{
	uint64_t slot =
		messages < SINK_HISTOGRAM - 1 ? messages : SINK_HISTOGRAM - 1;

	sink_count(&s->per_session[slot]);
	if (messages > atomic_load(&s->per_session_max))
		atomic_store(&s->per_session_max, messages);
}

void sink_stats_add(struct sink_stats *a, struct sink_stats *b)
{
	size_t i, j;

	for (i = 0; i < SINK_COUNTERS; i++)
		sink_count_by(&a->n[i], atomic_load(&b->n[i]));
	for (i = 0; i < SINK_STAGES; i++) {
		for (j = 0; j < 2; j++)
			sink_count_by(&a->refused[i][j],
				      atomic_load(&b->refused[i][j]));
		for (j = 0; j < SINK_TRICKS; j++)
			sink_count_by(&a->tricks[j][i],
				      atomic_load(&b->tricks[j][i]));
	}
	for (i = 0; i < SINK_HISTOGRAM; i++)
		sink_count_by(&a->per_session[i],
			      atomic_load(&b->per_session[i]));
	if (atomic_load(&b->per_session_max) > atomic_load(&a->per_session_max))
		atomic_store(&a->per_session_max,
			     atomic_load(&b->per_session_max));
}

/* Of the sessions that carried a message at all. */
static uint64_t median(struct sink_stats *s)
{
	uint64_t all = 0, seen = 0;
	size_t i;

	for (i = 1; i < SINK_HISTOGRAM; i++)
		all += atomic_load(&s->per_session[i]);
	for (i = 1; i < SINK_HISTOGRAM; i++) {
		seen += atomic_load(&s->per_session[i]);
		if (seen > 0 && seen * 2 >= all)
			return i;
	}
	return 0;
}

static double mean(struct sink_stats *s)
{
	uint64_t sessions = atomic_load(&s->n[SINK_N_SESSIONS]);
	uint64_t idle = atomic_load(&s->per_session[0]);

	BUG_ON(idle > sessions);
	if (sessions == idle)
		return 0;
	return (double)atomic_load(&s->n[SINK_N_MESSAGES]) /
	       (double)(sessions - idle);
}

void sink_stats_print(struct sink_stats *s, uint64_t peak, double seconds,
		      FILE *to)
{
	const char *comma = "";
	size_t i, j;

	fprintf(to, "{\"seconds\": %.3f, \"peak_connections\": %llu", seconds,
		(unsigned long long)peak);
	for (i = 0; i < SINK_COUNTERS; i++)
		fprintf(to, ", \"%s\": %llu", counter_names[i],
			(unsigned long long)atomic_load(&s->n[i]));
	fprintf(to,
		", \"messages_per_session\": {\"mean\": %.2f, "
		"\"median\": %llu, \"max\": %llu}, \"refused\": {",
		mean(s), (unsigned long long)median(s),
		(unsigned long long)atomic_load(&s->per_session_max));
	for (i = 0; i < SINK_STAGES; i++)
		for (j = 0; j < 2; j++, comma = ", ")
			fprintf(to, "%s\"%s_%zu\": %llu", comma,
				sink_stage_names[i], j + 4,
				(unsigned long long)atomic_load(
					&s->refused[i][j]));
	fputs("}, \"tricks\": {", to);
	comma = "";
	for (i = 0; i < SINK_TRICKS; i++)
		for (j = 0; j < SINK_STAGES; j++) {
			uint64_t n = atomic_load(&s->tricks[i][j]);

			if (n == 0)
				continue;
			fprintf(to, "%s\"%s_%s\": %llu", comma,
				sink_trick_names[i], sink_stage_names[j],
				(unsigned long long)n);
			comma = ", ";
		}
	fputs("}}\n", to);
	fflush(to);
}
