/*
 * tests/fuzz/fuzz_address.c - what is taken for an address must be harmless
 */
#include "base/bug.h"
#include "smtp/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct address a, ascii;
	size_t i;

	if (address_parse(text, ADDRESS_UTF8_OK, &a) != ADDRESS_OK)
		return 0;
	BUG_ON(size == 0 || size > ADDRESS_OCTETS_MAX);
	BUG_ON(a.local.len == 0 || a.local.len > ADDRESS_LOCAL_MAX);
	BUG_ON(a.domain.len == 0 || a.local.len + 1 + a.domain.len != size);
	BUG_ON(a.domain_lower[a.domain.len] != '\0');
	for (i = 0; i < size; i++)
		BUG_ON(data[i] < ' ' || data[i] == 0x7f);
	/* Nothing outside of quotes can end the argument of RCPT TO. */
	for (i = 0; i < size && data[0] != '"'; i++)
		BUG_ON(data[i] == ' ' || data[i] == '>' || data[i] == '<');
	for (i = 0; i < a.domain.len; i++)
		BUG_ON(a.domain.p[i] == ' ' || a.domain.p[i] == '>');
	BUG_ON((address_parse(text, 0, &ascii) == ADDRESS_OK) ==
	       (a.utf8 || a.idna));
	return 0;
}
