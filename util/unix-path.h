/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix path: whose socket a path in the file system is
 *
 * A process that listens on a path takes it from no other one: it removes only
 * a socket that no process has any more. At its end it removes only the socket
 * that it has made itself, not one that another process has put there since.
 */

#ifndef OPUS_UNIX_PATH_H
#define OPUS_UNIX_PATH_H

#include "qapi/error.h"

/*
 * A variable that holds what unix_path_lock() returns, for as long as it is in
 * scope.
 */
#define UNIX_PATH_LOCK(name) \
    int name __attribute__((cleanup(unix_path_unlock))) = -1

/*
 * Keeps others who use this from listening in the directory of @path; not
 * for long, and not if another process holds the lock for long. A process that
 * only connects never waits for the lock.
 */
int unix_path_lock(const char *path);
void unix_path_unlock(int *lock);

/*
 * True if nothing is there, or a socket that no process has: that one may be
 * removed. Else @errp says what is in the way.
 */
bool unix_path_is_free(const char *path, Error **errp);

/* @sock has just been bound to @path. */
void unix_path_bound(int sock, const char *path);

/*
 * True if what is at @path now is what @sock was bound to, so that @sock's
 * owner may remove it. @sock is still open, and is forgotten.
 */
bool unix_path_is_ours(int sock, const char *path);

#endif /* OPUS_UNIX_PATH_H */
