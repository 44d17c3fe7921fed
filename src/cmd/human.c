/*
 * cmd/human.c - figures as people read them
 */
#include "cmd/human.h"

#include <inttypes.h>
#include <stdio.h>

#define PRINT(h, ...) snprintf((h).text, sizeof((h).text), __VA_ARGS__)

struct human human_count(uint64_t n)
{
	struct human h;
	char digits[24];
	size_t len, i, at = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			h.text[at++] = ',';
		h.text[at++] = digits[i];
	}
	h.text[at] = '\0';
	return h;
}

struct human human_short(uint64_t n)
{
	static const char units[] = "kMGTPE";
	uint64_t tenths = n;
	struct human h;
	unsigned unit = 0;

	if (n < 10000) {
		PRINT(h, "%" PRIu64, n);
		return h;
	}
	for (tenths = n / 100; tenths >= 10000; tenths /= 1000)
		unit++;
	if (tenths < 1000)
		PRINT(h, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
		      units[unit]);
	else
		PRINT(h, "%" PRIu64 "%c", tenths / 10, units[unit]);
	return h;
}

struct human human_bytes(uint64_t n)
{
	static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
					     "TiB", "PiB", "EiB" };
	struct human h;
	unsigned unit = 0;
	uint64_t rest = 0;

	for (; n >= 1024; n /= 1024) {
		rest = n % 1024;
		unit++;
	}
	if (n < 10 && unit > 0)
		PRINT(h, "%" PRIu64 ".%" PRIu64 " %s", n, rest * 10 / 1024,
		      units[unit]);
	else
		PRINT(h, "%" PRIu64 " %s", n, units[unit]);
	return h;
}

struct human human_time(uint64_t s)
{
	struct human h;

	if (s < 60)
		PRINT(h, "%" PRIu64 "s", s);
	else if (s < 3600)
		PRINT(h, "%" PRIu64 "m %02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		PRINT(h, "%" PRIu64 "h %02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		PRINT(h, "%" PRIu64 "d %02" PRIu64 "h", s / 86400,
		      s / 3600 % 24);
	return h;
}

struct human human_us(uint64_t us)
{
	struct human h;

	if (us < 1000)
		PRINT(h, "%" PRIu64 " us", us);
	else if (us < 10000)
		PRINT(h, "%" PRIu64 ".%" PRIu64 " ms", us / 1000,
		      us / 100 % 10);
	else if (us < 1000000)
		PRINT(h, "%" PRIu64 " ms", us / 1000);
	else
		PRINT(h, "%" PRIu64 ".%" PRIu64 " s", us / 1000000,
		      us / 100000 % 10);
	return h;
}

struct human human_rate(uint64_t n, uint64_t ms)
{
	struct human h = { "-" };
	uint64_t tenths = ms == 0 ? 0 : n * 10000 / ms;

	if (ms == 0)
		return h;
	if (tenths >= 100 || n == 0)
		return human_count(tenths / 10);
	if (tenths == 0)
		PRINT(h, "<0.1");
	else
		PRINT(h, "%" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
	return h;
}
