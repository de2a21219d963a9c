/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Life: which state of its life an array is in, and whether its log is on
 *
 * util/raid/array-life has the table; this is the one place in the driver that
 * changes the state.
 */
#ifndef BLOCK_OPUS_RAID_ARRAY_LIFE_H
#define BLOCK_OPUS_RAID_ARRAY_LIFE_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * Something has happened. Called with meta_lock held, or while no other
 * can: when the array is opened, or drained in the main loop.
 */
void opus_life_event(OpusRaid *s, RaidLifeEvent event);

/* Log writes from now on, or not. As above, and no write is in flight. */
void opus_life_set_log(OpusRaid *s, RaidLogState log);

/* Any thread. */
static inline RaidLife opus_life(const OpusRaid *s)
{
    return qatomic_read(&s->life);
}

/* Do all superblocks say dirty, so that writes may go on? Any thread. */
static inline bool opus_life_is_dirty(const OpusRaid *s)
{
    return opus_life(s) == RAID_LIFE_DIRTY;
}

/* Is there a log, and is every write logged? Any thread. */
static inline bool opus_log_is_on(const OpusRaid *s)
{
    return qatomic_read(&s->log) == RAID_LOG_ON;
}

#endif /* BLOCK_OPUS_RAID_ARRAY_LIFE_H */
