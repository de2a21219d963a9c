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

#include "block/opus-raid/array/opus-raid.h"
#include "util/raid/md-bitmap.h"

/* No array keeps more: they cost 5 bytes of memory each. */
#define OPUS_BITMAP_MAX_BITS    (UINT64_C(1) << 26)

struct OpusBitmap {
    QemuMutex lock;             /* never held while waiting */
    MdBitmap bits;              /* under lock */
    void *memory;               /* of bits */
    CoQueue waiters;            /* for a block on its way; under lock */
    uint64_t nr_writes;         /* that have started; under lock */
    bool held;                  /* none may start; under lock */
    int64_t next_sweep_ms;      /* main loop only */
};

/* An empty bitmap; see md_bitmap_init(). NULL when there is no memory. */
OpusBitmap *opus_bitmap_new(const MdBitmapSuper *super, uint64_t sync_sectors);

/* NULL is fine. Nobody uses it any more. */
void opus_bitmap_free(OpusBitmap *b);

/**
 * opus_bitmap_hold: let no write start, and wait for those that have
 *
 * Not with meta_lock held: a write that has started may need it to end.
 */
void coroutine_fn opus_bitmap_hold(OpusRaid *s);
void coroutine_fn opus_bitmap_release(OpusRaid *s);

/**
 * opus_bitmap_start_write: a write to @bytes at @array_off is about to begin
 *
 * Waits while writes are held.
 * Returns true when its bits are durable; otherwise opus_bitmap_await() is
 * needed before any data is written. Needs an opus_bitmap_end_write() in any
 * case.
 */
bool coroutine_fn
opus_bitmap_start_write(OpusRaid *s, uint64_t array_off, uint64_t bytes);

/**
 * opus_bitmap_await: write what is needed until the bits of a write are durable
 * @failed_slots: set when false is returned
 *
 * Returns true when they are. Returns false when members failed: fail them,
 * and call again; with no slot in @failed_slots the array has failed.
 */
bool coroutine_fn GRAPH_RDLOCK
opus_bitmap_await(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                  RaidMask *failed_slots);

/* @redundant: see md_bitmap_end_write() */
void coroutine_fn
opus_bitmap_end_write(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                      bool redundant);

/**
 * opus_bitmap_write_events: superblocks with this event count come next
 *
 * Without it a bitmap would be taken for out of date. Called with meta_lock
 * held.
 */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_write_events(OpusRaid *s, RaidMask slots, uint64_t events);

/* Blocks that changed since they were last written, to members of @slots. */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_write_changes(OpusRaid *s, RaidMask slots);

/* All of it, e.g. to a member that is about to be in sync. */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_write_all(OpusRaid *s, RaidMask slots);

/**
 * opus_bitmap_sweep_begin: look for bits that are no longer needed
 * @degraded: a member is missing or not rebuilt yet
 *
 * Returns whether there are any. Then: flush all members, and
 * opus_bitmap_sweep_end(). Called with meta_lock held.
 */
bool opus_bitmap_sweep_begin(OpusRaid *s, bool degraded);

/* All members of @slots were flushed meanwhile. Clears none if @degraded. */
RaidMask coroutine_fn GRAPH_RDLOCK
opus_bitmap_sweep_end(OpusRaid *s, RaidMask slots, bool degraded);

/* Instead, when a member could not be flushed: it may lack what they name. */
void opus_bitmap_sweep_abort(OpusRaid *s);

/**
 * opus_bitmap_next_needed: the next range that must be resynced
 * @from:        bytes of what the bits cover
 * @start, @end: bytes; whole sectors, from <= start < end
 */
bool opus_bitmap_next_needed(OpusRaid *s, uint64_t from, uint64_t *start,
                             uint64_t *end);

/* Redundancy is right, durably, before @end bytes of what the bits cover. */
void opus_bitmap_resynced(OpusRaid *s, uint64_t end);

/* Is a bit set in this range of what the bits cover? start < end, sectors. */
bool opus_bitmap_names(OpusRaid *s, uint64_t start, uint64_t end);

/**
 * opus_bitmap_skip: go on to the next bit that is set
 *
 * For arrays whose bits cover the members' data areas. Moves @watermark from
 * where it is to there, in member bytes: a write that finds it where it was
 * had its bit set before, so that it was not skipped. Returns the new place.
 * The mark of a target that has failed stays.
 */
uint64_t opus_bitmap_skip(OpusRaid *s, const OpusMember *target,
                          uint64_t *watermark);

/* Time from one sweep to the next. */
static inline int64_t opus_bitmap_sleep_ms(const OpusRaid *s)
{
    return s->bitmap->bits.super.daemon_sleep_seconds * INT64_C(1000);
}

/* Is there a bit that sweeps may clear some time? Any thread. */
bool opus_bitmap_has_bits(OpusRaid *s);

/* The array as a whole, or its numbers for users: bits, and bits set. */
void opus_bitmap_counts(OpusRaid *s, uint64_t *chunk_bytes, uint64_t *nr_bits,
                        uint64_t *nr_set);

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
 * opus_bitmap_covers: does the bitmap name all that a member lacks which left?
 * @a: geometry, events and missing slots of the array; members have states
 */
bool opus_bitmap_covers(OpusRaid *s, const RaidAssembly *a,
                        const MdSuper *super);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_BITMAP_H */
