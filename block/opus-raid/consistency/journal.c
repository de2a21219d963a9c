/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journal: the stripe journal of a running RAID5 or RAID6 array
 *
 * Owns: who writes the next unit, when, and to which members.
 * Must not know: how a stripe is written, what units look like.
 * Threads: any; lock is held for looking and changing, never across I/O.
 * Invariants: I12: a unit is written only when all stripes of the one before
 * are done and flushed, for only the newest is replayed.
 *
 * Writers queue. While a unit is under way they gather; when its last stripe
 * is done, the first of them to wake writes one unit for all, and all go on
 * together. Each holds the locks of its own stripes already, and none needs
 * those of another. All writes are logged, also those that no crash could
 * tear: or a replay would undo one that came after the unit's.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/base/uninitialized.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"
#include "util/raid/crc32c.h"

/* Pieces of memory that one write may be made of. */
#define MAX_PIECES  (IOV_MAX - 2)

/* The same bytes, to some members at the same time. */
typedef struct CopyWrite {
    OpusRaid *s;
    int64_t off;
    QEMUIOVector *qiov;
    uint8_t slots[RAID_MAX_MEMBERS];
    RaidMask failed_slots;
} CopyWrite;

static void coroutine_fn GRAPH_RDLOCK copy_task(void *opaque, unsigned i)
{
    CopyWrite *w = opaque;

    if (opus_member_pwritev(w->s->slots[w->slots[i]], w->off, w->qiov->size,
                            w->qiov, 0, OPUS_SABOTAGED(JOURNAL_NOT_DURABLE) ?
                                        0 : BDRV_REQ_FUA) < 0) {
        w->failed_slots |= RAID_BIT(w->slots[i]);
    }
}

static RaidMask coroutine_fn GRAPH_RDLOCK
write_copies(OpusRaid *s, int64_t off, QEMUIOVector *qiov, RaidMask slots)
{
    CopyWrite w = { .s = s, .off = off, .qiov = qiov };
    unsigned nr = 0;

    RAID_MASK_FOREACH(slot, slots) {
        w.slots[nr++] = slot;
    }
    if (nr) {
        opus_parallel(copy_task, &w, nr, nr);
    }
    return w.failed_slots;
}

static RaidMask use_slots(OpusRaid *s)
{
    return raid_mask_first(s->geom.nr_slots) & ~opus_missing_slots(s);
}

/* Wait until no stripe is being written, and keep it so. */
static void coroutine_fn hold(OpusJournal *j)
{
    QEMU_LOCK_GUARD(&j->lock);
    while (j->busy) {
        qemu_co_queue_wait(&j->waiters, &j->lock);
    }
    j->busy = true;
}

static void coroutine_fn let_go(OpusJournal *j)
{
    QEMU_LOCK_GUARD(&j->lock);
    j->busy = false;
    qemu_co_queue_restart_all(&j->waiters);
}

/* An empty unit; or with @valid false, none where it would be. */
static RaidMask coroutine_fn GRAPH_RDLOCK
write_empty(OpusRaid *s, RaidMask slots, bool valid)
{
    OpusJournal *j = opus_journal(s);
    const OpusMember *m = s->slots[raid_mask_lowest(slots)];
    uint8_t *buf = qemu_memalign(OPUS_BOUNCE_ALIGN, RAID_JOURNAL_HEADER_BYTES);
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, buf,
                                            RAID_JOURNAL_HEADER_BYTES);
    RaidMask failed_slots;

    memset(&j->unit, 0, sizeof(j->unit));
    memset(buf, 0, RAID_JOURNAL_HEADER_BYTES);
    j->unit.generation = ++j->generation;
    if (valid) {
        raid_journal_encode(&j->unit, m->super.set_uuid, buf);
    }
    failed_slots = write_copies(s, opus_journal_off(j, j->generation), &qiov,
                                slots);
    qemu_vfree(buf);
    return failed_slots;
}

/* Where the journal is, for the next assembly. */
static int coroutine_fn GRAPH_RDLOCK write_extension(OpusJournal *j,
                                                     OpusMember *m)
{
    RaidExtension ext = {
        .incompat = RAID_EXTENSION_JOURNAL,
        .journal_sector = j->start_sector,
        .journal_sectors = j->sectors,
    };
    uint8_t *buf = qemu_blockalign(m->child->bs, RAID_EXTENSION_BYTES);
    int ret;

    memcpy(ext.set_uuid, m->super.set_uuid, sizeof(ext.set_uuid));
    memcpy(ext.device_uuid, m->super.device_uuid, sizeof(ext.device_uuid));
    raid_extension_encode(&ext, buf);
    ret = opus_member_pwrite(m, raid_extension_off(&m->super), buf,
                             RAID_EXTENSION_BYTES, BDRV_REQ_FUA);
    qemu_vfree(buf);
    return ret;
}

/*
 * Begin empty journals on the members of @slots
 *
 * Redundancy is right, and durably so, but for writes that are logged; none
 * that is not logged is in flight. Returns the slots whose member did not take
 * it.
 */
static RaidMask coroutine_fn GRAPH_RDLOCK journal_start(OpusRaid *s,
                                                      RaidMask slots)
{
    OpusJournal *j = opus_journal(s);
    RaidMask failed_slots = 0;

    hold(j);
    /* These units are newer than what may not be durable yet. */
    if (j->unflushed && opus_array_flush(s) < 0) {
        let_go(j);
        return 0;               /* the array has failed */
    }
    j->unflushed = false;
    if (!slots) {
        let_go(j);
        return 0;
    }
    RAID_MASK_FOREACH(slot, slots) {
        if (write_extension(j, s->slots[slot]) < 0) {
            failed_slots |= RAID_BIT(slot);
        }
    }
    for (unsigned half = 0; half < 2; half++) {
        failed_slots |= write_empty(s, slots, true);
    }
    let_go(j);
    opus_life_set_log(s, RAID_LOG_ON);
    return failed_slots;
}

/*
 * What the journals of @slots say is not to be
 * believed
 *
 * For an array that is written before its redundancy is right; no write is in
 * flight. Returns the slots whose member did not take it.
 */
static RaidMask coroutine_fn GRAPH_RDLOCK journal_invalidate(OpusRaid *s,
                                                           RaidMask slots)
{
    RaidMask failed_slots = 0;

    opus_life_set_log(s, RAID_LOG_VOID);
    for (unsigned half = 0; half < 2 && slots; half++) {
        failed_slots |= write_empty(s, slots, false);
    }
    return failed_slots;
}

static unsigned nr_pieces(const OpusJournalRequest *req)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < req->nr; i++) {
        nr += raid_mask_count(req->entries[i].roles);
    }
    return nr;
}

/* Add all entries of a request to the unit, or none. */
static bool add_request(OpusJournal *j, const OpusJournalRequest *req)
{
    unsigned nr_before = j->unit.nr_entries;
    uint32_t bytes_before = j->unit.content_bytes;

    for (unsigned i = 0; i < req->nr; i++) {
        if (!raid_journal_add(&j->unit, j->half_bytes, &req->entries[i])) {
            j->unit.nr_entries = nr_before;
            j->unit.content_bytes = bytes_before;
            return false;
        }
    }
    return true;
}

/* Header, content, zeros up to a whole block: one write for each copy. */
static int coroutine_fn GRAPH_RDLOCK
write_unit(OpusRaid *s, OpusJournalRequest **batch, unsigned nr)
{
    OpusJournal *j = opus_journal(s);
    RaidMask slots = raid_journal_copies(&s->geom, use_slots(s),
                                         j->unit.generation);
    uint8_t *buf = qemu_memalign(OPUS_BOUNCE_ALIGN,
                                 2 * RAID_JOURNAL_HEADER_BYTES);
    uint32_t crc = 0;
    QEMUIOVector qiov;
    RaidMask failed_slots;
    int ret = slots ? 0 : -EIO;

    memset(buf, 0, 2 * RAID_JOURNAL_HEADER_BYTES);
    qemu_iovec_init(&qiov, 8);
    qemu_iovec_add(&qiov, buf, RAID_JOURNAL_HEADER_BYTES);
    for (unsigned n = 0; n < nr; n++) {
        const void **piece = batch[n]->content;

        for (unsigned i = 0; i < batch[n]->nr; i++) {
            const RaidJournalEntry *entry = &batch[n]->entries[i];

            for (unsigned k = raid_mask_count(entry->roles); k; k--) {
                crc = raid_crc32c(crc, *piece, entry->hi - entry->lo);
                qemu_iovec_add(&qiov, (void *)*piece++,
                               entry->hi - entry->lo);
            }
        }
    }
    if (qiov.size % RAID_JOURNAL_HEADER_BYTES) {
        qemu_iovec_add(&qiov, buf + RAID_JOURNAL_HEADER_BYTES,
                       RAID_JOURNAL_HEADER_BYTES -
                       qiov.size % RAID_JOURNAL_HEADER_BYTES);
    }
    j->unit.content_crc = crc;
    if (slots) {
        raid_journal_encode(&j->unit,
                            s->slots[raid_mask_lowest(slots)]->super.set_uuid,
                            buf);
    }
    failed_slots = write_copies(s, opus_journal_off(j, j->unit.generation),
                                &qiov, slots);
    trace_opus_raid_journal_unit(s->bs, j->unit.generation, nr, qiov.size,
                                 slots, failed_slots);
    qemu_iovec_destroy(&qiov);
    qemu_vfree(buf);
    RAID_MASK_FOREACH(slot, failed_slots) {
        if (opus_array_fail_member(s, slot, "journal write", -EIO) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

/*
 * Write a unit for all that wait. Called with the lock held, which it drops
 * meanwhile; no unit is under way.
 */
static void coroutine_fn GRAPH_RDLOCK lead(OpusRaid *s)
{
    OpusJournal *j = opus_journal(s);
    OpusJournalRequest *batch[RAID_JOURNAL_MAX_ENTRIES];
    bool flush = j->unflushed && !OPUS_SABOTAGED(JOURNAL_REUSED_EARLY);
    unsigned pieces = 0;
    unsigned nr = 0;
    int ret = 0;

    j->busy = true;
    memset(&j->unit, 0, sizeof(j->unit));
    j->unit.generation = ++j->generation;
    while (!QSIMPLEQ_EMPTY(&j->queue)) {
        OpusJournalRequest *req = QSIMPLEQ_FIRST(&j->queue);

        pieces += nr_pieces(req);
        if (pieces > MAX_PIECES || !add_request(j, req)) {
            break;
        }
        QSIMPLEQ_REMOVE_HEAD(&j->queue, next);
        req->taken = true;
        batch[nr++] = req;
    }
    assert(nr);

    qemu_mutex_unlock(&j->lock);
    if (flush) {
        ret = opus_array_flush(s);
    }
    if (ret == 0) {
        ret = write_unit(s, batch, nr);
    }
    qemu_mutex_lock(&j->lock);

    j->unflushed = false;
    j->nr_pending = nr;
    for (unsigned n = 0; n < nr; n++) {
        batch[n]->ret = ret;
        batch[n]->logged = true;
    }
    qemu_co_queue_restart_all(&j->waiters);
}

static void coroutine_fn log_done(OpusRaid *s, OpusJournalRequest *req)
{
    OpusJournal *j = opus_journal(s);

    if (!req->nr) {
        return;
    }
    QEMU_LOCK_GUARD(&j->lock);
    if (--j->nr_pending == 0) {
        j->unflushed = true;
        j->busy = false;
        qemu_co_queue_restart_all(&j->waiters);
    }
}

static int coroutine_fn GRAPH_RDLOCK await_unit(OpusRaid *s,
                                                OpusJournalRequest *req)
{
    OpusJournal *j = opus_journal(s);
    int ret;

    qemu_mutex_lock(&j->lock);
    QSIMPLEQ_INSERT_TAIL(&j->queue, req, next);
    while (!req->logged) {
        if (j->busy || req->taken) {
            qemu_co_queue_wait(&j->waiters, &j->lock);
        } else {
            lead(s);
        }
    }
    ret = req->ret;
    qemu_mutex_unlock(&j->lock);
    if (ret < 0) {
        log_done(s, req);
        req->nr = 0;
    }
    return ret;
}

static void clear_request(OpusJournalRequest *req)
{
    req->nr = 0;
    req->taken = false;
    req->logged = false;
    req->ret = 0;
}

/*
 * Log a stripe write whose columns are computed
 *
 * Called with the stripe's lock held. When it returns 0, the unit is durable;
 * log_done() is then needed when the members are written. Returns
 * -EIO when the array has failed.
 */
static int coroutine_fn GRAPH_RDLOCK
log_write(OpusRaid *s, OpusJournalRequest *req, const OpusColumns *c)
{
    const void **piece = req->content;

    clear_request(req);
    for (unsigned i = 0; i < c->plan->nr_bands; i++) {
        const RaidBand *band = &c->plan->bands[i];

        if (!band->write) {
            continue;
        }
        req->entries[req->nr++] = (RaidJournalEntry) {
            .stripe = c->plan->stripe,
            .lo = band->lo,
            .hi = band->hi,
            .roles = band->write,
        };
        RAID_MASK_FOREACH(role, band->write) {
            *piece++ = opus_column(c, role, i);
        }
    }
    return req->nr ? await_unit(s, req) : 0;
}

/* The same for @nr whole stripes that are going to be zeroed. */
static int coroutine_fn GRAPH_RDLOCK
log_zeroes(OpusRaid *s, OpusJournalRequest *req, uint64_t stripe,
                        unsigned nr)
{
    clear_request(req);
    req->entries[req->nr++] = (RaidJournalEntry) {
        .stripe = stripe,
        .zero_stripes = nr,
    };
    return await_unit(s, req);
}

static uint64_t journal_max_write(const OpusRaid *s, uint64_t bytes)
{
    return raid_journal_max_write(&s->geom, opus_journal(s)->half_bytes);
}

static int coroutine_fn GRAPH_RDLOCK
journal_write_stripe(OpusRaid *s, const OpusColumns *c, OpusLoggedFn *write,
                     void *opaque)
{
    OPUS_UNINITIALIZED OpusJournalRequest req;
    int ret = log_write(s, &req, c);

    if (ret == 0) {
        ret = write(opaque);
        log_done(s, &req);
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
journal_zero_stripes(OpusRaid *s, uint64_t stripe, unsigned nr,
                     OpusLoggedFn *write, void *opaque)
{
    OPUS_UNINITIALIZED OpusJournalRequest req;
    int ret = log_zeroes(s, &req, stripe, nr);

    if (ret == 0) {
        ret = write(opaque);
        log_done(s, &req);
    }
    return ret;
}

const OpusConsistencyOps opus_journal_ops = {
    .policy = OPUS_RAID_CONSISTENCY_POLICY_JOURNAL,
    .name = "stripe journal",
    .write_failed = "journal write",
    .feature = RAID_FEATURE_EXTENSION,
    .free = opus_journal_free,
    .init = journal_start,
    .start = journal_start,
    .invalidate = journal_invalidate,
    .replay = opus_journal_replay,
    .max_write = journal_max_write,
    .max_zero_stripes = UINT_MAX,
    .write_stripe = journal_write_stripe,
    .zero_stripes = journal_zero_stripes,
};
