/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claim: the block devices of members are for one array alone
 *
 * Owns: descriptors that hold devices.
 * Must not know: superblocks, requests.
 * Threads: main loop.
 *
 * QEMU's file locks are on inodes, and only QEMU looks at them. Linux has a
 * claim of its own: a block device that was opened with O_EXCL is refused to
 * md, to LVM, to mount and swap, and to any other that asks for it, by whatever
 * device node. So each device is opened a second time, with it. Reading is
 * enough for that, and a descriptor that can't write does not tell udev on its
 * end that the device was written to.
 *
 * An array takes claims before it looks at superblocks, when it is going to be
 * writable, and keeps them until it is closed or inactivated: also as long as
 * it is read-only in between, for what it has read of the members must stay
 * true.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/base/posix-fd.h"
#include "block/opus-raid/member/claim.h"
#include "block/opus-raid/member/holder.h"
#include "block/opus-raid/member/member.h"

/* mdadm and others hold a device for a moment, to look at it. */
#define WAIT_STEPS      25
#define WAIT_STEP_US    (20 * 1000)

typedef struct Device {
    dev_t dev;
    int fd;                     /* -1: it could not be claimed */
} Device;

struct OpusClaim {
    char *name;
    GArray *devices;
    QLIST_ENTRY(OpusClaim) next;
};

/* All of this process: the kernel does not tell whose claims it refuses. */
static QLIST_HEAD(, OpusClaim) claims = QLIST_HEAD_INITIALIZER(claims);

static const OpusClaim *find_own(dev_t dev)
{
    const OpusClaim *claim;

    QLIST_FOREACH(claim, &claims, next) {
        for (unsigned i = 0; i < claim->devices->len; i++) {
            const Device *d = &g_array_index(claim->devices, Device, i);

            if (opus_devices_overlap(d->dev, dev)) {
                return claim;
            }
        }
    }
    return NULL;
}

#define EXPLAIN "'opusctl explain IN_USE' tells more.\n"

static void set_in_use(const char *name, dev_t dev, const char *user,
                       const char *hint, Error **errp)
{
    g_autofree char *device = opus_device_name(dev);
    ERRP_GUARD();

    error_setg(errp, "IN_USE: member '%s': %s is in use by %s", name, device,
               user);
    error_append_hint(errp, "%s" EXPLAIN, hint);
}

static void set_own_error(const char *name, dev_t dev, const OpusClaim *own,
                          Error **errp)
{
    g_autofree char *device = opus_device_name(dev);
    ERRP_GUARD();

    error_setg(errp, "IN_USE: member '%s': %s is also the device of member "
               "'%s'", name, device, own->name);
    error_append_hint(errp, "Give each member a drive or a partition of its "
                      "own.\n" EXPLAIN);
}

/* It is not known who: the kernel does not tell. */
static void set_unknown_user(const char *name, dev_t dev, Error **errp)
{
    g_autofree char *processes = opus_holder_processes(dev);

    set_in_use(name, dev, processes ?: "another program",
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

/* A program that just looks is waited for; one that stays is an error. */
static bool claim_device(OpusClaim *claim, const char *name, int fd, dev_t dev,
                         Error **errp)
{
    Device device = { .dev = dev };

    for (unsigned i = 0; ; i++) {
        g_autofree char *hint = NULL;
        g_autofree char *user = NULL;

        device.fd = open_device(fd);
        if (device.fd >= 0) {
            break;
        }
        user = opus_holder_in_kernel(dev, &hint);
        if (user) {
            set_in_use(name, dev, user, hint, errp);
            return false;
        }
        if (device.fd != -EBUSY) {
            warn_report("Member '%s' can't be kept from other programs: %s",
                        name, strerror(-device.fd));
            device.fd = -1;
            break;
        }
        if (i == WAIT_STEPS) {
            set_unknown_user(name, dev, errp);
            return false;
        }
        g_usleep(WAIT_STEP_US);
    }
    g_array_append_val(claim->devices, device);
    return true;
}

static bool GRAPH_RDLOCK claim_below(OpusClaim *claim, BlockDriverState *bs,
                                     const char *name, Error **errp)
{
    int fd = bdrv_posix_fd(bs);
    const OpusClaim *own;
    BdrvChild *child;
    struct stat st;

    if (opus_is_array(bs)) {
        return true;            /* it has claims of its own */
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode)) {
        own = find_own(st.st_rdev);
        if (own) {
            set_own_error(name, st.st_rdev, own, errp);
            return false;
        }
        return claim_device(claim, name, fd, st.st_rdev, errp);
    }
    QLIST_FOREACH(child, &bs->children, next) {
        /* What a backing file holds is only read. */
        if (!(child->role & BDRV_CHILD_COW) &&
            !claim_below(claim, child->bs, name, errp)) {
            return false;
        }
    }
    return true;
}

OpusClaim *GRAPH_RDLOCK opus_claim_take(BlockDriverState *bs,
                                        const char *name, Error **errp)
{
    OpusClaim *claim = g_new0(OpusClaim, 1);

    GLOBAL_STATE_CODE();

    claim->name = g_strdup(name);
    claim->devices = g_array_new(false, false, sizeof(Device));
    if (!claim_below(claim, bs, name, errp)) {
        QLIST_INSERT_HEAD(&claims, claim, next);
        opus_claim_release(claim);
        return NULL;
    }
    QLIST_INSERT_HEAD(&claims, claim, next);
    return claim;
}

void opus_claim_release(OpusClaim *claim)
{
    GLOBAL_STATE_CODE();

    if (!claim) {
        return;
    }
    QLIST_REMOVE(claim, next);
    for (unsigned i = 0; i < claim->devices->len; i++) {
        int fd = g_array_index(claim->devices, Device, i).fd;

        if (fd >= 0) {
            close(fd);
        }
    }
    g_array_free(claim->devices, true);
    g_free(claim->name);
    g_free(claim);
}

bool GRAPH_RDLOCK opus_claims_take(OpusMember *members, unsigned nr,
                                   const char *array, Error **errp)
{
    g_autofree bool *taken = g_new0(bool, nr);
    ERRP_GUARD();

    for (unsigned i = 0; i < nr; i++) {
        OpusMember *m = &members[i];

        if (m->claim) {
            continue;
        }
        m->claim = opus_claim_take(m->child->bs, opus_member_name(m), errp);
        if (!m->claim) {
            error_prepend(errp, "Cannot assemble array '%s': ", array);
            while (i-- > 0) {
                if (taken[i]) {
                    opus_claim_release(members[i].claim);
                    members[i].claim = NULL;
                }
            }
            return false;
        }
        taken[i] = true;
    }
    return true;
}

void opus_claims_release(OpusMember *members, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        opus_claim_release(members[i].claim);
        members[i].claim = NULL;
    }
}
