/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Retake: which stale members are taken back by force
 *
 * Owns: who may come back, and how many it takes.
 * Must not know: policies; what becomes of an array that is started so.
 * Threads: any; pure.
 * Keeps: P8 (it goes by what members hold, not by their order).
 *
 * Members that dropped out one after the other leave an array that can't be
 * started, though the last of them lack next to nothing. The freshest come back
 * first, until the data suffice.
 *
 * With parity, all of one age come back together: an array that lost them at
 * one time was not written since, so each of them is as good as any other, and
 * what is there need not be computed. Copies need no such help: of them no more
 * come back than it takes.
 */
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assembler.h"
#include "recover.h"

typedef struct Retake {
    RaidAssembler *as;
    RaidMask missing_slots;
    const RaidCandidate *taken[RAID_MAX_MEMBERS];   /* the freshest first */
    unsigned nr_taken;
} Retake;

static bool *is_retaken(const Retake *r, const RaidCandidate *c)
{
    return &r->as->out->retaken[c - r->as->first];
}

static bool is_stale(const Retake *r, const RaidCandidate *c)
{
    return r->as->out->verdicts[c - r->as->first] == RAID_MEMBER_STALE;
}

static bool suffices(const Retake *r)
{
    return raid_array_state_of(&r->as->out->geom, r->missing_slots, true,
                               false) != RAID_ARRAY_FAILED;
}

/* A device number stands for one member in the tables of all. */
static bool number_is_used(const Retake *r, const RaidCandidate *c)
{
    for (unsigned i = 0; i < r->as->nr_valid; i++) {
        const RaidCandidate *other = r->as->valid[i];

        if (other != c && other->super->dev_number == c->super->dev_number &&
            (*is_retaken(r, other) || !is_stale(r, other))) {
            return true;
        }
    }
    return false;
}

/* What another log or bitmap left there says nothing of where this one is. */
static bool is_alike(const MdSuper *sb, const MdSuper *fresh)
{
    return sb->raid_disks == fresh->raid_disks &&
           sb->size_sectors == fresh->size_sectors &&
           sb->block_bytes == fresh->block_bytes &&
           raid_intent_of(sb->feature_map) ==
           raid_intent_of(fresh->feature_map);
}

/* With one event count, the one that knows the other as gone is younger. */
static bool is_fresher(const MdSuper *a, const MdSuper *b)
{
    return a->events != b->events ? a->events > b->events :
           raid_history_disowns(a, b) && !raid_history_disowns(b, a);
}

/*
 * Nothing tells it from another one with the same slot, a copy of the drive for
 * example: then it is not known which of them the array has had last.
 */
static bool has_rival(const Retake *r, const RaidCandidate *c)
{
    for (unsigned i = 0; i < r->as->nr_valid; i++) {
        const RaidCandidate *other = r->as->valid[i];

        if (other != c && is_stale(r, other) &&
            md_super_role(other->super) == md_super_role(c->super) &&
            !is_fresher(other->super, c->super) &&
            !is_fresher(c->super, other->super)) {
            return true;
        }
    }
    return false;
}

/* Its superblock says that it has all data of a slot that is empty now. */
static bool may_come(const Retake *r, const RaidCandidate *c)
{
    const MdSuper *fresh = r->as->freshest->super;
    const MdSuper *sb = c->super;
    uint16_t role = md_super_role(sb);

    return is_stale(r, c) && !*is_retaken(r, c) && role < fresh->raid_disks &&
           (r->missing_slots & RAID_BIT(role)) &&
           !(sb->feature_map & (MD_FEATURE_RECOVERY_OFFSET |
                                MD_FEATURE_REPLACEMENT)) &&
           sb->events <= fresh->events && is_alike(sb, fresh) &&
           raid_member_objection(r->as, c) == RAID_REFUSE_NONE &&
           !number_is_used(r, c) && !has_rival(r, c);
}

static const RaidCandidate *find_next(const Retake *r)
{
    const RaidCandidate *best = NULL;

    for (unsigned i = 0; i < r->as->nr_valid; i++) {
        const RaidCandidate *c = r->as->valid[i];

        if (may_come(r, c) && (!best || is_fresher(c->super, best->super))) {
            best = c;
        }
    }
    return best;
}

static void take(Retake *r, const RaidCandidate *c)
{
    *is_retaken(r, c) = true;
    r->missing_slots &= ~RAID_BIT(md_super_role(c->super));
    r->taken[r->nr_taken++] = c;
}

static void take_all_like(Retake *r, const RaidCandidate *first)
{
    for (unsigned i = 0; i < r->as->nr_valid; i++) {
        const RaidCandidate *c = r->as->valid[i];

        if (may_come(r, c) && c->super->events == first->super->events &&
            !raid_history_disowns(first->super, c->super) &&
            !raid_history_disowns(c->super, first->super)) {
            take(r, c);
        }
    }
}

/* Members that are not needed after all stay out; the oldest go first. */
static void let_go(Retake *r)
{
    for (unsigned i = r->nr_taken; i-- > 0;) {
        RaidMask slot = RAID_BIT(md_super_role(r->taken[i]->super));

        r->missing_slots |= slot;
        if (suffices(r)) {
            *is_retaken(r, r->taken[i]) = false;
        } else {
            r->missing_slots &= ~slot;
        }
    }
}

bool raid_retake(RaidAssembler *as)
{
    Retake r = { .as = as, .missing_slots = as->out->missing_slots };

    while (!suffices(&r)) {
        const RaidCandidate *c = find_next(&r);

        if (!c) {
            memset(as->out->retaken, 0, sizeof(as->out->retaken));
            return false;
        }
        take(&r, c);
        if (raid_has_parity(&as->out->geom)) {
            take_all_like(&r, c);
        }
    }
    if (!raid_has_parity(&as->out->geom)) {
        let_go(&r);
    }
    return true;
}
