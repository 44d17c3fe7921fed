/*
 * engine/whost.c - a host as the connections of a worker see it
 *
 * Name, address and our source are the same for all connections of a site to
 * one address, and each outcome says them: so they stand here once, as they
 * are written, however many connections there are.
 *
 *	octets:  name NUL | host, site, source as note_peer_put() writes them
 *
 * The name is a copy: a connection that is still closing has left its site,
 * which may free the one that it lent.
 */
#include "engine/worker_private.h"

#include "report/note.h"

#include <stdlib.h>

#define TEXT_MAX 160u /* of the name with the address, in an event */

static void host_text(const char *name, const struct mx_addr *addr, char *text,
		      size_t size)
{
	char at[IO_ADDR_TEXT_MAX];
	struct io_addr to;
	size_t name_len = strlen(name), len;

	io_addr_from_mx(addr, &to);
	io_addr_text(&to, at);
	len = strlen(at);
	BUG_ON(size < IO_ADDR_TEXT_MAX + 3);
	if (name_len > size - len - 3)
		name_len = size - len - 3;
	memcpy(text, name, name_len);
	text[name_len] = '[';
	memcpy(text + name_len + 1, at, len);
	memcpy(text + name_len + 1 + len, "]", 2);
}

void whost_text(const struct whost *h, char *text, size_t size)
{
	host_text(whost_name(h), &h->addr, text, size);
}

static bool is_same(const struct whost *h, const struct site_target *target,
		    const struct source_addr *source)
{
	return h->source == source && h->addr.family == target->addr.family &&
	       h->addr.port == target->addr.port &&
	       memcmp(h->addr.ip, target->addr.ip, sizeof(h->addr.ip)) == 0 &&
	       strcmp(whost_name(h), target->host) == 0;
}

static struct whost *whost_new(struct wsite *ws,
			       const struct site_target *target,
			       const struct source_addr *source)
{
	size_t name_size = strlen(target->host) + 1;
	struct note_common n = { .site = span_str(site_name(ws->site)) };
	struct whost *h;
	char text[TEXT_MAX];

	host_text(target->host, &target->addr, text, sizeof(text));
	n.host = span_str(text);
	if (source != NULL)
		n.source = span_str(source->text);
	h = malloc(sizeof(*h) + name_size + note_peer_size(&n));
	if (h == NULL)
		return NULL;
	h->conns = 0;
	h->addr = target->addr;
	h->source = source;
	memcpy(h->octets, target->host, name_size);
	h->note_at = (uint16_t)name_size;
	h->note_len = (uint16_t)note_peer_put(&n, h->octets + name_size);
	list_init(&h->link);
	list_add_tail(&ws->hosts, &h->link);
	return h;
}

struct whost *whost_get(struct wsite *ws, const struct site_target *target,
			const struct source_addr *source)
{
	struct whost *h = NULL;

	LIST_FOR_EACH (l, &ws->hosts) {
		h = CONTAINER_OF(l, struct whost, link);
		if (is_same(h, target, source))
			break;
		h = NULL;
	}
	if (h == NULL)
		h = whost_new(ws, target, source);
	if (h != NULL)
		h->conns++;
	return h;
}

void whost_put(struct whost **host)
{
	struct whost *h = *host;

	*host = NULL;
	if (h == NULL)
		return;
	BUG_ON(h->conns == 0);
	if (--h->conns > 0)
		return;
	list_del(&h->link);
	free(h);
}
