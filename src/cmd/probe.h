#ifndef MTAQ_CMD_PROBE_H
#define MTAQ_CMD_PROBE_H

/*
 * What the files of `mtaq probe` share.
 *
 *	probe.c        options and settings
 *	probe_body.c   the message of --send
 *	probe_run.c    lookup ─► host after host ─► verdict
 *	probe_find.c   where the mail goes: --host, routes:, DNS
 *	probe_talk.c   the conversation with one host, a command at a time
 *	probe_wire.c   octets with deadlines
 *	probe_words.c  EHLO keywords, enhanced codes, errors and plans in words
 *	probe_tell.c   all of it for people; probe_json.c for programs
 *
 * Everything is told as it happens, so that a silent server is seen waiting.
 */
#include "base/buf.h"
#include "cmd/screen.h"
#include "io/io.h"
#include "mtaq/outcome.h"
#include "mtaq/settings.h"
#include "idn/idn.h"
#include "smtp/ehlo.h"
#include "site/plan.h"

struct probe_args {
	const char *config, *to, *from, *helo, *host, *send;
	const char *dns;     /* A:P, checked */
	uint16_t port;       /* 0: the configuration's */
	uint64_t timeout_ms; /* no step longer */
	bool timeout_given;
	uint64_t max_ms; /* all of the probe */
	bool ipv4, ipv6, all, json;
};

/* One thing that was done and what came of it. */
struct probe_step {
	const char *name; /* "greeting", "mail": stable */
	enum smtp_stage stage;
	struct span
		command; /* as sent, without CRLF; empty: we only listened */
	int error;       /* negative errno: no reply; else code is set */
	uint16_t code;
	struct smtp_enhanced enhanced;
	struct span text; /* the server's, untrusted */
	uint64_t us;
	uint64_t limit_ms; /* how long we would have waited */
};

/* Where the mail goes.  set is never NULL. */
struct probe_found {
	const char *how;  /* "mx", "implicit", "route", "host": stable */
	struct span name; /* what was looked up */
	struct mxset *set;
	uint64_t us;
	uint64_t ttl_s;       /* 0: nobody asked */
	enum local_rule rule; /* why there is no host, or LOCAL_NONE */
};

struct probe_host {
	const struct mx_host *mx;
	struct io_addr addr;
	char text[IO_ADDR_TEXT_MAX];
	bool ranked; /* mx->preference means something */
};

/* What came of one host. */
struct probe_outcome {
	struct smtp_verdict verdict; /* its text lies in text[] */
	char text[1024];
	enum local_rule rule; /* LOCAL_SIZE, LOCAL_UTF8: not the server's */
	struct reply_class class;
	struct plan plan;
	uint32_t retry_s; /* PLAN_RETRY */
};

struct probe_message {   /* --send */
	struct buf wire; /* dots doubled, ended by the lone dot */
	uint64_t bytes;  /* before that: SIZE= */
	bool eightbit;
};

struct probe {
	const struct probe_args *args;
	struct settings set;
	struct idn_address to, from;
	const char *helo;
	struct probe_message message;
	uint64_t end_ms; /* of all, by probe_now_us() / 1000 */
	const char *provider;
	unsigned hosts, accepted; /* conversations; those that said yes */
	struct screen screen;
	struct buf out; /* --json: the object so far; else one line */
};

/* Read, check and ready the file of --send.  A sysexits code, told. */
int probe_body_read(struct probe *p);

/* Monotonic. */
uint64_t probe_now_us(void);
/* The deadline of a step that may take ms: never beyond the probe's own. */
uint64_t probe_deadline_ms(const struct probe *p, uint64_t ms);

/* All of it; p is set up.  A sysexits code. */
int probe_run(struct probe *p);
/* 0, or -EINVAL, -ENOMEM: told on standard error. */
int probe_find(struct probe *p, struct probe_found *found_r);
/* Talk to one host; the outcome's verdict and rule are set. */
void probe_talk(struct probe *p, const struct probe_host *host, struct io *io,
		struct probe_outcome *out);

/* The connection. */
struct probe_wire;
/* NULL: no memory. */
struct probe_wire *probe_wire_new(struct io *io);
void probe_wire_free(struct probe_wire **w);
/* Each 0 or -errno; -ETIMEDOUT at the deadline (monotonic ms). */
int probe_wire_connect(struct probe_wire *w, const struct io_addr *src,
		       const struct io_addr *dst, uint64_t deadline_ms);
int probe_wire_send(struct probe_wire *w, struct span octets,
		    uint64_t deadline_ms);
/* The next reply, into the step's code, enhanced and text (borrowed until
 * the next call).  -ENODATA: the server closed; -EPROTO: no reply. */
int probe_wire_reply(struct probe_wire *w, struct probe_step *step,
		     uint64_t deadline_ms);
/* Did the server say something that nobody asked for? */
bool probe_wire_early(const struct probe_wire *w);

/* Words. */
/* What an EHLO line means; "" when mtaq does not know the keyword. */
void probe_words_ehlo(struct span line, char *words, size_t size);
/* "mailbox full" for 4.2.2; "" when there is none. */
void probe_words_enhanced(struct smtp_enhanced code, char *words, size_t size);
/* Why there was no reply. */
void probe_words_error(const struct probe_step *step, char *words, size_t size);
/* What mtaq would do after this outcome. */
void probe_words_plan(const struct probe *p, const struct probe_outcome *o,
		      char *words, size_t size);
/* The next line of text, cut off its front; false at the end. */
bool probe_next_line(struct span *text, struct span *line_r);

/* What was seen, in this order: begin, found, (host, step..., ehlo, outcome)
 * for each host, end. */
void probe_tell_begin(struct probe *p);
void probe_tell_found(struct probe *p, const struct probe_found *f);
void probe_tell_host(struct probe *p, const struct probe_host *host);
/* Before the answer is waited for, and with it. */
void probe_tell_command(struct probe *p, struct span command);
void probe_tell_step(struct probe *p, const struct probe_step *step);
void probe_tell_ehlo(struct probe *p, struct span text);
void probe_tell_outcome(struct probe *p, const struct probe_outcome *o);
/* The verdict; code is the exit code, which is returned (or EX_IOERR). */
int probe_tell_end(struct probe *p, int code, const char *words);

/* The same for --json, called by those above. */
void probe_json_begin(struct probe *p);
void probe_json_found(struct probe *p, const struct probe_found *f);
void probe_json_host(struct probe *p, const struct probe_host *host);
void probe_json_step(struct probe *p, const struct probe_step *step);
void probe_json_ehlo(struct probe *p, struct span text);
void probe_json_outcome(struct probe *p, const struct probe_outcome *o);
void probe_json_end(struct probe *p, int code, const char *words);

/* "accepted", "deferred", "refused", "unavailable" for an exit code. */
const char *probe_result_name(int code);

#endif
