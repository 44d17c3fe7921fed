/*
 * options/unit.c - durations, sizes, names, addresses: text to value and back
 *
 *	duration = 1*( number unit )		5d  1h30m  250ms  0
 *	size     = number [ unit ]		50MiB  64k is not: KiB or kB
 *	endpoint = ( name / ipv4 / "[" ipv6 "]" ) ":" port
 */
#include "base/bug.h"
#include "options/option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

struct unit {
	const char *name;
	uint64_t worth;
};

static const struct unit times[] = { { "w", 604800000 }, { "d", 86400000 },
				     { "h", 3600000 },   { "ms", 1 },
				     { "m", 60000 },     { "s", 1000 } };

/* The binary ones first and rising: printing takes the largest that fits. */
static const struct unit sizes[] = {
	{ "B", 1 },          { "KiB", 1024 },       { "MiB", 1u << 20 },
	{ "GiB", 1u << 30 }, { "TiB", 1ull << 40 }, { "kB", 1000 },
	{ "MB", 1000000 },   { "GB", 1000000000 },  { "TB", 1000000000000 },
};
#define SIZES_BINARY 5u

static struct span drop(struct span s, size_t n)
{
	return span_of(s.p + n, s.len - n);
}

static size_t digits(struct span s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

static const struct unit *unit_at(struct span s, const struct unit *units,
				  size_t count, size_t *len_r)
{
	size_t len = 0, i;

	while (len < s.len && (s.p[len] < '0' || s.p[len] > '9'))
		len++;
	for (i = 0; i < count; i++)
		if (span_eq(span_of(s.p, len), span_str(units[i].name))) {
			*len_r = len;
			return &units[i];
		}
	return NULL;
}

int option_duration(struct span text, uint64_t *ms_r)
{
	uint64_t sum = 0, n, part;
	const struct unit *u;
	size_t len;

	if (span_eq(text, SPAN("0"))) {
		*ms_r = 0;
		return 0;
	}
	if (text.len == 0)
		return -EINVAL;
	while (text.len > 0) {
		len = digits(text);
		if (!span_u64(span_of(text.p, len), UINT64_MAX, &n))
			return -EINVAL;
		text = drop(text, len);
		u = unit_at(text, times, ARRAY_LEN(times), &len);
		if (u == NULL || __builtin_mul_overflow(n, u->worth, &part) ||
		    __builtin_add_overflow(sum, part, &sum))
			return -EINVAL;
		text = drop(text, len);
	}
	*ms_r = sum;
	return 0;
}

int option_size(struct span text, uint64_t *bytes_r)
{
	size_t len = digits(text);
	const struct unit *u = &sizes[0];
	uint64_t n, bytes;

	if (!span_u64(span_of(text.p, len), UINT64_MAX, &n))
		return -EINVAL;
	text = span_trim(drop(text, len));
	if (text.len > 0) {
		u = unit_at(text, sizes, ARRAY_LEN(sizes), &len);
		if (u == NULL || len != text.len)
			return -EINVAL;
	}
	if (__builtin_mul_overflow(n, u->worth, &bytes))
		return -EINVAL;
	*bytes_r = bytes;
	return 0;
}

void option_print_duration(uint64_t ms, struct buf *out)
{
	static const struct unit exact[] = { { "d", 86400000 },
					     { "h", 3600000 },
					     { "m", 60000 },
					     { "s", 1000 },
					     { "ms", 1 } };
	size_t i = 0;

	if (ms == 0) {
		(void)buf_add_char(out, '0');
		return;
	}
	while (ms % exact[i].worth != 0)
		i++;
	(void)buf_printf(out, "%llu%s",
			 (unsigned long long)(ms / exact[i].worth),
			 exact[i].name);
}

void option_print_size(uint64_t bytes, struct buf *out)
{
	size_t i = SIZES_BINARY - 1;

	while (i > 0 && (bytes == 0 || bytes % sizes[i].worth != 0))
		i--;
	(void)buf_printf(out, i == 0 ? "%llu" : "%llu%s",
			 (unsigned long long)(bytes / sizes[i].worth),
			 sizes[i].name);
}

bool option_is_ip(struct span text)
{
	char name[INET6_ADDRSTRLEN + 1];
	unsigned char ip[16];

	if (text.len >= sizeof(name) || text.len == 0 ||
	    memchr(text.p, '\0', text.len) != NULL)
		return false;
	memcpy(name, text.p, text.len);
	name[text.len] = '\0';
	return inet_pton(AF_INET, name, ip) == 1 ||
	       inet_pton(AF_INET6, name, ip) == 1;
}

static bool is_label(const char *p, size_t len)
{
	size_t i;

	if (len == 0 || len > 63 || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (i = 0; i < len; i++)
		if (!((p[i] >= 'a' && p[i] <= 'z') ||
		      (p[i] >= 'A' && p[i] <= 'Z') ||
		      (p[i] >= '0' && p[i] <= '9') || p[i] == '-' ||
		      p[i] == '_'))
			return false;
	return true;
}

bool option_is_name(struct span text)
{
	size_t from = 0, i;

	if (text.len == 0 || text.len > 253)
		return false;
	for (i = 0; i <= text.len; i++) {
		if (i < text.len && text.p[i] != '.')
			continue;
		if (!is_label(text.p + from, i - from))
			return false;
		from = i + 1;
	}
	return true;
}

/* Cut text into host and port; port is empty when there is none. */
static int cut(struct span text, struct span *host_r, struct span *port_r)
{
	ptrdiff_t at = -1;
	size_t i;

	if (text.len > 0 && text.p[0] == '[') {
		at = span_find(text, ']');
		if (at < 0)
			return -EINVAL;
		*host_r = span_of(text.p + 1, (size_t)at - 1);
		text = drop(text, (size_t)at + 1);
		if (text.len > 0 && text.p[0] != ':')
			return -EINVAL;
		*port_r = text.len > 0 ? drop(text, 1) : text;
		return text.len == 1 ? -EINVAL : 0;
	}
	for (i = 0; i < text.len; i++)
		if (text.p[i] == ':')
			at = (ptrdiff_t)i;
	if (at < 0 || option_is_ip(text)) { /* no colon, or a bare IPv6 */
		*host_r = text;
		*port_r = span_of(NULL, 0);
		return 0;
	}
	*host_r = span_of(text.p, (size_t)at);
	*port_r = drop(text, (size_t)at + 1);
	return port_r->len == 0 ? -EINVAL : 0;
}

int option_endpoint(struct span text, uint16_t standard_port,
		    struct settings_endpoint *to_r)
{
	struct span host, port;
	uint64_t n = standard_port;
	char *copy;

	if (cut(text, &host, &port) < 0)
		return -EINVAL;
	if (port.len > 0 && !span_u64(port, UINT16_MAX, &n))
		return -EINVAL;
	if (n == 0 || (!option_is_ip(host) && !option_is_name(host)))
		return -EINVAL;
	copy = malloc(host.len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, host.p, host.len);
	copy[host.len] = '\0';
	to_r->host = copy;
	to_r->port = (uint16_t)n;
	return 0;
}
