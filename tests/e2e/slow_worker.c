/*
 * tests/e2e/slow_worker.c - a worker that gets no time just now
 *
 * Preloaded: while the file that SLOW_WORKER names is there, a thread "worker"
 * stands still between what its wait brought and taking that.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEP_US 1000

static int is_slow(void)
{
	const char *flag = getenv("SLOW_WORKER");
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	return strcmp(name, "worker") == 0 && flag != NULL &&
	       access(flag, F_OK) == 0;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int n = (int)syscall(SYS_epoll_wait, fd, events, max, timeout);

	while (n > 0 && is_slow())
		usleep(STEP_US);
	return n;
}
