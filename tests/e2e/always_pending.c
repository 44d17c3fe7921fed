/*
 * tests/e2e/always_pending.c - a kernel that always has something to read
 *
 * Preloaded: a look that takes nothing sees an octet where there is none.  Who
 * looks before the final dot leaves (rules 18, 19) never sends it; who does
 * not, does.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	ssize_t n = syscall(SYS_recvfrom, fd, to, len, flags, NULL, NULL);

	if (n < 0 && errno == EAGAIN && (flags & MSG_PEEK) != 0 && len > 0) {
		*(char *)to = '2';
		return 1;
	}
	return n;
}
