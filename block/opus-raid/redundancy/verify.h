/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify: is the redundancy of a stripe right? If not, make it so
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_H
#define BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * Blocks of this size are found to be right or wrong, as with md. Each that is
 * wrong counts with its sectors once, whatever the number of members.
 */
#define OPUS_VERIFY_BLOCK_BYTES 4096

typedef enum OpusVerifyMode {
    /* Redundancy is trusted: */
    OPUS_VERIFY_CHECK,          /* only count */
    OPUS_VERIFY_REPAIR,         /* RAID6: what P and Q find to be wrong */
    /* Redundancy is not trusted: make it follow from the data. */
    OPUS_VERIFY_RESYNC,
} OpusVerifyMode;

/* What was found; one AioContext adds to it. */
typedef struct OpusVerify {
    OpusVerifyMode mode;
    uint64_t end;               /* where to stop in the last unit; 0: nowhere */
    uint64_t mismatch_sectors;
    uint64_t unrepaired_sectors;    /* of these, by a repair */
    uint64_t corrected_reads;       /* failed ones, written back */
    uint64_t unreadable_bytes;      /* not to be had from redundancy either */
} OpusVerify;

/**
 * opus_verify_unit: read all members of a stripe or all copies of a chunk,
 * and compare
 * @unit: a stripe of a parity array, or a chunk of a mirrored one
 *
 * Called with its lock held, while all members are in use; OPUS_VERIFY_RESYNC
 * of copies goes on with those that are left. What can't be read from a member
 * it gets back from the others where that is right beyond doubt.
 *
 * Returns 0, or a negative errno: a member failed, or it was to be made right
 * (OPUS_VERIFY_RESYNC), and data can't be read without it being so.
 */
int coroutine_fn GRAPH_RDLOCK opus_verify_unit(OpusRaid *s, uint64_t unit,
                                               OpusVerify *v);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_H */
