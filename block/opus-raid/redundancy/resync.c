/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resync: make redundancy right where it is not known to be
 *
 * Owns: how far a resync is, OpusRaid.resync_done; what it does next.
 * Must not know: jobs, what superblocks look like.
 * Threads: one coroutine at a time, in any AioContext.
 * Invariants: I10.
 *
 * What was passed stays right: writers keep redundancy right wherever it is,
 * and the holder of a unit's lock knows on which side of resync_done it is.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/redundancy/resync.h"
#include "block/opus-raid/redundancy/window.h"
#include "block/opus-raid/trace.h"

bool opus_resync_next(OpusRaid *s, uint64_t from, uint64_t *start,
                      uint64_t *end)
{
    const OpusConsistencyOps *regions = opus_regions(s);
    uint64_t all = raid_sync_bytes(&s->geom);

    *start = from;
    *end = all;
    if (regions && from < all) {
        if (!regions->next_needed(s, from, start, end)) {
            return false;
        }
        *start = MAX(from, QEMU_ALIGN_DOWN(*start, s->geom.chunk_bytes));
        *end = MIN(all, QEMU_ALIGN_UP(*end, s->geom.chunk_bytes));
    }
    return *start < *end;
}

typedef struct ResyncWindow {
    OpusWindow window;
    OpusVerify *v;
} ResyncWindow;

static int coroutine_fn GRAPH_RDLOCK resync_unit(OpusWindow *window,
                                                 uint64_t unit)
{
    ResyncWindow *r = container_of(window, ResyncWindow, window);

    return opus_verify_unit(window->s, unit, r->v);
}

/* In order, and with the unit locked. */
static void unit_passed(OpusWindow *window, uint64_t unit)
{
    OpusRaid *s = window->s;

    qatomic_store_release(&s->resync_done,
                          MIN((unit + 1) << s->geom.chunk_shift,
                              raid_sync_bytes(&s->geom)));
}

static const OpusWindowOps resync_ops = {
    .work = resync_unit,
    .passed = unit_passed,
};

int coroutine_fn GRAPH_RDLOCK opus_resync_step(OpusRaid *s,
                                               const OpusStepLimit *limit,
                                               OpusVerify *v, uint64_t *bytes)
{
    uint64_t before = qatomic_read(&s->resync_done);
    uint64_t start;
    uint64_t end;
    ResyncWindow r;
    int ret;

    *bytes = 0;
    if (!opus_can_resync(s)) {
        return -EIO;
    }
    if (opus_redundancy(s)->is_always_right(s) ||
        !opus_resync_next(s, before, &start, &end)) {
        return 0;
    }
    /* What is left out is right: writes there need not know. */
    qatomic_store_release(&s->resync_done, start);
    end = MIN(end, start + limit->bytes);
    r = (ResyncWindow) {
        .window = {
            .ops = &resync_ops,
            .s = s,
            .next = start >> s->geom.chunk_shift,
            .end = DIV_ROUND_UP(end, s->geom.chunk_bytes),
            .max = opus_window_width(s),
            .limit = limit,
        },
        .v = v,
    };
    ret = opus_window_run(&r.window);
    *bytes = (r.window.next << s->geom.chunk_shift) - start;
    trace_opus_raid_resync(s->bs, before, before + *bytes,
                           v->mismatch_sectors, ret);
    return ret;
}
