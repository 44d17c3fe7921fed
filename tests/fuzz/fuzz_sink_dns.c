/*
 * tests/fuzz/fuzz_sink_dns.c - the sink's DNS answers anything in bounds
 */
#include "bench/sink_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t answer[SINK_DNS_ROOM];
	static struct sink_address address;
	struct sink_config c = { .addresses = &address,
				 .address_count = 1,
				 .zone = "test",
				 .domains = 100,
				 .mx = 40,
				 .nxdomain = 0.1,
				 .null_mx = 0.1,
				 .no_mx = 0.1,
				 .dead_first = 0.2,
				 .dead_address = "127.9.9.9" };
	size_t len;

	if (size == 0 || !sink_address_parse(&address, "127.0.0.1", 25))
		return 0;
	len = sink_dns_answer(&c, data + 1, size - 1, data[0] & 1, answer);
	if (len > ((data[0] & 1) != 0 ? SINK_DNS_ROOM : 4096u))
		abort();
	if (len > 0 && (len < 12 || memcmp(answer, data + 1, 2) != 0))
		abort();
	return 0;
}
