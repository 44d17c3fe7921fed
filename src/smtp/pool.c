/*
 * smtp/pool.c - memory that the sessions of one thread share
 *
 * One stack of spares for each kind of object, last in first out, so that the
 * hottest memory is used again first.  A stack keeps SPARES_MAX objects; what
 * comes back beyond that is freed.  It stands beside the objects, and not in
 * them: who takes one, to write to it, need not wait for its memory.
 */
#include "smtp/session_private.h"

#include <stdlib.h>

#define SPARES_MAX 4096u

enum kind {
	KIND_SESSION,
	KIND_TX,
	KIND_CMD,
	KIND_REPLY,
	KIND_GROUP,
	KIND_COUNT
};

struct smtp_pool {
	uint32_t rcpts_max;
	struct stack {
		size_t bytes; /* of one object */
		uint32_t spares, out;
		void *spare[SPARES_MAX];
	} kind[KIND_COUNT];
};

struct smtp_pool *smtp_pool_new(uint32_t rcpts_max)
{
	struct smtp_pool *p = calloc(1, sizeof(*p));

	BUG_ON(rcpts_max == 0);
	if (p == NULL)
		return NULL;
	p->rcpts_max = rcpts_max;
	p->kind[KIND_SESSION].bytes = sizeof(struct smtp_session);
	p->kind[KIND_TX].bytes = sizeof(struct smtp_tx) + rcpts_max;
	p->kind[KIND_CMD].bytes = CMD_BUF;
	p->kind[KIND_REPLY].bytes = SMTP_REPLY_BUF;
	p->kind[KIND_GROUP].bytes = sizeof(struct smtp_group);
	return p;
}

void smtp_pool_free(struct smtp_pool **pool)
{
	struct smtp_pool *p = *pool;
	int k;

	*pool = NULL;
	if (p == NULL)
		return;
	for (k = 0; k < KIND_COUNT; k++) {
		BUG_ON(p->kind[k].out != 0);
		while (p->kind[k].spares > 0)
			free(p->kind[k].spare[--p->kind[k].spares]);
	}
	free(p);
}

uint32_t pool_rcpts_max(const struct smtp_pool *p)
{
	return p->rcpts_max;
}

static void *take(struct smtp_pool *p, enum kind k)
{
	struct stack *s = &p->kind[k];
	void *object;

	if (s->spares > 0)
		object = s->spare[--s->spares];
	else
		object = malloc(s->bytes);
	s->out += object != NULL;
	return object;
}

static void give(struct smtp_pool *p, enum kind k, void *object)
{
	struct stack *s = &p->kind[k];

	if (object == NULL)
		return;
	BUG_ON(s->out == 0);
	s->out--;
	if (s->spares == SPARES_MAX)
		free(object);
	else
		s->spare[s->spares++] = object;
}

struct smtp_tx *pool_tx(struct smtp_pool *p)
{
	return take(p, KIND_TX);
}

char *pool_cmd(struct smtp_pool *p)
{
	return take(p, KIND_CMD);
}

char *pool_reply(struct smtp_pool *p)
{
	return take(p, KIND_REPLY);
}

struct smtp_group *pool_group(struct smtp_pool *p)
{
	return take(p, KIND_GROUP);
}

struct smtp_session *pool_session(struct smtp_pool *p)
{
	return take(p, KIND_SESSION);
}

void pool_tx_free(struct smtp_pool *p, struct smtp_tx **tx)
{
	if (*tx != NULL)
		pool_group_free(p, &(*tx)->answers);
	give(p, KIND_TX, *tx);
	*tx = NULL;
}

void pool_cmd_free(struct smtp_pool *p, char **cmd)
{
	give(p, KIND_CMD, *cmd);
	*cmd = NULL;
}

void pool_reply_free(struct smtp_pool *p, char **reply)
{
	give(p, KIND_REPLY, *reply);
	*reply = NULL;
}

void pool_group_free(struct smtp_pool *p, struct smtp_group **group)
{
	give(p, KIND_GROUP, *group);
	*group = NULL;
}

void pool_session_free(struct smtp_pool *p, struct smtp_session **session)
{
	give(p, KIND_SESSION, *session);
	*session = NULL;
}
