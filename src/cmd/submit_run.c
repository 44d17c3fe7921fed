/*
 * cmd/submit_run.c - one run of mtaq submit
 *
 *	connect ok		-> messages to the daemon, ids as they come
 *	ENOENT, ECONNREFUSED	-> the same frames into the drop folder
 *	--dry-run		-> the daemon's own checks, here
 *
 * The drop folder is for when nobody listens, and only then: after any other
 * error the daemon may have the mail, and a file beside it would double it.
 */
#include "cmd/commands.h"
#include "cmd/submit.h"
#include "cmd/submit_drop.h"
#include "ingress/intake.h"
#include "mail/header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_DIGITS 10

struct submit_run {
	const struct submit_args *args;
	const struct settings *set;
	struct submit_tell tell;
	uint8_t id[SUBMIT_ID_SIZE];
	char path[200]; /* of the socket */
	struct submit *client;
	struct submit_drop *drop;
	struct intake *intake;       /* --dry-run */
	struct submit_label *labels; /* of what is not answered: a ring */
	size_t label_at, label_count, label_size;
	char **names; /* labels borrow them */
	size_t name_count;
	struct buf content, frame;
	struct submit_dsn dsn;
	struct submit_list found; /* in To, Cc, Bcc */
	uint64_t tokens, put;
	int worst;
};

/* --- results --------------------------------------------------------------- */

static void worse(struct submit_run *run, int code)
{
	if (run->worst == EX_OK || code == EX_TEMPFAIL)
		run->worst = code;
}

static int label_push(struct submit_run *run, const struct submit_label *l)
{
	size_t size = run->label_size == 0 ? 1024 : 2 * run->label_size, i;
	struct submit_label *p;

	if (run->label_count == run->label_size) {
		p = calloc(size, sizeof(*p));
		if (p == NULL)
			return -ENOMEM;
		for (i = 0; i < run->label_count; i++)
			p[i] = run->labels[(run->label_at + i) %
					   run->label_size];
		free(run->labels);
		run->labels = p;
		run->label_size = size;
		run->label_at = 0;
	}
	run->labels[(run->label_at + run->label_count++) % run->label_size] =
		*l;
	return 0;
}

static void told(struct submit_run *run, const struct submit_label *l,
		 const struct submit_result *r)
{
	submit_tell_result(&run->tell, l, r);
	if (r->code != EX_OK)
		worse(run, r->code);
}

static void refuse_here(struct submit_run *run, const struct submit_label *l,
			int code, const char *words)
{
	struct submit_result r = { .code = code,
				   .enhanced_class =
					   code == EX_TEMPFAIL ? 4 : 5,
				   .enhanced_subject = 6,
				   .words = span_str(words) };

	told(run, l, &r);
}

static void refuse_size(struct submit_run *run, const struct submit_label *l,
			uint64_t size)
{
	unsigned long long most = submit_run_size_max(run);
	char words[160];
	struct submit_result r = { .code = EX_DATAERR,
				   .enhanced_class = 5,
				   .enhanced_subject = 3,
				   .enhanced_detail = 4 };

	if (size > 0)
		(void)snprintf(words, sizeof(words),
			       "the message has %llu octets; "
			       "message_bytes_max is %llu",
			       (unsigned long long)size, most);
	else
		(void)snprintf(words, sizeof(words),
			       "the message has more than the %llu octets "
			       "of message_bytes_max",
			       most);
	r.words = span_str(words);
	told(run, l, &r);
}

static void drain(struct submit_run *run)
{
	struct submit_result r;

	while (run->label_count > 0 && submit_next(run->client, &r) == 1) {
		told(run, &run->labels[run->label_at], &r);
		run->label_at = (run->label_at + 1) % run->label_size;
		run->label_count--;
	}
	submit_tell_progress(&run->tell, false);
}

/* The submission is over before its end. */
static int broke(struct submit_run *run, int error)
{
	int code = error == -EPROTO ? EX_UNAVAILABLE : EX_TEMPFAIL;

	drain(run);
	submit_tell_line(&run->tell, "%s (%s)", submit_words(run->client),
			 run->path);
	submit_tell_line(
		&run->tell,
		"%llu messages were accepted%s; %llu were not answered and "
		"may have been accepted or not. Look at `mtaq status`, then "
		"submit those again.",
		(unsigned long long)run->tell.accepted,
		run->args->quiet ? "" : " (their ids are printed)",
		(unsigned long long)submit_unanswered(run->client));
	worse(run, code);
	return code;
}

/* --- putting --------------------------------------------------------------- */

static int put_client(struct submit_run *run, const struct submit_message *m,
		      const struct submit_label *l)
{
	int r = submit_put(run->client, m);

	if (r == 0) {
		r = label_push(run, l);
		drain(run);
		return r < 0 ? EX_OSERR : EX_OK;
	}
	if (r != -EINVAL && r != -EMSGSIZE)
		return broke(run, r);
	refuse_here(run, l, EX_DATAERR,
		    r == -EMSGSIZE ? "the message is too large"
				   : "a field of the envelope is too long");
	return EX_OK;
}

static int put_drop(struct submit_run *run, const struct submit_message *m,
		    const struct submit_label *l)
{
	int r = submit_drop_put(run->drop, m);

	if (r == -EINVAL || r == -EMSGSIZE) {
		refuse_size(run, l, 0);
		return EX_OK;
	}
	if (r == 0)
		run->tell.accepted++;
	else
		worse(run, EX_TEMPFAIL);
	if (r < 0)
		submit_tell_line(&run->tell,
				 "the drop folder could not be written: %s; "
				 "nothing was queued",
				 strerrordesc_np(-r));
	return r < 0 ? EX_TEMPFAIL : EX_OK;
}

/* What the daemon would say. */
static int put_dry(struct submit_run *run, const struct submit_message *m,
		   const struct submit_label *l)
{
	struct intake_place at = { run->id, 1, 0, 0, (uint64_t)time(NULL) };
	struct submit_result r = { .code = EX_OK };
	struct intake_message made;
	struct frame_message f;
	struct arena arena = { NULL, 0, 0 };
	struct span payload;
	int e;

	buf_clear(&run->frame);
	if (frame_envelope_size(m) == 0) {
		refuse_here(run, l, EX_DATAERR,
			    "a field of the envelope is too long");
		return EX_OK;
	}
	if (frame_message_put(&run->frame, m, m->content.len) < 0)
		return EX_OSERR;
	payload = buf_span(&run->frame);
	(void)frame_message_get(&payload, true, &f);
	e = intake_make(run->intake, &arena, &f, &at, &made);
	if (e == -EBADMSG) {
		r.code = made.refusal.code;
		r.enhanced_class = made.refusal.enhanced_class;
		r.enhanced_subject = made.refusal.enhanced_subject;
		r.enhanced_detail = made.refusal.enhanced_detail;
		r.words = made.refusal.words;
	}
	if (e != -ENOMEM)
		told(run, l, &r);
	arena_free(&arena);
	return e == -ENOMEM ? EX_OSERR : EX_OK;
}

static int put(struct submit_run *run, const struct submit_message *m,
	       const struct submit_label *l)
{
	run->put++;
	if (run->client != NULL)
		return put_client(run, m, l);
	if (run->drop != NULL)
		return put_drop(run, m, l);
	return put_dry(run, m, l);
}

/* --- the envelope ---------------------------------------------------------- */

static bool is_rcpt_field(struct span name)
{
	return span_eq_nocase(name, SPAN("To")) ||
	       span_eq_nocase(name, SPAN("Cc")) ||
	       span_eq_nocase(name, SPAN("Bcc"));
}

/* The recipients that the mail itself names. */
static int find_rcpts(struct submit_run *run, struct span content)
{
	struct header_field f;
	struct header_addrs a;
	struct header_scan s;
	int r = 0, what;

	submit_list_free(&run->found);
	header_scan_init(&s, content);
	while (r == 0 && header_scan_next(&s, &f)) {
		if (!is_rcpt_field(f.name))
			continue;
		header_addrs_init(&a, f.value);
		while (r == 0 && (what = header_addrs_next(&a)) != 0)
			r = what < 0 ? submit_list_add(&run->found, a.raw)
				     : submit_list_add(&run->found,
						       span_of(a.text, a.len));
	}
	return r;
}

/* The first address of the mail's From; empty when there is none. */
static struct span find_sender(struct span content, struct header_addrs *a)
{
	struct header_field f;

	if (!header_find(content, SPAN("From"), &f))
		return span_of(NULL, 0);
	header_addrs_init(a, f.value);
	if (header_addrs_next(a) != 1)
		return span_of(NULL, 0);
	return span_of(a->text, a->len);
}

/* The content behind its token line; the digits stand at *digits_r. */
static int add_token(struct submit_run *run, struct span *content,
		     size_t *digits_r)
{
	struct span line, text, rest = *content;
	struct buf *b = &run->content;

	buf_clear(b);
	if (span_starts_nocase(rest, SPAN("From ")) &&
	    header_line_next(&rest, &line, &text))
		*content = rest;
	(void)buf_printf(b, "%s: %s.", run->args->token_header,
			 run->tell.token);
	*digits_r = b->len;
	(void)buf_printf(b, "%0*d\r\n", TOKEN_DIGITS, 0);
	(void)buf_add_span(b, *content);
	*content = buf_span(b);
	return b->failed;
}

static void next_token(struct submit_run *run, size_t digits, uint64_t *token_r)
{
	uint64_t n = ++run->tokens;
	int i;

	*token_r = n;
	for (i = TOKEN_DIGITS; i-- > 0; n /= 10)
		run->content.p[digits + (size_t)i] = (char)('0' + n % 10);
}

static const char *keep_name(struct submit_run *run, const char *name)
{
	char **p;

	if (run->name_count > 0 &&
	    strcmp(run->names[run->name_count - 1], name) == 0)
		return run->names[run->name_count - 1];
	p = realloc(run->names, (run->name_count + 1) * sizeof(*p));
	if (p == NULL)
		return NULL;
	run->names = p;
	p[run->name_count] = strdup(name);
	return p[run->name_count] == NULL ? NULL : p[run->name_count++];
}

/* One message a recipient, or one for every SUBMIT_SPLIT of them. */
static int put_all(struct submit_run *run, struct submit_message *m,
		   struct submit_label *l, const struct submit_list *to,
		   size_t digits)
{
	uint32_t step = run->args->each ? 1 : SUBMIT_SPLIT, i;
	int code = EX_OK;

	for (i = 0; i < to->count && code == EX_OK; i += step) {
		m->rcpts = &to->items[i];
		m->rcpt_params = run->dsn.rcpts;
		m->rcpt_count = to->count - i < step ? to->count - i : step;
		if (run->args->each && to == &run->args->to)
			l->rcpt = to->items[i];
		if (run->args->token_header != NULL)
			next_token(run, digits, &l->token);
		code = put(run, m, l);
	}
	return code;
}

int submit_run_message(struct submit_run *run, const char *name, uint64_t n,
		       struct span content)
{
	const struct submit_args *a = run->args;
	const struct submit_list *to = a->to_given ? &a->to : &run->found;
	struct submit_label l = { .name = keep_name(run, name), .n = n };
	struct submit_message m = { .sender = span_str(a->from),
				    .tenant = span_str(a->tenant),
				    .campaign = span_str(a->campaign),
				    .class = a->class,
				    .params = buf_span(&run->dsn.mail) };
	struct header_addrs from;
	size_t digits = 0;

	if (l.name == NULL || (!a->to_given && find_rcpts(run, content) < 0))
		return EX_OSERR;
	if (a->from == NULL) {
		m.sender = find_sender(content, &from);
		if (m.sender.len == 0) {
			refuse_here(run, &l, EX_DATAERR,
				    "it has no From with an address; name "
				    "the sender with --from");
			return EX_OK;
		}
	}
	if (to->count == 0) {
		refuse_here(run, &l, EX_DATAERR,
			    a->to_given ? "the list of recipients is empty"
					: "it names nobody in To, Cc or Bcc; "
					  "name recipients with --to");
		return EX_OK;
	}
	if (a->token_header != NULL && add_token(run, &content, &digits) < 0)
		return EX_OSERR;
	m.content = content;
	return put_all(run, &m, &l, to, digits);
}

void submit_run_unreadable(struct submit_run *run, const char *name, int error)
{
	submit_tell_line(&run->tell, "%s cannot be read: %s; it was skipped",
			 name, strerrordesc_np(-error));
	run->tell.refused++;
	worse(run, EX_NOINPUT);
}

uint64_t submit_run_size_max(const struct submit_run *run)
{
	return run->set->message_bytes_max;
}

void submit_run_too_large(struct submit_run *run, const char *name, uint64_t n,
			  uint64_t size)
{
	struct submit_label l = { .name = keep_name(run, name), .n = n };

	run->put++;
	if (l.name == NULL)
		l.name = "a message";
	refuse_size(run, &l, size);
}

void submit_run_nothing_in(struct submit_run *run, const char *name)
{
	submit_tell_line(&run->tell,
			 "the folder %s has no file with a message in it; it "
			 "was skipped",
			 name);
	run->tell.refused++;
	worse(run, EX_NOINPUT);
}

/* --- begin and end --------------------------------------------------------- */

/* EX_OK: something takes messages now. */
static int connect_run(struct submit_run *run)
{
	struct submit_options opt = { .path = run->path, .id = run->id };
	int r = submit_new(&opt, &run->client);

	if (r == -ENOENT || r == -ECONNREFUSED) {
		r = submit_drop_open(run->set->spool, run->id, &run->drop);
		if (r == 0)
			return EX_OK;
		if (r == -EROFS) {
			submit_tell_line(&run->tell,
					 "the spool %s was exported (mtaq "
					 "export): its mail goes to another "
					 "node. Nothing was handed over; "
					 "submit there.",
					 run->set->spool);
			return EX_UNAVAILABLE;
		}
		submit_tell_line(&run->tell,
				 "no daemon listens at %s, and the drop "
				 "folder %s/incoming cannot be written: %s. "
				 "Nothing was handed over; start `mtaq run`, "
				 "or ask for the right to the spool.",
				 run->path, run->set->spool,
				 strerrordesc_np(-r));
		return EX_UNAVAILABLE;
	}
	if (r < 0)
		submit_tell_line(&run->tell,
				 "the daemon at %s cannot be reached: %s. "
				 "Nothing was handed over%s",
				 run->path, strerrordesc_np(-r),
				 r == -EACCES ? "; whoever submits must be in "
						"the group of the socket."
					      : "; try again later.");
	return r == 0 ? EX_OK : r == -EACCES ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

static void run_free(struct submit_run *run)
{
	submit_free(&run->client);
	submit_drop_free(&run->drop);
	intake_free(&run->intake);
	submit_list_free(&run->found);
	buf_free(&run->content);
	buf_free(&run->frame);
	submit_dsn_free(&run->dsn);
	while (run->name_count > 0)
		free(run->names[--run->name_count]);
	free(run->names);
	free(run->labels);
	free(run);
}

static void prepare(struct submit_run *run, const struct submit_args *a)
{
	int i;

	run->tell = (struct submit_tell){
		.json = a->json,
		.quiet = a->quiet,
		.bar = isatty(STDERR_FILENO) == 1,
		.out_tty = isatty(STDOUT_FILENO) == 1,
		.begun_ms = submit_now_ms(),
	};
	if (a->each && a->to_given)
		run->tell.total =
			(uint64_t)a->to.count *
			(uint64_t)(a->path_count > 0 ? a->path_count : 1);
	for (i = 0; i < (int)SUBMIT_ID_SIZE; i++)
		(void)snprintf(run->tell.token + 2 * i, 3, "%02x", run->id[i]);
	buf_init(&run->content, 128u << 20);
	buf_init(&run->frame, 128u << 20);
}

int submit_run_open(const struct submit_args *a, const struct settings *set,
		    struct submit_run **run_r)
{
	struct submit_run *run = calloc(1, sizeof(*run));
	int code = EX_OK;

	if (run == NULL)
		return EX_OSERR;
	run->args = a;
	run->set = set;
	if (getrandom(run->id, sizeof(run->id), 0) != (ssize_t)sizeof(run->id))
		code = EX_OSERR;
	(void)snprintf(run->path, sizeof(run->path), "%s/" SUBMIT_SOCKET,
		       set->runtime);
	prepare(run, a);
	if (code == EX_OK)
		code = submit_dsn_make(a, &run->dsn);
	if (a->dry_run)
		run->intake = intake_new(set, (uint32_t)getuid());
	if (code == EX_OK && a->dry_run && run->intake == NULL)
		code = EX_OSERR;
	if (code == EX_OK && !a->dry_run)
		code = connect_run(run);
	if (code != EX_OK) {
		run_free(run);
		return code;
	}
	*run_r = run;
	return EX_OK;
}

static void finish(struct submit_run *run)
{
	int r;

	if (run->client != NULL) {
		r = submit_flush(run->client);
		if (r < 0)
			(void)broke(run, r);
		else
			drain(run);
	}
	if (run->drop == NULL || run->worst == EX_TEMPFAIL ||
	    run->tell.accepted == 0)
		return;
	r = submit_drop_end(run->drop, run->path);
	if (r == 0)
		return;
	submit_tell_line(&run->tell,
			 "the drop folder could not be written: %s; nothing "
			 "was queued",
			 strerrordesc_np(-r));
	run->tell.accepted = 0;
	worse(run, EX_TEMPFAIL);
}

int submit_run_close(struct submit_run **run_p)
{
	struct submit_run *run = *run_p;
	uint64_t ms;
	int worst;

	*run_p = NULL;
	/* A client that is over has been told of. */
	if (run->client == NULL || *submit_words(run->client) == '\0')
		finish(run);
	submit_tell_progress(&run->tell, true);
	ms = submit_now_ms() - run->tell.begun_ms;
	if (run->drop != NULL && run->tell.accepted > 0)
		submit_tell_line(&run->tell,
				 "no daemon listens at %s: %llu message%s "
				 "queued in the drop folder, to go out when "
				 "`mtaq run` starts. No ids are known yet.",
				 run->path,
				 (unsigned long long)run->tell.accepted,
				 run->tell.accepted == 1 ? " is" : "s are");
	else if (run->put > 1 || run->args->dry_run ||
		 (run->tell.accepted > 0 && run->tell.refused > 0))
		submit_tell_line(&run->tell,
				 "%llu message%s %s, %llu refused, in "
				 "%llu.%03llu s",
				 (unsigned long long)run->tell.accepted,
				 run->tell.accepted == 1 ? "" : "s",
				 run->args->dry_run ? "would be accepted"
						    : "accepted",
				 (unsigned long long)run->tell.refused,
				 (unsigned long long)ms / 1000,
				 (unsigned long long)ms % 1000);
	worst = run->worst;
	run_free(run);
	return worst;
}
