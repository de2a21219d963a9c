/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recover: verdict, bitmap and log together decide what happens before the
 * array is written
 *
 * Owns: the rules of recover.h, in their order.
 * Must not know: how bitmaps and logs are read, how a resync or a replay runs.
 * Threads: any; pure.
 * Keeps: P2, P4 (what cannot be guaranteed is refused by name).
 */
#include <assert.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "extension.h"
#include "recover.h"

/* Of MdSuper.feature_map: those that tell the consistency policy. */
#define RAID_INTENT_FEATURES    (MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_PPL | \
                                 MD_FEATURE_MULTIPLE_PPLS | \
                                 RAID_FEATURE_EXTENSION)

typedef struct Recovery {
    const RaidAssembly *assembly;
    const RaidFindings *found;
    RaidRecoverPlan *plan;
    RaidMask present_slots;
} Recovery;

RaidIntent raid_intent_of(uint32_t feature_map)
{
    if (feature_map & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
        return RAID_INTENT_PPL;
    }
    if (feature_map & RAID_FEATURE_EXTENSION) {
        return RAID_INTENT_JOURNAL;
    }
    return feature_map & MD_FEATURE_BITMAP_OFFSET ? RAID_INTENT_BITMAP
                                                  : RAID_INTENT_RESYNC;
}

void raid_intent_copy(MdSuper *to, const MdSuper *from)
{
    to->feature_map &= ~RAID_INTENT_FEATURES;
    to->feature_map |= from->feature_map & RAID_INTENT_FEATURES;
    to->bitmap_offset_sectors = from->bitmap_offset_sectors;
    to->ppl_offset_sectors = from->ppl_offset_sectors;
    to->ppl_size_sectors = from->ppl_size_sectors;
}

const char *raid_intent_name(RaidIntent intent)
{
    static const char *const names[] = {
        [RAID_INTENT_RESYNC] = "resync",
        [RAID_INTENT_BITMAP] = "bitmap",
        [RAID_INTENT_PPL] = "ppl",
        [RAID_INTENT_JOURNAL] = "journal",
    };

    return names[intent];
}

const char *raid_recovery_name(RaidRecovery what)
{
    static const char *const names[RAID_RECOVERY__MAX] = {
        [RAID_RECOVERY_NOTHING] = "nothing",
        [RAID_RECOVERY_REPLAY] = "replay",
        [RAID_RECOVERY_RESYNC] = "resync",
        [RAID_RECOVERY_READ_ONLY] = "read-only",
        [RAID_RECOVERY_REFUSE] = "refuse",
    };

    return names[what];
}

bool raid_recover_decides(RaidRefusal refusal)
{
    return refusal == RAID_REFUSE_DIRTY_DEGRADED ||
           refusal == RAID_REFUSE_BITMAP || refusal == RAID_REFUSE_PPL;
}

/* Can't the newest unit of a journal have been missed? */
static bool journal_tells(const Recovery *r)
{
    const RaidGeometry *geom = &r->assembly->geom;
    RaidMask seen = r->present_slots & r->found->logs;

    return seen && geom->nr_slots - raid_mask_count(seen) <= geom->nr_parity;
}

/* What the logs say is all there is to say about parity. */
static bool logs_tell(const Recovery *r)
{
    if (r->assembly->resync_offset != 0 || r->assembly->doubtful) {
        return false;
    }
    if (r->found->intent == RAID_INTENT_JOURNAL) {
        return journal_tells(r);
    }
    return r->found->intent == RAID_INTENT_PPL &&
           !(r->present_slots & ~r->found->logs) &&
           (r->found->logs & r->found->logs_used);
}

static void set_state(Recovery *r, bool clean)
{
    r->plan->state = raid_array_state_of(&r->assembly->geom,
                                         r->assembly->missing_slots, clean,
                                         r->plan->forced);
}

static bool refuse_degraded(Recovery *r)
{
    r->plan->what = RAID_RECOVERY_REFUSE;
    r->plan->refusal = RAID_REFUSE_DIRTY_DEGRADED;
    r->plan->slot = raid_mask_lowest(r->assembly->missing_slots);
    r->plan->state = RAID_ARRAY_FAILED;
    r->plan->replay_slots = 0;
    return false;
}

static bool refuse_bitmap(Recovery *r)
{
    r->plan->what = RAID_RECOVERY_REFUSE;
    r->plan->refusal = RAID_REFUSE_BITMAP;
    r->plan->slot = raid_mask_lowest(r->found->foreign_bitmaps);
    r->plan->state = RAID_ARRAY_FAILED;
    r->plan->replay_slots = 0;
    return false;
}

/* Would parity that was never made be taken for data? */
static bool parity_is_missing(const Recovery *r)
{
    return r->found->lockless && r->assembly->missing_slots &&
           raid_has_parity(&r->assembly->geom);
}

static bool bitmap_allows(const Recovery *r)
{
    return !r->found->foreign_bitmaps ||
           (r->found->read_only &&
            (!parity_is_missing(r) || r->found->policy == RAID_POLICY_FORCE));
}

static bool finish(Recovery *r, RaidRecovery what)
{
    r->plan->what = r->found->read_only ? RAID_RECOVERY_READ_ONLY : what;
    return true;
}

/* A bitmap that was not kept up to date puts even a clean array in doubt. */
static bool recover_clean(Recovery *r)
{
    bool lost = r->found->intent == RAID_INTENT_BITMAP &&
                !r->plan->merge_slots;
    bool doubtful = lost && !r->assembly->missing_slots;

    r->plan->replay_slots = 0;
    r->plan->clean_bitmap = !doubtful;
    r->plan->resync_start = 0;
    r->plan->forced = parity_is_missing(r);
    set_state(r, !doubtful);
    return finish(r, doubtful ? RAID_RECOVERY_RESYNC : RAID_RECOVERY_NOTHING);
}

/*
 * Data of a missing member is computed from parity, and parity may be of
 * another time than data (the write hole). Replaying what logs there are does
 * no harm even if others are lost; without writing there is no replay, so
 * then nothing must be left to be replayed.
 */
static bool recover_degraded_parity(Recovery *r)
{
    bool safe = logs_tell(r) &&
                !(r->found->read_only && r->plan->replay_slots);

    if (!safe && r->found->policy != RAID_POLICY_FORCE) {
        return refuse_degraded(r);
    }
    r->plan->forced = !safe;
    set_state(r, safe);
    return finish(r, r->plan->replay_slots ? RAID_RECOVERY_REPLAY
                                           : RAID_RECOVERY_NOTHING);
}

static bool recover_by_resync(Recovery *r)
{
    unsigned nr_present = raid_mask_count(r->present_slots);

    set_state(r, false);
    /* The last mirror has none to differ from. */
    if (r->assembly->geom.level == RAID_LEVEL_1 && nr_present == 1) {
        return finish(r, RAID_RECOVERY_NOTHING);
    }
    r->plan->resync_by_bitmap = r->plan->merge_slots;
    if (r->found->intent != RAID_INTENT_BITMAP) {
        r->plan->resync_start = r->assembly->resync_offset;
    }
    return finish(r, RAID_RECOVERY_RESYNC);
}

static bool recover_dirty(Recovery *r)
{
    const RaidGeometry *geom = &r->assembly->geom;

    if (raid_has_parity(geom) && r->assembly->missing_slots) {
        return recover_degraded_parity(r);
    }
    if (logs_tell(r) && !(r->found->read_only && r->plan->replay_slots)) {
        set_state(r, true);
        return finish(r, r->plan->replay_slots ? RAID_RECOVERY_REPLAY
                                               : RAID_RECOVERY_NOTHING);
    }
    return recover_by_resync(r);
}

bool raid_recover(const RaidAssembly *assembly, const RaidFindings *found,
                  RaidRecoverPlan *plan)
{
    Recovery r = { .assembly = assembly, .found = found, .plan = plan };

    assert(assembly->refusal == RAID_REFUSE_NONE ||
           raid_recover_decides(assembly->refusal));
    r.present_slots = raid_mask_first(assembly->geom.nr_slots) &
                      ~assembly->missing_slots;
    memset(plan, 0, sizeof(*plan));
    plan->slot = -1;
    if (found->intent == RAID_INTENT_BITMAP && !assembly->doubtful) {
        plan->merge_slots = found->bitmaps & r.present_slots;
    }
    if ((found->intent == RAID_INTENT_PPL ||
         found->intent == RAID_INTENT_JOURNAL) && !assembly->doubtful) {
        plan->replay_slots = found->logs & found->logs_filled &
                             r.present_slots;
    }
    if (!raid_has_parity(&assembly->geom) &&
        !raid_has_mirrors(&assembly->geom)) {
        set_state(&r, true);
        return finish(&r, RAID_RECOVERY_NOTHING);
    }
    if (!bitmap_allows(&r)) {
        return refuse_bitmap(&r);
    }
    return assembly->resync_offset == MD_RESYNC_DONE ? recover_clean(&r)
                                                     : recover_dirty(&r);
}

/* Of the same shape, and the slot was its own. */
static bool fits(const RaidAssembly *assembly, const MdSuper *member,
                 unsigned slot)
{
    const RaidGeometry *geom = &assembly->geom;

    return (assembly->missing_slots & RAID_BIT(slot)) &&
           md_super_role(member) == slot &&
           member->raid_disks == geom->nr_slots &&
           member->level == raid_level_to_md(geom->level) &&
           member->layout == raid_geometry_md_layout(geom) &&
           (geom->level == RAID_LEVEL_1 ||
            member->chunk_sectors == geom->chunk_bytes / RAID_SECTOR_BYTES) &&
           member->data_size_sectors >= geom->member_bytes / RAID_SECTOR_BYTES;
}

bool raid_recover_readd(const RaidAssembly *assembly,
                        const MdSuper *const *in_sync, unsigned nr,
                        const MdSuper *member, unsigned slot,
                        uint64_t events_cleared)
{
    uint32_t coming_back = MD_FEATURE_RECOVERY_OFFSET |
                           MD_FEATURE_RECOVERY_BITMAP;

    if (!nr || memcmp(member->set_uuid, in_sync[0]->set_uuid,
                      sizeof(member->set_uuid)) ||
        !fits(assembly, member, slot)) {
        return false;
    }
    if ((member->feature_map & MD_FEATURE_REPLACEMENT) ||
        (member->feature_map & coming_back) == MD_FEATURE_RECOVERY_OFFSET) {
        return false;
    }
    return (member->feature_map & MD_FEATURE_BITMAP_OFFSET) &&
           member->events >= events_cleared &&
           member->events <= assembly->events &&
           raid_history_is_one(in_sync, nr, member);
}
