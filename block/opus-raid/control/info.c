/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Info: what users are shown of an array
 *
 * Owns: the translation from the live object to QAPI.
 * Threads: main loop; state_lock makes what is shown belong together.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/clone-visitor.h"
#include "qapi/qapi-visit-opus-raid-types.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/base/uuid.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/control/info.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/redundancy/resync.h"

/* The core's enums are in the same order as QAPI's. */
QEMU_BUILD_BUG_ON((int)RAID_LEVEL_0 != (int)OPUS_RAID_LEVEL_RAID0);
QEMU_BUILD_BUG_ON((int)RAID_LEVEL_10 != (int)OPUS_RAID_LEVEL_RAID10);
QEMU_BUILD_BUG_ON((int)RAID_LEVEL__MAX != (int)OPUS_RAID_LEVEL__MAX);
QEMU_BUILD_BUG_ON((int)RAID_LAYOUT_NEAR != (int)OPUS_RAID_LAYOUT_NEAR);
QEMU_BUILD_BUG_ON((int)RAID_LAYOUT__MAX != (int)OPUS_RAID_LAYOUT__MAX);
QEMU_BUILD_BUG_ON((int)RAID_ARRAY_FAILED != (int)OPUS_RAID_ARRAY_STATE_FAILED);
QEMU_BUILD_BUG_ON((int)RAID_ARRAY__MAX != (int)OPUS_RAID_ARRAY_STATE__MAX);
QEMU_BUILD_BUG_ON((int)RAID_MEMBER_SPARE != (int)OPUS_RAID_MEMBER_STATE_SPARE);
QEMU_BUILD_BUG_ON((int)RAID_MEMBER__MAX != (int)OPUS_RAID_MEMBER_STATE__MAX);
QEMU_BUILD_BUG_ON((int)RAID_POLICY_FORCE !=
                  (int)OPUS_RAID_ASSEMBLE_POLICY_FORCE);

static OpusRaidMemberInfo *GRAPH_RDLOCK member_info(const OpusRaid *s,
                                                    OpusMember *m)
{
    OpusRaidMemberInfo *info = g_new0(OpusRaidMemberInfo, 1);

    info->has_slot = m->slot >= 0;
    info->slot = MAX(m->slot, 0);
    info->state = (OpusRaidMemberState)m->state;
    info->node_name = g_strdup(opus_member_node(m));
    info->device_uuid = opus_format_uuid(m->super.device_uuid);
    info->has_data_offset = true;
    info->data_offset = m->data_off;
    info->has_events = true;
    info->events = m->super.events;
    info->read_errors = qatomic_read(&m->read_errors);
    info->write_errors = qatomic_read(&m->write_errors);
    info->corrected_reads = qatomic_read(&m->corrected_reads);
    if (m->bad) {
        info->has_bad_bytes = true;
        info->bad_bytes = opus_bad_log_bytes(m);
    }
    info->timeouts = qatomic_read(&m->timeouts);
    info->write_mostly = opus_member_is_write_mostly(m);
    info->failfast = opus_member_is_failfast(m);
    if (m->state == RAID_MEMBER_REBUILDING && m->slot >= 0) {
        info->has_rebuilt = true;
        info->rebuilt = qatomic_read(&s->rebuilds[m->slot].done);
    }
    return info;
}

static OpusRaidMemberInfo *empty_slot_info(unsigned slot)
{
    OpusRaidMemberInfo *info = g_new0(OpusRaidMemberInfo, 1);

    info->has_slot = true;
    info->slot = slot;
    info->state = OPUS_RAID_MEMBER_STATE_MISSING;
    return info;
}

static OpusRaidMemberInfoList *GRAPH_RDLOCK members_info(const OpusRaid *s)
{
    OpusRaidMemberInfoList *list = NULL;
    OpusRaidMemberInfoList **tail = &list;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        QAPI_LIST_APPEND(tail, s->slots[slot] ? member_info(s, s->slots[slot])
                                              : empty_slot_info(slot));
    }
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (m->slot < 0 || opus_is_replacement(s, m)) {
            QAPI_LIST_APPEND(tail, member_info(s, m));
        }
    }
    return list;
}

/* A member whose superblock tells about the array: any that is in a slot. */
static const MdSuper *any_super(const OpusRaid *s)
{
    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        if (s->slots[slot]) {
            return &s->slots[slot]->super;
        }
    }
    g_assert_not_reached();
}

/* NULL: it has none. */
static OpusRaidBitmapInfo *bitmap_info(OpusRaid *s)
{
    g_autofree OpusRaidBitmapInfo *info = g_new0(OpusRaidBitmapInfo, 1);

    return opus_bitmap_counts(s, &info->chunk_size, &info->chunks,
                              &info->dirty_chunks) ? g_steal_pointer(&info)
                                                   : NULL;
}

/* That nothing was found is said only when all was looked at. */
static void check_info(const OpusRaid *s, OpusRaidInfo *info)
{
    const OpusRaidLastCheck *last = s->check.last;

    info->mismatches = qatomic_read(&s->check.mismatch_sectors);
    info->has_mismatches = info->mismatches ||
                           (last && last->complete && !s->jobs.check);
    info->unrepaired = qatomic_read(&s->check.unrepaired_sectors);
    info->has_unrepaired = info->has_mismatches;
    if (last) {
        info->last_check = QAPI_CLONE(OpusRaidLastCheck, last);
    }
}

OpusRaidInfo *GRAPH_RDLOCK opus_info(BlockDriverState *bs)
{
    OpusRaid *s = bs->opaque;
    const MdSuper *super = any_super(s);
    OpusRaidInfo *info = g_new0(OpusRaidInfo, 1);

    QEMU_LOCK_GUARD(&s->state_lock);

    info->node_name = g_strdup(bdrv_get_node_name(bs));
    info->uuid = opus_format_uuid(super->set_uuid);
    info->name = super->set_name[0] ? g_strdup(super->set_name) : NULL;
    info->metadata = g_strdup_printf("1.%u", super->minor_version);
    info->level = (OpusRaidLevel)s->geom.level;
    info->layout = (OpusRaidLayout)s->geom.layout;
    info->has_copies = raid_has_mirrors(&s->geom);
    info->copies = s->geom.copies;
    info->has_far_set_size = s->geom.far_sets != RAID_FAR_ALL;
    info->far_set_size = s->geom.far_set_slots;
    info->has_chunk_size = s->geom.level != RAID_LEVEL_1;
    info->chunk_size = s->geom.chunk_bytes;
    info->slots = s->geom.nr_slots;
    info->size = opus_length(s);
    info->has_logical_block_size = s->block_bytes;
    info->logical_block_size = s->block_bytes;
    info->member_size = s->geom.member_bytes;
    info->state = (OpusRaidArrayState)s->state;
    info->dirty = raid_life_may_be_dirty(opus_life(s));
    info->events = s->events;
    info->has_consistency_policy = raid_has_redundancy(&s->geom);
    info->consistency_policy = opus_policy_of(s);
    info->has_policy_in_force = info->has_consistency_policy;
    info->policy_in_force = opus_policy_is_in_force(s);
    info->bitmap = bitmap_info(s);
    info->has_resync = s->resync_offset != MD_RESYNC_DONE;
    info->resync = MIN(qatomic_read(&s->resync_done),
                       raid_sync_bytes(&s->geom));
    check_info(s, info);
    info->members = members_info(s);
    return info;
}

ImageInfoSpecific *GRAPH_RDLOCK opus_get_specific_info(BlockDriverState *bs,
                                                       Error **errp)
{
    ImageInfoSpecific *info = g_new0(ImageInfoSpecific, 1);

    info->type = IMAGE_INFO_SPECIFIC_KIND_OPUS_RAID;
    info->u.opus_raid.data = opus_info(bs);
    return info;
}

BlockStatsSpecific *opus_get_specific_stats(BlockDriverState *bs)
{
    OpusRaid *s = bs->opaque;
    BlockStatsSpecific *stats = g_new0(BlockStatsSpecific, 1);
    BlockStatsSpecificOpusRaid *r = &stats->u.opus_raid;
    const OpusStats *c = &s->stats;

    stats->driver = BLOCKDEV_DRIVER_OPUS_RAID;
    r->reads = opus_stats_sum(c, OPUS_COUNT_READS);
    r->degraded_reads = opus_stats_sum(c, OPUS_COUNT_DEGRADED_READS);
    r->full_stripe_writes = opus_stats_sum(c, OPUS_COUNT_FULL_STRIPE);
    r->read_modify_writes = opus_stats_sum(c, OPUS_COUNT_READ_MODIFY);
    r->reconstruct_writes = opus_stats_sum(c, OPUS_COUNT_RECONSTRUCT);
    r->degraded_writes = opus_stats_sum(c, OPUS_COUNT_DEGRADED_WRITES);
    r->plain_writes = opus_stats_sum(c, OPUS_COUNT_PLAIN_WRITES);
    r->zeroed_stripes = opus_stats_sum(c, OPUS_COUNT_ZEROED);
    for (unsigned i = 0; i < s->nr_members; i++) {
        r->read_errors += qatomic_read(&s->members[i].read_errors);
        r->write_errors += qatomic_read(&s->members[i].write_errors);
        r->corrected_reads += qatomic_read(&s->members[i].corrected_reads);
        r->timeouts += qatomic_read(&s->members[i].timeouts);
    }
    return stats;
}
