/*
 * site/limits.c - what the sites of one provider share: connections, rate,
 * pauses; and the table of the providers that are known by name
 */
#include "site/site_private.h"

#include <stdio.h>
#include <stdlib.h>

/* Starting points that operators use; the windows do the rest. */
// clang-format off
static const struct site_preset presets[] = {
	{ "google", { "l.google.com", "smtp.google.com", "googlemail.com" },
		5, 20, 50, 0, true },
	{ "yahoo-japan", { "yahoo.co.jp" }, 2, 2, 20, 10, false },
	{ "yahoo", { "yahoodns.net" }, 5, 20, 20, 0, false },
	{ "outlook", { "olc.protection.outlook.com" }, 5, 20, 50, 0, false },
	{ "office365", { "mail.protection.outlook.com" }, 5, 20, 50, 0, false },
	{ "icloud", { "mail.icloud.com" }, 10, 10, 5, 0, true },
	{ "comcast", { "comcast.net" }, 25, 25, 1000, 0, true },
	{ "orange", { "orange.fr" }, 2, 2, 100, 0, true },
	{ "gmx", { "gmx.net", "web.de" }, 4, 4, 20, 0, false },
	{ "mimecast", { "mimecast.com" }, 10, 10, 100, 0, false },
	{ "qq", { "qq.com" }, 4, 4, 8, 0, false },
	{ "netease", { "163.com", "netease.com" }, 4, 4, 8, 0, false },
};
// clang-format on

const struct site_preset *site_presets_builtin(size_t *count_r)
{
	*count_r = ARRAY_LEN(presets);
	return presets;
}

void site_settings_default(struct site_settings *set)
{
	*set = (struct site_settings){
		.connections = 10,
		.connects_per_second = 10,
		.connects_burst = 10,
		.backlog = 4,
		.idle_ms = 5000,
		.messages = 100,
		.age_ms = 600000,
		.bad_first_ms = 60000,
		.bad_max_ms = 3600000,
		.stagger_ms = 2000,
		.learned_ms = 86400000,
		.grouping = SITE_GROUPING_AUTO,
		.chunking = SITE_CHUNKING_OFF,
		.chunks_ahead = 1,
	};
}

struct limits *site_limits_get(struct site_table *table,
			       const struct site_key *key, uint64_t now_ms)
{
	const struct site_settings *set = &table->set;
	const struct site_preset *preset = key->preset;
	struct limits *l = map_find(&table->limits, key->owner, NULL, NULL);
	uint32_t first =
		preset != NULL ? preset->connections : set->connections;
	uint32_t max = preset != NULL ? preset->connections_max : first;

	if (l != NULL) {
		l->refs++;
		return l;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL || map_put(&table->limits, key->owner, l) < 0) {
		free(l);
		return NULL;
	}
	l->owner = key->owner;
	l->refs = 1;
	l->preset = preset;
	window_init(&l->window, first, max);
	bucket_init(&l->connects, set->connects_per_second, set->connects_burst,
		    now_ms);
	pace_init(&l->pace, preset != NULL ? preset->per_second : 0, now_ms);
	return l;
}

void site_limits_put(struct site_table *table, struct limits **limits)
{
	struct limits *l = *limits;

	*limits = NULL;
	BUG_ON(l->refs == 0);
	if (--l->refs > 0)
		return;
	BUG_ON(l->conns != 0);
	map_del(&table->limits, l->owner, l);
	free(l);
}

uint32_t site_limits_messages(const struct limits *limits,
			      const struct site_settings *set)
{
	return limits->preset != NULL ? limits->preset->messages
				      : set->messages;
}

/* Pauses double when the same comes again soon after the last one. */
static void limits_pause(struct limits *l, const struct reply_class *class,
			 uint64_t now_ms)
{
	uint64_t pause = class->pause_s * 1000ull;

	if (now_ms < l->pause_ms)
		return;
	if (l->pause_for_ms != 0 && now_ms < l->pause_ms + l->pause_for_ms)
		pause = 2ull * l->pause_for_ms;
	if (pause > class->pause_max_s * 1000ull)
		pause = class->pause_max_s * 1000ull;
	l->pause_for_ms = (uint32_t)pause;
	l->pause_ms = now_ms + pause;
}

void site_limits_react(struct limits *limits, const struct reply_class *class,
		       uint32_t sessions, uint64_t now_ms)
{
	BUG_ON(class->scope != SCOPE_SITE);
	if (class->kind == REPLY_CONNECTIONS) {
		/* One less, and for a while no more than work now. */
		if (now_ms >= limits->hold_ms) {
			limits->hold_ms = now_ms + class->pause_s * 1000ull;
			limits->hold_size = sessions;
		}
		window_less(&limits->window);
		return;
	}
	window_bad(&limits->window);
	if (class->halve)
		pace_halve(&limits->pace, now_ms);
	if (class->pause_s > 0)
		limits_pause(limits, class, now_ms);
}

void site_reply_line(char line[SITE_WHY_MAX],
		     const struct smtp_verdict *verdict)
{
	int len = verdict->text.len > 90 ? 90 : (int)verdict->text.len;
	int i, n = 0;

	if (verdict->code != 0)
		n = snprintf(line, SITE_WHY_MAX, "%u ",
			     (unsigned)verdict->code);
	if (verdict->enhanced.cls != 0)
		n += snprintf(line + n, (size_t)(SITE_WHY_MAX - n), "%u.%u.%u ",
			      verdict->enhanced.cls, verdict->enhanced.subject,
			      verdict->enhanced.detail);
	snprintf(line + n, (size_t)(SITE_WHY_MAX - n), "%.*s", len,
		 len > 0 ? verdict->text.p : "");
	/* For people: a server's controls stay out of their terminals. */
	for (i = 0; line[i] != '\0'; i++)
		if ((unsigned char)line[i] < 0x20 ||
		    (unsigned char)line[i] >= 0x7f)
			line[i] = ' ';
}

void site_limits_why(struct limits *limits, const struct smtp_verdict *verdict)
{
	site_reply_line(limits->why, verdict);
}

/* --- recipients per transaction -------------------------------------------- */

void site_rcpts_learn(struct site *site, uint32_t carried, uint64_t now_ms)
{
	BUG_ON(carried == 0);
	site->rcpts_max = carried;
	site->rcpts_until_ms = now_ms + site->table->set.learned_ms;
}

uint32_t site_rcpts_max(const struct site *site, uint64_t now_ms)
{
	return now_ms < site->rcpts_until_ms ? site->rcpts_max : 0;
}
