/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New member: a node that is about to become a member of an array
 */
#ifndef BLOCK_OPUS_RAID_MEMBERS_CANDIDATE_H
#define BLOCK_OPUS_RAID_MEMBERS_CANDIDATE_H

#include "block/block_int.h"
#include "system/block-backend.h"
#include "block/opus-raid/member/claim.h"
#include "util/raid/md-super.h"

typedef struct OpusNewMember {
    BlockBackend *blk;
    OpusClaim *claim;           /* the member takes it, and leaves NULL */
    char *name;
    uint64_t device_bytes;
    uint64_t data_bytes;        /* all there are behind the data offset */
} OpusNewMember;

/* Is @bs none of the @nr that are open already? Each is given once. */
bool opus_new_member_is_new(const OpusNewMember *members, unsigned nr,
                            BlockDriverState *bs, Error **errp);

/**
 * opus_new_member_open: take hold of @bs; no other may write to it, here or
 * in another program
 *
 * On success opus_new_member_close() is needed; @data_bytes is not set.
 */
bool coroutine_fn opus_new_member_open(OpusNewMember *m, BlockDriverState *bs,
                                       Error **errp);
void coroutine_fn opus_new_member_close(OpusNewMember *m);

/**
 * opus_new_member_await: wait until a request to the member can be made
 *
 * To be called right before each. A request to a node that is drained would
 * wait where nothing can end it: a daemon that is to end drains all nodes, and
 * then waits for the jobs. Returns 0, or -ECANCELED: the job that the caller
 * belongs to is cancelled.
 */
int coroutine_fn opus_new_member_await(const OpusNewMember *m);

/* Can the array have logical blocks of this size? 0: of any. */
bool opus_new_member_check_blocks(const OpusNewMember *m, uint64_t block_bytes,
                                  Error **errp);

/* Is there anything that could be metadata? Then -EEXIST. */
int coroutine_fn opus_new_member_check_empty(const OpusNewMember *m,
                                             Error **errp);

/* Does it have a superblock? Then it is in @super. */
bool coroutine_fn opus_new_member_find_super(const OpusNewMember *m,
                                             MdSuper *super);

/**
 * opus_new_member_wipe: zero what is before the data area, and old metadata
 * @wipe_data: zero the data area, too
 *
 * In steps, see opus_new_member_await(). Flushes. Returns 0 or a negative
 * errno.
 */
int coroutine_fn opus_new_member_wipe(const OpusNewMember *m,
                                      uint64_t data_offset, bool wipe_data);

/* Would a member with this superblock be taken? If not, @errp says why. */
bool opus_new_member_can_keep(const OpusNewMember *m, const MdSuper *super,
                              Error **errp);

/* Durably. Returns 0 or a negative errno. */
int coroutine_fn opus_new_member_write_super(const OpusNewMember *m,
                                             const MdSuper *super);

#endif /* BLOCK_OPUS_RAID_MEMBERS_CANDIDATE_H */
