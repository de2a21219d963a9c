/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claim: a block device is for one user alone
 *
 * Owns: descriptors that hold devices.
 * Must not know: arrays, requests.
 * Threads: main loop.
 *
 * QEMU's file locks are on inodes, and only QEMU looks at them. Linux has a
 * claim of its own: a block device that was opened with O_EXCL is refused to
 * md, to LVM, to mount and swap, and to any other that asks for it, by whatever
 * device node. So each device is opened a second time, with it. Reading is
 * enough for that, and a descriptor that can't write does not tell udev on its
 * end that the device was written to.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "block/device/claim.h"
#include "block/device/holder.h"

/* mdadm and others hold a device for a moment, to look at it. */
#define WAIT_STEPS      25
#define WAIT_STEP_US    (20 * 1000)

struct DeviceClaim {
    dev_t dev;
    int fd;                     /* -1: it could not be claimed */
    const BlockDriverState *owner;
    char *user;
    unsigned refs;
    QLIST_ENTRY(DeviceClaim) next;
};

typedef struct DeviceBeside {
    const BlockDriverState *bs;
    int fd;
    QLIST_ENTRY(DeviceBeside) next;
} DeviceBeside;

/* All of this process: the kernel does not tell whose claims it refuses. */
static QLIST_HEAD(, DeviceClaim) claims = QLIST_HEAD_INITIALIZER(claims);
static QLIST_HEAD(, DeviceBeside) besides = QLIST_HEAD_INITIALIZER(besides);

static DeviceClaim *find_own(dev_t dev)
{
    DeviceClaim *claim;

    QLIST_FOREACH(claim, &claims, next) {
        if (devices_overlap(claim->dev, dev)) {
            return claim;
        }
    }
    return NULL;
}

#define EXPLAIN "'opusctl explain IN_USE' tells more.\n"

static void set_in_use(const char *user, dev_t dev, const char *other,
                       const char *hint, Error **errp)
{
    g_autofree char *device = device_name(dev);
    ERRP_GUARD();

    error_setg(errp, "IN_USE: %s: %s is in use by %s", user, device, other);
    error_append_hint(errp, "%s" EXPLAIN, hint);
}

static void set_own_error(const char *user, dev_t dev, const DeviceClaim *own,
                          Error **errp)
{
    g_autofree char *device = device_name(dev);
    ERRP_GUARD();

    error_setg(errp, "IN_USE: %s: %s is also the device of %s", user, device,
               own->user);
    error_append_hint(errp, "Give each member a drive or a partition of its "
                      "own.\n" EXPLAIN);
}

/* It is not known who: the kernel does not tell. */
static void set_unknown_user(const char *user, dev_t dev, Error **errp)
{
    g_autofree char *processes = device_holder_processes(dev);

    set_in_use(user, dev, processes ?: "another program",
               "End that first.\n", errp);
}

/* By the device itself: its node may be gone, or mean something else now. */
static int open_device(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    int ret = RETRY_ON_EINTR(open(path, O_RDONLY | O_EXCL | O_NONBLOCK |
                                        O_CLOEXEC));

    return ret < 0 ? -errno : ret;
}

/*
 * A program that just looks is waited for; one that stays is an error, of
 * which -EBUSY tells. -1 if it can't be claimed.
 */
static int claim_device(const char *user, int fd, dev_t dev, Error **errp)
{
    for (unsigned i = 0; ; i++) {
        g_autofree char *hint = NULL;
        g_autofree char *other = NULL;
        int ret = open_device(fd);

        if (ret >= 0) {
            return ret;
        }
        other = device_holder_in_kernel(dev, &hint);
        if (other) {
            set_in_use(user, dev, other, hint, errp);
            return -EBUSY;
        }
        if (ret != -EBUSY) {
            warn_report("%c%s can't be kept from other programs: %s",
                        g_ascii_toupper(user[0]), user + 1, strerror(-ret));
            return -1;
        }
        if (i == WAIT_STEPS) {
            set_unknown_user(user, dev, errp);
            return -EBUSY;
        }
        g_usleep(WAIT_STEP_US);
    }
}

DeviceClaim *device_claim_take(int fd, const BlockDriverState *owner,
                               const char *user, Error **errp)
{
    DeviceClaim *claim;
    struct stat st;
    int held;

    GLOBAL_STATE_CODE();

    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "%s: cannot look at the device", user);
        return NULL;
    }
    claim = find_own(st.st_rdev);
    if (claim && owner && claim->owner == owner) {
        claim->refs++;
        return claim;
    }
    if (claim) {
        set_own_error(user, st.st_rdev, claim, errp);
        return NULL;
    }
    held = claim_device(user, fd, st.st_rdev, errp);
    if (held == -EBUSY) {
        return NULL;
    }
    claim = g_new0(DeviceClaim, 1);
    claim->dev = st.st_rdev;
    claim->fd = held;
    claim->owner = owner;
    claim->user = g_strdup(user);
    claim->refs = 1;
    QLIST_INSERT_HEAD(&claims, claim, next);
    return claim;
}

void device_claim_release(DeviceClaim *claim)
{
    GLOBAL_STATE_CODE();

    if (!claim || --claim->refs > 0) {
        return;
    }
    QLIST_REMOVE(claim, next);
    if (claim->fd >= 0) {
        close(claim->fd);
    }
    g_free(claim->user);
    g_free(claim);
}

void device_beside_set(const BlockDriverState *bs, int fd)
{
    DeviceBeside *beside, *next;

    GLOBAL_STATE_CODE();

    QLIST_FOREACH_SAFE(beside, &besides, next, next) {
        if (beside->bs == bs) {
            QLIST_REMOVE(beside, next);
            g_free(beside);
        }
    }
    if (fd >= 0) {
        beside = g_new(DeviceBeside, 1);
        *beside = (DeviceBeside) { .bs = bs, .fd = fd };
        QLIST_INSERT_HEAD(&besides, beside, next);
    }
}

int device_beside(const BlockDriverState *bs)
{
    DeviceBeside *beside;

    GLOBAL_STATE_CODE();

    QLIST_FOREACH(beside, &besides, next) {
        if (beside->bs == bs) {
            return beside->fd;
        }
    }
    return -1;
}
