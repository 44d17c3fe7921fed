/*
 * fuzz_options - any text as a configuration: it loads or is refused, and
 * what loads prints as something that loads again.
 */
#include "options/print.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char words[4096];
	struct settings set, again;
	struct buf b;

	if (settings_parse("f", (const char *)data, size, &set, words,
			   sizeof(words)) < 0)
		return 0;
	buf_init(&b, 64 << 20);
	options_print_settings(&set, false, &b);
	settings_free(&set);
	if (settings_parse("p", b.p, b.len, &again, words, sizeof(words)) < 0)
		abort();
	settings_free(&again);
	buf_free(&b);
	return 0;
}
