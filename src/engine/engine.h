#ifndef MTAQ_ENGINE_ENGINE_H
#define MTAQ_ENGINE_ENGINE_H

/*
 * The daemon: all threads, wired.
 *
 *	engine_open()  recover the spool, open the socket
 *	engine_run()   until SIGTERM or SIGINT, or until something breaks
 *	engine_close()
 */
#include "mtaq/settings.h"

#include <stddef.h>

struct engine;

/* Negative errno: words say what failed, with what, why. */
int engine_open(const struct settings *set, struct engine **engine_r,
		char *words, size_t words_size);
/* Returns 0 after a clean stop, or the error that ended it (words). */
int engine_run(struct engine *e, char *words, size_t words_size);
void engine_close(struct engine **engine);

#endif
