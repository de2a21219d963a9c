/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array idle: what is recorded while nothing is written
 *
 * Owns: how an array becomes clean, when bits of the bitmap are cleared.
 * Must not know: what a superblock or a bitmap looks like.
 * Threads: any, but for the timer, which is the main loop's.
 * Invariants: I3, I4. array.c explains how writes and the idle check meet.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/array-private.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/base/sabotage.h"
#include "block/opus-raid/trace.h"

/* md's safe_mode_delay is 200 ms by default; no need to differ. */
#define IDLE_CHECK_MS   200

void opus_array_arm_idle(OpusRaid *s)
{
    if (s->idle.timer) {
        timer_mod(s->idle.timer,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + IDLE_CHECK_MS);
    }
}

/* Called with meta_lock held. */
static int coroutine_fn GRAPH_RDLOCK mark_clean_locked(OpusRaid *s)
{
    int ret;

    opus_assert_meta_locked(s);
    opus_life_event(s, RAID_LIFE_EVENT_QUIET);
    /* Pairs with the one in the increment in opus_array_write_begin(). */
    smp_mb();
    if (qatomic_read(&s->idle.active_writes)) {
        opus_life_event(s, RAID_LIFE_EVENT_BUSY);
        return 0;
    }

    /*
     * A member that can't be flushed may have lost writes, and a later flush
     * of it may well succeed: it must not be used any more.
     */
    if (opus_array_flush_for_super(s) < 0) {
        if (s->state == RAID_ARRAY_FAILED) {
            return -EIO;
        }
        opus_life_event(s, RAID_LIFE_EVENT_BUSY);
        return 0;
    }

    opus_life_event(s, RAID_LIFE_EVENT_FLUSHED);
    ret = opus_array_update(s, 0, NULL, 0);
    if (ret == 0) {
        opus_life_event(s, RAID_LIFE_EVENT_CLEANED);
    }
    trace_opus_raid_dirty(s->bs, false, s->events, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_array_mark_clean(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);

    return opus_life_is_dirty(s) ? mark_clean_locked(s) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_array_sweep(OpusRaid *s)
{
    const OpusConsistencyOps *regions;
    OPUS_UNINITIALIZED OpusFlush f;
    RaidMask failed_slots = 0;
    RaidMask slots;
    bool degraded;

    QEMU_LOCK_GUARD(&s->meta_lock);
    regions = opus_regions(s);
    if (!regions || !raid_life_is_writable(s->life) ||
        !opus_is_writable(s->bs)) {
        return 0;
    }
    slots = opus_array_active_slots(s);
    degraded = opus_array_lost_slots(s);
    if (regions->sweep_begin(s, degraded) &&
        !OPUS_SABOTAGED(INTENT_CLEARED_EARLY)) {
        opus_array_flush_all(s, &f);
        for (unsigned i = 0; i < f.nr; i++) {
            if (f.rets[i] < 0) {
                failed_slots |= RAID_BIT(f.slots[i]);
            }
        }
    }
    if (failed_slots) {
        /* What they could not flush they may have lost: they need the bits. */
        if (!OPUS_SABOTAGED(SWEEP_MARKS_STAY)) {
            regions->sweep_abort(s);
        }
    } else {
        failed_slots = regions->sweep_end(s, slots, degraded);
    }
    return failed_slots ? opus_array_update(s, failed_slots, "flush or bitmap "
                                            "write", -EIO) : 0;
}

static bool sweeps_help(OpusRaid *s)
{
    const OpusConsistencyOps *regions = opus_regions(s);

    return regions && !opus_missing_slots(s) && regions->has_marks(s);
}

static void coroutine_fn idle_check_co(void *opaque)
{
    OpusRaid *s = opaque;
    const OpusConsistencyOps *regions = opus_regions(s);
    BlockDriverState *bs = s->bs;
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    WITH_GRAPH_RDLOCK_GUARD() {
        if (regions && now >= s->idle.next_sweep_ms) {
            opus_array_sweep(s);
            s->idle.next_sweep_ms = now + regions->sweep_interval_ms(s);
        }
        if (s->idle.is_idle) {
            opus_array_mark_clean(s);
        }
    }
    /* A failed array stays as it is. */
    if (!opus_array_has_failed(s) &&
        (opus_life_is_dirty(s) || sweeps_help(s))) {
        opus_array_arm_idle(s);
    }
    bdrv_dec_in_flight(bs);
}

static void idle_timer_cb(void *opaque)
{
    OpusRaid *s = opaque;

    if (!opus_life_is_dirty(s) && !sweeps_help(s)) {
        return;
    }

    /* First count, then look: a drain does it the other way round. */
    bdrv_inc_in_flight(s->bs);
    s->idle.is_idle = !qatomic_xchg(&s->idle.wrote, false) &&
              !qatomic_read(&s->idle.active_writes);
    if ((!s->idle.is_idle && !opus_regions(s)) ||
        qatomic_read(&s->bs->quiesce_counter)) {
        opus_array_arm_idle(s);
        bdrv_dec_in_flight(s->bs);
        return;
    }
    qemu_coroutine_enter(qemu_coroutine_create(idle_check_co, s));
}

void opus_array_idle_start(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    s->idle.timer = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME,
                                  SCALE_MS, idle_timer_cb, s);
    if (opus_regions(s) && opus_is_writable(s->bs)) {
        opus_array_arm_idle(s);
    }
}

void opus_array_idle_stop(OpusRaid *s)
{
    GLOBAL_STATE_CODE();
    timer_free(s->idle.timer);
    s->idle.timer = NULL;
}
