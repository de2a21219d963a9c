/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May lose: the members that the array can do without
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_MAY_LOSE_H
#define BLOCK_OPUS_RAID_ARRAY_MAY_LOSE_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * Would all data be there, and be right, without @slot too? Condemned members
 * are as good as lost. Any thread.
 */
bool opus_array_can_lose(OpusRaid *s, unsigned slot);

/*
 * Set up s->timeouts, which give up only those members; opus_timeouts_destroy()
 * ends it.
 */
void opus_array_init_timeouts(OpusRaid *s);

/*
 * Members or the limit have changed: each member learns which way its requests
 * go. Main loop, while the array is drained or not yet open.
 */
void opus_array_apply_timeouts(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_ARRAY_MAY_LOSE_H */
