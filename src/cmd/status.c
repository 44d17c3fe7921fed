/*
 * cmd/status.c - mtaq status: the daemon at a glance
 */
#include "base/json.h"
#include "cmd/operator.h"

#include <stdio.h>
#include <sysexits.h>

static const struct args_option options[] = {
	OPTION_CONFIG,
	OPTION_JSON("one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq status",
	.usage = "mtaq status [-c FILE] [--json]",
	.about = "What the daemon does, has done, and cannot do.",
	.options = options,
	.more = "Exit codes: 0 it answered, 64 wrong usage, 69 no daemon "
		"answers, 77 no permission, 78 the configuration is wrong.",
};

struct view { /* what the daemon said, printed at the end */
	struct operator* o;
	struct buf figures, pauses;
};

static unsigned long long n(const struct admin_record *r, const char *key)
{
	return admin_number_of(r, key);
}

static void add_words(struct buf *b, const struct admin_record *r,
		      const char *key)
{
	struct span s = admin_text_of(r, key);

	buf_printf(b, "%.*s", (int)s.len, s.p);
}

static void add_daemon(struct buf *b, const struct admin_record *r)
{
	unsigned long long up = n(r, "uptime_s");

	buf_printf(b, "daemon      ");
	add_words(b, r, "hostname");
	buf_printf(b, ", pid %llu, up %llud %02llu:%02llu:%02llu, mtaq ",
		   n(r, "pid"), up / 86400, up / 3600 % 24, up / 60 % 60,
		   up % 60);
	add_words(b, r, "version");
	buf_printf(b, "\nworkers     %llu over ", n(r, "workers"));
	add_words(b, r, "io");
	if (admin_text_of(r, "io_why").len > 0) {
		buf_printf(b, " (");
		add_words(b, r, "io_why");
		buf_printf(b, ")");
	}
	buf_add_char(b, '\n');
}

static void add_mail(struct buf *b, const struct admin_record *r)
{
	buf_printf(
		b,
		"queued      %llu recipients waiting, %llu held; %llu queues,"
		" %llu tasks loaded\n",
		n(r, "waiting"), n(r, "held"), n(r, "queues"),
		n(r, "loaded_tasks"));
	buf_printf(b,
		   "since start %llu accepted, %llu delivered, %llu deferred, "
		   "%llu bounced, %llu unsure\n",
		   n(r, "accepted"), n(r, "delivered"), n(r, "deferred"),
		   n(r, "bounced"), n(r, "unsure"));
	buf_printf(
		b,
		"sessions    %llu open, %llu opened, %llu transactions; %llu "
		"domains, %llu being resolved\n",
		n(r, "sessions_open"), n(r, "sessions"), n(r, "transactions"),
		n(r, "domains"), n(r, "dns_asking"));
}

static void add_disk(struct buf *b, const struct admin_record *r)
{
	buf_printf(b,
		   "log         %llu segments, %llu free; %llu MiB since the "
		   "last checkpoint\n",
		   n(r, "segments"), n(r, "segments_free"),
		   n(r, "log_bytes") >> 20);
	buf_printf(b,
		   "disk        %llu MiB free, new mail waits under %llu "
		   "MiB; room for outcomes: ",
		   n(r, "disk_free") >> 20, n(r, "disk_min_free") >> 20);
	add_words(b, r, "room");
	buf_printf(b, "\nevent log   ");
	add_words(b, r, "events");
	buf_printf(b, "\nclock       ");
	add_words(b, r, "clock");
	buf_printf(b, "\ndamage      ");
	if (n(r, "damaged") == 0)
		buf_printf(b, "none");
	else
		buf_printf(b, "%llu places: ", n(r, "damaged"));
	if (n(r, "damaged") > 0)
		add_words(b, r, "damage");
	buf_add_char(b, '\n');
}

static void add_pause(struct view *v, const struct admin_record *r)
{
	static const char *const keys[] = { "tenant", "campaign", "domain" };
	struct buf *b = &v->pauses;
	size_t i;

	if (v->o->json) {
		if (b->len > 0)
			buf_add_char(b, ',');
		operator_json(b, r);
		return;
	}
	buf_printf(b, "paused     ");
	for (i = 0; i < 3; i++)
		if (admin_text_of(r, keys[i]).len > 0) {
			buf_printf(b, " %s ", keys[i]);
			add_words(b, r, keys[i]);
		}
	buf_printf(b, " for %llu s\n", n(r, "age_s"));
}

static int look(struct view *v)
{
	struct operator* o = v->o;
	const struct admin_record *r = &o->client.rec;

	operator_request(o, "status");
	operator_ask(o);
	while (operator_next(o)) {
		if (o->json) {
			operator_json(&v->figures, r);
			continue;
		}
		add_daemon(&v->figures, r);
		add_mail(&v->figures, r);
		add_disk(&v->figures, r);
	}
	if (o->code != EX_OK)
		return o->code;
	operator_request(o, "pauses");
	operator_ask(o);
	while (operator_next(o))
		add_pause(v, r);
	return o->code;
}

static void print(struct view *v)
{
	struct buf *f = &v->figures, *p = &v->pauses;
	size_t i;

	if (v->o->json) { /* the pauses go inside the object */
		printf("%.*s,\"pauses_in_force\":[%.*s]}\n", (int)f->len - 1,
		       f->p, (int)p->len, p->p == NULL ? "" : p->p);
		return;
	}
	for (i = 0; i < f->len; i++)
		if ((unsigned char)f->p[i] < 32 && f->p[i] != '\n')
			f->p[i] = '?';
	for (i = 0; i < p->len; i++)
		if ((unsigned char)p->p[i] < 32 && p->p[i] != '\n')
			p->p[i] = '?';
	printf("%.*s%.*s", (int)f->len, f->p, (int)p->len,
	       p->p == NULL ? "" : p->p);
}

int status_main(int argc, char **argv)
{
	struct operator o = { .code = EX_OK };
	struct view v = { .o = &o };
	int code = operator_options(&o, &command, argc, argv);

	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (o.word_count > 0)
		return command_wrong(&o.args, "'%s' is one argument too many",
				     o.words[0]);
	code = operator_open(&o);
	if (code != EX_OK)
		return code;
	buf_init(&v.figures, 1u << 20);
	buf_init(&v.pauses, 16u << 20);
	code = look(&v);
	if (code == EX_OK)
		print(&v);
	buf_free(&v.figures);
	buf_free(&v.pauses);
	operator_close(&o);
	return code;
}
