/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify: is the redundancy of a stripe right? If not, make it so
 *
 * Owns: what is read, written and told of a unit.
 * Must not know: jobs, superblocks, what is trusted where, levels.
 * Threads: any; the caller holds the lock of the stripe or chunk (I10).
 * Invariants: I10; what is right is never written (P6).
 *
 * All columns of a piece are read: of a stripe those of the data in the order
 * of their coefficient, then P and Q; of a chunk, all copies. Reading what is
 * right already costs no more than writing it, and leaves the members as they
 * are, so nothing is written that does not differ.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/units.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/redundancy.h"
#include "block/opus-raid/redundancy/verify-private.h"

/* A unit is worked on in pieces of this size, so that buffers stay small. */
#define PIECE_BYTES     (256u * 1024)

static void coroutine_fn GRAPH_RDLOCK read_task(void *opaque, unsigned i)
{
    OpusVerifyPiece *p = opaque;
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
static bool goes_on_without(const OpusVerifyPiece *p)
{
    return !opus_redundancy(p->s)->resync_needs_all &&
           p->v->mode == OPUS_VERIFY_RESYNC &&
           !opus_array_has_failed(p->s);
}

void opus_verify_note_absent(OpusVerifyPiece *p)
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
static int coroutine_fn GRAPH_RDLOCK read_columns(OpusVerifyPiece *p)
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
    opus_verify_note_absent(p);
    return 0;
}

static void GRAPH_RDLOCK send_read_error(OpusVerifyPiece *p, unsigned i,
                                         bool corrected)
{
    OpusMember *m = p->s->slots[p->slots[i]];

    qapi_event_send_opus_raid_read_error(
        bdrv_get_node_name(p->s->bs), opus_member_node(m), p->slots[i],
        opus_member_data(m, p->member_off[i]), p->bytes, corrected);
}

int GRAPH_RDLOCK opus_verify_give_up(OpusVerifyPiece *p, int ret)
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
static int coroutine_fn GRAPH_RDLOCK
write_column(OpusVerifyPiece *p, unsigned i, uint32_t lo, uint32_t hi)
{
    OpusMember *m = p->s->slots[p->slots[i]];
    OpusMember *too = opus_replacement_at(p->s, p->slots[i],
                                          p->member_off[i]);
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

int coroutine_fn GRAPH_RDLOCK opus_verify_write(OpusVerifyPiece *p)
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

void opus_verify_mismatch(OpusVerifyPiece *p, uint32_t lo, uint32_t bytes)
{
    p->v->mismatch_sectors += DIV_ROUND_UP(bytes, RAID_SECTOR_BYTES);
    add_damage(&p->mismatch, lo, lo + bytes);
}

void opus_verify_unrepaired(OpusVerifyPiece *p, uint32_t bytes)
{
    p->unsure = true;
    if (p->v->mode == OPUS_VERIFY_REPAIR) {
        p->v->unrepaired_sectors += DIV_ROUND_UP(bytes, RAID_SECTOR_BYTES);
    }
}

/* A resync expects to find some; it is not news. */
static void send_mismatch(const OpusVerifyPiece *p)
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

/* Returns also -EAGAIN: nothing was done, and it is to be done in blocks. */
static int coroutine_fn GRAPH_RDLOCK verify_piece(OpusRaid *s, uint64_t unit,
                                                  uint32_t lo, uint32_t bytes,
                                                  OpusVerify *v)
{
    g_autofree OpusVerifyPiece *p = g_new0(OpusVerifyPiece, 1);
    OpusVerify delta = { .mode = v->mode };
    size_t total;
    int ret;

    p->s = s;
    p->v = &delta;
    p->bytes = bytes;
    opus_redundancy(s)->lay_out(p, unit, lo);
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
        ret = opus_redundancy(s)->verify(p);
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
    uint64_t end = v->end ?: raid_sync_bytes(&s->geom);
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
