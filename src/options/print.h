#ifndef MTAQ_OPTIONS_PRINT_H
#define MTAQ_OPTIONS_PRINT_H

/*
 * The option table as text.  Check out->failed at the end.
 */
#include "options/option.h"

/* conf/mtaq.yaml: every option with its help, at its default. */
void options_print_sample(struct buf *out);
/* docs/mtaq.yaml.md */
void options_print_manual(struct buf *out);
/* docs/man/mtaq.yaml.5.scd, for scdoc(1) */
void options_print_man(struct buf *out);
/* What is in force, as a file that settings_load() takes, or as JSON. */
void options_print_settings(const struct settings *set, bool json,
			    struct buf *out);

#endif
