#ifndef MTAQ_BASE_CRC32C_WAYS_H
#define MTAQ_BASE_CRC32C_WAYS_H

/*
 * The ways to a CRC32C, the fastest first; the last one, in plain C, is every
 * CPU's.  crc32c() takes the first that this CPU has.  For crc32c*.c and tests.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crc32c_way {
	const char *name;
	bool (*here)(void); /* does this CPU have it? */
	uint32_t (*crc)(uint32_t crc, const void *p, size_t len);
};

extern const struct crc32c_way crc32c_ways[];
extern const size_t crc32c_way_count;

#if defined(__x86_64__)
uint32_t crc32c_sse42(uint32_t crc, const void *p, size_t len);
uint32_t crc32c_lanes(uint32_t crc, const void *p, size_t len);
uint32_t crc32c_fold_avx2(uint32_t crc, const void *p, size_t len);
uint32_t crc32c_fold_avx512(uint32_t crc, const void *p, size_t len);
#endif

#endif
