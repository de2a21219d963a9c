/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Belonging: which candidates are members of the array at all
 *
 * Owns: what each candidate is by itself, and which array is meant.
 * Must not know: whose superblock is current, what the members make.
 * Threads: any; pure.
 * Keeps: P4 (every refusal has a name), P8 (all loops run over sorted lists).
 *
 * These objections hold under every policy, since they mean that a device was
 * named that does not belong here; unless it is told which array is meant.
 */
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assembler.h"
#include "candidate.h"

typedef const RaidCandidate Candidate;
typedef RaidAssembler Assembler;

/* What to call it when decoding failed. */
static RaidRefusal name_error(MdSuperError err)
{
    switch (err) {
    case MD_SUPER_NONE:
    case MD_SUPER_BAD_CHECKSUM:
        return RAID_REFUSE_NO_SUPERBLOCK;
    case MD_SUPER_BAD_DATA_AREA:
        return RAID_REFUSE_TOO_SMALL;
    case MD_SUPER_BAD_VERSION:
    case MD_SUPER_BAD_BLOCK:
    case MD_SUPER_UNKNOWN_FIELD:
        return RAID_REFUSE_UNKNOWN_FEATURE;
    default:
        return RAID_REFUSE_BAD_SUPERBLOCK;
    }
}

/*
 * Where it is told which array is meant, what does not belong to it is left
 * out by the policies that do without members: a drive may have been changed.
 */
static bool knows_what_is_meant(const Assembler *as)
{
    return as->options->policy != RAID_POLICY_STRICT &&
           (as->options->uuid || as->options->name);
}

/*
 * A checksum that is wrong is what a torn write leaves behind (I6), so the
 * policies that do without members do without such a one too. Anything else
 * means that a device was named by mistake, unless it is told which array is
 * meant.
 */
static bool check_present(Assembler *as)
{
    Candidate *invalid[RAID_MAX_CANDIDATES];
    unsigned nr_invalid = 0;
    bool strict = raid_is_strict(as);
    bool torn = false;

    for (unsigned i = 0; i < as->nr; i++) {
        Candidate *c = &as->first[i];

        if (c->failed) {
            as->out->verdicts[i] = RAID_MEMBER_FAULTY;
        } else if (c->super_error == MD_SUPER_OK) {
            as->valid[as->nr_valid++] = c;
        } else {
            invalid[nr_invalid++] = c;
        }
    }
    raid_candidates_sort(as->valid, as->nr_valid);
    raid_candidates_sort(invalid, nr_invalid);
    for (unsigned i = 0; i < nr_invalid; i++) {
        Candidate *c = invalid[i];

        if (strict || (c->super_error != MD_SUPER_BAD_CHECKSUM &&
                       !knows_what_is_meant(as))) {
            return raid_refuse_member(as, name_error(c->super_error), c, NULL);
        }
        as->out->verdicts[c - as->first] = RAID_MEMBER_STALE;
        torn = true;
    }
    if (!as->nr_valid && torn) {
        return raid_refuse_member(as, name_error(invalid[0]->super_error),
                                  invalid[0], NULL);
    }
    if (!as->nr_valid) {
        return raid_refuse(as, RAID_REFUSE_TOO_FEW);
    }
    return true;
}

static unsigned count_uuid(const Assembler *as, const uint8_t *uuid)
{
    unsigned n = 0;

    for (unsigned i = 0; i < as->nr_valid; i++) {
        n += !memcmp(as->valid[i]->super->set_uuid, uuid, 16);
    }
    return n;
}

/* Without one to insist on, it is the one that most members have. */
static Candidate *majority(const Assembler *as)
{
    Candidate *best = NULL;
    unsigned most = 0;

    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];
        unsigned n = count_uuid(as, c->super->set_uuid);

        if (n > most || (n == most && memcmp(c->super->set_uuid,
                                             best->super->set_uuid, 16) < 0)) {
            best = c;
            most = n;
        }
    }
    return best;
}

/* Without a UUID to insist on, the name says it. */
static bool is_meant(const Assembler *as, Candidate *c)
{
    return as->options->uuid
           ? !memcmp(c->super->set_uuid, as->options->uuid, 16)
           : raid_has_name(c->super, as->options->name);
}

/* Unless there is nothing else. */
static void leave_out_others(Assembler *as)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < as->nr_valid; i++) {
        nr += is_meant(as, as->valid[i]);
    }
    if (!nr) {
        return;
    }
    nr = 0;
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        if (is_meant(as, c)) {
            as->valid[nr++] = c;
        } else {
            as->out->verdicts[c - as->first] = RAID_MEMBER_STALE;
        }
    }
    as->nr_valid = nr;
}

static bool check_uuid(Assembler *as)
{
    const uint8_t *wanted = as->options->uuid;
    Candidate *reference = wanted ? NULL : majority(as);
    const uint8_t *uuid = wanted ? wanted : reference->super->set_uuid;

    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        if (memcmp(c->super->set_uuid, uuid, 16)) {
            return raid_refuse_member(as, wanted ? RAID_REFUSE_WRONG_UUID :
                                          RAID_REFUSE_FOREIGN, c, reference);
        }
    }
    return true;
}

/* Whatever the others say of it, a member like this makes no sense here. */
static bool check_each(Assembler *as)
{
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];

        if (raid_bad_features(c->super)) {
            as->out->features = raid_bad_features(c->super);
            return raid_refuse_member(as, RAID_REFUSE_UNKNOWN_FEATURE, c, NULL);
        }
    }
    for (unsigned i = 0; i < as->nr_valid; i++) {
        Candidate *c = as->valid[i];
        uint16_t role = md_super_role(c->super);

        if (role == MD_ROLE_JOURNAL) {
            return raid_refuse_member(as, RAID_REFUSE_JOURNAL, c, NULL);
        }
        if (role < MD_ROLE_JOURNAL && role >= c->super->raid_disks) {
            return raid_refuse_member(as, RAID_REFUSE_SLOT_RANGE, c, NULL);
        }
    }
    return true;
}

/* One device given twice, or a device and a copy of it, however old. */
static bool check_clones(Assembler *as)
{
    static const uint8_t none[16];

    for (unsigned i = 0; i < as->nr_valid; i++) {
        const uint8_t *uuid = as->valid[i]->super->device_uuid;

        for (unsigned j = i + 1; j < as->nr_valid; j++) {
            if (!memcmp(uuid, as->valid[j]->super->device_uuid, 16) &&
                memcmp(uuid, none, 16)) {
                return raid_refuse_member(as, RAID_REFUSE_DUPLICATE,
                                          as->valid[j], as->valid[i]);
            }
        }
    }
    return true;
}

bool raid_find_members(RaidAssembler *as)
{
    if (!check_present(as)) {
        return false;
    }
    if (knows_what_is_meant(as)) {
        leave_out_others(as);
    }
    return check_uuid(as) && check_each(as) && check_clones(as);
}
