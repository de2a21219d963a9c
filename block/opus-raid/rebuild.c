/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rebuild: make a member hold what its slot should hold
 *
 * Owns: how far the rebuild is, OpusRaid.rebuild_done.
 * Must not know: jobs, speed, when checkpoints are made.
 * Threads: one coroutine at a time, in any AioContext.
 * Invariants: I9, I10.
 *
 * A step takes some chunks of the target in the order in which they lie there.
 * Each belongs to one stripe, or is a copy of one chunk of the array; writers
 * of these are locked out for the time of the step. So a writer that holds
 * its lock finds the chunk either done, and writes to the target too, or not
 * yet begun, and need not.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "array.h"
#include "bitmap.h"
#include "mirror.h"
#include "parallel.h"
#include "ppl.h"
#include "rebuild.h"
#include "stripe.h"
#include "trace.h"

/* What a step does at once: enough to keep members busy, not more. */
#define STEP_BYTES      (4 * MiB)
#define STEP_MAX_CHUNKS 16

typedef struct Step {
    OpusRaid *s;
    uint64_t first;             /* chunk of the target */
    unsigned nr;
    int rets[STEP_MAX_CHUNKS];
} Step;

bool opus_rebuild_is_active(const OpusRaid *s)
{
    return s->rebuild_slot >= 0 &&
           s->slots[s->rebuild_slot]->state == RAID_MEMBER_REBUILDING;
}

/*
 * What guards a chunk of the target: its stripe, or the chunk of the array of
 * which it is a copy. False when nothing is there.
 */
static bool chunk_key(const OpusRaid *s, uint64_t chunk, uint64_t *key)
{
    RaidLoc loc = {
        .slot = s->rebuild_slot,
        .member_off = chunk << s->geom.chunk_shift,
    };
    uint64_t array_off;

    if (raid_has_parity(&s->geom)) {
        *key = chunk;
        return true;
    }
    if (raid_unmap(&s->geom, loc, &array_off) != RAID_USE_DATA) {
        return false;
    }
    *key = array_off >> s->geom.chunk_shift;
    return true;
}

/*
 * Does the target lack the chunk? With the locks held, for who writes there
 * sets the bit before he locks.
 */
static bool chunk_is_needed(OpusRaid *s, uint64_t sync_off, uint64_t bytes)
{
    return !s->rebuild_by_bitmap ||
           opus_bitmap_names(s, sync_off / RAID_SECTOR_BYTES,
                             DIV_ROUND_UP(sync_off + bytes,
                                          RAID_SECTOR_BYTES));
}

static void coroutine_fn GRAPH_RDLOCK step_task(void *opaque, unsigned i)
{
    Step *step = opaque;
    OpusRaid *s = step->s;
    uint64_t chunk = step->first + i;
    RaidLoc loc = {
        .slot = s->rebuild_slot,
        .member_off = chunk << s->geom.chunk_shift,
    };
    uint64_t bytes = MIN(s->geom.chunk_bytes,
                         s->geom.member_bytes - loc.member_off);
    uint64_t array_off;

    step->rets[i] = 0;
    if (raid_has_parity(&s->geom)) {
        if (chunk_is_needed(s, loc.member_off, bytes)) {
            step->rets[i] = opus_stripe_rebuild(s, chunk, loc.slot);
        }
    } else if (raid_unmap(&s->geom, loc, &array_off) == RAID_USE_DATA) {
        bytes = MIN(bytes, s->geom.array_bytes - array_off);
        if (chunk_is_needed(s, array_off, bytes)) {
            step->rets[i] = opus_mirror_rebuild(s, array_off, bytes, loc);
        }
    }
}

/* Lock in ascending order, whatever the order on the target. */
static unsigned coroutine_fn lock_step(const Step *step,
                                       OpusStripeLock *locks)
{
    uint64_t keys[STEP_MAX_CHUNKS];
    unsigned nr = 0;

    for (unsigned i = 0; i < step->nr; i++) {
        uint64_t key;
        unsigned at = nr;

        if (!chunk_key(step->s, step->first + i, &key)) {
            continue;
        }
        while (at > 0 && keys[at - 1] > key) {
            keys[at] = keys[at - 1];
            at--;
        }
        keys[at] = key;
        nr++;
    }
    if (OPUS_SABOTAGED(REBUILD_UNLOCKED)) {
        return 0;
    }
    for (unsigned i = 0; i < nr; i++) {
        opus_stripe_lock(&step->s->stripe_locks, keys[i], &locks[i]);
    }
    return nr;
}

int coroutine_fn GRAPH_RDLOCK opus_rebuild_step(OpusRaid *s, uint64_t *bytes)
{
    bool skip = s->rebuild_by_bitmap && s->geom.level != RAID_LEVEL_10 &&
                opus_rebuild_is_active(s);
    uint64_t done = skip ? opus_bitmap_skip(s, &s->rebuild_done)
                         : qatomic_read(&s->rebuild_done);
    uint64_t left = s->geom.member_bytes - done;
    uint64_t chunks = DIV_ROUND_UP(left, s->geom.chunk_bytes);
    uint64_t wish = MIN(MAX(STEP_BYTES >> s->geom.chunk_shift, 1),
                        STEP_MAX_CHUNKS);
    Step step = {
        .s = s,
        .first = done >> s->geom.chunk_shift,
        .nr = MIN(chunks, wish),
    };
    OpusStripeLock locks[STEP_MAX_CHUNKS];
    unsigned nr_locks;
    int ret = 0;

    *bytes = 0;
    if (!opus_rebuild_is_active(s) || s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (left == 0) {
        return 0;
    }
    *bytes = MIN(left, (uint64_t)step.nr << s->geom.chunk_shift);

    nr_locks = lock_step(&step, locks);
    opus_parallel(step_task, &step, step.nr, step.nr);
    for (unsigned i = 0; i < step.nr && ret == 0; i++) {
        ret = step.rets[i];
        if (ret < 0) {
            *bytes = (uint64_t)i << s->geom.chunk_shift;
        }
    }
    trace_opus_raid_rebuild(s->bs, s->rebuild_slot, done, done + *bytes, ret);
    if (opus_rebuild_is_active(s)) {
        qatomic_store_release(&s->rebuild_done, done + *bytes);
    } else {
        ret = -EIO;
    }
    for (unsigned i = 0; i < nr_locks; i++) {
        opus_stripe_unlock(&s->stripe_locks, &locks[i]);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_rebuild_finish(OpusRaid *s)
{
    unsigned slot = s->rebuild_slot;

    /* Once it is in sync its log counts; so writes are logged before. */
    if (opus_ppl_is_active(s) && opus_ppl_start(s, RAID_BIT(slot)) &&
        opus_array_fail_member(s, slot, "log write", -EIO) < 0) {
        return -EIO;
    }
    return opus_array_rebuild_finish(s);
}
