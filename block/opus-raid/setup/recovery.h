/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery: what bitmaps and logs say of an array that is being assembled
 */
#ifndef BLOCK_OPUS_RAID_SETUP_RECOVERY_H
#define BLOCK_OPUS_RAID_SETUP_RECOVERY_H

#include "block/opus-raid/array/opus-raid.h"
#include "util/raid/recover.h"

/**
 * opus_recover: the last verdict on an array
 * @a:      the assembly; not refused, or with a refusal that
 *          raid_recover_decides()
 * @plan:   filled when 0 is returned or @a is refused
 * @kept:   what the array keeps, or NULL; the caller frees it
 *
 * Reads what members in sync keep besides their superblocks, and writes
 * nothing. Returns 0, or -EINVAL with a->refusal, or another negative errno
 * with @errp set.
 */
int coroutine_fn GRAPH_RDLOCK
opus_recover(OpusRaid *s, bool read_only, RaidAssembly *a,
             RaidRecoverPlan *plan, OpusConsistency **kept, Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_RECOVERY_H */
