/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules that every verdict of raid_assemble() keeps: see assemble-rules.h.
 * Plain C, no GLib, so that the fuzzer can link it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assemble-rules.h"

void rule(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "rule broken: %s\n", what);
        abort();
    }
}

bool rule_disowns(const MdSuper *a, const MdSuper *b)
{
    uint16_t given = MD_ROLE_SPARE;

    if (b->dev_number < a->max_dev) {
        given = a->roles[b->dev_number];
    }
    return given != md_super_role(b);
}

static bool holds_slot(const RaidCandidate *c)
{
    return c->super_error == MD_SUPER_OK &&
           md_super_role(c->super) < MD_ROLE_MAX &&
           !(c->super->feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

static bool in_sync(const RaidAssembly *out, unsigned i)
{
    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        if (out->slots[slot] == (int)i) {
            return true;
        }
    }
    return false;
}

static void check_member(const RaidCandidate *candidates, unsigned nr,
                         const RaidAssembly *out, unsigned slot)
{
    const RaidCandidate *c = &candidates[out->slots[slot]];
    const MdSuper *sb = c->super;
    const MdSuper *fresh = candidates[out->freshest].super;
    bool lags = out->lagging_slots & RAID_BIT(slot);
    bool retaken = out->retaken[out->slots[slot]];

    rule(holds_slot(c) && md_super_role(sb) == slot, "holds its slot");
    rule(!memcmp(sb->set_uuid, fresh->set_uuid, 16), "is of this array");
    rule(sb->level == fresh->level && sb->chunk_sectors ==
         fresh->chunk_sectors && sb->layout == fresh->layout, "same array");
    rule(retaken ? (sb->events < out->events) == lags
                 : sb->events + lags == out->events,
         "is at most one event behind");
    rule(sb->events <= out->events, "the freshest has most events");
    rule(out->verdicts[out->slots[slot]] == RAID_MEMBER_IN_SYNC, "verdict");
    rule(out->geom.member_bytes <= sb->data_size_sectors * 512, "large enough");
    for (unsigned i = 0; i < nr; i++) {
        const RaidCandidate *a = &candidates[i];

        if (a == c || a->super_error != MD_SUPER_OK ||
            memcmp(a->super->set_uuid, sb->set_uuid, 16)) {
            continue;       /* what another array says is of no account */
        }
        if (retaken || out->retaken[i]) {
            continue;       /* by force */
        }
        rule(a->super->events < sb->events || !rule_disowns(a->super, sb),
             "nothing as new calls a member in sync faulty");
        rule(!in_sync(out, i) || !rule_disowns(a->super, sb),
             "members in sync do not call each other faulty");
    }
}

/* Each slot is given to the member that the array was made with. */
static bool all_first(const MdSuper *sb)
{
    uint32_t n = 0;

    while (n < sb->raid_disks && n < sb->max_dev && sb->roles[n] == n) {
        n++;
    }
    return n == sb->raid_disks;
}

/* Both give one slot to the same number, that of neither of them. */
static bool same_third(const MdSuper *a, const MdSuper *b)
{
    for (uint32_t n = 0; n < a->max_dev && n < b->max_dev; n++) {
        if (a->roles[n] == b->roles[n] && a->roles[n] < MD_ROLE_MAX &&
            n != a->dev_number && n != b->dev_number) {
            return true;
        }
    }
    return false;
}

/*
 * Whom @from knew, whom these knew, and so on: is @to among them, or knew one
 * of these all first members, or a member that @to knows in the same way?
 */
static bool knew(const RaidCandidate *candidates, unsigned nr, unsigned from,
                 unsigned to)
{
    bool known[RAID_MAX_CANDIDATES] = { false };
    bool more = true;

    known[from] = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < nr * nr; i++) {
            const RaidCandidate *a = &candidates[i / nr];
            const RaidCandidate *b = &candidates[i % nr];

            if (known[i / nr] && !known[i % nr] &&
                b->super_error == MD_SUPER_OK &&
                md_super_role(b->super) < MD_ROLE_MAX &&
                !rule_disowns(a->super, b->super)) {
                known[i % nr] = more = true;
            }
        }
    }
    for (unsigned i = 0; i < nr; i++) {
        known[to] |= known[i] && candidates[i].super_error == MD_SUPER_OK &&
                     (all_first(candidates[i].super) ||
                      same_third(candidates[i].super, candidates[to].super));
    }
    return known[to];
}

/* Members left out have not run apart from those that are taken. */
static void check_outsider(const RaidCandidate *candidates, unsigned nr,
                           const RaidAssembly *out, unsigned outsider)
{
    const MdSuper *sb = candidates[outsider].super;

    rule(sb->events <= out->events + 1, "nothing newer holds a slot");
    for (unsigned i = 0; i < nr; i++) {
        const MdSuper *member = candidates[i].super;

        if (in_sync(out, i) && !out->retaken[i] && rule_disowns(sb, member) &&
            rule_disowns(member, sb)) {
            rule(sb->events + 1 < member->events, "halves of the same age");
            rule(knew(candidates, nr, outsider, i), "halves without a link");
        }
    }
}

static bool has_retaken(const RaidAssembly *out)
{
    return memchr(out->retaken, true, sizeof(out->retaken));
}

static void check_accepted(const RaidCandidate *candidates, unsigned nr,
                           const RaidAssembleOptions *options,
                           const RaidAssembly *out)
{
    bool clean = out->resync_offset == MD_RESYNC_DONE;
    unsigned nr_slots = out->geom.nr_slots;
    unsigned filled = 0;

    rule(in_sync(out, out->freshest), "the freshest is in sync");
    rule(candidates[out->freshest].super->events == out->events, "events");
    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        bool missing = out->missing_slots & RAID_BIT(slot);

        rule(missing == (slot < nr_slots && out->slots[slot] < 0), "missing");
        if (out->slots[slot] >= 0) {
            rule(slot < nr_slots, "slot in range");
            check_member(candidates, nr, out, slot);
            filled++;
        } else {
            rule(!(out->lagging_slots & RAID_BIT(slot)), "lagging is there");
        }
    }
    for (unsigned i = 0; i < nr; i++) {
        rule((out->verdicts[i] == RAID_MEMBER_IN_SYNC) == in_sync(out, i),
             "verdicts and slots agree");
        if (holds_slot(&candidates[i]) && !in_sync(out, i) &&
            !memcmp(candidates[i].super->set_uuid,
                    candidates[out->freshest].super->set_uuid, 16)) {
            check_outsider(candidates, nr, out, i);
        }
        rule(options->policy != RAID_POLICY_STRICT ||
             options->known_missing_slots ||
             out->verdicts[i] != RAID_MEMBER_STALE, "strict: none stale");
    }
    rule(options->policy != RAID_POLICY_STRICT ||
         !(out->missing_slots & ~options->known_missing_slots),
         "strict: all there, but those that it runs without");
    rule(out->geom.level != RAID_LEVEL_0 || filled == nr_slots, "RAID0");
    rule(filled >= 1, "something there");
    rule(!out->geom.nr_parity || filled + out->geom.nr_parity >= nr_slots,
         "enough for parity");
    rule(out->forced == (out->geom.nr_parity && !clean && filled < nr_slots),
         "forced when dirty and degraded");
    rule(options->policy == RAID_POLICY_FORCE ||
         (!out->forced && !out->doubtful && !out->times_differ &&
          !has_retaken(out)), "only forced");
    rule(!has_retaken(out) || out->doubtful ||
         out->geom.level == RAID_LEVEL_0, "who was stale is doubtful");
    rule(!out->doubtful || !clean, "doubtful is dirty");
    rule(out->state != RAID_ARRAY_FAILED, "not failed");
    rule((out->state == RAID_ARRAY_DEGRADED) == (filled < nr_slots),
         "degraded");
}

bool rules_assemble(const RaidCandidate *candidates, unsigned nr,
                    const RaidAssembleOptions *options, RaidAssembly *out)
{
    bool ok;

    memset(out, 0xa5, sizeof(*out));
    ok = raid_assemble(candidates, nr, options, out);
    rule(ok == (out->refusal == RAID_REFUSE_NONE), "result");
    rule(out->member >= -1 && out->member < (int)nr, "member");
    rule(out->other >= -1 && out->other < (int)nr, "other");
    rule(ok <= (out->member == -1 && out->other == -1), "nobody refused");
    rule(strlen(raid_refusal_name(out->refusal)) > 2, "name");
    for (unsigned i = 0; i < RAID_MAX_CANDIDATES; i++) {
        rule((unsigned)out->verdicts[i] < RAID_MEMBER__MAX, "verdict range");
    }
    if (ok) {
        check_accepted(candidates, nr, options, out);
    }
    return ok;
}

/*
 * Orders
 */

/* Indices @a and @b (or -1) of the two orders name the same, or its equal. */
static bool same_candidate(const RaidCandidate *ca, int a,
                           const RaidCandidate *cb, int b)
{
    if (a < 0 || b < 0) {
        return a == b;
    }
    ca += a;
    cb += b;
    return ca->super_error == cb->super_error &&
           ca->super_error_at == cb->super_error_at &&
           ca->device_bytes == cb->device_bytes &&
           ca->block_bytes == cb->block_bytes &&
           ca->bad_log_unknown == cb->bad_log_unknown &&
           (ca->super_error != MD_SUPER_OK ||
            !memcmp(ca->super, cb->super, sizeof(*ca->super)));
}

static void compare(const RaidCandidate *ca, const RaidAssembly *a,
                    const RaidCandidate *cb, const RaidAssembly *b,
                    const unsigned *perm, unsigned nr)
{
    rule(a->refusal == b->refusal, "order: refusal");
    rule(same_candidate(ca, a->member, cb, b->member), "order: member");
    rule(same_candidate(ca, a->other, cb, b->other), "order: other");
    rule(same_candidate(ca, a->freshest, cb, b->freshest), "order: freshest");
    rule(a->slot == b->slot && a->features == b->features &&
         a->super_error == b->super_error &&
         a->super_error_at == b->super_error_at &&
         a->block_bytes == b->block_bytes &&
         a->geometry_error == b->geometry_error &&
         a->member_events == b->member_events &&
         a->array_events == b->array_events, "order: reason");
    rule(a->events == b->events && a->resync_offset == b->resync_offset &&
         a->state == b->state && a->forced == b->forced &&
         a->missing_slots == b->missing_slots &&
         a->lagging_slots == b->lagging_slots &&
         a->times_differ == b->times_differ && a->doubtful == b->doubtful,
         "order: array");
    rule(a->refusal != RAID_REFUSE_NONE ||
         (a->geom.array_bytes == b->geom.array_bytes &&
          a->geom.level == b->geom.level &&
          a->geom.layout == b->geom.layout), "order: geometry");
    for (unsigned slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        rule(same_candidate(ca, a->slots[slot], cb, b->slots[slot]),
             "order: slots");
    }
    for (unsigned i = 0; i < nr; i++) {
        rule(a->verdicts[perm[i]] == b->verdicts[i] &&
             a->retaken[perm[i]] == b->retaken[i], "order: verdicts");
    }
}

static void swap(unsigned *perm, unsigned i, unsigned j)
{
    unsigned keep = perm[i];

    perm[i] = perm[j];
    perm[j] = keep;
}

/* The next one in the order of the alphabet; false after the last. */
static bool next_permutation(unsigned *perm, unsigned nr)
{
    unsigned i = nr - 1;
    unsigned j = nr - 1;

    while (i > 0 && perm[i - 1] >= perm[i]) {
        i--;
    }
    if (i == 0) {
        return false;
    }
    while (perm[j] <= perm[i - 1]) {
        j--;
    }
    swap(perm, i - 1, j);
    for (j = nr - 1; i < j; i++, j--) {
        swap(perm, i, j);
    }
    return true;
}

static void shuffle(unsigned *perm, unsigned nr, uint32_t *seed)
{
    for (unsigned i = nr - 1; i > 0; i--) {
        *seed = *seed * 1664525u + 1013904223u;
        swap(perm, i, (*seed >> 8) % (i + 1));
    }
}

static bool has_at_most(unsigned nr, unsigned max_orders)
{
    uint64_t orders = 1;

    for (unsigned i = 2; i <= nr && orders <= max_orders; i++) {
        orders *= i;
    }
    return orders <= max_orders;
}

bool rules_assemble_orders(const RaidCandidate *candidates, unsigned nr,
                           const RaidAssembleOptions *options,
                           unsigned max_orders, uint32_t seed,
                           RaidAssembly *out)
{
    bool ok = rules_assemble(candidates, nr, options, out);
    unsigned perm[RAID_MAX_CANDIDATES];
    bool exhaustive = has_at_most(nr, max_orders);

    for (unsigned i = 0; i < nr; i++) {
        perm[i] = i;
    }
    for (unsigned n = 1; exhaustive || n < max_orders; n++) {
        RaidCandidate other[RAID_MAX_CANDIDATES];
        RaidAssembly verdict;

        if (!exhaustive) {
            shuffle(perm, nr, &seed);
        } else if (!next_permutation(perm, nr)) {
            break;
        }
        for (unsigned i = 0; i < nr; i++) {
            other[i] = candidates[perm[i]];
        }
        rules_assemble(other, nr, options, &verdict);
        compare(candidates, out, other, &verdict, perm, nr);
    }
    return ok;
}
