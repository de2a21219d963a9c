/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permissions: what an array does with its members, and what others may do
 *
 * Owns: the permissions on children.
 * Must not know: options, requests.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/graph-lock.h"
#include "qapi/error.h"
#include "block/opus-raid/control/permissions.h"
#include "block/opus-raid/member/member.h"

static bool has_supers_at_end(const OpusRaid *s)
{
    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].slot >= 0) {
            return s->members[i].super.minor_version == 0;
        }
    }
    return false;
}

/*
 * A writable array writes superblocks and repairs even while no parent
 * writes. No other user may write to a member, nor change its size where the
 * superblock would no longer be found.
 */
void opus_child_perm(BlockDriverState *bs, BdrvChild *c, BdrvChildRole role,
                     BlockReopenQueue *reopen_queue, uint64_t perm,
                     uint64_t shared, uint64_t *nperm, uint64_t *nshared)
{
    bdrv_default_perms(bs, c, role, reopen_queue, perm, shared, nperm,
                       nshared);
    *nperm &= ~BLK_PERM_RESIZE;
    /* A member that has become larger may be used later: see grow.c. */
    *nshared |= BLK_PERM_RESIZE;
    if (!(bs->open_flags & BDRV_O_INACTIVE)) {
        *nshared &= ~BLK_PERM_WRITE;
        if (has_supers_at_end(bs->opaque)) {
            *nshared &= ~BLK_PERM_RESIZE;
        }
    }
}

void opus_refresh_permissions(OpusRaid *s)
{
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    for (unsigned i = 0; i < s->nr_members; i++) {
        bdrv_child_refresh_perms(s->bs, s->members[i].child, &error_abort);
    }
}
