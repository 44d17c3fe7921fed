/*
 * engine/site_row.c - a site in an answer; scripts rely on its keys
 */
#include "engine/site_row.h"

#include "admin/record.h"

static void add_text(struct buf *out, const char *key, const char *text)
{
	admin_text(out, key, span_str(text == NULL ? "" : text));
}

void site_row_add(const struct site_row *row, struct buf *out)
{
	admin_begin(out, "site");
	add_text(out, "site", row->name);
	add_text(out, "state", row->state);
	admin_number(out, "tasks", row->tasks);
	admin_number(out, "running", row->running);
	admin_number(out, "sessions", row->sessions);
	admin_number(out, "busy", row->busy);
	admin_number(out, "connecting", row->connecting);
	admin_number(out, "window", row->window);
	admin_number(out, "delivered", row->delivered);
	admin_number(out, "deferred", row->deferred);
	admin_number(out, "bounced", row->bounced);
	admin_number(out, "per_second", row->per_second);
	admin_number(out, "messages_per_session", row->messages);
	admin_number(out, "hosts", row->hosts);
	admin_number(out, "hosts_bad", row->hosts_bad);
	admin_number(out, "again_in_s", row->again_in_s);
	admin_number(out, "worker", row->worker);
	add_text(out, "preset", row->preset);
	add_text(out, "limit", row->limit);
	add_text(out, "limit_words", row->limit_words);
	admin_number(out, "limit_in_s", row->limit_in_s);
	add_text(out, "why", row->why);
	add_text(out, "last", row->last);
	admin_number(out, "last_s_ago", row->last_s_ago);
	admin_end(out);
}
