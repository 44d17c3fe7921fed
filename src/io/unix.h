#ifndef MTAQ_IO_UNIX_H
#define MTAQ_IO_UNIX_H

/*
 * A listening Unix socket of the daemon, at a path that an earlier life may
 * have left behind.
 */
#include <sys/types.h>

/*
 * Listen at path: nonblocking, close-on-exec, its file with this mode.  A file
 * that nobody answers on goes; -EADDRINUSE: somebody does.  -ENAMETOOLONG, or
 * what a system call said.  The file is the caller's to unlink.
 */
int io_unix_listen(const char *path, mode_t mode, int backlog, int *fd_r);

#endif
