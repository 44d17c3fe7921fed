#ifndef MTAQ_MAIL_DATE_H
#define MTAQ_MAIL_DATE_H

/*
 * Dates as they stand in a header (RFC 5322 section 3.3), always in UTC:
 * "Sun, 22 Nov 2026 16:27:20 +0000".
 */
#include <stdint.h>

#define DATE_OCTETS 32 /* with the NUL */

/* unix_s is brought into the years 1970 to 9999. */
void date_print(int64_t unix_s, char text_r[DATE_OCTETS]);

#endif
