/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May lose: the members that the array can do without
 *
 * Owns: which members are condemned.
 * Must not know: why one is to go.
 * Threads: any AioContext asks; see the header for the rest.
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/may-lose.h"

/* Called with state_lock held. */
static bool can_lose(const OpusRaid *s, RaidMask missing_slots, unsigned slot)
{
    RaidMask lost_slots = missing_slots | RAID_BIT(slot);

    for (unsigned i = 0; i < s->nr_members; i++) {
        const OpusMember *m = &s->members[i];

        if (m->slot >= 0 && !opus_is_replacement(s, m) && m->condemned) {
            lost_slots |= RAID_BIT(m->slot);
        }
    }
    return raid_array_state_of(&s->geom, lost_slots,
                               s->resync_offset == MD_RESYNC_DONE,
                               s->forced) != RAID_ARRAY_FAILED;
}

bool opus_array_can_lose(OpusRaid *s, unsigned slot)
{
    QEMU_LOCK_GUARD(&s->state_lock);
    return can_lose(s, opus_missing_slots(s), slot);
}

/* When several do not answer, only as many are given up as are not needed. */
static bool may_give_up(OpusMember *m, void *opaque)
{
    OpusRaid *s = opaque;
    RaidMask missing_slots = opus_missing_slots(s);

    QEMU_LOCK_GUARD(&s->state_lock);

    if (m->condemned || missing_slots == OPUS_ALL_SLOTS) {
        return true;
    }
    /* An array can always do without a replacement. */
    if (m->slot >= 0 && !opus_is_replacement(s, m) &&
        !can_lose(s, missing_slots, m->slot)) {
        return false;
    }
    qatomic_set(&m->condemned, true);
    return true;
}

void opus_array_init_timeouts(OpusRaid *s)
{
    opus_timeouts_init(&s->timeouts, may_give_up, s);
}

void opus_array_apply_timeouts(OpusRaid *s)
{
    bool timed = s->timeouts.limit_ms && raid_has_redundancy(&s->geom);

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        m->timed_by = timed ? &s->timeouts : NULL;
        m->detour = timed || m->home_only;
    }
}
