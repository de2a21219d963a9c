/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify copies: which copy of a chunk is believed
 *
 * Owns: what counts as wrong in copies.
 * Must not know: jobs, superblocks, what is trusted where.
 * Threads: any; the caller holds the chunk's lock (I10).
 * Invariants: I10; what is right is never written (P6).
 *
 * The copy that reads choose is believed, because they may have given it out.
 */

#include "qemu/osdep.h"
#include "block/opus-raid/redundancy/mirror/copies.h"
#include "block/opus-raid/redundancy/mirror/verify.h"
#include "block/opus-raid/redundancy/verify-private.h"

static void compare_copies(OpusVerifyPiece *p, unsigned base)
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
            opus_verify_mismatch(p, lo, bytes);
        }
    }
}

void opus_mirror_lay_out(OpusVerifyPiece *p, uint64_t chunk, uint32_t lo)
{
    uint64_t array_off = (chunk << p->s->geom.chunk_shift) + lo;

    p->nr = p->s->geom.copies;
    p->nr_data = p->nr;
    p->sync_off = array_off;
    for (unsigned i = 0; i < p->nr; i++) {
        RaidLoc loc;

        raid_map_copy(&p->s->geom, array_off, i, &loc);
        p->slots[i] = loc.slot;
        p->member_off[i] = loc.member_off;
    }
    opus_verify_note_absent(p);
}

int coroutine_fn GRAPH_RDLOCK opus_mirror_verify(OpusVerifyPiece *p)
{
    RaidMask unreadable_slots = 0;
    int base;

    RAID_MASK_FOREACH(i, p->unreadable) {
        unreadable_slots |= RAID_BIT(p->slots[i]);
    }
    base = opus_copies_first(p->s, p->sync_off, unreadable_slots);
    if (base < 0 || !(RAID_BIT(base) & ~p->absent)) {
        /* Then no read can return anything wrong, either. */
        return opus_verify_give_up(p, 0);
    }
    if (base != opus_copies_first(p->s, p->sync_off, 0) &&
        p->bytes > OPUS_VERIFY_BLOCK_BYTES) {
        return -EAGAIN;         /* part of what reads choose may be readable */
    }
    compare_copies(p, base);
    RAID_MASK_FOREACH(i, p->unreadable) {
        memcpy(column(p, i), column(p, base), p->bytes);
    }
    return opus_verify_write(p);
}
