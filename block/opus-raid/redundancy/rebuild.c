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
 * of these are locked out until all chunks before it are done, too. So a writer
 * that holds its lock finds the chunk either done, and writes to the target
 * too, or not yet begun, and need not.
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/redundancy/mirror/mirror.h"
#include "block/opus-raid/redundancy/parity/stripe.h"
#include "block/opus-raid/redundancy/rebuild.h"
#include "block/opus-raid/redundancy/window.h"
#include "block/opus-raid/trace.h"

bool opus_rebuild_is_active(const OpusRaid *s)
{
    return s->rebuild_slot >= 0 &&
           opus_rebuild_target(s)->state == RAID_MEMBER_REBUILDING;
}

/*
 * What guards a chunk of the target: its stripe, or the chunk of the array of
 * which it is a copy. False when nothing is there.
 */
static bool chunk_key(OpusWindow *window, uint64_t chunk, uint64_t *key)
{
    const OpusRaid *s = window->s;
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

/* A window, and the member that it is for. */
typedef struct Rebuild {
    OpusWindow window;
    OpusMember *to;
} Rebuild;

static int coroutine_fn GRAPH_RDLOCK rebuild_chunk(OpusWindow *window,
                                                   uint64_t chunk)
{
    OpusRaid *s = window->s;
    OpusMember *to = container_of(window, Rebuild, window)->to;
    RaidLoc loc = {
        .slot = s->rebuild_slot,
        .member_off = chunk << s->geom.chunk_shift,
    };
    uint64_t bytes = MIN(s->geom.chunk_bytes,
                         s->geom.member_bytes - loc.member_off);
    uint64_t array_off;

    if (to->state != RAID_MEMBER_REBUILDING || to->slot < 0) {
        return -EIO;
    }
    if (raid_has_parity(&s->geom)) {
        return chunk_is_needed(s, loc.member_off, bytes)
               ? opus_stripe_rebuild(s, chunk, to) : 0;
    }
    if (raid_unmap(&s->geom, loc, &array_off) != RAID_USE_DATA) {
        return 0;
    }
    bytes = MIN(bytes, s->geom.array_bytes - array_off);
    return chunk_is_needed(s, array_off, bytes)
           ? opus_mirror_rebuild(s, array_off, bytes, to,
                                 loc.member_off) : 0;
}

/*
 * In order, and with the chunk locked. Once the target has failed, or the
 * member that it was to replace, what is done counts no more.
 */
static void chunk_passed(OpusWindow *window, uint64_t chunk)
{
    OpusRaid *s = window->s;
    OpusMember *to = container_of(window, Rebuild, window)->to;

    QEMU_LOCK_GUARD(&s->state_lock);
    if (to->state == RAID_MEMBER_REBUILDING && to->slot >= 0) {
        qatomic_store_release(&s->rebuild_done,
                              MIN((chunk + 1) << s->geom.chunk_shift,
                                  s->geom.member_bytes));
    }
}

static const OpusWindowOps rebuild_ops = {
    .key = chunk_key,
    .work = rebuild_chunk,
    .passed = chunk_passed,
};

int coroutine_fn GRAPH_RDLOCK opus_rebuild_step(OpusRaid *s,
                                                const OpusStepLimit *limit,
                                                uint64_t *bytes)
{
    bool skip = s->rebuild_by_bitmap && s->geom.level != RAID_LEVEL_10 &&
                opus_rebuild_is_active(s);
    uint64_t done = skip ? opus_bitmap_skip(s, opus_rebuild_target(s),
                                            &s->rebuild_done)
                         : qatomic_read(&s->rebuild_done);
    uint64_t left = s->geom.member_bytes - done;
    uint64_t first = done >> s->geom.chunk_shift;
    Rebuild r = {
        .window = {
            .ops = &rebuild_ops,
            .s = s,
            .next = first,
            .end = first + DIV_ROUND_UP(MIN(left, limit->bytes),
                                        s->geom.chunk_bytes),
            .max = opus_window_width(s),
            .limit = limit,
        },
    };
    int ret;

    *bytes = 0;
    if (qatomic_read(&s->replacement_failed)) {
        opus_array_drop_replacement(s, "superblock write or flush", -EIO);
    }
    if (!opus_rebuild_is_active(s) || s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (left == 0) {
        return 0;
    }
    r.to = opus_rebuild_target(s);
    ret = opus_window_run(&r.window);
    *bytes = (r.window.next - first) << s->geom.chunk_shift;
    trace_opus_raid_rebuild(s->bs, s->rebuild_slot, done, done + *bytes, ret);
    return opus_rebuild_is_active(s) && opus_rebuild_target(s) == r.to ? ret
                                                                       : -EIO;
}

int coroutine_fn GRAPH_RDLOCK opus_rebuild_finish(OpusRaid *s)
{
    unsigned slot = s->rebuild_slot;

    /* Once it is in sync its log counts; so writes are logged before. */
    if (opus_ppl_is_active(s) && opus_ppl_start(s, RAID_BIT(slot)) &&
        opus_array_fail_member(s, slot, "log write", -EIO) < 0) {
        return -EIO;
    }
    if (opus_journal_is_active(s) && opus_journal_start(s, RAID_BIT(slot)) &&
        opus_array_fail_member(s, slot, "journal write", -EIO) < 0) {
        return -EIO;
    }
    return opus_array_rebuild_finish(s);
}
