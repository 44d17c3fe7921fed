/*
 * engine/user.c - from root to the user of the daemon
 *
 * Folders first, as root: /run and /var/spool let nobody else make them.
 * Then groups, group, user, in this order, since each step takes away the
 * right to do the one before it.
 */
#include "engine/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(char *words, size_t size, int err, const char *what,
		const char *which)
{
	snprintf(words, size, "cannot %s %s: %s", what, which,
		 strerrordesc_np(-err));
	return err;
}

/* An existing folder is left as it is, but for one that root owns. */
static int folder(const char *path, mode_t mode, const struct passwd *user,
		  char *words, size_t size)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return fail(words, size, -errno, "make the folder", path);
	if (user == NULL || stat(path, &st) < 0 || st.st_uid != 0)
		return 0;
	if (chown(path, user->pw_uid, user->pw_gid) < 0)
		return fail(words, size, -errno, "give away the folder", path);
	return 0;
}

static int folders(const struct settings *set, const struct passwd *user,
		   char *words, size_t size)
{
	char log[4096];
	char *slash;
	int err = folder(set->spool, 0750, user, words, size);

	if (err == 0)
		err = folder(set->runtime, 0755, user, words, size);
	snprintf(log, sizeof(log), "%s", set->log.events);
	slash = strrchr(log, '/');
	if (err < 0 || slash == NULL || slash == log)
		return err;
	*slash = '\0';
	/* Never a system folder such as /var/log itself. */
	if (access(log, F_OK) == 0)
		return 0;
	return folder(log, 0750, user, words, size);
}

static int drop(const struct passwd *user, char *words, size_t size)
{
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		return fail(words, size, -errno, "become the user",
			    user->pw_name);
	if (user->pw_uid != 0 && setuid(0) == 0)
		return fail(words, size, -EPERM, "stop being root as",
			    user->pw_name);
	return 0;
}

int user_become(const struct settings *set, char *words, size_t words_size)
{
	const struct passwd *user = NULL;
	int err;

	if (set->user[0] != '\0' && geteuid() == 0) {
		errno = 0;
		user = getpwnam(set->user);
		if (user == NULL)
			return fail(words, words_size,
				    errno == 0 ? -ENOENT : -errno,
				    "find the user", set->user);
	}
	err = folders(set, user, words, words_size);
	if (err == 0 && user != NULL)
		err = drop(user, words, words_size);
	return err;
}

int user_become_owner(const char *spool, char *words, size_t words_size)
{
	const struct passwd *user;
	struct stat st;

	if (geteuid() != 0 || stat(spool, &st) < 0 || st.st_uid == 0)
		return 0;
	errno = 0;
	user = getpwuid(st.st_uid);
	if (user == NULL)
		return fail(words, words_size, errno == 0 ? -ENOENT : -errno,
			    "find the user who owns", spool);
	return drop(user, words, words_size);
}

static void name_of(uid_t uid, char *name, size_t size)
{
	const struct passwd *p = getpwuid(uid);

	if (p != NULL)
		snprintf(name, size, "%s", p->pw_name);
	else
		snprintf(name, size, "uid %u", (unsigned)uid);
}

void user_words(const char *spool, int err, char *words, size_t words_size)
{
	char owner[64], self[64];
	struct stat st;

	name_of(geteuid(), self, sizeof(self));
	if (stat(spool, &st) < 0) {
		snprintf(words, words_size,
			 "cannot open the spool %s: %s; mtaq runs as %s, who "
			 "may not look into a folder above it",
			 spool, strerrordesc_np(-err), self);
		return;
	}
	if (st.st_uid == geteuid()) {
		snprintf(words, words_size,
			 "cannot open the spool %s: %s; the folder is that of "
			 "%s, as whom mtaq runs, but something in it belongs "
			 "to another: chown -R",
			 spool, strerrordesc_np(-err), self);
		return;
	}
	name_of(st.st_uid, owner, sizeof(owner));
	snprintf(words, words_size,
		 "cannot open the spool %s: %s; it belongs to %s (mode %03o) "
		 "and mtaq runs as %s: start it as %s, or give %s the folder "
		 "and all that is in it",
		 spool, strerrordesc_np(-err), owner,
		 (unsigned)st.st_mode & 0777, self, owner, self);
}
