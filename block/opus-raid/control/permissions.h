/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Permissions: what an array does with its members, and what others may do
 */
#ifndef BLOCK_OPUS_RAID_CONTROL_PERMISSIONS_H
#define BLOCK_OPUS_RAID_CONTROL_PERMISSIONS_H

#include "block/opus-raid/array/opus-raid.h"

/* BlockDriver callback. */
void opus_child_perm(BlockDriverState *bs, BdrvChild *c, BdrvChildRole role,
                     BlockReopenQueue *reopen_queue, uint64_t perm,
                     uint64_t shared, uint64_t *nperm, uint64_t *nshared);

/* The array was assembled: what may be shared was not known before. */
void opus_refresh_permissions(OpusRaid *s);

/**
 * opus_explain_conflict: say who is in the way, instead of which permissions
 *
 * After @bs could not be used with @perm while others do @shared: if that is
 * because of another user of it, @errp is about him. Main loop.
 */
void GRAPH_RDLOCK opus_explain_conflict(BlockDriverState *bs, uint64_t perm,
                                        uint64_t shared, Error **errp);

#endif /* BLOCK_OPUS_RAID_CONTROL_PERMISSIONS_H */
