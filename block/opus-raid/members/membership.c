/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership: nodes that come to an array and leave it
 *
 * Owns: OpusRaid.members while the array is open; the superblock of a spare.
 * Must not know: what is done with a spare.
 * Threads: main loop. Requests hold pointers to members, so the list changes
 * only while the array is drained.
 * Invariants: I7: a new member gets a device number that no other member of
 * the array had, as far as the superblocks tell.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/uuid.h"
#include <linux/raid/md_p.h>
#include "util/raid/extension.h"
#include "util/raid/recover.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/may-lose.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/blocking.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/members/candidate.h"
#include "block/opus-raid/members/membership.h"

/* Zeroed at the start of a new member, even where data start before. */
#define WIPE_BYTES  (1024 * 1024)

/* All that md can use: one page. */
#define BAD_LOG_SECTORS     8

/* What else lies between superblock and data, and how long is not told. */
#define FEATURES_IN_ROOM    (MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_PPL | \
                             MD_FEATURE_MULTIPLE_PPLS | \
                             RAID_FEATURE_EXTENSION)

bool opus_member_can_return(OpusRaid *s, const MdSuper *super)
{
    g_autofree RaidAssembly *a = g_new0(RaidAssembly, 1);

    a->geom = s->geom;
    a->events = s->events;
    a->missing_slots = opus_missing_slots(s);
    return md_super_role(super) < s->geom.nr_slots &&
           opus_regions(s) && opus_regions(s)->covers(s, a, super);
}

static const OpusMember *any_in_sync(const OpusRaid *s)
{
    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].state == RAID_MEMBER_IN_SYNC) {
            return &s->members[i];
        }
    }
    return NULL;
}

/*
 * Numbers stand for one history each, so none is used that any superblock
 * knows as something else than free, nor one below: those may have been in use
 * before md cleared them. False when there is none left.
 */
static bool free_dev_number(const OpusRaid *s, uint32_t *number)
{
    uint32_t first = s->geom.nr_slots;
    uint32_t end = MD_SUPER_MAX_DEVICES;

    for (unsigned i = 0; i < s->nr_members; i++) {
        const OpusMember *m = &s->members[i];

        if (m->super.max_dev == 0) {
            continue;           /* its superblock could not be read */
        }
        first = MAX(first, m->super.dev_number + 1);
        if (m->state == RAID_MEMBER_IN_SYNC) {
            end = MIN(end, md_super_most_devices(&m->super));
        }
        for (uint32_t dev = first; dev < m->super.max_dev; dev++) {
            if (m->super.roles[dev] != MD_ROLE_SPARE) {
                first = dev + 1;
            }
        }
    }
    *number = first;
    return first < end;
}

/*
 * Room for a bad-block log where the other members have theirs, or else right
 * before the data, if nothing else can be there. At the end of a member (1.0)
 * there is only what they have.
 */
static void choose_bad_log(const OpusMember *model, MdSuper *super)
{
    int64_t room = (int64_t)super->data_offset_sectors -
                   (int64_t)super->super_offset_sectors;

    if (super->minor_version == 0) {
        super->bblog_size_sectors = 0;
        super->bblog_offset_sectors = 0;
    } else if (!super->bblog_size_sectors && room >= 3 * BAD_LOG_SECTORS &&
               !(model->super.feature_map & FEATURES_IN_ROOM)) {
        super->bblog_size_sectors = BAD_LOG_SECTORS;
        super->bblog_offset_sectors = room - BAD_LOG_SECTORS;
    }
}

/* What the superblock of a new spare says; the roles are added by array.c. */
static bool fill_super(const OpusRaid *s, OpusNewMember *m, MdSuper *super,
                       Error **errp)
{
    const OpusConsistencyOps *kept = opus_consistency(s);
    const OpusMember *model = any_in_sync(s);
    uint64_t end;
    QemuUUID uuid;

    if (!model) {
        error_setg(errp, "Array '%s' has no member in sync",
                   bdrv_get_node_name(s->bs));
        return false;
    }
    *super = model->super;
    super->feature_map = kept ? kept->feature : 0;
    super->recovery_offset = 0;
    super->cnt_corrected_read = 0;
    super->devflags = 0;
    super->bblog_shift = 0;
    qemu_uuid_generate(&uuid);
    memcpy(super->device_uuid, uuid.data, sizeof(super->device_uuid));
    if (!free_dev_number(s, &super->dev_number)) {
        error_setg(errp, "The superblocks of array '%s' have no room for "
                   "another device number", bdrv_get_node_name(s->bs));
        return false;
    }
    md_super_add_devices(super, super->dev_number + 1);
    super->roles[super->dev_number] = MD_ROLE_SPARE;

    end = md_super_offset(super->minor_version, m->device_bytes);
    super->super_offset_sectors = end / RAID_SECTOR_BYTES;
    if (super->minor_version != 0 || end == UINT64_MAX) {
        end = m->device_bytes;
    }
    if (end < model->data_off + s->geom.member_bytes) {
        error_setg(errp, "Member '%s' is too small: it has %" PRIu64
                   " bytes, %" PRIu64 " are needed", m->name, m->device_bytes,
                   model->data_off + s->geom.member_bytes +
                   m->device_bytes - end);
        return false;
    }
    m->data_bytes = QEMU_ALIGN_DOWN(end - model->data_off, RAID_SECTOR_BYTES);
    super->data_size_sectors = m->data_bytes / RAID_SECTOR_BYTES;
    choose_bad_log(model, super);
    if (kept && kept->fits && !kept->fits(s, super, m->device_bytes)) {
        error_setg(errp, "Member '%s' has no room for the array's %s", m->name,
                   kept->name);
        return false;
    }
    return true;
}

/* A node that is looked at, and then prepared. */
typedef struct Addition {
    BlockDriverState *bs;
    bool force;
    uint8_t devflags;
    bool returns;               /* it was here before, and lacks but little */
    OpusClaim *claim;           /* of its devices, until a member has it */
    struct OpusBadLog *bad;     /* of one that returns, likewise */
    MdSuper super;
} Addition;

/* What it does not hold must be known, for that is not written again. */
static bool coroutine_fn find_returning(OpusRaid *s, const OpusNewMember *m,
                                        Addition *add)
{
    int ret;

    if (!opus_new_member_find_super(m, &add->super) ||
        !opus_member_can_return(s, &add->super)) {
        return false;
    }
    ret = opus_new_member_await(m) ?:
          opus_bad_log_open_new(m->blk, &add->super, &add->bad);
    if (ret < 0) {
        warn_report("opus-raid node '%s': member '%s' can't come back for what "
                    "it missed: its bad-block log can't be %s",
                    bdrv_get_node_name(s->bs), m->name,
                    ret == -EINVAL ? "understood" : "read");
    }
    return ret == 0;
}

static int coroutine_fn prepare_co(OpusRaid *s, void *opaque, Error **errp)
{
    Addition *add = opaque;
    OpusNewMember m = { 0 };
    int ret = -EINVAL;

    if (!opus_new_member_open(&m, add->bs, errp)) {
        return ret;
    }
    if (find_returning(s, &m, add)) {
        add->returns = true;
        ret = 0;
    } else if (fill_super(s, &m, &add->super, errp)) {
        ret = add->force ? 0 : opus_new_member_check_empty(&m, errp);
        if (ret == 0) {
            uint64_t wipe =
                MAX(add->super.data_offset_sectors * RAID_SECTOR_BYTES,
                    WIPE_BYTES);

            ret = opus_new_member_wipe(&m, MIN(wipe, m.device_bytes), false);
            if (ret < 0) {
                error_setg_errno(errp, -ret, "Cannot zero member '%s'",
                                 m.name);
            }
        }
    }
    if (ret == 0) {
        add->claim = g_steal_pointer(&m.claim);
    }
    opus_new_member_close(&m);
    return ret;
}

static bool check_addable(const OpusRaid *s, BlockDriverState *bs,
                          Error **errp)
{
    const char *node = bdrv_get_node_name(s->bs);

    if (!opus_is_writable(s->bs)) {
        error_setg(errp, "Array '%s' is read-only", node);
    } else if (!raid_has_redundancy(&s->geom)) {
        error_setg(errp, "Array '%s' has no redundancy to rebuild a member "
                   "from", node);
    } else if (s->state == RAID_ARRAY_FAILED) {
        error_setg(errp, "Array '%s' has failed: a new member can't bring "
                   "back what is lost", node);
    } else if (s->nr_members == RAID_MAX_CANDIDATES) {
        error_setg(errp, "Array '%s' has too many members; remove one that "
                   "is not in use", node);
    } else if (bs->bl.request_alignment > s->bs->bl.request_alignment) {
        error_setg(errp, "Member '%s' has blocks of %" PRIu32 " bytes, the "
                   "array of %" PRIu32, bdrv_get_node_name(bs),
                   bs->bl.request_alignment, s->bs->bl.request_alignment);
    } else {
        return true;
    }
    return false;
}

/* The name of a child, like those of bdrv_open_child(), that is not taken. */
static char *free_child_name(const OpusRaid *s)
{
    for (unsigned n = 0; ; n++) {
        g_autofree char *name = g_strdup_printf("members.%u", n);
        bool taken = false;

        for (unsigned i = 0; i < s->nr_members; i++) {
            taken |= !strcmp(s->members[i].child->name, name);
        }
        if (!taken) {
            return g_steal_pointer(&name);
        }
    }
}

/* Give the list of members another place; pointers to it follow. */
static void move_members(OpusRaid *s, OpusMember *to)
{
    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        if (s->slots[slot]) {
            s->slots[slot] = to + (s->slots[slot] - s->members);
        }
    }
    RAID_MASK_FOREACH(slot, opus_replaced_slots(s)) {
        OpusMember *m = opus_replacement_of(s, slot);

        qatomic_set(&s->rebuilds[slot].replacement, to + (m - s->members));
    }
    g_free(s->members);
    s->members = to;
}

void opus_set_request_flags(OpusRaid *s)
{
    BlockDriverState *bs = s->bs;
    int zero_flags = BDRV_REQ_MAY_UNMAP;

    for (unsigned i = 0; i < s->nr_members; i++) {
        zero_flags &= s->members[i].child->bs->supported_zero_flags;
    }
    bs->supported_zero_flags = BDRV_REQ_FUA | zero_flags;
    bs->supported_write_flags = BDRV_REQ_FUA | BDRV_REQ_REGISTERED_BUF;
    bs->supported_read_flags = BDRV_REQ_REGISTERED_BUF;
}

static bool attach(OpusRaid *s, Addition *add, Error **errp)
{
    g_autofree char *name = free_child_name(s);
    BdrvChild *child;
    OpusMember *members;
    OpusMember *m;

    bdrv_graph_wrlock();
    bdrv_ref(add->bs);
    child = bdrv_attach_child(s->bs, add->bs, name, &child_of_bds,
                              BDRV_CHILD_DATA | BDRV_CHILD_METADATA, errp);
    bdrv_graph_wrunlock();
    if (!child) {
        return false;
    }

    QEMU_LOCK_GUARD(&s->state_lock);
    members = g_new0(OpusMember, s->nr_members + 1);
    memcpy(members, s->members, s->nr_members * sizeof(members[0]));
    move_members(s, members);
    m = &s->members[s->nr_members++];
    m->child = child;
    m->claim = g_steal_pointer(&add->claim);
    m->slot = -1;
    m->state = add->returns ? RAID_MEMBER_STALE : RAID_MEMBER_SPARE;
    m->super = add->super;
    m->super.devflags |= add->devflags;
    m->data_off = m->super.data_offset_sectors * RAID_SECTOR_BYTES;
    m->super_off = m->super.super_offset_sectors * RAID_SECTOR_BYTES;
    if (add->returns) {
        opus_bad_log_take(m, g_steal_pointer(&add->bad));
    } else {
        opus_bad_log_new(m);
    }
    bdrv_graph_rdlock_main_loop();
    m->home_only = opus_member_needs_home(child->bs);
    m->label = opus_node_label(child->bs);
    bdrv_graph_rdunlock_main_loop();
    opus_array_apply_timeouts(s);
    opus_set_request_flags(s);
    return true;
}

static void detach(OpusRaid *s, OpusMember *m)
{
    BdrvChild *child = m->child;
    unsigned index = m - s->members;

    opus_claim_release(m->claim);
    g_free(m->label);
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        opus_bad_log_close(m);
        for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
            OpusMember *replacement = opus_replacement_of(s, slot);

            if (s->slots[slot] == m) {
                s->slots[slot] = NULL;
            } else if (s->slots[slot] > m) {
                s->slots[slot]--;
            }
            if (replacement > m) {
                qatomic_set(&s->rebuilds[slot].replacement, replacement - 1);
            }
        }
        s->nr_members--;
        memmove(m, m + 1, (s->nr_members - index) * sizeof(*m));
    }
    bdrv_graph_wrlock();
    bdrv_unref_child(s->bs, child);
    bdrv_graph_wrunlock();
    opus_set_request_flags(s);
}

static int coroutine_fn GRAPH_RDLOCK add_spare_co(OpusRaid *s, void *opaque,
                                                  Error **errp)
{
    int ret = opus_array_add_spare(s, &s->members[s->nr_members - 1]);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot write the superblock of member "
                         "'%s'",
                         opus_member_name(&s->members[s->nr_members - 1]));
    }
    return ret;
}

bool opus_member_add(OpusRaid *s, BlockDriverState *bs, bool force,
                     uint8_t devflags, Error **errp)
{
    g_autofree Addition *add = g_new0(Addition, 1);
    bool ok;

    GLOBAL_STATE_CODE();

    add->bs = bs;
    add->force = force;
    add->devflags = devflags;
    if (!check_addable(s, bs, errp) ||
        bdrv_try_change_aio_context(bs, bdrv_get_aio_context(s->bs), NULL,
                                    errp) < 0) {
        return false;
    }

    bdrv_drained_begin(s->bs);
    ok = opus_control_run_unlocked(s, prepare_co, add, errp) == 0 &&
         attach(s, add, errp);
    if (ok && !add->returns &&
        opus_control_run(s, add_spare_co, NULL, errp) < 0) {
        detach(s, &s->members[s->nr_members - 1]);
        ok = false;
    }
    opus_claim_release(add->claim);
    opus_bad_log_free(add->bad);
    bdrv_drained_end(s->bs);
    return ok;
}

OpusMember *opus_member_find(OpusRaid *s, const char *name, Error **errp)
{
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (!strcmp(opus_member_node(&s->members[i]), name) ||
            !strcmp(opus_member_name(&s->members[i]), name)) {
            return &s->members[i];
        }
    }
    error_setg(errp, "Array '%s' has no member '%s'",
               bdrv_get_node_name(s->bs), name);
    return NULL;
}

static int coroutine_fn GRAPH_RDLOCK fail_co(OpusRaid *s, void *opaque,
                                             Error **errp)
{
    unsigned *slot = opaque;
    int ret = opus_array_fail_member(s, *slot, "by command", -ECANCELED);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Array '%s' has failed",
                         bdrv_get_node_name(s->bs));
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
fail_replacement_co(OpusRaid *s, void *opaque, Error **errp)
{
    unsigned *slot = opaque;

    opus_array_drop_replacement(s, *slot, "by command", -ECANCELED);
    return 0;
}

bool opus_member_fail(OpusRaid *s, const char *name, Error **errp)
{
    OpusMember *m = opus_member_find(s, name, errp);
    unsigned slot;

    GLOBAL_STATE_CODE();

    if (!m) {
        return false;
    }
    if (m->slot < 0 || (m->state != RAID_MEMBER_IN_SYNC &&
                        m->state != RAID_MEMBER_REBUILDING)) {
        error_setg(errp, "Member '%s' is %s, and not in use", name,
                   raid_member_state_name(m->state));
        return false;
    }
    slot = m->slot;
    if (opus_is_replacement(s, m)) {
        return opus_control_run(s, fail_replacement_co, &slot, errp) == 0;
    }
    if (!opus_array_can_lose(s, slot)) {
        error_setg(errp, "Array '%s' can't do without member '%s'",
                   bdrv_get_node_name(s->bs), name);
        return false;
    }
    return opus_control_run(s, fail_co, &slot, errp) == 0;
}

bool opus_member_remove(OpusRaid *s, const char *name, Error **errp)
{
    OpusMember *m = opus_member_find(s, name, errp);
    unsigned nr_abandoned;

    GLOBAL_STATE_CODE();

    if (!m) {
        return false;
    }
    if (m->state == RAID_MEMBER_IN_SYNC ||
        (m->state == RAID_MEMBER_REBUILDING && m->slot >= 0)) {
        error_setg(errp, "Member '%s' is %s: it must fail before it can be "
                   "removed", name, raid_member_state_name(m->state));
        return false;
    }
    bdrv_drained_begin(s->bs);
    /* Waiting may have changed what it is, and where. */
    m = opus_member_find(s, name, errp);
    if (m && (s->jobs.none_starts || m->state == RAID_MEMBER_IN_SYNC ||
              (m->state == RAID_MEMBER_REBUILDING && m->slot >= 0))) {
        error_setg(errp, "Member '%s' has just been taken into use", name);
        m = NULL;
    }
    nr_abandoned = m ? opus_timeouts_abandoned(&s->timeouts, m->child) : 0;
    if (nr_abandoned) {
        error_setg(errp, "Member '%s' still has %u request(s) that it did not "
                   "answer in time: it can be removed when they have come "
                   "back", name, nr_abandoned);
        m = NULL;
    }
    if (m) {
        detach(s, m);
    }
    bdrv_drained_end(s->bs);
    return m != NULL;
}
