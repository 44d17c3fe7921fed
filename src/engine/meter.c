/*
 * engine/meter.c - bounds of the histograms
 *
 * They are part of the metrics' names: dashboards and recording rules name
 * them, so they only ever get more.
 */
#include "engine/meter.h"

#include <time.h>

/* clang-format off */
const struct histo_bounds meter_queued_s = {
	{ 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200,
	  86400, 172800, 432000 }, 17 };
const struct histo_bounds meter_answer_ms = {
	{ 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000,
	  60000, 300000, 600000 }, 17 };
const struct histo_bounds meter_sync_us = {
	{ 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10000, 20000, 50000,
	  100000, 200000, 500000, 1000000, 5000000 }, 17 };
const struct histo_bounds meter_work_us = {
	{ 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
	  1000000, 2000000, 5000000, 10000000, 30000000 }, 14 };
const struct histo_bounds meter_count = {
	{ 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000 }, 14 };
const struct histo_bounds meter_bytes = {
	{ 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 8388608,
	  16777216 }, 9 };
/* clang-format on */

uint64_t meter_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
