/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claim: the block devices of members are for one array alone
 *
 * Owns: which devices a member is on.
 * Must not know: superblocks, requests, how a device is claimed.
 * Threads: main loop.
 *
 * An array takes claims before it looks at superblocks, when it is going to be
 * writable, and keeps them until it is closed or inactivated: also as long as
 * it is read-only in between, for what it has read of the members must stay
 * true.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "block/device/claim.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/base/posix-fd.h"
#include "block/opus-raid/member/claim.h"
#include "block/opus-raid/member/member.h"

struct OpusClaim {
    GPtrArray *devices;         /* of DeviceClaim */
};

static void release_device(gpointer claim)
{
    device_claim_release(claim);
}

static bool claim_device(OpusClaim *claim, int fd,
                         const BlockDriverState *owner, const char *name,
                         Error **errp)
{
    g_autofree char *user = g_strdup_printf("member '%s'", name);
    DeviceClaim *device = device_claim_take(fd, owner, user, errp);

    if (device) {
        g_ptr_array_add(claim->devices, device);
    }
    return device;
}

static bool GRAPH_RDLOCK claim_below(OpusClaim *claim, BlockDriverState *bs,
                                     const char *name, Error **errp)
{
    int fd = bdrv_posix_fd(bs);
    int beside = device_beside(bs);
    BdrvChild *child;
    struct stat st;

    if (opus_is_array(bs)) {
        return true;            /* it has claims of its own */
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode)) {
        return claim_device(claim, fd, NULL, name, errp);
    }
    if (beside >= 0) {
        /* The node has a claim of its own while it may write. */
        return claim_device(claim, beside, bs, name, errp);
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

    claim->devices = g_ptr_array_new_with_free_func(release_device);
    if (!claim_below(claim, bs, name, errp)) {
        opus_claim_release(claim);
        return NULL;
    }
    return claim;
}

void opus_claim_release(OpusClaim *claim)
{
    GLOBAL_STATE_CODE();

    if (!claim) {
        return;
    }
    g_ptr_array_free(claim->devices, true);
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
