/*
 * engine/control_trace.c - conversations from workers to whoever looks on
 *
 *	"trace" ─► a slot in every worker ─► lines ─► streams of rows
 *
 * A stream ends when its time is over, when it has had its lines, or when its
 * peer is gone; then the workers forget it.  A peer that does not read has at
 * most TRACE_WAITS of rows kept for it; what comes then is counted and lost.
 * The last line says how many lines there were, and how many were lost.
 */
#include "engine/control_private.h"

#include "base/msgid.h"

#include <stdio.h>
#include <sysexits.h>

#define TRACE_WAITS   (256u << 10) /* octets */
#define TRACE_MS_MAX  86400000u
#define TRACE_ALIVE_S 10u /* a row, so that the peer knows that we live */

/* --- lines ----------------------------------------------------------------- */

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[TRACE_NOTE] = "note",
		[TRACE_OURS] = "client",
		[TRACE_THEIRS] = "server",
	};

	return names[kind];
}

static void add_line(struct control_trace *t, const struct trace_line *line,
		     uint32_t lost)
{
	struct buf *out = admin_stream_out(t->stream);
	const char *at = line->text;

	t->lost += lost;
	t->lost_told += lost;
	if (t->lines >= t->lines_max)
		return;
	if (out->len > TRACE_WAITS) {
		t->lost++;
		t->lost_told++;
		return;
	}
	t->lines++;
	admin_begin(out, "line");
	admin_number(out, "time_ms", line->time_ms);
	admin_number(out, "session", line->session);
	admin_text(out, "site", span_of(at, line->site_len));
	at += line->site_len;
	admin_text(out, "host", span_of(at, line->host_len));
	at += line->host_len;
	admin_text(out, "side", span_str(kind_name(line->kind)));
	admin_text(out, "text", span_of(at, line->text_len));
	admin_number(out, "lost", t->lost_told);
	admin_end(out);
	t->lost_told = 0;
}

static void take_lines(struct control *c)
{
	const struct trace_line *line;
	struct lane *lane;
	unsigned i, n;
	size_t len;

	for (i = 0; i < c->e->workers_started; i++) {
		lane = &c->e->traces[i];
		while ((line = lane_peek(lane, &len)) != NULL) {
			for (n = 0; n < TRACE_SLOTS; n++)
				if ((line->slots >> n & 1) != 0 &&
				    c->traces[n].stream != NULL)
					add_line(&c->traces[n], line,
						 line->lost[n]);
			lane_consume(lane);
		}
	}
}

/* --- beginning and end ----------------------------------------------------- */

static int tell_workers(struct control *c)
{
	unsigned i;
	int err = 0;

	for (i = 0; err == 0 && i < c->e->workers_started; i++)
		err = control_ask(c, i);
	return err;
}

static int stop_trace(struct control *c, unsigned slot)
{
	struct control_trace *t = &c->traces[slot];
	struct buf *out;
	int err;

	c->ask = (struct site_ask){ .verb = SITE_ASK_UNTRACE, .slot = slot };
	err = tell_workers(c);
	if (err < 0)
		return err;
	take_lines(c); /* none of this slot comes behind them */
	out = admin_stream_out(t->stream);
	admin_begin(out, "ok");
	admin_number(out, "lines", t->lines);
	admin_number(out, "lost", t->lost);
	admin_end(out);
	admin_stream_end(c->server, &t->stream, clock_now_ms());
	return 0;
}

/* Queues have their domains in lower case. */
static uint64_t lower_hash(struct span domain)
{
	char lower[256];
	size_t i;

	if (domain.len > sizeof(lower))
		return 1; /* nobody's */
	for (i = 0; i < domain.len; i++)
		lower[i] = domain.p[i] >= 'A' && domain.p[i] <= 'Z'
				   ? (char)(domain.p[i] + 32)
				   : domain.p[i];
	return wire_word_hash(span_of(lower, domain.len));
}

/* What is wrong with it; NULL: nothing. */
static const char *read_trace(struct control *c,
			      const struct admin_request *req)
{
	struct span site = admin_text_of(&req->rec, "site");
	struct span domain = admin_text_of(&req->rec, "domain");
	struct span id = admin_text_of(&req->rec, "id");

	c->ask = (struct site_ask){ .verb = SITE_ASK_TRACE };
	if ((site.len > 0) + (domain.len > 0) + (id.len > 0) != 1)
		return "trace one site, one domain, or one id";
	if (site.len >= sizeof(c->ask.name))
		return "a site's name has at most 255 octets";
	if (id.len > 0 && msgid_parse(id, &c->ask.id) < 0)
		return "this is no id: 14 letters";
	if (admin_number_of(&req->rec, "for_ms") > TRACE_MS_MAX)
		return "a trace takes a day at most";
	snprintf(c->ask.name, sizeof(c->ask.name), "%.*s", (int)site.len,
		 site.len > 0 ? site.p : "");
	c->ask.domain = domain.len == 0 ? 0 : lower_hash(domain);
	return NULL;
}

int control_trace(struct control *c, const struct admin_request *req)
{
	uint64_t for_ms = admin_number_of(&req->rec, "for_ms");
	uint64_t max = admin_number_of(&req->rec, "max");
	uint64_t now = clock_now_ms();
	const char *wrong = read_trace(c, req);
	struct control_trace *t;
	unsigned slot = 0;
	int err;

	while (slot < TRACE_SLOTS && c->traces[slot].stream != NULL)
		slot++;
	if (wrong != NULL || slot == TRACE_SLOTS) {
		admin_error(req->out, wrong != NULL ? EX_USAGE : EX_TEMPFAIL,
			    wrong != NULL ? wrong
					  : "four others trace already: try "
					    "again when one has ended");
		return 0;
	}
	c->ask.slot = slot;
	err = tell_workers(c);
	if (err < 0)
		return err;
	t = &c->traces[slot];
	*t = (struct control_trace){
		.stream = admin_server_stream(c->server, now),
		.end_ms = now + (for_ms == 0 ? 60000 : for_ms),
		.alive_ms = now, /* the first row says that it has begun */
		.lines_max = max == 0 ? UINT64_MAX : max,
	};
	return CONTROL_STREAMS;
}

/* --- in between ------------------------------------------------------------ */

static void say_alive(struct control_trace *t, uint64_t now)
{
	struct buf *out = admin_stream_out(t->stream);

	if (now < t->alive_ms)
		return;
	t->alive_ms = now + TRACE_ALIVE_S * 1000;
	if (out->len > TRACE_WAITS)
		return;
	admin_begin(out, "alive");
	admin_end(out);
}

int control_trace_turn(struct control *c)
{
	uint64_t now = clock_now_ms();
	struct control_trace *t;
	unsigned i;
	int err = 0;

	if (control_traces(c) == 0)
		return 0;
	take_lines(c);
	for (i = 0; i < TRACE_SLOTS && err == 0; i++) {
		t = &c->traces[i];
		if (t->stream == NULL)
			continue;
		if (now >= t->end_ms || t->lines >= t->lines_max ||
		    admin_stream_gone(t->stream)) {
			err = stop_trace(c, i);
			continue;
		}
		say_alive(t, now);
		admin_stream_send(c->server, t->stream, now);
	}
	return err;
}

unsigned control_traces(const struct control *c)
{
	unsigned i, n = 0;

	for (i = 0; i < TRACE_SLOTS; i++)
		n += c->traces[i].stream != NULL;
	return n;
}
