/*
 * io/forbidden.c - who keeps this process from io_uring, and what to do
 *
 * Calls that can only fail tell which: EFAULT, EINVAL and EBADF come from
 * io_uring itself, EPERM from the sysctl or a filter, ENOSYS from a filter or
 * a kernel without it.
 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYSCTL "/proc/sys/kernel/io_uring_disabled"

static int ask_kernel(void)
{
	static const long calls[] = { SYS_io_uring_setup, SYS_io_uring_enter,
				      SYS_io_uring_register };
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		/* For the first these are 0 entries, at no address. */
		if (syscall(calls[i], i == 0 ? 0 : -1, NULL, 0, 0, NULL, 0) <
			    0 &&
		    (errno == EPERM || errno == ENOSYS))
			return -errno;
	}
	return 0;
}

/* Its value where it forbids (1: to most, 2: to all), else '0'. */
static char sysctl_value(void)
{
	char c = '0';
	int fd = open(SYSCTL, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return c;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c;
}

void io_ring_advice(char *words, size_t size)
{
	int err = ask_kernel();
	char sysctl = sysctl_value();

	if (err == 0)
		words[0] = '\0';
	else if (err == -EPERM && (sysctl == '1' || sysctl == '2'))
		(void)snprintf(words, size,
			       "the sysctl kernel.io_uring_disabled is %c; 0 "
			       "allows it",
			       sysctl);
	else
		(void)snprintf(words, size,
			       "%s, as containers' own profiles do; the "
			       "profile " MTAQ_SECCOMP_FILE
			       " allows it (--security-opt seccomp=FILE)",
			       err == -EPERM ? "a seccomp filter forbids it"
					     : "the kernel has none, or a "
					       "seccomp filter hides it");
}
