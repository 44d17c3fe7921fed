#ifndef MTAQ_BASE_CRC32C_H
#define MTAQ_BASE_CRC32C_H

/*
 * CRC32C (Castagnoli, polynomial 0x1EDC6F41, reflected; RFC 3720 appendix
 * B.4).  crc is 0 at first, then the result of the call before: the CRC of
 * pieces is the CRC of their concatenation.
 */
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t len);
/* The portable way, for tests: the same result without the CPU's help. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t len);

#endif
