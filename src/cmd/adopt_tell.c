/*
 * cmd/adopt_tell.c - what mtaq adopt has taken, for people and for programs
 */
#include "cmd/adopt.h"

#include "base/json.h"
#include "cmd/human.h"

#include <stdio.h>

static void print_json(const char *from, const struct transfer_begin *begin,
		       const struct adopt_totals *t, bool taken)
{
	char hex[33];
	struct buf b;
	unsigned i;

	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", begin->uuid[i]);
	buf_init(&b, 1u << 20);
	buf_add_char(&b, '{');
	json_member(&b, "from", span_str(from));
	json_member(&b, "uuid", span_str(hex));
	json_member(&b, "hostname", begin->hostname);
	json_member_u64(&b, "exported_s", begin->wall_s);
	json_key(&b, "whole");
	buf_printf(&b, taken ? "true" : "false");
	json_member_u64(&b, "messages", t->messages);
	json_member_u64(&b, "recipients", t->recipients);
	json_member_u64(&b, "octets", t->octets);
	json_member_u64(&b, "known", t->known);
	json_member_u64(&b, "left", t->left);
	json_member_u64(&b, "pauses", t->pauses);
	json_key(&b, "shift_s");
	buf_printf(&b, "%lld", (long long)t->shift_s);
	json_member(&b, "paused_sites", buf_span(&t->site_words));
	json_member(&b, "words", buf_span(&t->words));
	printf("%.*s}\n", (int)b.len, b.p);
	buf_free(&b);
}

static void print_text(const char *from, const struct transfer_begin *begin,
		       const struct adopt_totals *t, bool dry)
{
	printf("%s: of %.*s, %.*s, exported %s ago\n", from,
	       (int)begin->hostname.len, begin->hostname.p,
	       (int)begin->spool.len, begin->spool.p,
	       human_time(clock_wall_ms() / 1000 > begin->wall_s
				  ? clock_wall_ms() / 1000 - begin->wall_s
				  : 0)
		       .text);
	printf("%s: %s messages, %s open recipients, %s",
	       dry ? "to be taken (-n)" : "taken",
	       human_count(t->messages).text, human_count(t->recipients).text,
	       human_bytes(t->octets).text);
	if (t->known > 0)
		printf("; %s messages had been taken before",
		       human_count(t->known).text);
	putchar('\n');
	if (t->shift_s != 0)
		printf("mail time here is %s %s that of the other node: next "
		       "tries and expiry are moved by it\n",
		       human_time((uint64_t)(t->shift_s < 0 ? -t->shift_s
							    : t->shift_s))
			       .text,
		       t->shift_s < 0 ? "behind" : "ahead of");
	printf("%.*s", (int)t->words.len, t->words.len == 0 ? "" : t->words.p);
	if (t->site_words.len > 0)
		printf("sites that were paused there, and are not here (mtaq "
		       "site pause NAME):\n%.*s",
		       (int)t->site_words.len, t->site_words.p);
}

void adopt_tell(const char *from, struct adopt_take *take, bool json, bool dry)
{
	const struct transfer_begin *begin = adopt_take_begin(take);
	const struct adopt_totals *t = adopt_take_totals(take);

	if (json)
		print_json(from, begin, t, !dry && adopt_take_whole(take));
	else
		print_text(from, begin, t, dry);
}
