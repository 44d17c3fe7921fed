/*
 * engine/explain.c - what the store knows of a domain's way
 *
 *	route ─ how the domain's mail goes, and when that is asked again
 *	mx    ─ a row for each host of the set that is in use
 *
 * Read only; in the store's thread.
 */
#include "engine/storer_private.h"

#include "admin/record.h"
#include "io/io.h"

#include <stdio.h>

static const char *status_name(enum mx_status status)
{
	static const char *const names[] = {
		[MX_OK] = "ok",        [MX_NXDOMAIN] = "nxdomain",
		[MX_NULL] = "null-mx", [MX_NO_ADDRESS] = "no-address",
		[MX_LOOP] = "loop",    [MX_TEMPFAIL] = "tempfail",
	};

	return names[status];
}

static void add_route(const struct storer_state *s, const struct dest *d,
		      struct span domain, struct buf *out)
{
	char to[300] = "";
	uint64_t left_ms = 0;

	if (d != NULL && d->route != NULL)
		snprintf(to, sizeof(to),
			 strchr(d->route->host, ':') == NULL ? "%s:%u"
							     : "[%s]:%u",
			 d->route->host, d->route->port);
	if (d != NULL && d->set != NULL && !d->fixed &&
	    d->set->expires_ms > s->now_ms)
		left_ms = d->set->expires_ms - s->now_ms;
	admin_begin(out, "route");
	admin_text(out, "domain", domain);
	admin_number(out, "known", d != NULL && d->set != NULL);
	admin_text(out, "how", to[0] != '\0' ? SPAN("route") : SPAN("mx"));
	admin_text(out, "route", span_str(to));
	admin_text(out, "status",
		   d == NULL || d->set == NULL
			   ? SPAN("unknown")
			   : span_str(status_name(d->set->status)));
	admin_number(out, "implicit",
		     d != NULL && d->set != NULL && d->set->implicit);
	admin_number(out, "asking", d != NULL && d->asking);
	admin_number(out, "parked", d == NULL ? 0 : d->parked_count);
	admin_number(out, "expires_in_s", (left_ms + 999) / 1000);
	admin_text(out, "why",
		   d == NULL || d->set == NULL ? SPAN("")
					       : span_str(d->set->why));
	admin_text(out, "site",
		   d == NULL || d->target == NULL ? SPAN("")
						  : span_str(d->target->name));
	admin_end(out);
}

static void add_mx(const struct mx_host *h, bool ranked, struct buf *out)
{
	char text[IO_ADDR_TEXT_MAX], all[1024] = "";
	struct io_addr addr;
	size_t len = 0;
	uint16_t i;

	for (i = 0; i < h->addr_count; i++) {
		io_addr_from_mx(&h->addrs[i], &addr);
		io_addr_text(&addr, text);
		if (len + strlen(text) + 2 < sizeof(all))
			len += (size_t)snprintf(all + len, sizeof(all) - len,
						"%s%s", i > 0 ? " " : "", text);
	}
	admin_begin(out, "mx");
	admin_text(out, "host", span_str(h->name));
	admin_number(out, "preference", h->preference);
	admin_number(out, "ranked", ranked);
	admin_text(out, "addresses", span_str(all));
	admin_end(out);
}

bool storer_explain(struct storer *st, struct span domain, struct buf *out,
		    unsigned *worker_r, uint32_t *site_r)
{
	const struct storer_state *s = st->state;
	const struct dest *d = dispatch_find(s, domain);
	uint16_t i;

	add_route(s, d, domain, out);
	for (i = 0; d != NULL && d->set != NULL && i < d->set->host_count; i++)
		add_mx(&d->set->hosts[i], d->route == NULL && !d->set->implicit,
		       out);
	if (d == NULL || d->target == NULL)
		return false;
	*worker_r = d->target->worker;
	*site_r = d->target->number;
	return true;
}
