#ifndef MTAQ_ENGINE_CONTROL_H
#define MTAQ_ENGINE_CONTROL_H

/*
 * The control thread (the daemon's main one): signals, failures of the other
 * threads, and the control socket runtime/control.sock.
 */
#include <stddef.h>

struct control;
struct engine;

/* Opens the socket.  Negative errno: words say what failed, and why. */
int control_open(struct engine *e, char *words, size_t words_size,
		 struct control **control_r);
/* Serve until a signal can be read from the signalfd (0), or until something
 * has broken (its error; words). */
int control_run(struct control *c, int signals, char *words, size_t words_size);
/* Removes the socket.  The store's and the log's threads have ended. */
void control_close(struct control **control);

#endif
