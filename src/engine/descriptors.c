/*
 * engine/descriptors.c - descriptors shared out before anything is opened
 */
#include "engine/descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

static uint64_t own(unsigned workers)
{
	return (uint64_t)DESCRIPTORS_OWN +
	       (uint64_t)DESCRIPTORS_WORKER * workers;
}

int descriptors_share(const struct settings *set, unsigned workers,
		      uint64_t most, struct descriptors *share_r)
{
	uint64_t left, submitters = set->limits.submitters,
		       connections = set->limits.connections;

	if (most < own(workers) + DESCRIPTORS_LEFT_MIN)
		return -EMFILE;
	left = most - own(workers);
	if (submitters > left / 4)
		submitters = left / 4;
	if (connections > left - submitters)
		connections = left - submitters;
	*share_r = (struct descriptors){ .connections = (uint32_t)connections,
					 .submitters = (uint32_t)submitters };
	return 0;
}

static uint64_t raise_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0 &&
	    getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 0;
	return lim.rlim_cur;
}

int descriptors_take(const struct settings *set, unsigned workers,
		     struct descriptors *share_r, char *words, size_t size)
{
	uint64_t most = raise_limit();
	int err = descriptors_share(set, workers, most, share_r);

	if (err < 0) {
		snprintf(words, size,
			 "this process may open %llu files (RLIMIT_NOFILE) "
			 "and needs %llu at least; raise LimitNOFILE of the "
			 "unit, or ulimit -n",
			 (unsigned long long)most,
			 (unsigned long long)own(workers) +
				 DESCRIPTORS_LEFT_MIN);
		return err;
	}
	if (share_r->connections < set->limits.connections ||
	    share_r->submitters < set->limits.submitters)
		fprintf(stderr,
			"mtaq: RLIMIT_NOFILE is %llu: at most %u connections "
			"(limits.connections: %u) and %u submitters "
			"(limits.submitters: %u) at once; raise LimitNOFILE "
			"of the unit, or ulimit -n\n",
			(unsigned long long)most, share_r->connections,
			set->limits.connections, share_r->submitters,
			set->limits.submitters);
	return 0;
}
