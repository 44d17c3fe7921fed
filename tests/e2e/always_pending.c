/*
 * tests/e2e/always_pending.c - a kernel that always has something to read
 *
 * Preloaded: FIONREAD counts 7 octets more than there are.  Who asks before
 * the final dot leaves (rules 18, 19) never sends it; who does not ask, does.
 */
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *p;
	int r;

	va_start(ap, request);
	p = va_arg(ap, void *);
	va_end(ap);
	r = (int)syscall(SYS_ioctl, fd, request, p);
	if (r == 0 && request == FIONREAD)
		*(int *)p += 7;
	return r;
}
