/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zeroes: write-zeroes and discard
 *
 * Owns: the shortcut that zero data has zero parity.
 * Must not know: how members make zeroes.
 * Threads: any; whole runs of stripes are locked, in ascending order.
 *
 * Discarded blocks may read as anything, and as something else on the next
 * read, so on an array with redundancy a discard is a write of zeroes that
 * may unmap: parity is then right whatever the members do with it. Only whole
 * stripes take the shortcut; the block layer writes the fragments of a
 * write-zeroes request as data, and drops those of a discard.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/consistency/announce.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/io/requests.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/mirror/mirror.h"
#include "block/opus-raid/redundancy/no-room.h"
#include "block/opus-raid/trace.h"

/* Stripes that are locked and zeroed together. */
#define ZERO_BATCH  128

typedef struct ZeroRun {
    OpusRaid *s;
    uint64_t member_off;
    uint64_t bytes;             /* on each member */
    BdrvRequestFlags flags;
    bool discard;
    unsigned nr;
    OpusMember *members[RAID_MAX_MEMBERS + 1];      /* a replacement, too */
    int rets[RAID_MAX_MEMBERS + 1];
} ZeroRun;

static void coroutine_fn GRAPH_RDLOCK zero_task(void *opaque, unsigned i)
{
    ZeroRun *run = opaque;
    OpusMember *m = run->members[i];
    int64_t off = opus_member_data(m, run->member_off);

    if (run->discard) {
        run->rets[i] = opus_member_pdiscard(m, off, run->bytes);
    } else {
        run->rets[i] = opus_member_pwrite_zeroes(m, off, run->bytes,
                                                 run->flags);
    }
}

/*
 * The same range of all members in use; all errors are in run->rets. Where a
 * rebuild has passed only the first of the stripes, zeroes do no harm behind
 * it: it has not been there.
 */
static void coroutine_fn GRAPH_RDLOCK run_zero(OpusRaid *s, ZeroRun *run)
{
    RaidMask use = raid_mask_first(s->geom.nr_slots) &
                   ~opus_missing_at(s, run->member_off);
    OpusMember *replacement = opus_replacement_at(s, run->member_off);

    run->s = s;
    run->nr = 0;
    RAID_MASK_FOREACH(slot, use) {
        run->members[run->nr++] = s->slots[slot];
    }
    if (replacement && run->nr) {
        run->members[run->nr++] = replacement;
    }
    if (run->nr) {
        opus_parallel(zero_task, run, run->nr, run->nr);
    }
}

/* Not all is zeroed. Returns 0 when it is enough that members have failed. */
static int coroutine_fn GRAPH_RDLOCK zeroes_failed(const ZeroRun *run,
                                                   uint64_t stripe,
                                                   unsigned nr)
{
    OpusRefusal refusal = { 0 };
    int ret = 0;

    for (unsigned i = 0; i < run->nr; i++) {
        opus_refusal_note(run->s, &refusal, run->members[i], run->rets[i]);
    }
    for (unsigned i = 0; i < nr; i++) {
        ret = opus_refusal_settle(run->s, stripe + i, &refusal);
        if (ret == 0) {
            break;              /* nor is it one of the others */
        }
    }
    for (unsigned i = 0; i < run->nr && ret == 0; i++) {
        if (run->rets[i] < 0 &&
            opus_array_write_failed(run->s, run->members[i], "write zeroes",
                                    run->rets[i]) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

/* Zero a few whole stripes of a parity array. */
static int coroutine_fn GRAPH_RDLOCK
zero_batch(OpusRaid *s, uint64_t stripe, unsigned nr, BdrvRequestFlags flags)
{
    OPUS_UNINITIALIZED OpusStripeLock locks[ZERO_BATCH];
    OPUS_UNINITIALIZED ZeroRun run;
    OpusPplRequest ppl = { .nr = 0 };
    OPUS_UNINITIALIZED OpusJournalRequest journal;
    int ret = 0;

    for (unsigned i = 0; i < nr; i++) {
        opus_stripe_lock_next(&s->stripe_locks, stripe + i, &locks[i],
                              i ? &locks[i - 1] : NULL);
    }
    if (nr == 1 && opus_ppl_is_active(s)) {
        ret = opus_ppl_log_stripe(s, &ppl, stripe);
    }
    journal.nr = 0;
    if (opus_journal_is_active(s)) {
        ret = opus_journal_log_zeroes(s, &journal, stripe, nr);
    }
    trace_opus_raid_zero(s->bs, stripe, nr, flags);
    run.member_off = raid_stripe_member_off(&s->geom, stripe);
    run.bytes = (uint64_t)nr << s->geom.chunk_shift;
    run.flags = flags;
    run.discard = false;
    run.nr = 0;
    if (ret == 0) {
        run_zero(s, &run);
    }
    if (!run.nr) {
        ret = -EIO;
    }
    for (unsigned i = 0; i < run.nr; i++) {
        if (run.rets[i] < 0) {
            ret = zeroes_failed(&run, stripe, nr);
            break;
        }
    }
    opus_ppl_done(s, &ppl);
    if (journal.nr) {
        opus_journal_done(s, &journal);
    }
    for (unsigned i = 0; i < nr; i++) {
        opus_stripe_unlock(&s->stripe_locks, &locks[i]);
        opus_count(&s->stats, OPUS_COUNT_ZEROED);
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
zero_stripes(OpusRaid *s, uint64_t offset, uint64_t bytes,
             BdrvRequestFlags flags)
{
    uint64_t stripe_bytes = raid_stripe_bytes(&s->geom);
    uint64_t stripe = offset / stripe_bytes;
    uint64_t end = stripe + bytes / stripe_bytes;
    int ret = 0;

    while (stripe < end && ret == 0) {
        /* A log takes stripes one by one. */
        unsigned nr = opus_ppl_is_active(s) ? 1
                                            : MIN(end - stripe, ZERO_BATCH);

        ret = zero_batch(s, stripe, nr, flags);
        stripe += nr;
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
zero_mirrors(OpusRaid *s, uint64_t offset, uint64_t bytes,
             BdrvRequestFlags flags)
{
    int ret = 0;

    while (bytes && ret == 0) {
        RaidLoc loc;
        uint64_t here = MIN(bytes, raid_map(&s->geom, offset, &loc));

        ret = opus_mirror_zero(s, offset, here, flags);
        offset += here;
        bytes -= here;
    }
    return ret;
}

/* RAID0 has nothing to keep in step: whatever the members do is right. */
static int coroutine_fn GRAPH_RDLOCK
zero_plain(OpusRaid *s, uint64_t offset, uint64_t bytes,
           BdrvRequestFlags flags, bool discard)
{
    int ret = 0;

    while (bytes && ret == 0) {
        RaidLoc loc;
        uint64_t here = MIN(bytes, raid_map(&s->geom, offset, &loc));
        OpusMember *m = s->slots[loc.slot];
        int64_t off = opus_member_data(m, loc.member_off);

        ret = discard ? opus_member_pdiscard(m, off, here)
                      : opus_member_pwrite_zeroes(m, off, here, flags);
        offset += here;
        bytes -= here;
    }
    return ret;
}

static bool is_whole_stripes(const OpusRaid *s, uint64_t offset,
                             uint64_t bytes)
{
    uint64_t stripe_bytes = raid_stripe_bytes(&s->geom);

    return offset % stripe_bytes == 0 && bytes % stripe_bytes == 0;
}

static int coroutine_fn GRAPH_RDLOCK
zero_redundant(OpusRaid *s, uint64_t offset, uint64_t bytes,
               BdrvRequestFlags flags)
{
    int ret;

    if (raid_has_parity(&s->geom) && !is_whole_stripes(s, offset, bytes)) {
        return -ENOTSUP;
    }
    ret = opus_intent_begin(s, offset, bytes);
    if (ret < 0) {
        return ret;
    }
    ret = raid_has_parity(&s->geom) ? zero_stripes(s, offset, bytes, flags)
                                    : zero_mirrors(s, offset, bytes, flags);
    opus_intent_end(s, offset, bytes, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                      BdrvRequestFlags flags)
{
    OpusRaid *s = bs->opaque;

    if (s->geom.level == RAID_LEVEL_0) {
        return zero_plain(s, offset, bytes, flags, false);
    }
    return zero_redundant(s, offset, bytes, flags);
}

/* Can all members give space back and read as zero afterwards? */
static bool GRAPH_RDLOCK members_unmap_to_zero(OpusRaid *s)
{
    RaidMask use = raid_mask_first(s->geom.nr_slots) & ~opus_missing_slots(s);

    RAID_MASK_FOREACH(slot, use) {
        BlockDriverState *bs = s->slots[slot]->child->bs;

        if (!(bs->supported_zero_flags & BDRV_REQ_MAY_UNMAP) ||
            !(bs->open_flags & BDRV_O_UNMAP)) {
            return false;
        }
    }
    return true;
}

int coroutine_fn GRAPH_RDLOCK
opus_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    OpusRaid *s = bs->opaque;

    if (s->geom.level == RAID_LEVEL_0) {
        return zero_plain(s, offset, bytes, 0, true);
    }
    /* A hint is not worth writing real zeroes to all members. */
    if (!members_unmap_to_zero(s)) {
        return -ENOTSUP;
    }
    return zero_redundant(s, offset, bytes, BDRV_REQ_MAY_UNMAP);
}
