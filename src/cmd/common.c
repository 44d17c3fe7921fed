/*
 * cmd/common.c - what several commands do alike
 */
#include "cmd/commands.h"

#include "options/option.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int command_wrong(const struct args *a, const char *fmt, ...)
{
	char words[ARGS_WRONG_MAX];
	struct buf out;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	buf_init(&out, 4096);
	args_refuse(a->command, words, &out);
	(void)fwrite(out.p, 1, out.len, stderr);
	buf_free(&out);
	return EX_USAGE;
}

int command_option(struct args *a, int *code_r)
{
	int id = args_next(a);
	struct buf out;

	if (id > 0)
		return id;
	*code_r = EX_OK;
	if (id == ARGS_HELP) {
		*code_r = -1;
		buf_init(&out, 64u << 10);
		args_help(a->command, &out);
		(void)fwrite(out.p, 1, out.len, stdout);
		buf_free(&out);
	} else if (id == ARGS_WRONG) {
		*code_r = command_wrong(a, "%s", a->wrong);
	}
	return 0;
}

const char *command_verb(struct args *a)
{
	const struct args_verb *v;

	if (a->word_count == 0) {
		command_wrong(a, "what to do? a verb is missing");
		return NULL;
	}
	v = args_verb(a, a->words[0]);
	if (v == NULL)
		command_wrong(a, "%s", a->wrong);
	return v == NULL ? NULL : v->name;
}

bool command_time(const char *text, uint64_t *ms_r)
{
	uint64_t s;

	if (!span_u64(span_str(text), UINT64_MAX / 1000, &s))
		return option_duration(span_str(text), ms_r) == 0;
	*ms_r = s * 1000;
	return true;
}

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
