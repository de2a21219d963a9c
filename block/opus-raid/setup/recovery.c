/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recovery: what bitmaps and logs say of an array that is being assembled
 *
 * Owns: reading them, and making the one bitmap that the array then keeps.
 * Must not know: what follows from it; util/raid/recover.c does.
 * Threads: main loop, before the first request or while drained.
 * Invariants: P4, I13 (a bitmap that reaches into data is not believed).
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/setup/recovery.h"

/* The bitmaps of all members, read one after the other. */
typedef struct Bitmaps {
    OpusRaid *s;
    RaidAssembly *a;
    bool read_only;
    uint64_t sync_sectors;
    MdBitmapSuper super;        /* the one to go on with */
    bool have_super;
    RaidMask good_slots;        /* whose bitmaps are merged */
    RaidMask foreign_slots;     /* whose bitmaps are of another kind */
    MdBitmapError foreign;      /* of the lowest of those */
    bool lockless;
    void *merged;
    bool differ;                /* or one of them is missing */
} Bitmaps;

static OpusMember *member_in(const Bitmaps *r, unsigned slot)
{
    return &r->s->members[r->a->slots[slot]];
}

static int64_t bitmap_off(const OpusMember *m)
{
    return ((int64_t)m->super.super_offset_sectors +
            m->super.bitmap_offset_sectors) * RAID_SECTOR_BYTES;
}

static size_t image_bytes(uint64_t nr_bits)
{
    return QEMU_ALIGN_UP(md_bitmap_file_sectors(nr_bits) * RAID_SECTOR_BYTES,
                         MD_BITMAP_BLOCK_BYTES);
}

/* Is there one on the member that makes sense at all? */
static MdBitmapError coroutine_fn GRAPH_RDLOCK
read_super(const Bitmaps *r, OpusMember *m, MdBitmapSuper *super)
{
    int64_t device_bytes = bdrv_co_getlength(m->child->bs);
    g_autofree uint8_t *buf = g_malloc(RAID_SECTOR_BYTES);
    MdBitmapError err;
    uint64_t nr_bits;

    if (device_bytes < 0 || bitmap_off(m) < 0 ||
        opus_child_pread(m->child, bitmap_off(m), RAID_SECTOR_BYTES,
                         buf) < 0) {
        return MD_BITMAP_NONE;
    }
    err = md_bitmap_super_decode(buf, super);
    if (err != MD_BITMAP_OK) {
        return err;
    }
    nr_bits = md_bitmap_nr_bits(r->sync_sectors, super->chunk_bytes);
    if (nr_bits > OPUS_BITMAP_MAX_BITS) {
        return MD_BITMAP_BAD_CHUNK;
    }
    return md_bitmap_check_room(&m->super, device_bytes, nr_bits);
}

/* Take the bits of a current bitmap; false when they can't be read. */
static bool coroutine_fn GRAPH_RDLOCK
merge_bits(Bitmaps *r, OpusMember *m)
{
    uint64_t nr_bits = md_bitmap_nr_bits(r->sync_sectors,
                                         r->super.chunk_bytes);
    size_t bytes = image_bytes(nr_bits);
    size_t used = md_bitmap_file_sectors(nr_bits) * RAID_SECTOR_BYTES;
    void *image = qemu_try_blockalign0(m->child->bs, bytes);

    if (!image ||
        opus_child_pread(m->child, bitmap_off(m), used, image) < 0) {
        qemu_vfree(image);
        return false;
    }
    if (r->merged) {
        r->differ |= md_bitmap_merge(r->merged, image, nr_bits);
        qemu_vfree(image);
    } else {
        r->merged = image;
    }
    return true;
}

static void note_foreign(Bitmaps *r, unsigned slot, MdBitmapError err)
{
    if (!md_bitmap_is_foreign(err)) {
        return;
    }
    if (!r->foreign_slots) {
        r->foreign = err;
    }
    r->foreign_slots |= RAID_BIT(slot);
    r->lockless |= err == MD_BITMAP_LOCKLESS;
}

/*
 * One that is being rebuilt has no say, but its bitmap is written at the end.
 * False when it must not be.
 */
static bool coroutine_fn GRAPH_RDLOCK check_target_bitmap(Bitmaps *r)
{
    for (unsigned i = 0; i < r->s->nr_members; i++) {
        OpusMember *m = &r->s->members[i];
        MdBitmapSuper super;
        MdBitmapError err;

        if (r->a->verdicts[i] != RAID_MEMBER_REBUILDING ||
            raid_intent_of(m->super.feature_map) != RAID_INTENT_BITMAP) {
            continue;
        }
        err = read_super(r, m, &super);
        if (md_bitmap_is_foreign(err)) {
            r->a->member = i;
            r->a->bitmap_error = err;
            return false;
        }
    }
    return true;
}

/*
 * A bitmap that is not current still tells which chunk size was chosen. Those
 * that are current agree, or one was tampered with.
 */
static void coroutine_fn GRAPH_RDLOCK read_bitmap(Bitmaps *r, unsigned slot)
{
    OpusMember *m = member_in(r, slot);
    const MdSuper *fresh = &r->s->members[r->a->freshest].super;
    MdBitmapSuper super;
    MdBitmapError err = read_super(r, m, &super);
    bool first = !r->good_slots;

    if (err == MD_BITMAP_OK) {
        err = md_bitmap_judge(&super, fresh->set_uuid, r->sync_sectors,
                              r->a->events);
        if (!r->have_super || (err == MD_BITMAP_OK && first)) {
            r->super = super;
            r->have_super = true;
        }
    }
    if (err == MD_BITMAP_OK && super.chunk_bytes != r->super.chunk_bytes) {
        err = MD_BITMAP_BAD_CHUNK;
    }
    if (err == MD_BITMAP_OK && merge_bits(r, m)) {
        r->good_slots |= RAID_BIT(slot);
        r->super.events_cleared = MAX(r->super.events_cleared,
                                      super.events_cleared);
        return;
    }
    r->differ = true;
    note_foreign(r, slot, err);
    if (md_bitmap_is_foreign(err) && !r->read_only) {
        return;                 /* an error will say so */
    }
    warn_report("opus-raid node '%s': the bitmap of member '%s' is not used: "
                "%s", bdrv_get_node_name(r->s->bs), opus_member_name(m),
                err == MD_BITMAP_OK ? "it can't be read"
                                    : md_bitmap_error_text(err));
}

/* False: there is a refusal in @r->a. */
static bool coroutine_fn GRAPH_RDLOCK read_bitmaps(Bitmaps *r,
                                                   RaidFindings *found)
{
    for (unsigned slot = 0; slot < r->a->geom.nr_slots; slot++) {
        if (r->a->slots[slot] >= 0) {
            read_bitmap(r, slot);
        }
    }
    found->bitmaps = r->good_slots;
    found->foreign_bitmaps = r->foreign_slots;
    found->lockless = r->lockless;
    if (!r->read_only && !r->foreign_slots && !check_target_bitmap(r)) {
        r->a->refusal = RAID_REFUSE_BITMAP;
        return false;
    }
    return true;
}

/* Where no member tells, the smallest chunk that mdadm would take and fits. */
static bool coroutine_fn GRAPH_RDLOCK default_super(Bitmaps *r)
{
    uint64_t chunk_bytes = MD_BITMAP_DEFAULT_CHUNK_BYTES;

    for (unsigned slot = 0; slot < r->a->geom.nr_slots; slot++) {
        OpusMember *m;
        int64_t device_bytes;

        if (r->a->slots[slot] < 0) {
            continue;
        }
        m = member_in(r, slot);
        device_bytes = MAX(bdrv_co_getlength(m->child->bs), 0);
        while (md_bitmap_check_room(&m->super, device_bytes,
                   md_bitmap_nr_bits(r->sync_sectors, chunk_bytes)) !=
               MD_BITMAP_OK) {
            chunk_bytes *= 2;
            if (chunk_bytes > UINT32_MAX) {
                return false;
            }
        }
    }
    r->super = (MdBitmapSuper) {
        .chunk_bytes = chunk_bytes,
        .daemon_sleep_seconds = MD_BITMAP_DEFAULT_SLEEP_SECONDS,
    };
    memcpy(r->super.uuid, r->s->members[r->a->freshest].super.set_uuid,
           sizeof(r->super.uuid));
    return true;
}

static int coroutine_fn GRAPH_RDLOCK
make_bitmap(Bitmaps *r, const RaidRecoverPlan *plan, OpusConsistency **kept,
            Error **errp)
{
    const char *node = bdrv_get_node_name(r->s->bs);
    OpusBitmap *b;

    if (!r->have_super && !default_super(r)) {
        error_setg(errp, "Array '%s' should have a write-intent bitmap, but "
                   "its members have no room for one", node);
        error_append_hint(errp, "Let md repair it: 'mdadm --grow "
                          "--bitmap=none' removes it.\n");
        return -EINVAL;
    }
    r->super.state = 0;
    r->super.events = r->a->events;
    if (!plan->merge_slots) {
        r->super.events_cleared = r->a->events;
    }
    b = opus_bitmap_new(&r->super, r->sync_sectors);
    if (!b) {
        error_setg(errp, "Out of memory for the bitmap of array '%s'", node);
        return -ENOMEM;
    }
    if (plan->merge_slots) {
        md_bitmap_load(&b->bits, r->merged, !plan->clean_bitmap, !r->differ);
    } else {
        md_bitmap_set_all(&b->bits, !plan->clean_bitmap);
    }
    *kept = &b->common;
    return 0;
}

/*
 * Do members in sync agree on what the array keeps? One that is an update
 * behind may not know yet; what is new was put there before any superblock was
 * written, so it is told now.
 */
static bool check_same_intent(OpusRaid *s, RaidAssembly *a)
{
    const MdSuper *fresh = &s->members[a->freshest].super;

    for (unsigned slot = 0; slot < a->geom.nr_slots; slot++) {
        MdSuper *super;

        if (a->slots[slot] < 0) {
            continue;
        }
        super = &s->members[a->slots[slot]].super;
        if (raid_intent_of(super->feature_map) ==
            raid_intent_of(fresh->feature_map)) {
            continue;
        }
        if (super->events == a->events) {
            a->refusal = RAID_REFUSE_MISMATCH;
            a->member = a->slots[slot];
            a->other = a->freshest;
            return false;
        }
        raid_intent_copy(super, fresh);
    }
    return true;
}

static OpusPpl *coroutine_fn GRAPH_RDLOCK
read_logs(OpusRaid *s, const RaidAssembly *a, RaidFindings *found)
{
    OpusPpl *ppl = opus_ppl_new(&a->geom);

    for (unsigned slot = 0; slot < a->geom.nr_slots; slot++) {
        OpusPplLog *log = &ppl->logs[slot];
        OpusMember *m;

        if (a->slots[slot] < 0) {
            continue;
        }
        m = &s->members[a->slots[slot]];
        if (!opus_ppl_scan(m, &a->geom, slot, log)) {
            warn_report("opus-raid node '%s': the partial parity log of "
                        "member '%s' is not valid",
                        bdrv_get_node_name(s->bs), opus_member_name(m));
            continue;
        }
        found->logs |= RAID_BIT(slot);
        if (log->found.nr_entries || log->found.generation) {
            found->logs_used |= RAID_BIT(slot);
        }
        if (log->found.nr_entries) {
            found->logs_filled |= RAID_BIT(slot);
        }
    }
    return ppl;
}

static OpusJournal *coroutine_fn GRAPH_RDLOCK
read_journals(OpusRaid *s, const RaidAssembly *a, RaidFindings *found,
              Error **errp)
{
    OpusMember *members[RAID_MAX_MEMBERS] = { NULL };
    bool dirty = a->resync_offset != MD_RESYNC_DONE;
    OpusJournal *j;

    for (unsigned slot = 0; slot < a->geom.nr_slots; slot++) {
        if (a->slots[slot] >= 0) {
            members[slot] = &s->members[a->slots[slot]];
        }
    }
    j = opus_journal_scan(members, &a->geom, dirty, errp);
    if (!j) {
        return NULL;
    }
    for (unsigned slot = 0; slot < a->geom.nr_slots && dirty; slot++) {
        if (members[slot] && !(j->valid_slots & RAID_BIT(slot))) {
            warn_report("opus-raid node '%s': the stripe journal of member "
                        "'%s' is not valid", bdrv_get_node_name(s->bs),
                        opus_member_name(members[slot]));
        }
    }
    found->logs = j->valid_slots;
    found->logs_filled = j->found.nr_entries ? j->found_slots : 0;
    return j;
}

int coroutine_fn GRAPH_RDLOCK
opus_recover(OpusRaid *s, bool read_only, RaidAssembly *a,
             RaidRecoverPlan *plan, OpusConsistency **kept, Error **errp)
{
    const MdSuper *fresh = &s->members[a->freshest].super;
    RaidFindings found = {
        .intent = raid_intent_of(fresh->feature_map),
        .policy = s->options.policy,
        .read_only = read_only,
    };
    Bitmaps r = {
        .s = s, .a = a, .read_only = read_only,
        .sync_sectors = md_bitmap_sync_sectors(&a->geom),
    };
    OpusPpl *ppl = NULL;
    OpusJournal *journal = NULL;
    int ret = 0;

    *kept = NULL;
    if (!check_same_intent(s, a)) {
        return -EINVAL;
    }
    if (found.intent == RAID_INTENT_BITMAP && r.sync_sectors) {
        if (!read_bitmaps(&r, &found)) {
            qemu_vfree(r.merged);
            return -EINVAL;
        }
    }
    if (found.intent == RAID_INTENT_PPL) {
        ppl = read_logs(s, a, &found);
        *kept = &ppl->common;
    }
    if (found.intent == RAID_INTENT_JOURNAL) {
        journal = read_journals(s, a, &found, errp);
        if (!journal) {
            a->refusal = RAID_REFUSE_NONE;
            return -EINVAL;
        }
        *kept = &journal->common;
    }
    if (!raid_recover(a, &found, plan)) {
        a->refusal = plan->refusal;
        a->slot = plan->slot;
        if (a->refusal == RAID_REFUSE_BITMAP) {
            a->member = a->slots[a->slot];
            a->bitmap_error = r.foreign;
        }
        ret = -EINVAL;
    } else {
        a->refusal = RAID_REFUSE_NONE;
        if (found.intent == RAID_INTENT_BITMAP && r.sync_sectors) {
            ret = make_bitmap(&r, plan, kept, errp);
        }
    }
    if (ppl) {
        RAID_MASK_FOREACH(slot, plan->replay_slots) {
            ppl->logs[slot].replay = true;
        }
    }
    if (journal) {
        journal->replay = plan->replay_slots;
    }
    qemu_vfree(r.merged);
    return ret;
}
