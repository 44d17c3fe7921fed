/*
 * engine/disk.c - fdatasync, timed
 */
#include "engine/disk.h"

#include "engine/meter.h"

static _Thread_local struct histo *here;

void disk_time_here(struct histo *sync_us)
{
	here = sync_us;
}

static int timed_sync(void *arg, int fd)
{
	uint64_t begin_us = here == NULL ? 0 : meter_now_us();
	int err = queue_file_system.sync_data(arg, fd);

	if (err == 0 && here != NULL)
		histo_observe(here, meter_now_us() - begin_us);
	return err;
}

const struct queue_file_ops *disk_ops(void)
{
	static struct queue_file_ops ops;

	ops = queue_file_system;
	ops.sync_data = timed_sync;
	return &ops;
}
