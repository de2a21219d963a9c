/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify parity: which column of a stripe is believed
 *
 * Owns: what counts as wrong in a stripe.
 * Must not know: jobs, superblocks, what is trusted where.
 * Threads: any; the caller holds the stripe's lock (I10).
 * Invariants: I10; what is right is never written (P6).
 *
 * Of a RAID5 stripe the data is believed. A repair of a RAID6 stripe believes
 * what makes all others fit together, and nothing if there is no such column.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/redundancy/parity/verify.h"
#include "block/opus-raid/redundancy/verify-private.h"
#include "util/raid/locate.h"
#include "util/raid/parity.h"

/* RAID6 errors are located in what members read and write as a whole. */
#define LOCATE_BYTES    512u

static void generate_wanted(OpusVerifyPiece *p)
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
static void locate_block(OpusVerifyPiece *p, uint32_t lo, uint32_t bytes)
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
            opus_verify_unrepaired(p, LOCATE_BYTES);
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

static void take_wanted(OpusVerifyPiece *p, uint32_t lo, uint32_t bytes)
{
    for (unsigned i = p->nr_data; i < p->nr; i++) {
        if (memcmp(column(p, i) + lo, wanted(p, i) + lo, bytes)) {
            memcpy(column(p, i) + lo, wanted(p, i) + lo, bytes);
            add_damage(&p->damage[i], lo, lo + bytes);
        }
    }
}

static bool parity_fits(const OpusVerifyPiece *p, uint32_t lo, uint32_t bytes)
{
    for (unsigned i = p->nr_data; i < p->nr; i++) {
        if (memcmp(column(p, i) + lo, wanted(p, i) + lo, bytes)) {
            return false;
        }
    }
    return true;
}

static void compare_parity(OpusVerifyPiece *p)
{
    if (parity_fits(p, 0, p->bytes)) {
        return;
    }
    for (uint32_t lo = 0; lo < p->bytes; lo += OPUS_VERIFY_BLOCK_BYTES) {
        uint32_t bytes = MIN(OPUS_VERIFY_BLOCK_BYTES, p->bytes - lo);

        if (parity_fits(p, lo, bytes)) {
            continue;
        }
        opus_verify_mismatch(p, lo, bytes);
        if (p->v->mode == OPUS_VERIFY_RESYNC) {
            take_wanted(p, lo, bytes);
        } else if (p->unreadable) {
            /* What was computed to stand in for a member may be wrong. */
            opus_verify_unrepaired(p, bytes);
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
static bool recover_columns(OpusVerifyPiece *p)
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

void opus_parity_lay_out(OpusVerifyPiece *p, uint64_t stripe, uint32_t lo)
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

int coroutine_fn GRAPH_RDLOCK opus_parity_verify(OpusVerifyPiece *p)
{
    if (!recover_columns(p)) {
        return opus_verify_give_up(p, p->v->mode == OPUS_VERIFY_RESYNC ? -EIO
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
        return opus_verify_give_up(p, 0);
    }
    return opus_verify_write(p);
}
