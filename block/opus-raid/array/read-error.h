/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read error: what one means for its member
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_READ_ERROR_H
#define BLOCK_OPUS_RAID_ARRAY_READ_ERROR_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_array_read_failed: a read failed on a member; may it stay in use?
 *
 * Fails the member when it is past its limit of errors, or at once when @err
 * tells that it is gone, when it became shorter, or when it is to fail fast.
 * A member that the array can't do without is kept. Returns 0, or -EIO when the
 * array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_array_read_failed(OpusRaid *s, unsigned slot, int err);

/* Members have taken slots: look which are write-mostly. */
void opus_note_flags(OpusRaid *s);

/* What md's flags of a member say. */
bool opus_member_is_write_mostly(const OpusMember *m);
bool opus_member_is_failfast(const OpusMember *m);

#endif /* BLOCK_OPUS_RAID_ARRAY_READ_ERROR_H */
