/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zero: whole stripes of zeroes
 *
 * Owns: the shortcut that zero data has zero parity.
 * Must not know: how members make zeroes.
 * Threads: any; whole runs of stripes are locked, in ascending order.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/base/uninitialized.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/no-room.h"
#include "block/opus-raid/redundancy/parity/zero.h"
#include "block/opus-raid/trace.h"

/* Stripes that are locked and zeroed together. */
#define ZERO_BATCH  128

typedef struct ZeroRun {
    OpusRaid *s;
    uint64_t member_off;
    uint64_t bytes;             /* on each member */
    BdrvRequestFlags flags;
    unsigned nr;
    OpusMember *members[RAID_MAX_MEMBERS * 2];      /* replacements, too */
    int rets[RAID_MAX_MEMBERS * 2];
} ZeroRun;

static void coroutine_fn GRAPH_RDLOCK zero_task(void *opaque, unsigned i)
{
    ZeroRun *run = opaque;
    OpusMember *m = run->members[i];
    int64_t off = opus_member_data(m, run->member_off);

    run->rets[i] = opus_member_pwrite_zeroes(m, off, run->bytes, run->flags);
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

    run->s = s;
    run->nr = 0;
    RAID_MASK_FOREACH(slot, use) {
        OpusMember *too = opus_replacement_at(s, slot, run->member_off);

        run->members[run->nr++] = s->slots[slot];
        if (too) {
            run->members[run->nr++] = too;
        }
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
        ret = opus_stripe_settle_refusal(run->s, stripe + i, &refusal);
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

/* A few whole stripes of a parity array. */
typedef struct ZeroStripes {
    ZeroRun run;
    uint64_t stripe;
    unsigned nr;
} ZeroStripes;

static int coroutine_fn GRAPH_RDLOCK zero_members(void *opaque)
{
    ZeroStripes *z = opaque;

    run_zero(z->run.s, &z->run);
    for (unsigned i = 0; i < z->run.nr; i++) {
        if (z->run.rets[i] < 0) {
            return zeroes_failed(&z->run, z->stripe, z->nr);
        }
    }
    return z->run.nr ? 0 : -EIO;
}

static int coroutine_fn GRAPH_RDLOCK
zero_batch(OpusRaid *s, uint64_t stripe, unsigned nr, BdrvRequestFlags flags)
{
    const OpusConsistencyOps *log = opus_active_log(s);
    OPUS_UNINITIALIZED OpusStripeLock locks[ZERO_BATCH];
    OPUS_UNINITIALIZED ZeroStripes z;
    int ret;

    for (unsigned i = 0; i < nr; i++) {
        opus_stripe_lock_next(&s->stripe_locks, stripe + i, &locks[i],
                              i ? &locks[i - 1] : NULL);
    }
    trace_opus_raid_zero(s->bs, stripe, nr, flags);
    z.stripe = stripe;
    z.nr = nr;
    z.run.s = s;
    z.run.member_off = raid_stripe_member_off(&s->geom, stripe);
    z.run.bytes = (uint64_t)nr << s->geom.chunk_shift;
    z.run.flags = flags;
    ret = log ? log->zero_stripes(s, stripe, nr, zero_members, &z)
              : zero_members(&z);
    for (unsigned i = 0; i < nr; i++) {
        opus_stripe_unlock(&s->stripe_locks, &locks[i]);
        opus_count(&s->stats, OPUS_COUNT_ZEROED);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_stripes_zero(OpusRaid *s, uint64_t array_off, uint64_t bytes,
                  BdrvRequestFlags flags)
{
    uint64_t stripe_bytes = raid_stripe_bytes(&s->geom);
    uint64_t stripe = array_off / stripe_bytes;
    uint64_t end = stripe + bytes / stripe_bytes;
    int ret = 0;

    while (stripe < end && ret == 0) {
        const OpusConsistencyOps *log = opus_active_log(s);
        unsigned nr = MIN(end - stripe,
                          log ? MIN(log->max_zero_stripes, ZERO_BATCH)
                              : ZERO_BATCH);

        ret = zero_batch(s, stripe, nr, flags);
        stripe += nr;
    }
    return ret;
}
