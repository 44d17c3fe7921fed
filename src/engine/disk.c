/*
 * engine/disk.c - fdatasync, timed
 */
#include "engine/disk.h"

#include "engine/meter.h"

static _Thread_local struct histo *here;
static _Thread_local _Atomic uint64_t *since;

void disk_time_here(struct histo *sync_us, _Atomic uint64_t *since_us)
{
	here = sync_us;
	since = since_us;
}

static int timed_sync(void *arg, int fd)
{
	uint64_t begin_us;
	int err;

	if (here == NULL)
		return queue_file_system.sync_data(arg, fd);
	begin_us = meter_now_us();
	atomic_store(since, begin_us);
	err = queue_file_system.sync_data(arg, fd);
	atomic_store(since, 0);
	if (err == 0)
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
