/*
 * io/addr.c - addresses: from an MX set, from words, to words
 */
#include "io/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

void io_addr_from_mx(const struct mx_addr *mx, struct io_addr *addr_r)
{
	memset(addr_r, 0, sizeof(*addr_r));
	if (mx->family == 6) {
		addr_r->len = sizeof(addr_r->u.in6);
		addr_r->u.in6.sin6_family = AF_INET6;
		addr_r->u.in6.sin6_port = htons(mx->port);
		memcpy(&addr_r->u.in6.sin6_addr, mx->ip, 16);
		return;
	}
	addr_r->len = sizeof(addr_r->u.in);
	addr_r->u.in.sin_family = AF_INET;
	addr_r->u.in.sin_port = htons(mx->port);
	memcpy(&addr_r->u.in.sin_addr, mx->ip, 4);
}

static int parse_path(struct span path, struct io_addr *addr_r)
{
	struct io_addr a;

	memset(&a, 0, sizeof(a));
	/* Room for the NUL, so that every path can be printed. */
	if (path.len >= sizeof(a.u.un.sun_path) || span_find(path, '\0') >= 0)
		return -EINVAL;
	a.u.un.sun_family = AF_UNIX;
	memcpy(a.u.un.sun_path, path.p, path.len);
	a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len +
			    1);
	*addr_r = a;
	return 0;
}

static int parse_ip(struct span ip, uint16_t port, struct io_addr *addr_r)
{
	char text[INET6_ADDRSTRLEN];
	struct mx_addr mx = { .port = port };

	if (ip.len == 0 || ip.len >= sizeof(text) || span_find(ip, '\0') >= 0)
		return -EINVAL;
	memcpy(text, ip.p, ip.len);
	text[ip.len] = '\0';
	if (inet_pton(AF_INET, text, mx.ip) == 1)
		mx.family = 4;
	else if (inet_pton(AF_INET6, text, mx.ip) == 1)
		mx.family = 6;
	else
		return -EINVAL;
	io_addr_from_mx(&mx, addr_r);
	return 0;
}

/* Cut "[v6]:port", "[v6]", "v4:port", or an address alone.  False when the
 * brackets do not fit; port_r is empty when there is none. */
static bool cut_port(struct span text, struct span *ip_r, struct span *port_r)
{
	ptrdiff_t at = span_find(text, ':');

	*port_r = span_of(NULL, 0);
	if (text.len > 0 && text.p[0] == '[') {
		at = span_find(text, ']');
		if (at < 0)
			return false;
		*ip_r = span_of(text.p + 1, (size_t)at - 1);
		text = span_of(text.p + at + 1, text.len - (size_t)at - 1);
		if (text.len == 0)
			return true;
		*port_r = span_of(text.p + 1, text.len - 1);
		return text.p[0] == ':' && port_r->len > 0;
	}
	*ip_r = text;
	if (at < 0 ||
	    span_find(span_of(text.p + at + 1, text.len - (size_t)at - 1),
		      ':') >= 0)
		return true;
	ip_r->len = (size_t)at;
	*port_r = span_of(text.p + at + 1, text.len - (size_t)at - 1);
	return port_r->len > 0;
}

int io_addr_parse(struct span text, uint16_t port, struct io_addr *addr_r)
{
	struct span ip, digits;
	uint64_t value = port;

	if (text.len > 0 && text.p[0] == '/')
		return parse_path(text, addr_r);
	if (!cut_port(text, &ip, &digits))
		return -EINVAL;
	if (digits.len > 0 && !span_u64(digits, 65535, &value))
		return -EINVAL;
	return parse_ip(ip, (uint16_t)value, addr_r);
}

/* At most three digits, or five; gives what is behind them. */
static char *put_number(char *at, unsigned value)
{
	if (value >= 10)
		at = put_number(at, value / 10);
	*at = (char)('0' + value % 10);
	return at + 1;
}

/* By hand, since each outcome has one: printf() takes a microsecond. */
static void v4_text(const struct sockaddr_in *in, char *at)
{
	const uint8_t *octet = (const uint8_t *)&in->sin_addr;
	int i;

	for (i = 0; i < 4; i++) {
		at = put_number(at, octet[i]);
		*at++ = i < 3 ? '.' : ':';
	}
	at = put_number(at, ntohs(in->sin_port));
	*at = '\0';
}

void io_addr_text(const struct io_addr *addr, char text[IO_ADDR_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN];

	if (addr->len == 0) {
		snprintf(text, IO_ADDR_TEXT_MAX, "none");
	} else if (addr->u.sa.sa_family == AF_INET) {
		v4_text(&addr->u.in, text);
	} else if (addr->u.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, ip, sizeof(ip));
		snprintf(text, IO_ADDR_TEXT_MAX, "[%s]:%u", ip,
			 ntohs(addr->u.in6.sin6_port));
	} else if (addr->u.sa.sa_family == AF_UNIX) {
		snprintf(text, IO_ADDR_TEXT_MAX, "%.*s",
			 (int)(addr->len -
			       offsetof(struct sockaddr_un, sun_path)),
			 addr->u.un.sun_path);
	} else {
		snprintf(text, IO_ADDR_TEXT_MAX, "family %d",
			 addr->u.sa.sa_family);
	}
}
