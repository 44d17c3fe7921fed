/*
 * base/msgid.c - a message id in letters
 *
 * Letter i of 13 carries bits 60-5i..64-5i; the first carries four bits only.
 * The check letter is c = sum of d[i] * a^(i+1) in GF(32) with the polynomial
 * x^5 + x^2 + 1, in which a = x is a generator: the 13 weights differ from
 * each other and from 1, the weight of the check letter itself, so that
 * swapping any two different letters changes the sum.
 */
#include "base/msgid.h"

#include <errno.h>

#define DIGITS 13u

static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* x times the generator. */
static unsigned times_a(unsigned x)
{
	x <<= 1;
	return (x & 32u) != 0 ? x ^ 0x25u : x;
}

/* Horner from the last digit on: d[0] ends with weight a, d[12] with a^13. */
static unsigned check_of(const unsigned char d[DIGITS])
{
	unsigned sum = 0, i;

	for (i = DIGITS; i-- > 0;)
		sum = times_a(sum ^ d[i]);
	return sum;
}

void msgid_format(uint64_t id, char text_r[MSGID_LEN])
{
	unsigned char d[DIGITS];
	unsigned i;

	for (i = DIGITS; i-- > 0; id >>= 5) {
		d[i] = (unsigned char)(id & 31);
		text_r[i] = letters[d[i]];
	}
	text_r[DIGITS] = letters[check_of(d)];
}

void msgid_print(uint64_t id, char text_r[MSGID_LEN + 1])
{
	msgid_format(id, text_r);
	text_r[MSGID_LEN] = '\0';
}

/* The value of a letter, or -1. */
static int value_of(char c)
{
	const char *at;

	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	if (c == 'o')
		c = '0';
	if (c == 'i' || c == 'l')
		c = '1';
	if (c == '\0')
		return -1;
	at = strchr(letters, c);
	return at == NULL ? -1 : (int)(at - letters);
}

int msgid_parse(struct span text, uint64_t *id_r)
{
	unsigned char d[DIGITS];
	uint64_t id = 0;
	unsigned i;
	int v;

	if (text.len != MSGID_LEN)
		return -EINVAL;
	for (i = 0; i < DIGITS; i++) {
		v = value_of(text.p[i]);
		if (v < 0 || (i == 0 && v > 15))
			return -EINVAL;
		d[i] = (unsigned char)v;
		id = id << 5 | d[i];
	}
	v = value_of(text.p[DIGITS]);
	if (v < 0 || (unsigned)v != check_of(d))
		return -EINVAL;
	*id_r = id;
	return 0;
}
