/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PPL: the partial parity logs of a running RAID5 array
 *
 * Owns: who writes the next unit of a log, and when.
 * Must not know: how a stripe is written, what units look like.
 * Threads: any; lock is held for looking and changing, never across I/O.
 * Invariants: I12: a unit is written only when all stripes of the one before
 * are done and flushed, for only the newest is replayed.
 *
 * Writers queue at the log of their stripe's parity. While a unit is under way
 * they gather; when its last stripe is done, the first of them to wake writes
 * one unit for all, and all go on together. None waits for a lock that another
 * writer of the queue may hold: each has the lock of its own stripe already.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"
#include "util/raid/parity.h"

OpusPpl *opus_ppl_new(const RaidGeometry *geom)
{
    OpusPpl *ppl = g_malloc0(sizeof(*ppl) +
                             geom->nr_slots * sizeof(ppl->logs[0]));

    ppl->common.ops = &opus_ppl_ops;
    qemu_mutex_init(&ppl->lock);
    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        QSIMPLEQ_INIT(&ppl->logs[slot].queue);
        qemu_co_queue_init(&ppl->logs[slot].waiters);
    }
    return ppl;
}

static void ppl_free(OpusConsistency *c)
{
    OpusPpl *ppl = container_of(c, OpusPpl, common);

    qemu_mutex_destroy(&ppl->lock);
    g_free(ppl);
}

/* Wait until no stripe of the log is being written, and keep it so. */
static void coroutine_fn hold(OpusPpl *ppl, OpusPplLog *log)
{
    QEMU_LOCK_GUARD(&ppl->lock);
    while (log->busy) {
        qemu_co_queue_wait(&log->waiters, &ppl->lock);
    }
    log->busy = true;
}

static void coroutine_fn let_go(OpusPpl *ppl, OpusPplLog *log)
{
    QEMU_LOCK_GUARD(&ppl->lock);
    log->busy = false;
    qemu_co_queue_restart_all(&log->waiters);
}

/* A valid one, or zeroes. */
static int coroutine_fn GRAPH_RDLOCK
write_first_header(OpusRaid *s, unsigned slot, bool valid)
{
    OpusMember *m = s->slots[slot];
    OpusPplLog *log = &opus_ppl(s)->logs[slot];
    uint8_t *buf = qemu_blockalign0(m->child->bs, MD_PPL_HEADER_BYTES);
    uint64_t newest = MAX(log->found.generation, log->ring.generation);
    int ret;

    if (valid) {
        md_ppl_ring_init(&log->ring, m->super.ppl_size_sectors,
                         md_ppl_signature(m->super.set_uuid), newest, buf);
    }
    ret = opus_member_pwrite(m, opus_ppl_off(&m->super), buf,
                             MD_PPL_HEADER_BYTES, BDRV_REQ_FUA);
    qemu_vfree(buf);
    return ret;
}

/*
 * Begin empty logs on the members of @slots
 *
 * Redundancy is right, and durably so, but for writes in flight. When it
 * returns, those that were not logged are over. Returns the slots whose member
 * did not take it.
 */
static RaidMask coroutine_fn GRAPH_RDLOCK ppl_start(OpusRaid *s, RaidMask slots)
{
    RaidMask failed_slots = 0;

    RAID_MASK_FOREACH(slot, slots) {
        OpusPplLog *log = &opus_ppl(s)->logs[slot];

        hold(opus_ppl(s), log);
        if (write_first_header(s, slot, true) < 0) {
            failed_slots |= RAID_BIT(slot);
        }
        log->ready = true;
        let_go(opus_ppl(s), log);
    }
    opus_life_set_log(s, RAID_LOG_ON);
    return failed_slots;
}

/*
 * What the logs of @slots say is not to be believed
 *
 * For an array that is written before its redundancy is right. Returns the
 * slots whose member did not take it.
 */
static RaidMask coroutine_fn GRAPH_RDLOCK
ppl_invalidate(OpusRaid *s, RaidMask slots)
{
    RaidMask failed_slots = 0;

    opus_life_set_log(s, RAID_LOG_VOID);
    RAID_MASK_FOREACH(slot, slots) {
        if (write_first_header(s, slot, false) < 0) {
            failed_slots |= RAID_BIT(slot);
        }
    }
    return failed_slots;
}

/* Array bytes that one write to a part of a stripe may have. */
static uint64_t ppl_max_write(const OpusRaid *s, uint64_t write_bytes)
{
    uint64_t bytes = UINT64_MAX;

    /* A whole stripe has no partial parity. */
    if (write_bytes >= raid_stripe_bytes(&s->geom)) {
        return bytes;
    }

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        const MdPplRing *ring = &opus_ppl(s)->logs[slot].ring;

        if (ring->space_bytes) {
            bytes = MIN(bytes, md_ppl_ring_capacity(ring));
        }
    }
    return bytes;
}

/* What the rows of a band have in common that the write leaves alone. */
static void partial_parity(const OpusColumns *c, unsigned i, void *pp)
{
    const RaidBand *band = &c->plan->bands[i];
    OPUS_UNINITIALIZED void *cols[RAID_MAX_MEMBERS];
    unsigned nr = 0;

    cols[nr++] = opus_column(c, c->geom->nr_data, i);
    RAID_MASK_FOREACH(role, band->want) {
        cols[nr++] = opus_column(c, role, i);
    }
    raid_parity_generate(nr, NULL, band->hi - band->lo, cols, pp, NULL);
}

static void fill_request(OpusRaid *s, OpusPplRequest *req,
                         const OpusColumns *c)
{
    RaidMask parity = RAID_BIT(s->geom.nr_data);

    for (unsigned i = 0; i < c->plan->nr_bands; i++) {
        const RaidBand *band = &c->plan->bands[i];
        MdPplWrite *write = &req->writes[req->nr];

        if (!(band->write & parity)) {
            continue;           /* its member is missing: no parity to log */
        }
        *write = (MdPplWrite) {
            .stripe = c->plan->stripe,
            .lo = band->lo,
            .hi = band->hi,
            .roles = band->want,
        };
        if (md_ppl_write_bytes(&s->geom, write)) {
            void *pp = opus_column_extra(c, i);

            partial_parity(c, i, pp);
            req->pp[req->nr] = pp;
        }
        req->nr++;
    }
}

/* Add all entries of a request to the unit, or none. */
static bool add_request(OpusRaid *s, OpusPplLog *log, OpusPplRequest *req)
{
    unsigned nr_before = log->unit.nr_entries;

    for (unsigned i = 0; i < req->nr; i++) {
        if (!md_ppl_add(&log->ring, &s->geom, &log->unit, &req->writes[i],
                        req->pp[i])) {
            log->unit.nr_entries = nr_before;
            return false;
        }
    }
    return true;
}

/* Header, partial parity, zeros: one write. */
static int coroutine_fn GRAPH_RDLOCK
write_unit(OpusRaid *s, unsigned slot, OpusPplRequest **batch, unsigned nr)
{
    OpusPplLog *log = &opus_ppl(s)->logs[slot];
    OpusMember *m = s->slots[slot];
    uint8_t *buf = qemu_blockalign0(m->child->bs, 2 * MD_PPL_HEADER_BYTES);
    QEMUIOVector qiov;
    uint32_t zero_bytes;
    uint32_t at = md_ppl_place(&log->ring, &log->unit, &zero_bytes);
    int ret;

    md_ppl_encode(&log->unit, buf);
    qemu_iovec_init(&qiov, 2 + nr * RAID_PLAN_MAX_BANDS);
    qemu_iovec_add(&qiov, buf, MD_PPL_HEADER_BYTES);
    for (unsigned n = 0; n < nr; n++) {
        for (unsigned i = 0; i < batch[n]->nr; i++) {
            uint32_t bytes = md_ppl_write_bytes(&s->geom,
                                                &batch[n]->writes[i]);

            if (bytes) {
                qemu_iovec_add(&qiov, (void *)batch[n]->pp[i], bytes);
            }
        }
    }
    if (zero_bytes) {
        qemu_iovec_add(&qiov, buf + MD_PPL_HEADER_BYTES, zero_bytes);
    }
    ret = opus_member_pwritev(m, opus_ppl_off(&m->super) + at, qiov.size,
                              &qiov, 0, OPUS_SABOTAGED(PPL_NOT_DURABLE) ?
                                        0 : BDRV_REQ_FUA);
    trace_opus_raid_ppl_unit(s->bs, slot, log->unit.generation, nr, qiov.size,
                             ret);
    qemu_iovec_destroy(&qiov);
    qemu_vfree(buf);
    return ret;
}

/*
 * Write a unit for all that wait. Called with the lock held, which it drops
 * meanwhile; no unit is under way.
 */
static void coroutine_fn GRAPH_RDLOCK lead(OpusRaid *s, unsigned slot)
{
    OpusPpl *ppl = opus_ppl(s);
    OpusPplLog *log = &ppl->logs[slot];
    OpusPplRequest *batch[MD_PPL_MAX_ENTRIES];
    bool flush = log->unflushed && !OPUS_SABOTAGED(PPL_REUSED_EARLY);
    unsigned nr = 0;
    int ret = 0;

    log->busy = true;
    md_ppl_begin(&log->ring, &log->unit);
    while (!QSIMPLEQ_EMPTY(&log->queue) &&
           add_request(s, log, QSIMPLEQ_FIRST(&log->queue))) {
        batch[nr] = QSIMPLEQ_FIRST(&log->queue);
        QSIMPLEQ_REMOVE_HEAD(&log->queue, next);
        batch[nr++]->taken = true;
    }
    assert(nr);

    qemu_mutex_unlock(&ppl->lock);
    if (flush) {
        ret = opus_array_flush(s);
    }
    if (ret == 0 && log->ready && (opus_written_slots(s) & RAID_BIT(slot)) &&
        write_unit(s, slot, batch, nr) < 0) {
        /* No parity there, nothing to log for: if the array bears it. */
        ret = opus_array_fail_member(s, slot, "log write", -EIO);
    }
    qemu_mutex_lock(&ppl->lock);

    log->unflushed = false;
    log->nr_pending = nr;
    for (unsigned n = 0; n < nr; n++) {
        batch[n]->ret = ret;
        batch[n]->logged = true;
    }
    qemu_co_queue_restart_all(&log->waiters);
}

static void coroutine_fn log_done(OpusRaid *s, OpusPplRequest *req)
{
    OpusPpl *ppl = opus_ppl(s);
    OpusPplLog *log;

    if (!req->nr) {
        return;
    }
    log = &ppl->logs[req->slot];
    QEMU_LOCK_GUARD(&ppl->lock);
    if (--log->nr_pending == 0) {
        log->unflushed = true;
        log->busy = false;
        qemu_co_queue_restart_all(&log->waiters);
    }
}

static int coroutine_fn GRAPH_RDLOCK await_log(OpusRaid *s, OpusPplRequest *req)
{
    OpusPpl *ppl = opus_ppl(s);
    OpusPplLog *log = &ppl->logs[req->slot];
    int ret;

    qemu_mutex_lock(&ppl->lock);
    QSIMPLEQ_INSERT_TAIL(&log->queue, req, next);
    while (!req->logged) {
        if (log->busy || req->taken) {
            qemu_co_queue_wait(&log->waiters, &ppl->lock);
        } else {
            lead(s, req->slot);
        }
    }
    ret = req->ret;
    qemu_mutex_unlock(&ppl->lock);
    if (ret < 0) {
        log_done(s, req);
        req->nr = 0;
    }
    return ret;
}

/*
 * Log a stripe write whose columns are computed
 * @c:   allocated with a column for partial parity
 *
 * Called with the stripe's lock held. When it returns 0, the log is durable,
 * or there is no parity to log for; log_done() is then needed when the
 * members are written. Returns -EIO when the array has failed.
 */
static int coroutine_fn GRAPH_RDLOCK
log_write(OpusRaid *s, OpusPplRequest *req, const OpusColumns *c)
{
    *req = (OpusPplRequest) {
        .slot = raid_stripe_slot(&s->geom, c->plan->stripe, s->geom.nr_data),
    };
    fill_request(s, req, c);
    return req->nr ? await_log(s, req) : 0;
}

/* The same for a stripe all of whose data is going to be written. */
static int coroutine_fn GRAPH_RDLOCK
log_stripe(OpusRaid *s, OpusPplRequest *req, uint64_t stripe)
{
    *req = (OpusPplRequest) {
        .slot = raid_stripe_slot(&s->geom, stripe, s->geom.nr_data),
        .writes[0] = {
            .stripe = stripe,
            .hi = s->geom.chunk_bytes,
            .roles = raid_mask_first(s->geom.nr_data),
        },
    };
    if (!(opus_written_slots(s) & RAID_BIT(req->slot))) {
        return 0;
    }
    req->nr = 1;
    return await_log(s, req);
}

static int coroutine_fn GRAPH_RDLOCK
ppl_write_stripe(OpusRaid *s, const OpusColumns *c, OpusLoggedFn *write,
                 void *opaque)
{
    OpusPplRequest req;
    int ret = log_write(s, &req, c);

    if (ret == 0) {
        ret = write(opaque);
        log_done(s, &req);
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
ppl_zero_stripes(OpusRaid *s, uint64_t stripe, unsigned nr,
                 OpusLoggedFn *write, void *opaque)
{
    OpusPplRequest req;
    int ret;

    assert(nr == 1);
    ret = log_stripe(s, &req, stripe);
    if (ret == 0) {
        ret = write(opaque);
        log_done(s, &req);
    }
    return ret;
}

/*
 * A search for the newest unit follows what is valid: units of a log that was
 * here before must not be.
 */
typedef struct ZeroLogs {
    OpusRaid *s;
    uint8_t slots[RAID_MAX_MEMBERS];
    RaidMask failed_slots;
} ZeroLogs;

static void coroutine_fn GRAPH_RDLOCK zero_log(void *opaque, unsigned i)
{
    ZeroLogs *z = opaque;
    OpusMember *m = z->s->slots[z->slots[i]];
    int ret = opus_member_pwrite_zeroes(m, opus_ppl_off(&m->super),
                                        m->super.ppl_size_sectors *
                                        RAID_SECTOR_BYTES, BDRV_REQ_FUA);

    if (ret < 0) {
        z->failed_slots |= RAID_BIT(z->slots[i]);
    }
}

static RaidMask coroutine_fn GRAPH_RDLOCK ppl_init(OpusRaid *s, RaidMask slots)
{
    ZeroLogs z = { .s = s };
    unsigned nr = 0;

    RAID_MASK_FOREACH(slot, slots) {
        z.slots[nr++] = slot;
    }
    opus_parallel(zero_log, &z, nr, nr);
    return z.failed_slots | ppl_start(s, slots & ~z.failed_slots);
}

const OpusConsistencyOps opus_ppl_ops = {
    .policy = OPUS_RAID_CONSISTENCY_POLICY_PPL,
    .name = "partial parity log",
    .write_failed = "log write",
    .feature = MD_FEATURE_MULTIPLE_PPLS,
    .free = ppl_free,
    .init = ppl_init,
    .start = ppl_start,
    .invalidate = ppl_invalidate,
    .replay = opus_ppl_replay,
    .partial_parity = true,
    .max_write = ppl_max_write,
    .max_zero_stripes = 1,
    .write_stripe = ppl_write_stripe,
    .zero_stripes = ppl_zero_stripes,
};
