/*
 * cmd/common.c - what several commands do alike
 */
#include "cmd/commands.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

int command_settings(const char *option, struct settings *set_r)
{
	static char words[64 << 10];
	const char *path = settings_path(option);
	int r = settings_load(path, set_r, words, sizeof(words));

	if (r == 0)
		return EX_OK;
	fprintf(stderr, "mtaq: the configuration cannot be used\n%s", words);
	if (r == -EINVAL)
		return EX_CONFIG;
	if (r == -ENOENT)
		fputs("Name another file with -c or MTAQ_CONFIG; `mtaq check "
		      "--defaults` prints one to start from.\n",
		      stderr);
	return r == -ENOMEM ? EX_OSERR : EX_CONFIG;
}
