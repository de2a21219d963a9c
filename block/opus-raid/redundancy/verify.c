/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify: is the redundancy of a stripe right? If not, make it so
 *
 * Owns: what counts as wrong, and which of the members is believed.
 * Must not know: jobs, superblocks, what is trusted where.
 * Threads: any; the caller holds the lock of the stripe or chunk (I10).
 * Invariants: I10; what is right is never written (P6).
 *
 * All columns of a piece are read, those of the data in the order of their
 * coefficient, then P and Q; of a mirrored array, all copies. Reading what is
 * right already costs no more than writing it, and leaves the members as they
 * are, so nothing is written that does not differ.
 *
 * Who is believed: of copies the one that reads choose, as they may have given
 * it out; of a RAID5 stripe the data. A repair of a RAID6 stripe believes what
 * makes all others fit together, and nobody if there is no such column.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/units.h"
#include "util/raid/locate.h"
#include "util/raid/parity.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/mirror/copies.h"
#include "block/opus-raid/redundancy/verify.h"

/* A unit is worked on in pieces of this size, so that buffers stay small. */
#define PIECE_BYTES     (256u * 1024)

/* RAID6 errors are located in what members read and write as a whole. */
#define LOCATE_BYTES    512u

/* A range of a column that is to be written; empty when hi is 0. */
typedef struct Damage {
    uint32_t lo;
    uint32_t hi;
} Damage;

typedef struct Piece {
    OpusRaid *s;
    OpusVerify *v;
    uint64_t sync_off;          /* where it is, as the event has it */
    uint32_t bytes;
    unsigned nr;                /* columns */
    unsigned nr_data;           /* the others are parity; mirrors: 0 */
    uint8_t *buf;               /* columns, then as many of wanted parity */
    size_t column_bytes;
    uint8_t slots[RAID_MAX_MEMBERS];
    uint64_t member_off[RAID_MAX_MEMBERS];
    RaidMask absent;            /* columns without a member: copies only */
    const uint8_t *exps;        /* parity: see parity.h; or NULL */
    uint8_t exps_buf[RAID_MAX_MEMBERS];
    RaidMask unreadable;        /* columns */
    RaidMask recorded;          /* of these, those that are known to be bad */
    int rets[RAID_MAX_MEMBERS];
    Damage damage[RAID_MAX_MEMBERS];
    Damage mismatch;
    RaidMask wrong;             /* columns that were found to be */
    bool unsure;                /* there is a block with no such column */
} Piece;

static uint8_t *column(const Piece *p, unsigned i)
{
    return p->buf + i * p->column_bytes;
}

/* Parity as it follows from the data; @i as for column(). */
static uint8_t *wanted(const Piece *p, unsigned i)
{
    return column(p, p->nr + i - p->nr_data);
}

static void add_damage(Damage *d, uint32_t lo, uint32_t hi)
{
    d->lo = d->hi ? MIN(d->lo, lo) : lo;
    d->hi = MAX(d->hi, hi);
}

static void coroutine_fn GRAPH_RDLOCK read_task(void *opaque, unsigned i)
{
    Piece *p = opaque;
    OpusMember *m = p->s->slots[p->slots[i]];
    int64_t off;

    if (p->absent & RAID_BIT(i)) {
        return;
    }
    off = opus_member_data(m, p->member_off[i]);
    if (opus_member_is_bad(m, off, p->bytes)) {
        p->recorded |= RAID_BIT(i);
        p->rets[i] = -EIO;
    } else {
        p->rets[i] = opus_member_pread(m, off, column(p, i), p->bytes);
    }
}

/*
 * A member failed. Copies are made the same without it; all else needs all
 * members, or the array has failed.
 */
static bool goes_on_without(const Piece *p)
{
    return !raid_has_parity(&p->s->geom) &&
           p->v->mode == OPUS_VERIFY_RESYNC &&
           opus_missing_slots(p->s) != ~(RaidMask)0;
}

/* Copies without a member, or on one that is not rebuilt so far. */
static void note_absent(Piece *p)
{
    for (unsigned i = 0; i < p->nr; i++) {
        if (opus_missing_at(p->s, p->member_off[i]) &
            RAID_BIT(p->slots[i])) {
            p->absent |= RAID_BIT(i);
            p->unreadable &= ~RAID_BIT(i);
        }
    }
}

/* Returns 0, or -EIO when a member failed that is needed. */
static int coroutine_fn GRAPH_RDLOCK read_columns(Piece *p)
{
    opus_parallel(read_task, p, p->nr, p->nr);
    for (unsigned i = 0; i < p->nr; i++) {
        if (p->rets[i] < 0 && !(p->absent & RAID_BIT(i))) {
            p->unreadable |= RAID_BIT(i);
            if (!(p->recorded & RAID_BIT(i)) &&
                opus_array_read_failed(p->s, p->slots[i], p->rets[i]) < 0) {
                return -EIO;
            }
        }
    }
    if (!opus_missing_slots(p->s)) {
        return 0;
    }
    if (!goes_on_without(p)) {
        return -EIO;
    }
    note_absent(p);
    return 0;
}

static void GRAPH_RDLOCK send_read_error(Piece *p, unsigned i, bool corrected)
{
    OpusMember *m = p->s->slots[p->slots[i]];

    qapi_event_send_opus_raid_read_error(
        bdrv_get_node_name(p->s->bs), opus_member_node(m), p->slots[i],
        opus_member_data(m, p->member_off[i]), p->bytes, corrected);
}

/*
 * What can't be read can't be made up for. That is said of blocks: in a larger
 * piece members may be unreadable in different places.
 */
static int GRAPH_RDLOCK give_up_unreadable(Piece *p, int ret)
{
    if (p->bytes > OPUS_VERIFY_BLOCK_BYTES) {
        return -EAGAIN;
    }
    RAID_MASK_FOREACH(i, p->unreadable & ~p->recorded) {
        send_read_error(p, i, false);
    }
    p->v->unreadable_bytes += p->bytes;
    return ret;
}

/* Returns 0, or -EIO when a member failed. */
static int coroutine_fn GRAPH_RDLOCK write_column(Piece *p, unsigned i,
                                                  uint32_t lo, uint32_t hi)
{
    OpusMember *m = p->s->slots[p->slots[i]];
    OpusMember *too = p->slots[i] == p->s->rebuild_slot ?
                      opus_replacement_at(p->s, p->member_off[i]) : NULL;
    int ret = opus_member_pwrite(m, opus_member_data(m, p->member_off[i] + lo),
                                 column(p, i) + lo, hi - lo, 0);
    int err = !too ? 0 :
              opus_member_pwrite(too, opus_member_data(too, p->member_off[i] +
                                                            lo),
                                 column(p, i) + lo, hi - lo, 0);

    if (err < 0) {
        opus_array_write_failed(p->s, too, "write", err);
    }
    if (ret < 0 && (p->recorded & RAID_BIT(i))) {
        return 0;               /* no news: it stays bad */
    }
    if (ret < 0) {
        opus_array_fail_member(p->s, p->slots[i], "write", ret);
        return goes_on_without(p) ? 0 : -EIO;
    }
    return 0;
}

/* Write what was unreadable, or is to be changed. */
static int coroutine_fn GRAPH_RDLOCK write_columns(Piece *p)
{
    int ret = 0;

    if (!opus_is_writable(p->s->bs)) {
        return 0;
    }
    for (unsigned i = 0; i < p->nr; i++) {
        Damage *d = &p->damage[i];

        if (p->unreadable & RAID_BIT(i)) {
            int err = write_column(p, i, 0, p->bytes);

            ret = ret ?: err;
            if (p->recorded & RAID_BIT(i)) {
                continue;
            }
            if (err == 0) {
                qatomic_inc(&p->s->slots[p->slots[i]]->corrected_reads);
                p->v->corrected_reads++;
            }
            send_read_error(p, i, err == 0);
        } else if (d->hi) {
            /* Members with larger blocks need not read them first. */
            uint32_t lo = QEMU_ALIGN_DOWN(d->lo, OPUS_VERIFY_BLOCK_BYTES);
            uint32_t hi = MIN(QEMU_ALIGN_UP(d->hi, OPUS_VERIFY_BLOCK_BYTES),
                              p->bytes);

            ret = write_column(p, i, lo, hi) ?: ret;
        }
    }
    return ret;
}

/* A block does not fit together. */
static void count_mismatch(Piece *p, uint32_t lo, uint32_t bytes)
{
    p->v->mismatch_sectors += DIV_ROUND_UP(bytes, RAID_SECTOR_BYTES);
    add_damage(&p->mismatch, lo, lo + bytes);
}

static void count_unrepaired(Piece *p, uint32_t bytes)
{
    p->unsure = true;
    if (p->v->mode == OPUS_VERIFY_REPAIR) {
        p->v->unrepaired_sectors += DIV_ROUND_UP(bytes, RAID_SECTOR_BYTES);
    }
}

/* A resync expects to find some; it is not news. */
static void send_mismatch(const Piece *p)
{
    bool located = raid_mask_count(p->wrong) == 1 && !p->unsure;

    if (!p->mismatch.hi || p->v->mode == OPUS_VERIFY_RESYNC) {
        return;
    }
    qapi_event_send_opus_raid_mismatch(
        bdrv_get_node_name(p->s->bs), p->sync_off + p->mismatch.lo,
        p->mismatch.hi - p->mismatch.lo, located,
        located ? p->slots[raid_mask_lowest(p->wrong)] : 0,
        p->v->mode == OPUS_VERIFY_REPAIR && !p->unsure);
}

/* --- parity */

static void generate_wanted(Piece *p)
{
    void *data[RAID_MAX_MEMBERS];

    for (unsigned i = 0; i < p->nr_data; i++) {
        data[i] = column(p, i);
    }
    raid_parity_generate(p->nr_data, p->exps, p->bytes, data,
                         wanted(p, p->nr_data), p->nr - p->nr_data == 2 ?
                         wanted(p, p->nr_data + 1) : NULL);
}

/* Find the one column that does not fit, block by block. */
static void locate_block(Piece *p, uint32_t lo, uint32_t bytes)
{
    unsigned ip = p->nr_data;
    unsigned iq = p->nr_data + 1;

    for (uint32_t at = lo; at < lo + bytes; at += LOCATE_BYTES) {
        int i = raid_locate(p->nr_data, p->exps, LOCATE_BYTES,
                            column(p, ip) + at, column(p, iq) + at,
                            wanted(p, ip) + at, wanted(p, iq) + at);

        if (i == RAID_LOCATE_CLEAN) {
            continue;
        }
        if (i == RAID_LOCATE_MANY) {
            count_unrepaired(p, LOCATE_BYTES);
            continue;
        }
        p->wrong |= RAID_BIT(i);
        if (p->v->mode != OPUS_VERIFY_REPAIR) {
            continue;
        }
        add_damage(&p->damage[i], at, at + LOCATE_BYTES);
        if (i < ip) {
            raid_locate_repair(LOCATE_BYTES, column(p, i) + at,
                               column(p, ip) + at, wanted(p, ip) + at);
        } else {
            memcpy(column(p, i) + at, wanted(p, i) + at, LOCATE_BYTES);
        }
    }
}

static void take_wanted(Piece *p, uint32_t lo, uint32_t bytes)
{
    for (unsigned i = p->nr_data; i < p->nr; i++) {
        if (memcmp(column(p, i) + lo, wanted(p, i) + lo, bytes)) {
            memcpy(column(p, i) + lo, wanted(p, i) + lo, bytes);
            add_damage(&p->damage[i], lo, lo + bytes);
        }
    }
}

static bool parity_fits(const Piece *p, uint32_t lo, uint32_t bytes)
{
    for (unsigned i = p->nr_data; i < p->nr; i++) {
        if (memcmp(column(p, i) + lo, wanted(p, i) + lo, bytes)) {
            return false;
        }
    }
    return true;
}

static void compare_parity(Piece *p)
{
    if (parity_fits(p, 0, p->bytes)) {
        return;
    }
    for (uint32_t lo = 0; lo < p->bytes; lo += OPUS_VERIFY_BLOCK_BYTES) {
        uint32_t bytes = MIN(OPUS_VERIFY_BLOCK_BYTES, p->bytes - lo);

        if (parity_fits(p, lo, bytes)) {
            continue;
        }
        count_mismatch(p, lo, bytes);
        if (p->v->mode == OPUS_VERIFY_RESYNC) {
            take_wanted(p, lo, bytes);
        } else if (p->unreadable) {
            /* What was computed to stand in for a member may be wrong. */
            count_unrepaired(p, bytes);
        } else if (p->nr - p->nr_data == 2) {
            locate_block(p, lo, bytes);
        } else if (p->v->mode == OPUS_VERIFY_REPAIR) {
            take_wanted(p, lo, bytes);
        }
    }
}

/*
 * Compute what could not be read. Returns false when that can't be done, or
 * when nothing tells that the outcome is right.
 */
static bool recover_columns(Piece *p)
{
    RaidMask data = p->unreadable & raid_mask_first(p->nr_data);
    RaidMask all = raid_mask_first(p->nr);
    void *cols[RAID_MAX_MEMBERS + 2] = { NULL };

    for (unsigned i = 0; i < p->nr; i++) {
        cols[i] = column(p, i);
    }
    if (p->unreadable == 0) {
        return true;
    }
    if (p->v->mode == OPUS_VERIFY_RESYNC && !data) {
        return true;            /* parity: is going to be what is wanted */
    }
    if (raid_mask_count(p->unreadable) > p->nr - p->nr_data ||
        !raid_parity_recover(p->nr_data, p->exps, p->bytes, cols,
                             all & ~p->unreadable, p->unreadable)) {
        return false;
    }
    if (p->v->mode != OPUS_VERIFY_RESYNC) {
        return true;
    }
    /* Parity that is not trusted is, where there is another to agree. */
    if (raid_mask_count(p->unreadable) >= p->nr - p->nr_data) {
        return false;
    }
    generate_wanted(p);
    return parity_fits(p, 0, p->bytes);
}

static void parity_columns(Piece *p, uint64_t stripe, uint32_t lo)
{
    const RaidGeometry *geom = &p->s->geom;

    p->nr = geom->nr_data + geom->nr_parity;
    p->nr_data = geom->nr_data;
    p->sync_off = raid_stripe_member_off(geom, stripe) + lo;
    p->exps = raid_stripe_exponents(geom, stripe, p->exps_buf);
    for (unsigned role = 0; role < p->nr; role++) {
        unsigned i = role < p->nr_data ? raid_stripe_coef(geom, stripe, role)
                                       : role;

        p->slots[i] = raid_stripe_slot(geom, stripe, role);
        p->member_off[i] = p->sync_off;
    }
}

static int coroutine_fn GRAPH_RDLOCK verify_parity(Piece *p)
{
    if (!recover_columns(p)) {
        return give_up_unreadable(p, p->v->mode == OPUS_VERIFY_RESYNC ? -EIO
                                                                      : 0);
    }
    generate_wanted(p);
    if (p->v->mode == OPUS_VERIFY_RESYNC) {
        RAID_MASK_FOREACH(i, p->unreadable & ~raid_mask_first(p->nr_data)) {
            memcpy(column(p, i), wanted(p, i), p->bytes);
        }
    }
    compare_parity(p);
    if (p->unreadable && p->unsure) {
        return give_up_unreadable(p, 0);
    }
    return write_columns(p);
}

/* --- mirrors */

static void compare_copies(Piece *p, unsigned base)
{
    for (uint32_t lo = 0; lo < p->bytes; lo += OPUS_VERIFY_BLOCK_BYTES) {
        uint32_t bytes = MIN(OPUS_VERIFY_BLOCK_BYTES, p->bytes - lo);
        bool differs = false;

        for (unsigned i = 0; i < p->nr; i++) {
            if (i == base || ((p->unreadable | p->absent) & RAID_BIT(i)) ||
                !memcmp(column(p, base) + lo, column(p, i) + lo, bytes)) {
                continue;
            }
            differs = true;
            if (p->v->mode != OPUS_VERIFY_CHECK) {
                memcpy(column(p, i) + lo, column(p, base) + lo, bytes);
                add_damage(&p->damage[i], lo, lo + bytes);
            }
        }
        if (differs) {
            count_mismatch(p, lo, bytes);
        }
    }
}

static void copy_columns(Piece *p, uint64_t array_off)
{
    p->nr = p->s->geom.copies;
    p->nr_data = p->nr;
    p->sync_off = array_off;
    for (unsigned i = 0; i < p->nr; i++) {
        RaidLoc loc;

        raid_map_copy(&p->s->geom, array_off, i, &loc);
        p->slots[i] = loc.slot;
        p->member_off[i] = loc.member_off;
    }
    note_absent(p);
}

static int coroutine_fn GRAPH_RDLOCK verify_copies(Piece *p,
                                                   uint64_t array_off)
{
    RaidMask unreadable_slots = 0;
    int base;

    RAID_MASK_FOREACH(i, p->unreadable) {
        unreadable_slots |= RAID_BIT(p->slots[i]);
    }
    base = opus_copies_first(p->s, array_off, unreadable_slots);
    if (base < 0 || !(RAID_BIT(base) & ~p->absent)) {
        /* Then nobody can be given anything wrong, either. */
        return give_up_unreadable(p, 0);
    }
    if (base != opus_copies_first(p->s, array_off, 0) &&
        p->bytes > OPUS_VERIFY_BLOCK_BYTES) {
        return -EAGAIN;         /* part of what reads choose may be readable */
    }
    compare_copies(p, base);
    RAID_MASK_FOREACH(i, p->unreadable) {
        memcpy(column(p, i), column(p, base), p->bytes);
    }
    return write_columns(p);
}

/* --- both */

/* Returns also -EAGAIN: nothing was done, and it is to be done in blocks. */
static int coroutine_fn GRAPH_RDLOCK verify_piece(OpusRaid *s, uint64_t unit,
                                                  uint32_t lo, uint32_t bytes,
                                                  OpusVerify *v)
{
    g_autofree Piece *p = g_new0(Piece, 1);
    OpusVerify delta = { .mode = v->mode };
    uint64_t array_off = (unit << s->geom.chunk_shift) + lo;
    size_t total;
    int ret;

    p->s = s;
    p->v = &delta;
    p->bytes = bytes;
    if (raid_has_parity(&s->geom)) {
        parity_columns(p, unit, lo);
    } else {
        copy_columns(p, array_off);
    }
    p->column_bytes = QEMU_ALIGN_UP(bytes, OPUS_BOUNCE_ALIGN);
    if (p->absent) {
        if (!goes_on_without(p)) {
            return -EIO;
        }
        if (raid_mask_count(p->absent) + 1 >= p->nr) {
            return 0;           /* one copy, or none: it differs from none */
        }
    }
    total = p->column_bytes * (p->nr + s->geom.nr_parity);
    p->buf = opus_bounce_alloc(total);
    if (!p->buf) {
        return -ENOMEM;
    }
    ret = read_columns(p);
    if (ret == 0) {
        ret = raid_has_parity(&s->geom) ? verify_parity(p)
                                      : verify_copies(p, array_off);
    }
    if (ret < 0 && v->mode == OPUS_VERIFY_REPAIR) {
        /* It may not have been written, so it is not said to fit. */
        p->unsure = true;
        delta.unrepaired_sectors = delta.mismatch_sectors;
    }
    if (ret != -EAGAIN) {
        send_mismatch(p);
        v->mismatch_sectors += delta.mismatch_sectors;
        v->unrepaired_sectors += delta.unrepaired_sectors;
        v->corrected_reads += delta.corrected_reads;
        v->unreadable_bytes += delta.unreadable_bytes;
    }
    opus_bounce_free(p->buf, total);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK verify_blocks(OpusRaid *s, uint64_t unit,
                                                   uint32_t lo, uint32_t bytes,
                                                   OpusVerify *v)
{
    int ret = 0;

    for (uint32_t done = 0; done < bytes && ret == 0;
         done += OPUS_VERIFY_BLOCK_BYTES) {
        ret = verify_piece(s, unit, lo + done,
                           MIN(OPUS_VERIFY_BLOCK_BYTES, bytes - done), v);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_verify_unit(OpusRaid *s, uint64_t unit,
                                               OpusVerify *v)
{
    uint64_t end = v->end ?: raid_has_parity(&s->geom) ?
                   s->geom.member_bytes : s->geom.array_bytes;
    uint32_t unit_bytes = MIN(s->geom.chunk_bytes,
                              end - (unit << s->geom.chunk_shift));
    int ret = 0;

    for (uint32_t lo = 0; lo < unit_bytes && ret == 0;
         lo += MIN(PIECE_BYTES, unit_bytes - lo)) {
        uint32_t bytes = MIN(PIECE_BYTES, unit_bytes - lo);

        ret = verify_piece(s, unit, lo, bytes, v);
        if (ret == -EAGAIN) {
            ret = verify_blocks(s, unit, lo, bytes, v);
        }
    }
    return ret;
}
