/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claim: the block devices of members are for one array alone
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_CLAIM_H
#define BLOCK_OPUS_RAID_MEMBER_CLAIM_H

#include "block/opus-raid/member/member.h"

/* What is held for one member; of a member that is no device it is empty. */
typedef struct OpusClaim OpusClaim;

/**
 * opus_claim_take: claim all block devices that @bs writes to
 * @name: of the member, for the errors of later claims
 *
 * Main loop only. Waits for half a second for a program that only looks at a
 * device.
 * Returns NULL and an error that begins with IN_USE when a device is used by
 * somebody else, in the kernel, another process or this one.
 */
OpusClaim *GRAPH_RDLOCK opus_claim_take(BlockDriverState *bs,
                                        const char *name, Error **errp);

/* NULL is allowed. Main loop only. */
void opus_claim_release(OpusClaim *claim);

/**
 * opus_claims_take: claim the devices of all members that have no claim yet
 * @array: the array's node name
 *
 * To be called before anything is read by which a writable array is judged.
 * When it fails nothing has changed.
 */
bool GRAPH_RDLOCK opus_claims_take(OpusMember *members, unsigned nr,
                                   const char *array, Error **errp);
void opus_claims_release(OpusMember *members, unsigned nr);

#endif /* BLOCK_OPUS_RAID_MEMBER_CLAIM_H */
