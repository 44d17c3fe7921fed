/*
 * engine/ours.c - connections that fail for a reason of our own machine
 *
 *	what fails                        who waits
 *	no descriptor, no memory          every site of the worker, PAUSE_MS
 *	no port, no such source address   this address of the site, by its own
 *	no way out to the address         back-off (site_conn_unmade())
 *
 * A trouble lasts until LINGER_MS after the next try was due: retries of many
 * sites are one trouble and one line in the log.
 */
#include "engine/worker_private.h"

#include <errno.h>
#include <stdio.h>

#define LINGER_MS 60000u

static const char *what(enum ours_kind kind)
{
	static const char *const words[OURS_KINDS] = {
		[OURS_RESOURCES] = "no connection can be opened",
		[OURS_SOURCE] = "no connection can be opened from one of our "
				"addresses (it is not of this machine, or has "
				"no port left)",
		[OURS_READING] = "mail cannot be read from the spool",
		[OURS_IPV4] = "no IPv4 host can be connected to",
		[OURS_IPV6] = "no IPv6 host can be connected to",
	};

	return words[kind];
}

static const char *cause(int err)
{
	switch (err) {
	case -EMFILE:
		return "this process has no descriptor left; raise LimitNOFILE "
		       "of the unit, or lower limits.connections";
	case -ENFILE:
		return "the system has no descriptor left; raise "
		       "fs.file-max";
	case -EAFNOSUPPORT:
		return "no address of that family among smtp.sources, or in "
		       "the kernel";
	default:
		return strerrordesc_np(-err);
	}
}

bool ours_note(struct ours *o, enum ours_kind kind, int err, uint64_t now_ms,
	       uint64_t again_ms)
{
	uint64_t before;

	BUG_ON(kind >= OURS_KINDS || err >= 0 || again_ms < now_ms);
	atomic_store(&o->error[kind], err);
	before = atomic_exchange(&o->until_ms[kind], again_ms + LINGER_MS);
	return before <= now_ms;
}

void ours_words(const struct ours *o, uint64_t now_ms, char *words, size_t size)
{
	size_t at = 0;
	int k;

	BUG_ON(size == 0);
	words[0] = '\0';
	for (k = 0; k < OURS_KINDS && at < size; k++) {
		if (atomic_load(&o->until_ms[k]) <= now_ms)
			continue;
		at += (size_t)snprintf(words + at, size - at, "%s%s: %s",
				       at > 0 ? "; " : "",
				       what((enum ours_kind)k),
				       cause(atomic_load(&o->error[k])));
	}
}

static void tell(enum ours_kind kind, int err, const struct conn *c)
{
	const struct source_addr *source = c->host->source;
	char host[300];

	whost_text(c->host, host, sizeof(host));
	fprintf(stderr,
		"mtaq: %s: %s (%s%s%s); no host is blamed, mail waits or goes "
		"to other hosts, and this is tried again by itself\n",
		what(kind), cause(err), source == NULL ? "" : "from ",
		source == NULL ? "to " : source->text,
		source == NULL ? host : "");
}

/* False: not ours. */
static bool kind_of(const struct whost *h, int err, enum ours_kind *kind_r)
{
	struct io_addr to;

	switch (err) {
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		*kind_r = OURS_RESOURCES;
		return true;
	case -EADDRNOTAVAIL:
	case -EADDRINUSE:
		*kind_r = OURS_SOURCE;
		return true;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -EACCES:
		io_addr_from_mx(&h->addr, &to);
		if (io_way_out(h->source != NULL ? &h->source->addr : NULL,
			       &to) == 0)
			return false; /* a router or the host said it */
		break;
	case -EAFNOSUPPORT:
		break;
	default:
		return false;
	}
	*kind_r = h->addr.family == 6 ? OURS_IPV6 : OURS_IPV4;
	return true;
}

bool ours_took(struct worker_state *s, struct conn *c, int err)
{
	uint64_t again_ms = s->now_ms + OURS_PAUSE_MS;
	enum ours_kind kind;

	if (!kind_of(c->host, err, &kind))
		return false;
	if (kind == OURS_RESOURCES) {
		site_conn_close(&c->sc, NULL, s->now_ms, NULL);
		s->no_connect_until_ms = again_ms;
	} else {
		again_ms = site_conn_unmade(&c->sc, s->now_ms);
	}
	if (ours_note(s->w->set.ours, kind, err, s->now_ms, again_ms))
		tell(kind, err, c);
	list_del(&c->ready);
	worker_kick(s, c->site);
	return true;
}

void ours_short(struct worker_state *s, enum ours_kind kind, int err)
{
	if (ours_note(s->w->set.ours, kind, err, s->now_ms,
		      s->now_ms + OURS_PAUSE_MS))
		fprintf(stderr,
			"mtaq: %s: %s; mail stays in the queue and is tried "
			"again\n",
			what(kind), cause(err));
}
