/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy: another consistency policy for a running array
 *
 * Owns: the order of the change; where on the members bitmap and logs go.
 * Must not know: how they are used.
 * Threads: main loop; no request is in flight.
 * Invariants: I6, I13.
 *
 * The array is clean, and stays so: then all of redundancy is right, and there
 * is nothing that a policy would have to know. So first the superblocks are
 * told that there is none but "resync"; then what is new is written, to room
 * that is not in use any more; then the superblocks are told of it. Wherever
 * that is cut, it leaves a clean array with the old policy, the new one, or
 * "resync". A member that did not get the last update is told at assembly what
 * the others say, for what is new is on it already.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/lockable.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/base/blocking.h"
#include "block/opus-raid/base/parallel.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/setup/change-policy.h"
#include "block/opus-raid/trace.h"
#include "util/raid/extension.h"
#include "util/raid/recover.h"
#include "util/raid/room.h"

/* Units as large as md makes them, an anchor before and a header behind. */
#define PPL_MIN_SECTORS ((MD_PPL_UNIT_BYTES + 2 * MD_PPL_HEADER_BYTES) / \
                         RAID_SECTOR_BYTES)

typedef struct PolicyChange {
    OpusRaidConsistencyPolicy policy;
    uint64_t bitmap_chunk_bytes;        /* 0: by default */
    /* What the superblocks are going to say of the policy */
    MdSuper super;
    OpusConsistency *consistency;       /* to be used; or NULL */
} PolicyChange;

static bool is_kept(const OpusRaid *s, const PolicyChange *c)
{
    uint64_t chunk_bytes = 0;
    uint64_t nr_bits, nr_set;

    opus_bitmap_counts(s, &chunk_bytes, &nr_bits, &nr_set);
    return opus_policy_of(s) == c->policy &&
           (!c->bitmap_chunk_bytes || c->bitmap_chunk_bytes == chunk_bytes);
}

/* Does a policy exist for arrays of this kind? */
static bool check_applies(const OpusRaid *s, const PolicyChange *c,
                          Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);
    const char *level = raid_level_name(s->geom.level);

    if (!raid_has_redundancy(&s->geom)) {
        error_setg(errp, "Array '%s' is a %s: it has no redundancy to keep "
                   "consistent", node, level);
    } else if (c->policy == OPUS_RAID_CONSISTENCY_POLICY_PPL &&
               s->geom.level != RAID_LEVEL_5) {
        error_setg(errp, "Array '%s' is a %s: policy ppl is for raid5 only",
                   node, level);
    } else if (c->policy == OPUS_RAID_CONSISTENCY_POLICY_JOURNAL &&
               !raid_has_parity(&s->geom)) {
        error_setg(errp, "Array '%s' is a %s: policy journal is for raid5 and "
                   "raid6 only", node, level);
    } else if (c->bitmap_chunk_bytes &&
               c->policy != OPUS_RAID_CONSISTENCY_POLICY_BITMAP) {
        error_setg(errp, "'bitmap-chunk-size' needs policy=bitmap");
    } else if (c->bitmap_chunk_bytes &&
               (c->bitmap_chunk_bytes < 4096 ||
                c->bitmap_chunk_bytes > UINT32_MAX ||
                !is_power_of_2(c->bitmap_chunk_bytes))) {
        error_setg(errp, "'bitmap-chunk-size' must be a power of two from "
                   "4 KiB to 2 GiB");
    } else {
        return true;
    }
    return false;
}

/* Is anybody else changing it? */
static bool check_idle(const OpusRaid *s, Error **errp)
{
    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    if (s->jobs.none_starts) {
        error_setg(errp, "Array '%s' is about to be rebuilt",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    return opus_job_none_running(s, errp);
}

/* Is it in a state in which the policy may change? */
static bool check_state(const OpusRaid *s, Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (s->state != RAID_ARRAY_OPTIMAL) {
        error_setg(errp, "Array '%s' is %s: its consistency policy can be "
                   "changed when it is optimal", node,
                   raid_array_state_name(s->state));
    } else if (opus_replaced_slots(s)) {
        error_setg(errp, "Array '%s' has a member that is being replaced: its "
                   "consistency policy can be changed when that is done", node);
    } else {
        return true;
    }
    return false;
}

/* Does its superblock tell of the array as it is, now or once it is used? */
static bool is_told(const OpusMember *m)
{
    return m->state == RAID_MEMBER_IN_SYNC || m->state == RAID_MEMBER_SPARE;
}

static RaidRoom find_room(const OpusRaid *s, uint64_t tail_sectors,
                          uint64_t want_sectors)
{
    g_autofree const MdSuper **supers = g_new(const MdSuper *, s->nr_members);
    unsigned nr = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (is_told(&s->members[i])) {
            supers[nr++] = &s->members[i].super;
        }
    }
    return raid_room_find(supers, nr, tail_sectors, want_sectors);
}

static bool refuse_room(const OpusRaid *s, const char *what,
                        uint64_t want_sectors, RaidRoom room,
                        const char *instead, Error **errp)
{
    if (s->slots[0]->super.minor_version == 0) {
        error_setg(errp, "Array '%s' has its superblocks at the end of its "
                   "members (metadata 1.0): change its consistency policy with "
                   "mdadm", bdrv_get_node_name(s->bs));
        return false;
    }
    error_setg(errp, "Array '%s' has %" PRIu64 " bytes of room in one piece "
               "between superblock and data of its members; a %s needs %"
               PRIu64 ": use %s", bdrv_get_node_name(s->bs),
               raid_room_sectors(room) * RAID_SECTOR_BYTES, what,
               want_sectors * RAID_SECTOR_BYTES, instead);
    return false;
}

/* Sectors from the superblock; it is in the same place on all members. */
static int64_t from_super(const OpusRaid *s, RaidRoom room)
{
    return room.start - s->slots[0]->super.super_offset_sectors;
}

static bool prepare_bitmap(OpusRaid *s, PolicyChange *c, Error **errp)
{
    const MdSuper *model = &s->slots[0]->super;
    uint64_t sync_sectors = md_bitmap_sync_sectors(&s->geom);
    uint32_t space = md_bitmap_default_space(model->data_size_sectors);
    RaidRoom room = find_room(s, 0, UINT64_MAX);
    uint64_t largest = raid_room_sectors(room);
    uint64_t chunk_bytes = c->bitmap_chunk_bytes ?:
        md_bitmap_default_chunk(sync_sectors, MIN(largest, space));
    OpusBitmap *bitmap;
    uint64_t nr_bits = chunk_bytes ? md_bitmap_nr_bits(sync_sectors,
                                                       chunk_bytes) : 1;
    uint64_t want = md_bitmap_file_sectors(nr_bits);
    MdBitmapSuper super = {
        .chunk_bytes = chunk_bytes,
        .daemon_sleep_seconds = MD_BITMAP_DEFAULT_SLEEP_SECONDS,
        .sync_size_sectors = sync_sectors,
        .events = s->events,
        .events_cleared = s->events,
    };

    if (!chunk_bytes || largest < want || nr_bits > OPUS_BITMAP_MAX_BITS) {
        return refuse_room(s, "write-intent bitmap", want, room,
                           chunk_bytes ? "a larger 'bitmap-chunk-size'" :
                           "another policy", errp);
    }
    room = find_room(s, 0, want);
    super.sectors_reserved = MIN(raid_room_sectors(room), MAX(space, want));
    memcpy(super.uuid, model->set_uuid, sizeof(super.uuid));
    c->super.feature_map = MD_FEATURE_BITMAP_OFFSET;
    c->super.bitmap_offset_sectors = from_super(s, room);
    bitmap = opus_bitmap_new(&super, sync_sectors);
    if (!bitmap) {
        error_setg(errp, "Out of memory for the bitmap of array '%s'",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    c->consistency = &bitmap->common;
    return true;
}

static bool prepare_ppl(OpusRaid *s, PolicyChange *c, Error **errp)
{
    RaidRoom room = find_room(s, 0, MD_PPL_DEFAULT_SECTORS);
    uint64_t sectors = MIN(raid_room_sectors(room), MD_PPL_DEFAULT_SECTORS);

    if (sectors < PPL_MIN_SECTORS || from_super(s, room) > INT16_MAX) {
        return refuse_room(s, "partial parity log", PPL_MIN_SECTORS, room,
                           "another policy", errp);
    }
    c->super.feature_map = MD_FEATURE_MULTIPLE_PPLS;
    c->super.ppl_offset_sectors = from_super(s, room);
    c->super.ppl_size_sectors = sectors;
    c->consistency = &opus_ppl_new(&s->geom)->common;
    return true;
}

static bool prepare_journal(OpusRaid *s, PolicyChange *c, Error **errp)
{
    uint64_t want = RAID_JOURNAL_MIN_BYTES / RAID_SECTOR_BYTES;
    RaidRoom room = find_room(s, RAID_EXTENSION_BYTES / RAID_SECTOR_BYTES,
                              UINT64_MAX);

    if (raid_room_sectors(room) < want) {
        return refuse_room(s, "stripe journal", want, room, "another policy",
                           errp);
    }
    c->super.feature_map = RAID_FEATURE_EXTENSION;
    c->consistency = &opus_journal_new(room.start,
                                       raid_room_sectors(room))->common;
    return true;
}

static bool prepare(OpusRaid *s, PolicyChange *c, Error **errp)
{
    switch (c->policy) {
    case OPUS_RAID_CONSISTENCY_POLICY_BITMAP:
        return prepare_bitmap(s, c, errp);
    case OPUS_RAID_CONSISTENCY_POLICY_PPL:
        return prepare_ppl(s, c, errp);
    case OPUS_RAID_CONSISTENCY_POLICY_JOURNAL:
        return prepare_journal(s, c, errp);
    default:
        return true;
    }
}

/* What the superblocks will say when they are written next. */
static void coroutine_fn set_supers(OpusRaid *s, const MdSuper *super)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    QEMU_LOCK_GUARD(&s->state_lock);
    for (unsigned i = 0; i < s->nr_members; i++) {
        if (is_told(&s->members[i])) {
            raid_intent_copy(&s->members[i].super, super);
        }
    }
}

/*
 * What the members keep stays as it is until the superblocks do not speak of it
 * any more: a bitmap is not even told of their new event count.
 *
 * Returns 0, or -EIO when the array has failed.
 */
static int coroutine_fn GRAPH_RDLOCK drop_old(OpusRaid *s)
{
    g_autofree MdSuper *none = g_new0(MdSuper, 1);

    if (opus_policy_of(s) == OPUS_RAID_CONSISTENCY_POLICY_RESYNC) {
        return 0;
    }
    opus_consistency_free(s->consistency);
    s->consistency = NULL;
    set_supers(s, none);
    return opus_array_write_update(s);
}

static RaidMask use_slots(OpusRaid *s)
{
    return raid_mask_first(s->geom.nr_slots) & ~opus_missing_slots(s);
}

/* What superblocks do not tell yet. Returns the slots that did not take it. */
static RaidMask coroutine_fn GRAPH_RDLOCK write_new(OpusRaid *s,
                                                    PolicyChange *c)
{
    s->consistency = g_steal_pointer(&c->consistency);
    return opus_consistency(s)->init(s, use_slots(s));
}

/* Without telling which policy there is; yet it says where. */
static int coroutine_fn GRAPH_RDLOCK add_new(OpusRaid *s, PolicyChange *c)
{
    uint32_t features = c->super.feature_map;
    RaidMask failed_slots;

    c->super.feature_map = 0;
    set_supers(s, &c->super);
    failed_slots = write_new(s, c);
    RAID_MASK_FOREACH(slot, failed_slots) {
        int ret = opus_array_fail_member(s, slot, "write of bitmap or log",
                                         -EIO);
        if (ret < 0) {
            return ret;
        }
    }
    c->super.feature_map = features;
    set_supers(s, &c->super);
    return opus_array_write_update(s);
}

/* Spares have no say, but md wants to find it in them, too. */
static void coroutine_fn GRAPH_RDLOCK tell_spares(OpusRaid *s)
{
    QEMU_LOCK_GUARD(&s->meta_lock);
    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].state == RAID_MEMBER_SPARE) {
            opus_metadata_write_spare(s, &s->members[i]);
        }
    }
}

static int coroutine_fn GRAPH_RDLOCK change_co(OpusRaid *s, void *opaque,
                                               Error **errp)
{
    PolicyChange *c = opaque;
    OpusRaidConsistencyPolicy old = opus_policy_of(s);
    int ret = opus_array_mark_clean(s);

    /* A member that could not be flushed has failed. */
    if (!check_state(s, errp) || !prepare(s, c, errp)) {
        return -EINVAL;
    }
    if (ret == 0 && !opus_life_is_dirty(s)) {
        ret = drop_old(s);
        if (ret == 0 && c->policy != OPUS_RAID_CONSISTENCY_POLICY_RESYNC) {
            ret = add_new(s, c);
        }
        if (ret == 0) {
            tell_spares(s);
        }
    } else {
        ret = -EIO;
    }
    trace_opus_raid_policy(s->bs, OpusRaidConsistencyPolicy_str(old),
                           OpusRaidConsistencyPolicy_str(c->policy), ret);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot change the consistency policy of "
                         "array '%s'", bdrv_get_node_name(s->bs));
    }
    return ret;
}

bool opus_policy_set(OpusRaid *s, OpusRaidConsistencyPolicy policy,
                     uint64_t bitmap_chunk_bytes, Error **errp)
{
    g_autofree PolicyChange *c = g_new0(PolicyChange, 1);
    int ret;

    GLOBAL_STATE_CODE();

    c->policy = policy;
    c->bitmap_chunk_bytes = bitmap_chunk_bytes;
    if (!check_applies(s, c, errp)) {
        return false;
    }
    if (is_kept(s, c)) {
        return true;
    }
    if (!check_idle(s, errp) || !check_state(s, errp)) {
        return false;
    }
    /* Should a member fail: no rebuild begins until all is settled. */
    s->jobs.none_starts = true;
    bdrv_drained_begin(s->bs);
    ret = opus_control_run(s, change_co, c, errp);
    bdrv_drained_end(s->bs);
    s->jobs.none_starts = false;
    opus_array_changed(s);
    opus_consistency_free(c->consistency);
    return ret == 0;
}
