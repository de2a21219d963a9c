/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pass: through an array unit by unit, in order, several under way at a time
 *
 * A unit is what one stripe lock guards, or has a lock key: a stripe, or a
 * chunk of a mirrored array or of one member of it.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H
#define BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H

#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/jobs/pace.h"

#define OPUS_PASS_MAX   16

typedef struct OpusPass OpusPass;

typedef struct OpusPassOps {
    /*
     * What guards @unit: *@key. False when nothing does, and nothing is to be
     * locked. NULL: the number of the unit.
     */
    bool (*key)(OpusPass *pass, uint64_t unit, uint64_t *key);
    /* Do one unit. Several run at the same time, in one AioContext. */
    int coroutine_fn (*work)(OpusPass *pass, uint64_t unit);
    /* All units up to @unit are done; it is still locked. */
    void (*passed)(OpusPass *pass, uint64_t unit);
} OpusPassOps;

struct OpusPass {
    const OpusPassOps *ops;
    OpusRaid *s;
    uint64_t next;              /* the first unit that was not passed */
    uint64_t end;
    unsigned max;               /* under way: 1 .. OPUS_PASS_MAX */
    OpusPace *pace;             /* or NULL: does not look at the guest */
};

/**
 * opus_pass_run: do the units from pass->next to pass->end
 *
 * A unit stays locked against writers until all before it are done: so what
 * was passed is always one range without gaps, and whoever holds a lock knows
 * on which side his unit is. Locks are taken in the order of the units; none is
 * waited for that is not above all that are held.
 *
 * Begins no more units, but at least one, once the guest is busy. Returns 0,
 * or the error of the unit at pass->next; those behind it may have been done.
 */
int coroutine_fn GRAPH_RDLOCK opus_pass_run(OpusPass *pass);

/* How many units are to be under way, for units of one chunk. */
unsigned opus_pass_width(const OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_WINDOW_H */
