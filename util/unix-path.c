/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix path: whose socket a path in the file system is
 *
 * Owns: which sockets of this process are bound to which inodes.
 * Must not know: who listens, and for what.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include <sys/file.h>
#include <sys/un.h>
#include "qemu/lockable.h"
#include "qemu/sockets.h"
#include "qemu/thread.h"

#include "unix-path.h"

/* Our own kind holds the lock for microseconds. */
#define LOCK_TRIES 100
#define LOCK_PAUSE_US 10000

typedef struct Bound {
    int sock;
    dev_t dev;
    ino_t ino;                  /* can't be used again while @sock is open */
} Bound;

static GArray *bound;           /* of Bound; under the lock */
static QemuMutex bound_lock;

static void __attribute__((constructor)) init_lock(void)
{
    qemu_mutex_init(&bound_lock);
}

/*
 * The lock is on the directory, so nothing is left behind. Between a look at
 * a dead socket and its removal another one could have taken its place.
 */
int unix_path_lock(const char *path)
{
    g_autofree char *dir = g_path_get_dirname(path);
    int lock = qemu_open_old(dir, O_RDONLY | O_DIRECTORY);

    for (unsigned i = 0; lock >= 0 && i < LOCK_TRIES; i++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
            break;
        }
        g_usleep(LOCK_PAUSE_US);
    }
    return lock;
}

void unix_path_unlock(int *lock)
{
    if (*lock >= 0) {
        close(*lock);
    }
}

/*
 * Connects with a socket of another type: that tells whether a process has a
 * socket on @path, and this process does not notice. Returns 0 if none has, or
 * a negative errno.
 */
static int look_for_owner(const char *path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int probe, ret;

    if (strlen(path) > sizeof(un.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(un.sun_path, path, strlen(path));
    probe = qemu_socket(PF_UNIX, SOCK_DGRAM, 0);
    if (probe < 0) {
        return -errno;
    }
    ret = connect(probe, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno
                                                                 : -EADDRINUSE;
    close(probe);
    if (ret == -ECONNREFUSED || ret == -ENOENT) {
        return 0;
    }
    return ret == -EPROTOTYPE ? -EADDRINUSE : ret;
}

bool unix_path_is_free(const char *path, Error **errp)
{
    struct stat info;
    int ret;

    if (lstat(path, &info) < 0) {
        if (errno == ENOENT) {
            return true;
        }
        error_setg_errno(errp, errno, "Can't look at '%s'", path);
        return false;
    }
    if (!S_ISSOCK(info.st_mode)) {
        error_setg(errp, "'%s' is there already, and is no socket", path);
        error_append_hint(errp, "It is left as it is. Choose another path, or "
                          "remove it if nobody needs it.\n");
        return false;
    }
    ret = look_for_owner(path);
    if (ret == -EADDRINUSE) {
        error_setg(errp, "Socket '%s' is in use: somebody listens on it", path);
        error_append_hint(errp, "Nobody is thrown out. Choose another path, or "
                          "end what listens there first.\n");
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "Can't tell if socket '%s' is in use",
                         path);
        error_append_hint(errp, "It is left as it is. Choose another path, or "
                          "remove it if nobody needs it.\n");
    }
    return ret == 0;
}

static void forget(int sock)
{
    for (guint i = 0; bound && i < bound->len; i++) {
        if (g_array_index(bound, Bound, i).sock == sock) {
            g_array_remove_index_fast(bound, i);
            return;
        }
    }
}

void unix_path_bound(int sock, const char *path)
{
    Bound entry = { .sock = sock };
    struct stat info;

    QEMU_LOCK_GUARD(&bound_lock);
    forget(sock);
    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode)) {
        entry.dev = info.st_dev;
        entry.ino = info.st_ino;
        if (!bound) {
            bound = g_array_new(false, false, sizeof(Bound));
        }
        g_array_append_val(bound, entry);
    }
}

bool unix_path_is_ours(int sock, const char *path)
{
    struct stat info;
    bool ours = false;

    QEMU_LOCK_GUARD(&bound_lock);
    for (guint i = 0; bound && i < bound->len; i++) {
        Bound *entry = &g_array_index(bound, Bound, i);

        if (entry->sock == sock) {
            ours = lstat(path, &info) == 0 && info.st_dev == entry->dev &&
                   info.st_ino == entry->ino;
        }
    }
    forget(sock);
    return ours;
}
