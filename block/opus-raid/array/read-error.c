/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read error: what one means for its member
 *
 * Owns: when a member has had enough of them; md's flags of a member.
 * Must not know: where the data comes from instead.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/timer.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/lengths.h"
#include "block/opus-raid/array/read-error.h"

bool opus_member_is_write_mostly(const OpusMember *m)
{
    return m->super.devflags & WriteMostly1;
}

bool opus_member_is_failfast(const OpusMember *m)
{
    return m->super.devflags & FailFast1;
}

void opus_note_flags(OpusRaid *s)
{
    RaidMask slots = 0;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        if (s->slots[slot] && opus_member_is_write_mostly(s->slots[slot])) {
            slots |= RAID_BIT(slot);
        }
    }
    qatomic_set(&s->write_mostly_slots, slots);
}

/*
 * The device, or the way to it, is no more: there is no point in trying again,
 * nor in writing back what could not be read.
 */
static bool is_gone(int err)
{
    return err == -ENODEV || err == -ENXIO || err == -ENOMEDIUM ||
           err == -ETIMEDOUT || err == -ESHUTDOWN;
}

/* Those of long ago count for little: see raid_errors_left(). */
static uint64_t recent_errors(OpusRaid *s, OpusMember *m)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    uint64_t all = qatomic_read(&m->read_errors);

    QEMU_LOCK_GUARD(&s->state_lock);
    m->recent_errors = raid_errors_left(m->recent_errors,
                                        now - m->last_error_ms) +
                       (all - m->errors_counted);
    m->errors_counted = all;
    m->last_error_ms = now;
    return m->recent_errors;
}

int coroutine_fn GRAPH_RDLOCK
opus_array_read_failed(OpusRaid *s, unsigned slot, int err)
{
    OpusMember *m = s->slots[slot];
    const char *reason = "too many read errors";

    if (is_gone(err)) {
        reason = "read";
    } else if (opus_member_is_short(s, m)) {
        /* To write back what is missing would make a hole of the rest. */
        reason = OPUS_SHORTER;
    } else if (raid_has_mirrors(&s->geom) && opus_member_is_failfast(m)) {
        /* As md has it, for mirrors only. */
        reason = "read (failfast)";
    } else if (recent_errors(s, m) <= s->options.read_error_limit) {
        return 0;
    }
    /* What is gone with the member can't be had from elsewhere: keep it. */
    return opus_array_fail_spare_member(s, slot, reason, err);
}
