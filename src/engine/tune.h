#ifndef MTAQ_ENGINE_TUNE_H
#define MTAQ_ENGINE_TUNE_H

/* The configuration as each pure layer wants it. */
#include "mtaq/queue.h"
#include "mtaq/settings.h"
#include "mtaq/smtp.h"
#include "sched/backoff.h"
#include "site/site.h"

void tune_backoff(const struct settings *set, struct backoff_settings *b);
void tune_site(const struct settings *set, struct site_settings *s);
/* Borrows the hostname from set. */
void tune_smtp(const struct settings *set, struct smtp_settings *s);
/* Borrows the spool's path from set. */
void tune_queue(const struct settings *set, struct queue_settings *q);

#endif
