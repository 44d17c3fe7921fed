#ifndef MTAQ_ENGINE_USER_H
#define MTAQ_ENGINE_USER_H

/*
 * Who the daemon is, and the folders that are his.
 */
#include "mtaq/settings.h"

/*
 * Make the folders of spool, runtime and event log (each one level) where
 * they are missing.  Started as root with `user:` set, they become that
 * user's, and so does the process, for good.  0, or a negative errno value
 * and words.
 */
int user_become(const struct settings *set, char *words, size_t words_size);

/* As root beside somebody's spool: become its owner for good, so that what is
 * made there is his.  Nothing for who is not root, or where there is no such
 * folder.  0, or a negative errno value and words. */
int user_become_owner(const char *spool, char *words, size_t words_size);

/* The spool cannot be opened for want of a right: whose it is, who we are. */
void user_words(const char *spool, int err, char *words, size_t words_size);

#endif
