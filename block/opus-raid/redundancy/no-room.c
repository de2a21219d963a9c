/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refusal: a write that members did not take because there is no room
 *
 * Owns: what becomes of the stripe or chunk, and of the request.
 * Must not know: what was to be written.
 * Threads: any; the holder of the lock of the stripe or chunk.
 * Invariants: I5, I10.
 *
 * A full file system or thin pool is no fault of a drive, and often it is the
 * same one under all members: to fail them would end the array over what is
 * over as soon as space is freed. But a member that refuses may have
 * taken part of a write, and others all of it, so what they hold is made to
 * fit.
 *
 * Members with room for parity follow the data. Parity that had no room has
 * none now, either; but there must have been room for the data that was written
 * beside it: so as many chunks of that follow from the parity that stayed. When
 * they are all that was written, they are what they were before.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "block/block-io.h"
#include "util/raid/parity.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/bounce.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/redundancy/no-room.h"
#include "block/opus-raid/redundancy/verify.h"

/* Users need not be told of each request. */
#define SAY_MS      60000

#define PART_BYTES  65536u

static bool is_refusal(int ret)
{
    return ret == -ENOSPC || ret == -EDQUOT || ret == -EFBIG || ret == -EROFS;
}

void opus_refusal_note(const OpusRaid *s, OpusRefusal *r, const OpusMember *m,
                       int ret)
{
    if (m->slot < 0 || opus_is_replacement(s, m)) {
        return;                 /* it is dropped, whatever it has said */
    }
    if (is_refusal(ret)) {
        r->refused_slots |= RAID_BIT(m->slot);
        r->err = r->err ?: ret;
    } else if (ret < 0) {
        r->failed = true;
    } else {
        r->took_slots |= RAID_BIT(m->slot);
    }
}

static void GRAPH_RDLOCK say(OpusRaid *s, int err)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    if (now >= qatomic_read(&s->refusal_quiet_until_ms)) {
        qatomic_set(&s->refusal_quiet_until_ms, now + SAY_MS);
        warn_report("opus-raid node '%s': members have no room for a write "
                    "(%s), so it has failed, and they stay in use",
                    bdrv_get_node_name(s->bs), strerror(-err));
    }
}

/* --- parity that had no room */

/* As much of a stripe as is read and written at a time. */
typedef struct Part {
    OpusRaid *s;
    uint64_t stripe;
    uint64_t member_off;
    uint32_t bytes;
    uint8_t *buf;               /* columns: data by coefficient, P, Q */
    OpusMember *members[RAID_MAX_MEMBERS];      /* of the columns */
    int rets[RAID_MAX_MEMBERS];
} Part;

static unsigned nr_columns(const OpusRaid *s)
{
    return s->geom.nr_data + s->geom.nr_parity;
}

static uint8_t *column(const Part *p, unsigned i)
{
    return p->buf + (size_t)i * PART_BYTES;
}

static unsigned column_of_role(const Part *p, unsigned role)
{
    return role < p->s->geom.nr_data
           ? raid_stripe_coef(&p->s->geom, p->stripe, role) : role;
}

static void coroutine_fn GRAPH_RDLOCK read_task(void *opaque, unsigned i)
{
    Part *p = opaque;
    int64_t off = opus_member_data(p->members[i], p->member_off);

    p->rets[i] = opus_member_is_bad(p->members[i], off, p->bytes) ? -EIO :
                 opus_member_pread(p->members[i], off, column(p, i), p->bytes);
}

/* Only what differs: elsewhere there may be no room. */
static int coroutine_fn GRAPH_RDLOCK write_changes(Part *p, unsigned i,
                                                   const uint8_t *before)
{
    OpusMember *m = p->members[i];
    int ret = 0;

    for (uint32_t lo = 0; lo < p->bytes; lo += OPUS_VERIFY_BLOCK_BYTES) {
        uint32_t bytes = MIN(OPUS_VERIFY_BLOCK_BYTES, p->bytes - lo);
        int err;

        if (!memcmp(column(p, i) + lo, before + lo, bytes)) {
            continue;
        }
        err = opus_member_pwrite(m, opus_member_data(m, p->member_off + lo),
                                 column(p, i) + lo, bytes, 0);
        ret = ret ?: err;
    }
    return ret;
}

/* Have columns follow from all others. */
static int coroutine_fn GRAPH_RDLOCK restore_part(Part *p, RaidMask columns)
{
    unsigned nr = nr_columns(p->s);
    void *cols[RAID_MAX_MEMBERS + 2] = { NULL };
    uint8_t exps[RAID_MAX_MEMBERS];
    uint8_t *before = column(p, nr);
    int ret = 0;

    opus_parallel(read_task, p, nr, nr);
    for (unsigned i = 0; i < nr; i++) {
        cols[i] = column(p, i);
        ret = ret ?: p->rets[i];
    }
    if (ret < 0) {
        return -EIO;
    }
    RAID_MASK_FOREACH(i, columns) {
        memcpy(before, column(p, i), p->bytes);
        before += PART_BYTES;
    }
    if (!raid_parity_recover(p->s->geom.nr_data,
                             raid_stripe_exponents(&p->s->geom, p->stripe,
                                                   exps), p->bytes, cols,
                             raid_mask_first(nr) & ~columns, columns)) {
        return -EIO;
    }
    before = column(p, nr);
    RAID_MASK_FOREACH(i, columns) {
        int err = write_changes(p, i, before);

        ret = ret ?: err;
        before += PART_BYTES;
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK restore_stripe(OpusRaid *s,
                                                    uint64_t stripe,
                                                    RaidMask roles)
{
    uint64_t base = raid_stripe_member_off(&s->geom, stripe);
    unsigned nr = nr_columns(s);
    size_t total = (size_t)(nr + s->geom.nr_parity) * PART_BYTES;
    Part p = { .s = s, .stripe = stripe };
    RaidMask columns = 0;
    int ret = 0;

    p.buf = opus_bounce_alloc(total);
    if (!p.buf) {
        return -ENOMEM;
    }
    for (unsigned role = 0; role < nr; role++) {
        unsigned i = column_of_role(&p, role);

        p.members[i] = s->slots[raid_stripe_slot(&s->geom, stripe, role)];
        columns |= roles & RAID_BIT(role) ? RAID_BIT(i) : 0;
    }
    for (uint32_t lo = 0; lo < s->geom.chunk_bytes; lo += PART_BYTES) {
        int err;

        p.member_off = base + lo;
        p.bytes = MIN(PART_BYTES, s->geom.chunk_bytes - lo);
        err = restore_part(&p, columns);
        ret = ret ?: err;
    }
    opus_bounce_free(p.buf, total);
    return ret;
}

static RaidMask roles_of(const OpusRaid *s, uint64_t stripe, RaidMask slots)
{
    RaidMask roles = 0;

    for (unsigned role = 0; role < nr_columns(s); role++) {
        if (slots & RAID_BIT(raid_stripe_slot(&s->geom, stripe, role))) {
            roles |= RAID_BIT(role);
        }
    }
    return roles;
}

/* Data that was to be written: first where there was room. Returns how many. */
static unsigned list_data(const OpusRaid *s, RaidMask took, RaidMask refused,
                          uint8_t *roles)
{
    RaidMask all = raid_mask_first(s->geom.nr_data);
    unsigned nr = 0;

    RAID_MASK_FOREACH(role, took & all) {
        roles[nr++] = role;
    }
    RAID_MASK_FOREACH(role, refused & ~took & all) {
        roles[nr++] = role;
    }
    return nr;
}

/*
 * As many chunks as there is parity follow from the others. Which of them have
 * room wherever something differs is not known: the next ones go on where some
 * had none. Parity that had no room is the last to be changed.
 */
static int coroutine_fn GRAPH_RDLOCK
follow_parity(OpusRaid *s, uint64_t stripe, const OpusRefusal *r)
{
    RaidMask parity = raid_mask_first(nr_columns(s)) &
                      ~raid_mask_first(s->geom.nr_data);
    RaidMask took = roles_of(s, stripe, r->took_slots);
    RaidMask refused = roles_of(s, stripe, r->refused_slots);
    RaidMask believed[] = { refused & parity, parity & ~refused };
    uint8_t data[RAID_MAX_MEMBERS];
    unsigned nr = list_data(s, took, refused, data);
    int ret = -ENOSPC;

    if (raid_mask_count(believed[0]) == 2) {
        for (unsigned i = 1; i < nr && is_refusal(ret); i++) {
            ret = restore_stripe(s, stripe, RAID_BIT(data[i - 1]) |
                                            RAID_BIT(data[i]));
        }
    }
    for (unsigned i = 0; i < nr * ARRAY_SIZE(believed); i++) {
        RAID_MASK_FOREACH(role, believed[i / nr]) {
            if (is_refusal(ret)) {
                ret = restore_stripe(s, stripe, RAID_BIT(data[i % nr]) |
                                                (parity & ~RAID_BIT(role)));
            }
        }
    }
    return ret;
}

static bool parity_refused(const OpusRaid *s, uint64_t stripe,
                           const OpusRefusal *r)
{
    return roles_of(s, stripe, r->refused_slots) &
           ~raid_mask_first(s->geom.nr_data);
}

/* Members stay, and the request has failed: no replacement can be right. */
static void GRAPH_RDLOCK keep_members(OpusRaid *s, const OpusRefusal *r)
{
    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        opus_array_drop_replacement(s, slot, "write", r->err);
    }
    say(s, r->err);
}

int coroutine_fn GRAPH_RDLOCK
opus_stripe_settle_refusal(OpusRaid *s, uint64_t stripe, const OpusRefusal *r)
{
    uint64_t off = raid_stripe_member_off(&s->geom, stripe);
    OpusVerify v = { .mode = OPUS_VERIFY_RESYNC };
    int ret;

    if (!r->refused_slots || r->failed ||
        (opus_missing_at(s, off) & raid_mask_first(s->geom.nr_slots))) {
        return 0;
    }
    keep_members(s, r);
    if (!opus_redundancy_trusted(s, off)) {
        return r->err;          /* a resync is going to make it right */
    }
    ret = parity_refused(s, stripe, r) ? follow_parity(s, stripe, r)
                                       : opus_verify_unit(s, stripe, &v);
    if (ret < 0) {
        /* Nothing must be computed from this stripe as it is now. */
        opus_array_give_up(s);
    }
    return ret < 0 ? -EIO : r->err;
}

int coroutine_fn GRAPH_RDLOCK
opus_copies_settle_refusal(OpusRaid *s, uint64_t chunk, const OpusRefusal *r)
{
    OpusVerify v = { .mode = OPUS_VERIFY_RESYNC };

    if (!r->refused_slots || r->failed ||
        (r->took_slots & ~opus_missing_slots(s))) {
        return 0;
    }
    keep_members(s, r);
    return opus_verify_unit(s, chunk, &v) < 0 ? -EIO : r->err;
}
