#ifndef MTAQ_ENGINE_THREAD_H
#define MTAQ_ENGINE_THREAD_H

/* Threads have names, as `top -H` and profiles show them. */
#include <pthread.h>

/* The name has at most 15 octets.  0 or a negative errno. */
static inline int thread_start(pthread_t *thread_r, const char *name,
			       void *(*run)(void *), void *arg)
{
	int err = pthread_create(thread_r, NULL, run, arg);

	if (err == 0)
		(void)pthread_setname_np(*thread_r, name);
	return -err;
}

#endif
