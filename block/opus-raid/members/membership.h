/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership: nodes that come to an array and leave it
 *
 * All functions are for the main loop. They return false or
 * NULL with @errp set.
 */
#ifndef BLOCK_OPUS_RAID_MEMBERS_MEMBERSHIP_H
#define BLOCK_OPUS_RAID_MEMBERS_MEMBERSHIP_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_member_can_return: does the bitmap name all that a member lacks?
 * @super: its superblock
 *
 * It was of this array, its slot is missing, and it saw the last time that bits
 * were cleared. Main loop.
 */
bool opus_member_can_return(OpusRaid *s, const MdSuper *super);

/**
 * opus_member_add: make @bs a spare, which then has a reference to it
 * @force:    even if it holds data
 * @devflags: md's flags of the member: WriteMostly1, FailFast1
 */
bool opus_member_add(OpusRaid *s, BlockDriverState *bs, bool force,
                     uint8_t devflags, Error **errp);

/* The member with the node name @name; a file name, if it was given none. */
OpusMember *opus_member_find(OpusRaid *s, const char *name, Error **errp);

/* Stop using a member that the array can do without. */
bool opus_member_fail(OpusRaid *s, const char *name, Error **errp);

/* Let go of a member that is not in use; nothing is written to it. */
bool opus_member_remove(OpusRaid *s, const char *name, Error **errp);

/* What all members can do; again when one was added. Main loop. */
void opus_set_request_flags(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_MEMBERS_MEMBERSHIP_H */
