/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify: what is the same for stripes and for copies
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_PRIVATE_H
#define BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_PRIVATE_H

#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/redundancy/verify.h"

/* A range of a column that is to be written; empty when hi is 0. */
typedef struct Damage {
    uint32_t lo;
    uint32_t hi;
} Damage;

typedef struct OpusVerifyPiece {
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
} OpusVerifyPiece;

static inline uint8_t *column(const OpusVerifyPiece *p, unsigned i)
{
    return p->buf + i * p->column_bytes;
}

/* Parity as it follows from the data; @i as for column(). */
static inline uint8_t *wanted(const OpusVerifyPiece *p, unsigned i)
{
    return column(p, p->nr + i - p->nr_data);
}

static inline void add_damage(Damage *d, uint32_t lo, uint32_t hi)
{
    d->lo = d->hi ? MIN(d->lo, lo) : lo;
    d->hi = MAX(d->hi, hi);
}

/* A block does not fit together. */
void opus_verify_mismatch(OpusVerifyPiece *p, uint32_t lo, uint32_t bytes);

/* Nothing tells which column of it is wrong. */
void opus_verify_unrepaired(OpusVerifyPiece *p, uint32_t bytes);

/*
 * What can't be read can't be made up for. That is said of blocks: returns
 * -EAGAIN for a larger piece, whose members may be unreadable in different
 * places; else @ret.
 */
int GRAPH_RDLOCK opus_verify_give_up(OpusVerifyPiece *p, int ret);

/*
 * Write what was unreadable, or is to be changed. Returns 0, or -EIO when a
 * member failed that is needed.
 */
int coroutine_fn GRAPH_RDLOCK opus_verify_write(OpusVerifyPiece *p);

/* Columns without a member, or on one that is not rebuilt so far. */
void opus_verify_note_absent(OpusVerifyPiece *p);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_VERIFY_PRIVATE_H */
