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

#endif /* BLOCK_OPUS_RAID_CONTROL_PERMISSIONS_H */
