/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assemble: the verdict on a set of superblocks
 *
 * Owns: what members make together, and the reason when they make no array.
 * Must not know: where superblocks come from, how members are opened.
 * Threads: any; pure.
 * Keeps: I6 and I7 by way of history.c, P4 (every refusal has a name), P8 (the
 * order of members does not matter).
 *
 * All loops run over candidates sorted by what they hold, never by the order
 * in which they were given, so "the first that ..." is the same one always.
 *
 * Steps, the first of which to object gives the reason:
 *   1. what each member is by itself: is there a superblock, of this array,
 *      that makes sense here (belonging.c)?
 *   2. whose superblock counts (history.c)
 *   3. what those in sync make: do they agree, is there a geometry, and are
 *      they enough, by the policy?
 */
#include <assert.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assembler.h"
#include "candidate.h"

#define FEATURES_PPL        (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)
#define FEATURES_RESHAPE    (MD_FEATURE_RESHAPE_ACTIVE |    \
                             MD_FEATURE_RESHAPE_BACKWARDS | \
                             MD_FEATURE_NEW_OFFSET)

typedef const RaidCandidate Candidate;
typedef RaidAssembler Assembler;

const char *raid_refusal_name(RaidRefusal refusal)
{
#define NAME(word) [RAID_REFUSE_##word] = #word
    static const char *const names[RAID_REFUSE__MAX] = {
        NAME(NONE), NAME(NO_SUPERBLOCK), NAME(BAD_SUPERBLOCK),
        NAME(FOREIGN), NAME(WRONG_UUID),
        NAME(WRONG_NAME), NAME(DUPLICATE), NAME(STALE), NAME(SLOT_RANGE),
        NAME(TOO_SMALL), NAME(BLOCK_SIZE), NAME(UNKNOWN_FEATURE),
        NAME(GEOMETRY),
        NAME(MISMATCH), NAME(RESHAPE), NAME(JOURNAL), NAME(BITMAP), NAME(PPL),
        NAME(BAD_BLOCKS), NAME(REPLACEMENT), NAME(SPLIT_BRAIN), NAME(TOO_FEW),
        NAME(INCOMPLETE), NAME(DIRTY_DEGRADED),
    };
#undef NAME

    assert((unsigned)refusal < RAID_REFUSE__MAX);
    return names[refusal];
}

/* Any of @features. */
static bool has_feature(Candidate *c, uint32_t features)
{
    return c->super->feature_map & features;
}

bool raid_refuse(RaidAssembler *as, RaidRefusal why)
{
    as->out->refusal = why;
    return false;
}

bool raid_refuse_member(RaidAssembler *as, RaidRefusal why,
                        const RaidCandidate *member,
                        const RaidCandidate *other)
{
    RaidAssembly *out = as->out;

    out->member = member - as->first;
    out->super_error = member->super_error;
    out->super_error_at = member->super_error_at;
    if (member->super_error == MD_SUPER_OK) {
        uint16_t role = md_super_role(member->super);

        out->slot = role < MD_ROLE_JOURNAL ? role : -1;
        out->member_events = member->super->events;
    }
    if (other) {
        out->other = other - as->first;
        out->array_events = other->super->events;
    }
    return raid_refuse(as, why);
}

static bool refuse_geometry(Assembler *as, RaidGeometryError err)
{
    as->out->geometry_error = err;
    return raid_refuse(as, RAID_REFUSE_GEOMETRY);
}

bool raid_is_strict(const RaidAssembler *as)
{
    return as->options->policy == RAID_POLICY_STRICT &&
           !as->options->known_missing_slots;
}

/*
 * Step 2: whose word counts
 */

static void find_in_sync(Assembler *as)
{
    as->nr_in_sync = 0;
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        if (as->out->verdicts[c - as->first] == RAID_MEMBER_IN_SYNC) {
            as->in_sync[as->nr_in_sync++] = c;
        }
    }
}

/*
 * One that is to replace another, and holds not yet all of its slot, is being
 * rebuilt like any other; one that does is not known here.
 */
static bool judge_members(Assembler *as)
{
    const MdSuper *supers[RAID_MAX_CANDIDATES];
    RaidHistory history;

    for (unsigned i = 0; i < as->nr_valid; i++) {
        supers[i] = as->valid[i]->super;
    }
    if (!raid_history_judge(supers, as->nr_valid, &history)) {
        return raid_refuse_member(as, RAID_REFUSE_SPLIT_BRAIN,
                                  as->valid[history.member],
                                  as->valid[history.other]);
    }
    if (history.freshest >= 0) {
        as->freshest = as->valid[history.freshest];
    }
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        as->out->verdicts[c - as->first] = history.verdicts[i];
    }
    find_in_sync(as);
    for (unsigned i = 0; i < as->nr_valid; i++) {
        if (has_feature(as->valid[i], MD_FEATURE_REPLACEMENT) &&
            history.verdicts[i] != RAID_MEMBER_STALE &&
            history.verdicts[i] != RAID_MEMBER_REBUILDING) {
            return raid_refuse_member(as, RAID_REFUSE_REPLACEMENT,
                                      as->valid[i], NULL);
        }
    }
    return true;
}

/*
 * Step 3: what those in sync make
 */

static bool check_name(Assembler *as)
{
    const char *wanted = as->options->name;

    if (!wanted || raid_has_name(as->freshest->super, wanted)) {
        return true;
    }
    return raid_refuse_member(as, RAID_REFUSE_WRONG_NAME, as->freshest, NULL);
}

/*
 * The number of slots, their size and that of the logical block may change
 * while an array runs, so there a member that is one update behind may differ:
 * the freshest is right.
 */
static bool matches(const MdSuper *sb, const MdSuper *fresh)
{
    if (sb->level != fresh->level || sb->layout != fresh->layout ||
        sb->chunk_sectors != fresh->chunk_sectors ||
        sb->minor_version != fresh->minor_version) {
        return false;
    }
    return sb->events != fresh->events ||
           (sb->raid_disks == fresh->raid_disks &&
            sb->size_sectors == fresh->size_sectors &&
            sb->block_bytes == fresh->block_bytes);
}

RaidRefusal raid_member_objection(const RaidAssembler *as,
                                  const RaidCandidate *c)
{
    const MdSuper *sb = c->super;
    const MdSuper *fresh = as->freshest->super;

    if (has_feature(c, FEATURES_RESHAPE)) {
        return RAID_REFUSE_RESHAPE;
    }
    if (has_feature(c, MD_FEATURE_JOURNAL)) {
        return RAID_REFUSE_JOURNAL;
    }
    if (!matches(sb, fresh)) {
        return RAID_REFUSE_MISMATCH;
    }
    if (md_super_role(sb) >= fresh->raid_disks) {
        return RAID_REFUSE_SLOT_RANGE;
    }
    /* RAID0 uses all of each member, so it records no common size. */
    if (fresh->level != 0 && fresh->size_sectors > sb->data_size_sectors) {
        return RAID_REFUSE_TOO_SMALL;
    }
    /* Not set: made before Linux 6.19, and as large as the members need. */
    if (fresh->block_bytes && c->block_bytes > fresh->block_bytes) {
        return RAID_REFUSE_BLOCK_SIZE;
    }
    if (has_feature(c, MD_FEATURE_BAD_BLOCKS) && c->bad_log_unknown) {
        return RAID_REFUSE_BAD_BLOCKS;
    }
    return RAID_REFUSE_NONE;
}

static bool check_member(Assembler *as, Candidate *c)
{
    RaidRefusal why = raid_member_objection(as, c);
    bool measured = why == RAID_REFUSE_MISMATCH ||
                    why == RAID_REFUSE_SLOT_RANGE ||
                    why == RAID_REFUSE_TOO_SMALL ||
                    why == RAID_REFUSE_BLOCK_SIZE;

    if (why == RAID_REFUSE_BLOCK_SIZE) {
        as->out->block_bytes = as->freshest->super->block_bytes;
    }
    return why == RAID_REFUSE_NONE ||
           raid_refuse_member(as, why, c, measured ? as->freshest : NULL);
}

/* Sorted by slot, so rivals are neighbours. */
static bool check_members(Assembler *as)
{
    for (unsigned i = 0; i < as->nr_in_sync; i++) {
        if (!check_member(as, as->in_sync[i])) {
            return false;
        }
    }
    for (unsigned i = 1; i < as->nr_in_sync; i++) {
        Candidate *a = as->in_sync[i - 1];
        Candidate *b = as->in_sync[i];

        if (md_super_role(a->super) == md_super_role(b->super)) {
            return raid_refuse_member(as, RAID_REFUSE_DUPLICATE, b, a);
        }
    }
    return true;
}

/*
 * One update writes one time to all, so those with one event count have it,
 * unless they come from copies of the array, each of which ran by itself.
 */
static bool check_times(Assembler *as)
{
    for (unsigned i = 0; i < as->nr_in_sync; i++) {
        for (unsigned j = 0; j < i; j++) {
            Candidate *a = as->in_sync[j];
            Candidate *b = as->in_sync[i];

            if (a->super->events != b->super->events ||
                a->super->utime == b->super->utime ||
                !raid_is_update_time(a->super->utime) ||
                !raid_is_update_time(b->super->utime)) {
                continue;
            }
            as->out->times_differ = true;
            if (as->options->policy != RAID_POLICY_FORCE) {
                return raid_refuse_member(as, RAID_REFUSE_SPLIT_BRAIN, b, a);
            }
            as->out->doubtful = as->freshest->super->level != 0;
        }
    }
    return true;
}

static bool level_is_known(int32_t md_level)
{
    RaidGeometryParams params;

    /* This layout is one that every level has, RAID10 aside. */
    return md_level == 10 || raid_from_md(md_level, 0, &params);
}

/*
 * The layout field of RAID0 counts with its feature bit only; without, the
 * members are of equal size, or the geometry asks for the layout. A slot that
 * is missing is taken to be as large as the freshest: RAID0 is refused then
 * anyway, and other levels use the common size.
 */
static bool make_geometry(Assembler *as)
{
    const MdSuper *fresh = as->freshest->super;
    bool has_layout = fresh->level != 0 ||
                      has_feature(as->freshest, MD_FEATURE_RAID0_LAYOUT);
    uint32_t md_layout = has_layout ? fresh->layout : 0;
    bool own_sizes = fresh->level == 0;
    RaidGeometryParams params = { 0 };
    RaidGeometryError err;

    if (!raid_from_md(fresh->level, md_layout, &params)) {
        return refuse_geometry(as, level_is_known(fresh->level) ?
                                   RAID_GEOMETRY_BAD_LAYOUT :
                                   RAID_GEOMETRY_BAD_LEVEL);
    }
    if (fresh->raid_disks > RAID_MAX_MEMBERS) {
        return refuse_geometry(as, RAID_GEOMETRY_TOO_MANY_SLOTS);
    }
    if (fresh->level != 1 &&
        fresh->block_bytes > (uint64_t)fresh->chunk_sectors *
                             RAID_SECTOR_BYTES) {
        return refuse_geometry(as, RAID_GEOMETRY_BAD_CHUNK);
    }
    params.nr_slots = fresh->raid_disks;
    params.chunk_bytes = fresh->chunk_sectors * RAID_SECTOR_BYTES;
    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = RAID_SECTOR_BYTES *
            (own_sizes ? fresh->data_size_sectors : fresh->size_sectors);
    }
    for (unsigned i = 0; i < as->nr_in_sync && own_sizes; i++) {
        const MdSuper *sb = as->in_sync[i]->super;

        params.member_bytes[md_super_role(sb)] =
            sb->data_size_sectors * RAID_SECTOR_BYTES;
    }
    err = raid_geometry_init(&as->out->geom, &params);
    return err == RAID_GEOMETRY_OK || refuse_geometry(as, err);
}

/*
 * Members one event behind hold their slot, but have no say in whether the
 * array is clean. Where the others differ, the one with most to resync counts.
 */
static void fill_slots(Assembler *as)
{
    RaidAssembly *out = as->out;

    out->freshest = as->freshest - as->first;
    out->events = as->freshest->super->events;
    out->resync_offset = MD_RESYNC_DONE;
    out->missing_slots = raid_mask_first(out->geom.nr_slots);
    out->lagging_slots = 0;
    for (unsigned i = 0; i < as->nr_in_sync; i++) {
        Candidate *c = as->in_sync[i];
        unsigned slot = md_super_role(c->super);

        out->slots[slot] = c - as->first;
        out->missing_slots &= ~RAID_BIT(slot);
        if (c->super->events < out->events) {
            out->lagging_slots |= RAID_BIT(slot);
        } else if (out->geom.level != RAID_LEVEL_0 &&
                   c->super->resync_offset < out->resync_offset) {
            out->resync_offset = c->super->resync_offset;
        }
    }
}

/* The first slot that is missing stands for all. */
static bool refuse_missing(Assembler *as, RaidRefusal why)
{
    as->out->slot = raid_mask_lowest(as->out->missing_slots);
    as->out->array_events = as->out->events;
    return raid_refuse(as, why);
}

/* Without STRICT, they were simply not put into a slot. */
static bool check_stale(Assembler *as)
{
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        if (raid_is_strict(as) &&
            as->out->verdicts[c - as->first] == RAID_MEMBER_STALE) {
            return raid_refuse_member(as, RAID_REFUSE_STALE, c, as->freshest);
        }
    }
    return true;
}

/* Take back who is stale: the slots are filled anew, and nothing is trusted. */
static bool take_back(Assembler *as)
{
    RaidAssembly *out = as->out;

    for (unsigned i = 0; i < as->nr; i++) {
        if (out->retaken[i]) {
            out->verdicts[i] = RAID_MEMBER_IN_SYNC;
        }
    }
    find_in_sync(as);
    if (!make_geometry(as)) {
        return false;
    }
    fill_slots(as);
    out->doubtful = out->geom.level != RAID_LEVEL_0;
    return true;
}

/*
 * First ask what is there, then what it is worth: too few members is a reason
 * that no policy overrides, so it is never reported as anything else.
 */
static bool check_state(Assembler *as)
{
    RaidAssembly *out = as->out;
    bool clean;

    if (raid_array_state_of(&out->geom, out->missing_slots, true, false) ==
        RAID_ARRAY_FAILED) {
        if (!raid_retake(as) || as->options->policy != RAID_POLICY_FORCE) {
            return refuse_missing(as, RAID_REFUSE_TOO_FEW);
        }
        if (!take_back(as)) {
            return false;
        }
    }
    if (out->doubtful) {
        out->resync_offset = 0;
    }
    clean = out->resync_offset == MD_RESYNC_DONE;
    if ((out->missing_slots & ~as->options->known_missing_slots) &&
        as->options->policy == RAID_POLICY_STRICT) {
        return refuse_missing(as, RAID_REFUSE_INCOMPLETE);
    }
    if (raid_array_state_of(&out->geom, out->missing_slots, clean, false) ==
        RAID_ARRAY_FAILED) {
        if (as->options->policy != RAID_POLICY_FORCE) {
            return refuse_missing(as, RAID_REFUSE_DIRTY_DEGRADED);
        }
        out->forced = true;
    }
    out->state = raid_array_state_of(&out->geom, out->missing_slots, clean,
                                     out->forced);
    return true;
}

/* A writer must keep these up to date, or they would say what is not so. */
static bool check_intents(Assembler *as)
{
    for (unsigned i = 0; i < as->nr_in_sync && !as->options->read_only; i++) {
        Candidate *c = as->in_sync[i];

        if (has_feature(c, MD_FEATURE_BITMAP_OFFSET)) {
            return raid_refuse_member(as, RAID_REFUSE_BITMAP, c, NULL);
        }
        if (has_feature(c, FEATURES_PPL)) {
            return raid_refuse_member(as, RAID_REFUSE_PPL, c, NULL);
        }
    }
    return true;
}

static bool make_array(Assembler *as)
{
    if (!as->freshest) {
        return check_stale(as) && raid_refuse(as, RAID_REFUSE_TOO_FEW);
    }
    if (!check_name(as) || !check_members(as) || !check_times(as) ||
        !make_geometry(as)) {
        return false;
    }
    fill_slots(as);
    return check_stale(as) && check_state(as) && check_intents(as);
}

static void clear(RaidAssembly *out)
{
    memset(out, 0, sizeof(*out));
    out->member = -1;
    out->other = -1;
    out->slot = -1;
    out->freshest = -1;
    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        out->slots[slot] = -1;
    }
}

bool raid_assemble(const RaidCandidate *candidates, unsigned nr,
                   const RaidAssembleOptions *options, RaidAssembly *out)
{
    Assembler as = {
        .first = candidates, .nr = nr, .options = options, .out = out,
    };

    assert(nr > 0 && nr <= RAID_MAX_CANDIDATES);
    clear(out);
    return raid_find_members(&as) && judge_members(&as) && make_array(&as);
}
