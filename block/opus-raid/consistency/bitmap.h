/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmap: the write-intent bitmap of a running array, and its copies on the
 * members
 *
 * Functions that write return the slots whose member did not take it; what is
 * written to the others is durable then. The caller fails those members.
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_H
#define BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_H

#include "block/opus-raid/array/consistency.h"
#include "util/raid/md-bitmap.h"

/* No array keeps more: they cost 5 bytes of memory each. */
#define OPUS_BITMAP_MAX_BITS    (UINT64_C(1) << 26)

typedef struct OpusBitmap {
    OpusConsistency common;
    QemuMutex lock;             /* never held while waiting */
    MdBitmap bits;              /* under lock */
    void *memory;               /* of bits */
    CoQueue waiters;            /* for a block on its way; under lock */
    uint64_t nr_writes;         /* that have started; under lock */
    bool held;                  /* none may start; under lock */
} OpusBitmap;

extern const OpusConsistencyOps opus_bitmap_ops;

/* That of an array which has one. */
static inline OpusBitmap *opus_bitmap(const OpusRaid *s)
{
    assert(s->consistency->ops == &opus_bitmap_ops);
    return container_of(s->consistency, OpusBitmap, common);
}

/* An empty bitmap; see md_bitmap_init(). NULL when there is no memory. */
OpusBitmap *opus_bitmap_new(const MdBitmapSuper *super, uint64_t sync_sectors);

/**
 * opus_bitmap_hold: let no write start, and wait for those that have
 *
 * Not with meta_lock held: a write that has started may need it to end.
 */
void coroutine_fn opus_bitmap_hold(OpusRaid *s);
void coroutine_fn opus_bitmap_release(OpusRaid *s);

/* All of it, e.g. to a member that is about to be in sync. */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_write_all(OpusRaid *s, RaidMask slots);

/*
 * Its numbers for users: bits, and bits set. False when the array has no
 * bitmap.
 */
bool opus_bitmap_counts(const OpusRaid *s, uint64_t *chunk_bytes,
                        uint64_t *nr_bits, uint64_t *nr_set);

/**
 * opus_bitmap_write_new: write the bitmap of a new member
 * @off: where it lies on @blk
 * @all: name all of the array, as mdadm does where it is to be resynced
 *
 * Returns 0 or a negative errno.
 */
int coroutine_fn opus_bitmap_write_new(BlockBackend *blk, int64_t off,
                                       const MdBitmapSuper *super, bool all);

/**
 * opus_bitmap_cover: cover another length of the array from now on
 * @geom: of the length; it is not empty
 *
 * Writes are held meanwhile. When it returns 0, all members in use have the new
 * bitmap durably; one that did not take it has failed. Cut before that, what is
 * there can be read by a reader that expects the length that it had, and by one
 * that expects the new one if that is shorter. Bits stand for more than before
 * where there is no room for as many as it would take.
 *
 * Returns a negative errno with @errp set, and the bitmap as it was, or when
 * the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_bitmap_cover(OpusRaid *s, const RaidGeometry *geom, Error **errp);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_H */
