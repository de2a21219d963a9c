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
 * @bitmap: the array's bitmap, or NULL when it keeps none; the caller frees it
 * @ppl:    likewise its partial parity logs
 * @journal: likewise its stripe journal
 *
 * Reads what members in sync keep besides their superblocks, and writes
 * nothing. Returns 0, or -EINVAL with a->refusal, or another negative errno
 * with @errp set.
 */
int coroutine_fn GRAPH_RDLOCK
opus_recover(OpusRaid *s, bool read_only, RaidAssembly *a,
             RaidRecoverPlan *plan, OpusBitmap **bitmap, OpusPpl **ppl,
             OpusJournal **journal, Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_RECOVERY_H */
