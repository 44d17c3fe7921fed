#ifndef MTAQ_CMD_REBUILD_H
#define MTAQ_CMD_REBUILD_H

/* mtaq verify --rebuild */
#include <stdbool.h>

struct rebuild_options {
	bool dry, force, json;
};

/* A sysexits(3) code; all is told. */
int rebuild_spool(const char *dir, const struct rebuild_options *o);

#endif
