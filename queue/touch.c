/*
 * queue/touch.c - pages of a mapping, brought in by touching them
 *
 * What is delivered now was written a while ago, and its pages are in nearly
 * always.  To ask the kernel for them costs more than to read an octet of each
 * and to be told by a signal of the one that the disk does not give:
 *
 *	touch_pages() ─► read ─► SIGBUS ─► on_bus() ─► back in touch_pages()
 *
 * The jump leaves a read of one octet: nothing is half done there.
 */
#include "queue/touch.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

#define PAGE ((uintptr_t)4096)

/* Where this thread is touching, and how it gets out of there. */
static _Thread_local volatile uintptr_t from, to; /* from == to: nowhere */
static _Thread_local sigjmp_buf out;

static void on_bus(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	(void)context;
	if (info->si_code > 0 && at >= from && at < to)
		siglongjmp(out, 1);
	/* Another's: the instruction, or who sent it, raises it once more. */
	signal(number, SIG_DFL);
	if (info->si_code <= 0)
		raise(number);
}

/* It must not be blocked after the jump, which leaves the mask alone: that
 * saves a system call each time. */
static void take_signal(void)
{
	struct sigaction act = { .sa_sigaction = on_bus,
				 .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigemptyset(&act.sa_mask);
	sigaction(SIGBUS, &act, NULL);
}

int touch_pages(const void *p, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uintptr_t at = (uintptr_t)p & ~(PAGE - 1);

	pthread_once(&once, take_signal);
	to = (uintptr_t)p + len;
	from = at;
	if (sigsetjmp(out, 0) != 0) {
		to = from;
		return -EIO;
	}
	for (at = (uintptr_t)p; at < to; at = (at & ~(PAGE - 1)) + PAGE)
		(void)*(const volatile char *)at;
	to = from;
	return 0;
}
