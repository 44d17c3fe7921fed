/*
 * cmd/verify.c - mtaq verify: is every record of a spool whole?
 *
 * Reads, changes nothing (but with --rebuild, rebuild.c).  Beside a living
 * daemon the tail may seem torn.
 */
#include "base/buf.h"
#include "base/json.h"
#include "cmd/commands.h"
#include "cmd/rebuild.h"
#include "mtaq/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "spool", 0, "FOLDER", "this spool; no configuration is read", 's' },
	{ "rebuild", 0, NULL,
	  "make an index that cannot be read anew from the log: all mail is "
	  "held, nothing is sent before `mtaq queue release`",
	  'r' },
	{ "dry-run", 'n', NULL, "with --rebuild: only tell", 'n' },
	{ "force", 0, NULL, "with --rebuild: even when the index can be opened",
	  'f' },
	OPTION_JSON("one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq verify",
	.usage = "mtaq verify [-c FILE | --spool FOLDER] [--json]\n"
		 "mtaq verify --rebuild [-n] [--force] [-c FILE | --spool "
		 "FOLDER] [--json]",
	.about = "Reads every segment of the spool and checks every record. "
		 "Changes nothing; best while no daemon runs.\n\n"
		 "With --rebuild: makes an index that cannot be read anew. "
		 "Every recipient without a final outcome in the log is held; "
		 "how many of them may have been delivered before is printed. "
		 "The old index is kept under another name.",
	.options = options,
	.more = "Exit codes: 0 the log is whole, 64 wrong usage, 65 it is "
		"damaged (what and where is printed), 66 there is no spool, 67 "
		"(--rebuild) its owner does not exist, 74 it cannot be read, "
		"75 (--rebuild) another process owns the spool, 78 the "
		"configuration is wrong.",
};

static void print_json(const struct queue_verify_report *r, bool whole,
		       bool marked)
{
	struct buf b;

	buf_init(&b, 64u << 10);
	buf_add_char(&b, '{');
	json_key(&b, "whole");
	buf_printf(&b, whole ? "true" : "false");
	json_member_u64(&b, "segments", r->segments);
	json_member_u64(&b, "segments_free", r->segments_free);
	json_member_u64(&b, "records", r->records);
	json_member_u64(&b, "messages", r->messages);
	json_member_u64(&b, "parts", r->parts);
	json_member_u64(&b, "outcomes", r->outs);
	json_member_u64(&b, "decisions", r->decisions);
	json_member_u64(&b, "moves", r->moves);
	json_member_u64(&b, "log_bytes", r->log_bytes);
	json_member_u64(&b, "torn_bytes", r->torn_bytes);
	json_member_u64(&b, "damaged", r->damaged);
	json_member_u64(&b, "content_damaged", r->content_damaged);
	json_key(&b, "exported");
	buf_printf(&b, marked ? "true" : "false");
	json_member(&b, "words", span_str(r->words));
	printf("%.*s}\n", (int)b.len, b.p);
	buf_free(&b);
}

static void print_text(const struct queue_verify_report *r, bool whole)
{
	printf("%-18s %llu (%llu free)\n"
	       "%-18s %llu (%llu messages, %llu parts, %llu outcomes, %llu "
	       "decisions, %llu moves)\n"
	       "%-18s %llu octets, %llu torn at the tail\n"
	       "%-18s %llu places, %llu messages with wrong octets\n",
	       "segments", (unsigned long long)r->segments,
	       (unsigned long long)r->segments_free, "records",
	       (unsigned long long)r->records, (unsigned long long)r->messages,
	       (unsigned long long)r->parts, (unsigned long long)r->outs,
	       (unsigned long long)r->decisions, (unsigned long long)r->moves,
	       "log", (unsigned long long)r->log_bytes,
	       (unsigned long long)r->torn_bytes, "damaged",
	       (unsigned long long)r->damaged,
	       (unsigned long long)r->content_damaged);
	fputs(r->words, stdout);
	puts(whole ? "the log is whole" : "the log is DAMAGED");
}

/* Whose mail it is. */
static void print_mark(const char *dir)
{
	struct queue_mark mark;
	char when[32];
	struct tm tm;
	time_t at;
	int err = queue_mark_read(dir, &mark);

	if (err == -ENOENT)
		return;
	if (err < 0) {
		printf("marked as exported, and the mark cannot be made out: "
		       "no daemon starts on it\n");
		return;
	}
	at = (time_t)mark.made_s;
	gmtime_r(&at, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("exported on %s UTC: no daemon starts on it; %s (mtaq export)\n",
	       when,
	       mark.adopting_s != 0 ? "another node has begun to adopt from it"
	       : mark.whole_s != 0  ? "a whole export was written"
				    : "no whole export was written yet");
}

static int verify(const char *dir, const struct rebuild_options *o,
		  bool rebuild)
{
	struct queue_verify_report r = { .segments = 0 };
	int err;

	if (rebuild)
		return rebuild_spool(dir, o);
	err = queue_verify(dir, &r);

	if (err < 0 && err != -EUCLEAN) {
		fprintf(stderr, "mtaq verify: %s: %s\n", dir,
			strerrordesc_np(-err));
		return err == -ENOENT ? EX_NOINPUT : EX_IOERR;
	}
	if (o->json)
		print_json(&r, err == 0, queue_marked(dir) == 1);
	else
		print_text(&r, err == 0);
	if (!o->json)
		print_mark(dir);
	return err == 0 ? EX_OK : EX_DATAERR;
}

int verify_main(int argc, char **argv)
{
	const char *file = NULL, *spool = NULL;
	struct settings set;
	struct args args;
	struct rebuild_options o = { .dry = false };
	bool rebuild = false;
	int id, code;

	args_begin(&args, &command, argc, argv);
	while ((id = command_option(&args, &code)) > 0) {
		if (id == 'c')
			file = args.value;
		else if (id == 's')
			spool = args.value;
		else if (id == 'r')
			rebuild = true;
		else if (id == 'n')
			o.dry = true;
		else if (id == 'f')
			o.force = true;
		else
			o.json = true;
	}
	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (args.word_count > 0)
		return command_wrong(&args, "'%s' is one argument too many",
				     args.words[0]);
	if (!rebuild && (o.dry || o.force))
		return command_wrong(&args, "%s says nothing without --rebuild",
				     o.dry ? "-n" : "--force");
	if (spool != NULL)
		return verify(spool, &o, rebuild);
	code = command_settings(file, &set);
	if (code != EX_OK)
		return code;
	code = verify(set.spool, &o, rebuild);
	settings_free(&set);
	return code;
}
