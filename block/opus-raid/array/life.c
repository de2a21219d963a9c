/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Life: which state of its life an array is in, and whether its log is on
 *
 * Owns: OpusRaid.life and OpusRaid.log.
 * Must not know: why something happens, how superblocks and logs are written.
 * Threads: see life.h.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/trace.h"

void opus_life_event(OpusRaid *s, RaidLifeEvent event)
{
    RaidLife life = s->life;

    raid_life_change(&life, event);
    trace_opus_raid_life(s->bs, raid_life_name(s->life),
                         raid_life_event_name(event), raid_life_name(life));
    qatomic_set(&s->life, life);
    if (life == RAID_LIFE_AT_REST) {
        opus_life_set_log(s, RAID_LOG_OLD);
    }
}

void opus_life_set_log(OpusRaid *s, RaidLogState log)
{
    qatomic_set(&s->log, log);
}
