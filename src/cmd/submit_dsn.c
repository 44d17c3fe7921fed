/*
 * cmd/submit_dsn.c - what mtaq submit asks for delivery status notifications
 *
 *	--notify --orcpt --ret --envid -> parameters of MAIL and RCPT (RFC 3461)
 */
#include "cmd/submit.h"
#include "smtp/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define PARAMS_MAX 4096u

static int bad_option(const char *name, const char *value, const char *why)
{
	fprintf(stderr, "mtaq submit: --%s %s: %s\n", name, value, why);
	return EX_USAGE;
}

static void add_xtext(struct buf *b, struct span text)
{
	if (buf_reserve(b, 3 * text.len) == 0)
		b->len += dsn_xtext(text, b->p + b->len);
}

/* NAME=value, a blank before it when it is not the first. */
static void add_parameter(struct buf *b, const char *name, const char *value)
{
	(void)buf_printf(b, "%s%s=%s", b->len > 0 ? " " : "", name, value);
}

static int make_mail_params(const struct submit_args *a, struct submit_dsn *d)
{
	struct buf *b = &d->mail;

	if (a->ret != NULL) {
		add_parameter(b, "RET", a->ret);
		if (!dsn_is_mail(buf_span(b)))
			return bad_option("ret", a->ret, "is full or hdrs");
	}
	if (a->envid != NULL) {
		add_parameter(b, "ENVID", "");
		add_xtext(b, span_str(a->envid));
		if (!dsn_is_mail(buf_span(b)))
			return bad_option("envid", a->envid,
					  "has 1 to 100 octets");
	}
	return b->failed < 0 ? EX_OSERR : EX_OK;
}

static int make_orcpt(const struct submit_args *a, struct submit_dsn *d)
{
	struct buf *b = &d->rcpt;

	if (a->to.count != 1)
		return bad_option("orcpt", a->orcpt,
				  "is for one recipient, given with --to");
	add_parameter(b, "ORCPT", "rfc822;");
	add_xtext(b, span_str(a->orcpt));
	return dsn_is_rcpt(buf_span(b))
		       ? EX_OK
		       : bad_option("orcpt", a->orcpt, "is no address");
}

static int make_rcpt_params(const struct submit_args *a, struct submit_dsn *d)
{
	struct buf *b = &d->rcpt;
	int code = EX_OK;
	uint32_t i;

	if (a->notify != NULL) {
		add_parameter(b, "NOTIFY", a->notify);
		if (!dsn_is_rcpt(buf_span(b)))
			return bad_option("notify", a->notify,
					  "is never, or some of success, "
					  "failure and delay with commas "
					  "between");
	}
	if (a->orcpt != NULL)
		code = make_orcpt(a, d);
	if (code != EX_OK || b->len == 0)
		return code;
	d->rcpts = calloc(SUBMIT_SPLIT, sizeof(struct span));
	if (b->failed < 0 || d->rcpts == NULL)
		return EX_OSERR;
	for (i = 0; i < SUBMIT_SPLIT; i++)
		d->rcpts[i] = buf_span(b);
	return EX_OK;
}

int submit_dsn_make(const struct submit_args *a, struct submit_dsn *d)
{
	int code;

	buf_init(&d->mail, PARAMS_MAX);
	buf_init(&d->rcpt, PARAMS_MAX);
	code = make_mail_params(a, d);
	return code == EX_OK ? make_rcpt_params(a, d) : code;
}

void submit_dsn_free(struct submit_dsn *d)
{
	buf_free(&d->mail);
	buf_free(&d->rcpt);
	free(d->rcpts);
	d->rcpts = NULL;
}
