/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rebuild: make a member hold what its slot should hold
 *
 * Owns: how far a rebuild is, OpusRebuild.done.
 * Must not know: jobs, speed, when checkpoints are made.
 * Threads: one coroutine at a time for each slot, in any AioContext.
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
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/redundancy/rebuild.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/redundancy/window.h"
#include "block/opus-raid/trace.h"

bool opus_rebuild_is_active(const OpusRaid *s, unsigned slot)
{
    const OpusMember *m = opus_rebuild_target(s, slot);

    return m && m->state == RAID_MEMBER_REBUILDING;
}

/* A window, and the member that it is for. */
typedef struct Rebuild {
    OpusWindow window;
    OpusMember *to;
    unsigned slot;
} Rebuild;

static RaidLoc chunk_loc(OpusWindow *window, uint64_t chunk)
{
    return (RaidLoc) {
        .slot = container_of(window, Rebuild, window)->slot,
        .member_off = chunk << window->s->geom.chunk_shift,
    };
}

/* What guards a chunk of the target; false when nothing is there. */
static bool chunk_key(OpusWindow *window, uint64_t chunk, uint64_t *key)
{
    const OpusRaid *s = window->s;
    uint64_t sync_off, bytes;

    if (!opus_redundancy(s)->sync_range(s, chunk_loc(window, chunk), &sync_off,
                                        &bytes)) {
        return false;
    }
    *key = sync_off >> s->geom.chunk_shift;
    return true;
}

/*
 * Does the target lack the chunk? With the locks held, because a write there
 * sets its bits before it locks.
 */
static bool chunk_is_needed(OpusRaid *s, unsigned slot, uint64_t sync_off,
                            uint64_t bytes)
{
    return !s->rebuilds[slot].by_bitmap ||
           opus_regions(s)->names(s, sync_off / RAID_SECTOR_BYTES,
                                  DIV_ROUND_UP(sync_off + bytes,
                                               RAID_SECTOR_BYTES));
}

static int coroutine_fn GRAPH_RDLOCK rebuild_chunk(OpusWindow *window,
                                                   uint64_t chunk)
{
    OpusRaid *s = window->s;
    OpusMember *to = container_of(window, Rebuild, window)->to;
    RaidLoc loc = chunk_loc(window, chunk);
    uint64_t sync_off, bytes;

    if (to->state != RAID_MEMBER_REBUILDING || to->slot < 0) {
        return -EIO;
    }
    if (!opus_redundancy(s)->sync_range(s, loc, &sync_off, &bytes) ||
        !chunk_is_needed(s, loc.slot, sync_off, bytes)) {
        return 0;
    }
    return opus_redundancy(s)->rebuild(s, sync_off, bytes, to, loc);
}

/*
 * In order, and with the chunk locked. Once the target has failed, or the
 * member that it was to replace, what is done counts no more.
 */
static void chunk_passed(OpusWindow *window, uint64_t chunk)
{
    OpusRaid *s = window->s;
    Rebuild *r = container_of(window, Rebuild, window);

    QEMU_LOCK_GUARD(&s->state_lock);
    if (r->to->state == RAID_MEMBER_REBUILDING && r->to->slot >= 0) {
        qatomic_store_release(&s->rebuilds[r->slot].done,
                              MIN((chunk + 1) << s->geom.chunk_shift,
                                  s->geom.member_bytes));
    }
}

static const OpusWindowOps rebuild_ops = {
    .key = chunk_key,
    .work = rebuild_chunk,
    .passed = chunk_passed,
};

int coroutine_fn GRAPH_RDLOCK opus_rebuild_step(OpusRaid *s, unsigned slot,
                                                const OpusStepLimit *limit,
                                                uint64_t *bytes)
{
    OpusRebuild *rebuild = &s->rebuilds[slot];
    bool skip = rebuild->by_bitmap && raid_syncs_along_members(&s->geom) &&
                opus_rebuild_is_active(s, slot);
    uint64_t done = skip ? opus_regions(s)->skip(s,
                                                 opus_rebuild_target(s, slot),
                                                 &rebuild->done)
                         : qatomic_read(&rebuild->done);
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
        .slot = slot,
    };
    int ret;

    *bytes = 0;
    if (qatomic_read(&rebuild->replacement_failed)) {
        opus_array_drop_replacement(s, slot, "superblock write or flush",
                                    -EIO);
    }
    if (!opus_rebuild_is_active(s, slot) || s->state == RAID_ARRAY_FAILED) {
        return -EIO;
    }
    if (left == 0) {
        return 0;
    }
    r.to = opus_rebuild_target(s, slot);
    ret = opus_window_run(&r.window);
    *bytes = (r.window.next - first) << s->geom.chunk_shift;
    trace_opus_raid_rebuild(s->bs, slot, done, done + *bytes, ret);
    return opus_rebuild_is_active(s, slot) &&
           opus_rebuild_target(s, slot) == r.to ? ret : -EIO;
}

int coroutine_fn GRAPH_RDLOCK opus_rebuild_finish(OpusRaid *s, unsigned slot)
{
    const OpusConsistencyOps *log = opus_active_log(s);

    /* Once it is in sync its log counts; so writes are logged before. */
    if (log && log->start(s, RAID_BIT(slot)) &&
        opus_array_fail_member(s, slot, log->write_failed, -EIO) < 0) {
        return -EIO;
    }
    return opus_array_rebuild_finish(s, slot);
}
