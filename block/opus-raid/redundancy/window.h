/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Window: through an array unit by unit, in order, several under way at a time
 *
 * A unit is what one stripe lock guards, or has a lock key: a stripe, or a
 * chunk of a mirrored array or of one member of it.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H
#define BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H

#include "block/opus-raid/array/opus-raid.h"

#define OPUS_WINDOW_MAX   16

typedef struct OpusWindow OpusWindow;

/* How much a job may do in one step. */
typedef struct OpusStepLimit {
    uint64_t bytes;             /* may be rounded up to one unit */
    /* May another unit begin? Asked after the first. NULL: yes. */
    bool (*go_on)(void *opaque);
    void *opaque;
} OpusStepLimit;

typedef struct OpusWindowOps {
    /*
     * What guards @unit: *@key. False when nothing does, and nothing is to be
     * locked. NULL: the number of the unit.
     */
    bool (*key)(OpusWindow *window, uint64_t unit, uint64_t *key);
    /* Do one unit. Several run at the same time, in one AioContext. */
    int coroutine_fn (*work)(OpusWindow *window, uint64_t unit);
    /* All units up to @unit are done; it is still locked. */
    void (*passed)(OpusWindow *window, uint64_t unit);
} OpusWindowOps;

struct OpusWindow {
    const OpusWindowOps *ops;
    OpusRaid *s;
    uint64_t next;              /* the first unit that was not passed */
    uint64_t end;
    unsigned max;               /* under way: 1 .. OPUS_WINDOW_MAX */
    const OpusStepLimit *limit; /* whether to go on; bytes are in @end */
};

/**
 * opus_window_run: do the units from window->next to window->end
 *
 * A unit stays locked against writers until all before it are done: so what
 * was passed is always one range without gaps, and the holder of a lock knows
 * on which side its unit is. Locks are taken in the order of the units; none is
 * waited for that is not above all that are held.
 *
 * Begins one unit, and more as long as the limit says so. Returns 0,
 * or the error of the unit at window->next; those behind it may have been done.
 */
int coroutine_fn GRAPH_RDLOCK opus_window_run(OpusWindow *window);

/* How many units are to be under way, for units of one chunk. */
unsigned opus_window_width(const OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H */
