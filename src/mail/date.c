/*
 * mail/date.c - dates as they stand in a header
 *
 * The civil calendar is counted in years that begin with March, so that the
 * leap day is a year's last day, in eras of 400 years of 146,097 days.
 */
#include "mail/date.h"

#include "base/bug.h"

#include <stdio.h>

#define DAY_S  86400
#define LAST_S INT64_C(253402300799) /* the end of the year 9999 */

void date_print(int64_t unix_s, char text_r[DATE_OCTETS])
{
	static const char weekday[7][4] = { "Thu", "Fri", "Sat", "Sun",
					    "Mon", "Tue", "Wed" };
	static const char month[12][4] = { "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct",
					   "Nov", "Dec", "Jan", "Feb" };
	unsigned s, days, era, doe, yoe, doy, m, day, year;
	int n;

	if (unix_s < 0)
		unix_s = 0;
	if (unix_s > LAST_S)
		unix_s = LAST_S;
	s = (unsigned)(unix_s % DAY_S);
	days = (unsigned)(unix_s / DAY_S) + 719468; /* since 1 March 0000 */
	era = days / 146097;
	doe = days % 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	m = (5 * doy + 2) / 153; /* 0 is March */
	day = doy - (153 * m + 2) / 5 + 1;
	year = era * 400 + yoe + (m >= 10);
	BUG_ON(m > 11 || day < 1 || day > 31 || year > 9999);
	n = snprintf(text_r, DATE_OCTETS,
		     "%s, %02u %s %04u %02u:%02u:%02u +0000",
		     weekday[unix_s / DAY_S % 7], day, month[m], year, s / 3600,
		     s / 60 % 60, s % 60);
	BUG_ON(n != DATE_OCTETS - 1);
}
