/*
 * idn/idn.c - an address as it stands in an envelope
 *
 *	local "@" U-labels -> libidn2 -> local "@" A-labels -> address_parse()
 */
#include "idn/idn.h"

#include <idn2.h>

/* Labels beyond ASCII may be longer in UTF-8 than as A-labels. */
#define U_DOMAIN_MAX (4u * ADDRESS_DOMAIN_MAX)

static bool is_ascii(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((s.p[i] & 0x80) != 0)
			return false;
	return true;
}

/* No domain has an "@": what stands behind the last one. */
static struct span domain_of(struct span text)
{
	size_t at = text.len;

	while (at > 0 && text.p[at - 1] != '@')
		at--;
	return at == 0 ? span_of(NULL, 0) : span_of(text.p + at, text.len - at);
}

/* head and the domain's A-labels to out, of ADDRESS_OCTETS_MAX + 1 octets.
 * Their length; 0 when it is no domain, or too long. */
static size_t to_ascii(struct span head, struct span domain, char *out)
{
	char labels[U_DOMAIN_MAX + 1], *ascii = NULL;
	size_t len = 0;

	if (domain.len > U_DOMAIN_MAX || memchr(domain.p, 0, domain.len))
		return 0;
	memcpy(labels, domain.p, domain.len);
	labels[domain.len] = '\0';
	if (idn2_lookup_u8((const uint8_t *)labels, (uint8_t **)&ascii,
			   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return 0;
	len = head.len + strlen(ascii);
	if (len <= ADDRESS_OCTETS_MAX) {
		memcpy(out, head.p, head.len);
		memcpy(out + head.len, ascii, len - head.len);
		out[len] = '\0';
	} else {
		len = 0;
	}
	idn2_free(ascii);
	return len;
}

/* Why could it not be converted?  What address_parse() says of the text as it
 * came is more to the point than "no name". */
static enum address_error why_not(struct span text, unsigned flags)
{
	struct address a;
	enum address_error err = address_parse(text, flags, &a);

	return err == ADDRESS_OK ? ADDRESS_IDNA_SYNTAX : err;
}

enum address_error idn_address(struct span text, unsigned flags,
			       struct idn_address *a_r)
{
	struct span domain = domain_of(text), head;
	enum address_error err;
	size_t len;

	flags |= ADDRESS_UTF8_OK;
	a_r->text = text;
	if (is_ascii(domain))
		return address_parse(text, flags, &a_r->parts);
	head = span_of(text.p, text.len - domain.len);
	len = to_ascii(head, domain, a_r->ascii);
	if (len == 0)
		return why_not(text, flags);
	a_r->text = span_of(a_r->ascii, len);
	err = address_parse(a_r->text, flags, &a_r->parts);
	/* A mapping may make an "@": then the parts are others. */
	if (err == ADDRESS_OK && a_r->parts.local.len + 1 != head.len)
		return ADDRESS_IDNA_SYNTAX;
	return err;
}
