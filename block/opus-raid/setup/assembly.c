/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assembly: from member nodes to an array, or to an error that says why not
 *
 * Owns: what a running array takes over from a verdict.
 * Must not know: the rules of assembly; util/raid/assemble.c has them.
 * Threads: main loop, before the first request or while drained.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/array/may-lose.h"
#include "block/opus-raid/array/read-error.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/setup/assembly-refusal.h"
#include "block/opus-raid/setup/assembly.h"
#include "block/opus-raid/setup/recovery.h"
#include "block/opus-raid/trace.h"
#include <linux/raid/md_p.h>

static int coroutine_fn GRAPH_RDLOCK
read_candidates(OpusRaid *s, RaidCandidate *candidates, Error **errp)
{
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];
        int64_t device_bytes = bdrv_co_getlength(m->child->bs);
        g_autofree MdSuper *known = g_memdup2(&m->super, sizeof(m->super));
        int err;

        candidates[i] = (RaidCandidate) {
            .super = &m->super,
            .device_bytes = MAX(device_bytes, 0),
            .failed = m->unrecorded,
            .block_bytes = m->child->bs->bl.request_alignment,
        };
        if (m->unrecorded) {
            continue;
        }
        candidates[i].super_error = opus_metadata_read(m->child, &m->super,
                                                       &err);
        if (err < 0 && m->state != RAID_MEMBER_MISSING) {
            /* It was there, and may have gone since: that is a failure. */
            candidates[i].failed = true;
            m->super = *known;
            continue;
        }
        if (err < 0) {
            error_setg_errno(errp, -err, "Cannot read the superblock of "
                             "member '%s'", opus_member_name(m));
            return err;
        }
        opus_bad_log_close(m);
        if (candidates[i].super_error != MD_SUPER_OK) {
            candidates[i].super_error_at = m->super.error_at;
            memset(&m->super, 0, sizeof(m->super));
            continue;
        }
        err = opus_bad_log_open(m);
        if (err < 0 && err != -EINVAL && m->state != RAID_MEMBER_MISSING) {
            candidates[i].failed = true;
            continue;
        }
        if (err < 0 && err != -EINVAL) {
            error_setg_errno(errp, -err, "Cannot read the bad-block log of "
                             "member '%s'", opus_member_name(m));
            return err;
        }
        candidates[i].bad_log_unknown = err < 0;
    }
    return 0;
}

/* Members that are left out of an array that is started all the same. */
static void GRAPH_RDLOCK report_left_out(const OpusRaid *s)
{
    for (unsigned i = 0; i < s->nr_members; i++) {
        const OpusMember *m = &s->members[i];

        if (m->state == RAID_MEMBER_STALE ||
            m->state == RAID_MEMBER_FAULTY ||
            (m->state == RAID_MEMBER_REBUILDING && m->slot < 0)) {
            bool foreign = m->state == RAID_MEMBER_STALE && !m->super.max_dev;

            warn_report("opus-raid node '%s': member '%s' is %s and not used",
                        bdrv_get_node_name(s->bs), opus_member_name(m),
                        foreign ? "without a valid superblock of this array"
                                : raid_member_state_name(m->state));
        }
    }
}

/* Does a member that was being rebuilt fit the array that there is? */
static bool target_fits(const OpusRaid *s, const RaidAssembly *a,
                        const OpusMember *m)
{
    const MdSuper *fresh = &s->members[a->freshest].super;
    const MdSuper *super = &m->super;
    uint16_t slot = md_super_role(super);

    return slot < a->geom.nr_slots && !s->slots[slot] &&
           super->level == fresh->level && super->layout == fresh->layout &&
           super->chunk_sectors == fresh->chunk_sectors &&
           super->raid_disks == fresh->raid_disks &&
           super->size_sectors == fresh->size_sectors &&
           super->minor_version == fresh->minor_version &&
           super->data_size_sectors >= fresh->size_sectors;
}

/*
 * Go on with rebuilds of an earlier run, from their checkpoints. What was in
 * flight when the array was not closed cleanly may differ between its members,
 * on both sides of a checkpoint, so then they start over. A member that only
 * gets what the bitmap names has no checkpoint; it starts over with that.
 */
static void GRAPH_RDLOCK take_target(OpusRaid *s, const RaidAssembly *a,
                                     OpusMember *m)
{
    OpusRebuild *r;

    m->slot = md_super_role(&m->super);
    s->slots[m->slot] = m;
    r = &s->rebuilds[m->slot];
    if (m->super.feature_map & MD_FEATURE_RECOVERY_BITMAP) {
        r->by_bitmap = opus_regions(s) &&
                       opus_regions(s)->covers(s, a, &m->super);
    } else if (a->resync_offset == MD_RESYNC_DONE) {
        uint64_t done = MIN(m->super.recovery_offset, m->super.size_sectors) *
                        RAID_SECTOR_BYTES;

        r->checkpoint = QEMU_ALIGN_DOWN(done, a->geom.chunk_bytes);
    }
    qatomic_set(&r->done, r->checkpoint);
}

static void GRAPH_RDLOCK take_targets(OpusRaid *s, const RaidAssembly *a,
                                      const RaidCandidate *candidates)
{
    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        assert(!s->rebuilds[slot].job);
        s->rebuilds[slot] = (OpusRebuild) { 0 };
    }
    s->replaced_slots = 0;
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (m->state == RAID_MEMBER_REBUILDING && target_fits(s, a, m) &&
            !candidates[i].bad_log_unknown) {
            take_target(s, a, m);
        }
    }
}

/* Where a resync goes on: at a whole unit. */
static uint64_t resync_done(const OpusRaid *s)
{
    if (s->resync_offset >= UINT64_MAX / RAID_SECTOR_BYTES) {
        return UINT64_MAX;
    }
    return QEMU_ALIGN_DOWN(s->resync_offset * RAID_SECTOR_BYTES,
                           s->geom.chunk_bytes);
}

/* What those that are left out say is about nothing of this array. */
static void forget_others(OpusRaid *s, const RaidAssembly *a)
{
    const MdSuper *fresh = &s->members[a->freshest].super;

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (memcmp(m->super.set_uuid, fresh->set_uuid,
                   sizeof(fresh->set_uuid))) {
            opus_bad_log_close(m);
            memset(&m->super, 0, sizeof(m->super));
        }
    }
}

static void GRAPH_RDLOCK take_verdict(OpusRaid *s, const RaidAssembly *a,
                                      const RaidRecoverPlan *plan,
                                      const RaidCandidate *candidates,
                                      bool writable)
{
    bool replays = false;

    forget_others(s, a);
    memset(s->slots, 0, sizeof(s->slots));
    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];

        if (candidates[i].failed && m->state != RAID_MEMBER_FAULTY) {
            error_report("opus-raid node '%s': member '%s' failed: its "
                         "superblock can't be read any more",
                         bdrv_get_node_name(s->bs), opus_member_name(m));
            m->unrecorded = true;
        }
        m->state = a->verdicts[i];
        m->slot = -1;
        m->data_off = m->super.data_offset_sectors * RAID_SECTOR_BYTES;
        m->super_off = m->super.super_offset_sectors * RAID_SECTOR_BYTES;
        m->corrected_before = m->super.cnt_corrected_read;
        m->home_only = opus_member_needs_home(m->child->bs);
        m->condemned = false;
    }
    s->retaken_slots = 0;
    for (unsigned slot = 0; slot < a->geom.nr_slots; slot++) {
        if (a->slots[slot] >= 0) {
            s->slots[slot] = &s->members[a->slots[slot]];
            s->slots[slot]->slot = slot;
            if (a->retaken[a->slots[slot]]) {
                s->retaken_slots |= RAID_BIT(slot);
            }
        }
    }

    take_targets(s, a, candidates);

    s->geom = a->geom;
    s->size_sectors = s->members[a->freshest].super.size_sectors;
    s->block_bytes = s->members[a->freshest].super.block_bytes;
    s->state = plan->state;
    qatomic_set(&s->forced, plan->forced);
    s->events = a->events;
    s->utime = s->members[a->freshest].super.utime;
    s->utime_events = a->events;
    s->times_differ = a->times_differ;
    s->resync_offset = a->resync_offset;
    if (plan->state == RAID_ARRAY_RESYNC_PENDING &&
        a->resync_offset == MD_RESYNC_DONE) {
        s->resync_offset = plan->resync_start;
    }
    if (raid_has_parity(&s->geom) && !s->forced &&
        (s->state == RAID_ARRAY_OPTIMAL || s->state == RAID_ARRAY_DEGRADED)) {
        /* A log makes up for what was in flight. */
        replays = s->resync_offset != MD_RESYNC_DONE;
        s->resync_offset = MD_RESYNC_DONE;
    }
    if (s->forced && raid_mask_count(a->missing_slots) == s->geom.nr_parity) {
        /*
         * No redundancy is left that could be wrong: what the members hold
         * is, by the user's word, the data.
         */
        s->resync_offset = MD_RESYNC_DONE;
    }
    qatomic_set(&s->resync_done, resync_done(s));
    qatomic_set(&s->missing_slots, a->missing_slots);
    if (s->life != RAID_LIFE_AT_REST) {
        opus_life_event(s, RAID_LIFE_EVENT_REST);
    }
    if (writable) {
        opus_life_event(s, replays ? RAID_LIFE_EVENT_REPLAY
                                   : RAID_LIFE_EVENT_OPEN);
    }
    opus_array_apply_timeouts(s);
    opus_note_flags(s);
}

int coroutine_fn GRAPH_RDLOCK opus_assembly_look(OpusRaid *s, Error **errp)
{
    g_autofree MdSuper *super = g_new(MdSuper, 1);
    RaidMask gone_slots = 0;
    RaidArrayState without;
    unsigned gone = 0;
    int err = 0;

    for (unsigned i = 0; i < s->nr_members; i++) {
        OpusMember *m = &s->members[i];
        int ret = 0;

        if (m->state == RAID_MEMBER_IN_SYNC) {
            opus_metadata_read(m->child, super, &ret);
        }
        if (ret < 0 && !gone_slots) {
            gone = i;
            err = ret;
        }
        if (ret < 0) {
            gone_slots |= RAID_BIT(m->slot);
        }
    }
    WITH_QEMU_LOCK_GUARD(&s->state_lock) {
        without = raid_array_state_of(&s->geom,
                                      opus_missing_slots(s) | gone_slots,
                                      s->resync_offset == MD_RESYNC_DONE,
                                      s->forced);
    }
    if (gone_slots && without == RAID_ARRAY_FAILED) {
        error_setg_errno(errp, -err, "Cannot read the superblock of member "
                         "'%s'", opus_member_name(&s->members[gone]));
        return err;
    }
    RAID_MASK_FOREACH(slot, gone_slots) {
        opus_array_fail_member(s, slot, "superblock read", err);
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_assemble(OpusRaid *s, bool writable,
                                            Error **errp)
{
    g_autofree RaidCandidate *candidates = g_new0(RaidCandidate,
                                                  s->nr_members);
    g_autofree RaidAssembly *a = g_new0(RaidAssembly, 1);
    RaidRecoverPlan plan;
    OpusConsistency *consistency = NULL;
    RaidAssembleOptions options = {
        .policy = s->options.policy,
        .read_only = !writable,
        .known_missing_slots = opus_missing_slots(s),
        .uuid = s->options.want_uuid,
        .name = s->options.want_name,
    };
    int ret = read_candidates(s, candidates, errp);

    if (ret < 0) {
        return ret;
    }
    raid_assemble(candidates, s->nr_members, &options, a);
    if (a->refusal == RAID_REFUSE_NONE || raid_recover_decides(a->refusal)) {
        ret = opus_recover(s, !writable, a, &plan, &consistency, errp);
    }
    if (a->refusal != RAID_REFUSE_NONE) {
        opus_assembly_refuse(s, a, errp);
        ret = -EINVAL;
    }
    if (ret < 0) {
        opus_consistency_free(consistency);
        return ret;
    }

    opus_consistency_free(s->consistency);
    s->consistency = consistency;
    take_verdict(s, a, &plan, candidates, writable);
    trace_opus_raid_assemble(s->bs, raid_level_name(s->geom.level),
                             s->geom.nr_slots, s->geom.array_bytes,
                             raid_array_state_name(s->state), s->events,
                             a->missing_slots);
    return 0;
}

static int64_t seconds_of(uint64_t utime)
{
    return utime & MD_SUPERBLOCK_1_TIME_SEC_MASK;
}

/* Returns the names of those that were taken back, the lowest slot first. */
static strList *GRAPH_RDLOCK report_retaken(const OpusRaid *s)
{
    strList *names = NULL;
    strList **tail = &names;

    RAID_MASK_FOREACH(slot, s->retaken_slots) {
        const OpusMember *m = s->slots[slot];

        warn_report("opus-raid node '%s': member '%s' (slot %d) is taken back "
                    "by force: its event count is %" PRIu64 ", that of the "
                    "array %" PRIu64 "; its superblock is %" PRId64 " s older. "
                    "What it missed is lost",
                    bdrv_get_node_name(s->bs), opus_member_name(m), m->slot,
                    m->super.events, s->events,
                    seconds_of(s->utime) - seconds_of(m->super.utime));
        trace_opus_raid_retake(s->bs, opus_member_name(m), slot,
                               m->super.events, s->events);
        QAPI_LIST_APPEND(tail, g_strdup(opus_member_name(m)));
    }
    return names;
}

void GRAPH_RDLOCK opus_announce(OpusRaid *s)
{
    unsigned missing = raid_mask_count(opus_missing_slots(s));
    const char *node = bdrv_get_node_name(s->bs);
    strList *retaken = report_retaken(s);

    report_left_out(s);
    if (s->times_differ) {
        warn_report("opus-raid node '%s': started by force: its members were "
                    "written at different times, so they may come from copies "
                    "of the array", node);
    }
    if (s->forced) {
        warn_report("opus-raid node '%s': started by force: dirty, with %u "
                    "member(s) missing; data that was being written may be "
                    "wrong", node, missing);
    }
    if (s->forced || s->times_differ || retaken) {
        qapi_event_send_opus_raid_forced(node, missing, retaken, retaken);
    }
    qapi_free_strList(retaken);
}
