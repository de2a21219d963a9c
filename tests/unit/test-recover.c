/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/recover: the verdict for everything that can be found,
 * held against what must be true of any verdict (P4 above all), the cases by
 * name, and which members may come back by bitmap.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "super-set.h"
#include "util/raid/extension.h"
#include "util/raid/recover.h"

#define SLOTS   4
#define ALL     ((RaidMask)15)

typedef struct Case {
    RaidAssembly assembly;
    RaidFindings found;
    RaidRecoverPlan plan;
} Case;

static Case *make(RaidLevel level, RaidMask missing, uint64_t resync_offset)
{
    static const RaidLayout layouts[RAID_LEVEL__MAX] = {
        [RAID_LEVEL_0] = RAID_LAYOUT_ORIGINAL,
        [RAID_LEVEL_4] = RAID_LAYOUT_PARITY_LAST,
        [RAID_LEVEL_5] = RAID_LAYOUT_LEFT_SYMMETRIC,
        [RAID_LEVEL_6] = RAID_LAYOUT_LEFT_SYMMETRIC,
        [RAID_LEVEL_10] = RAID_LAYOUT_NEAR,
    };
    RaidGeometryParams params = {
        .level = level, .layout = layouts[level], .nr_slots = SLOTS,
        .near_copies = 2, .far_copies = 1, .chunk_bytes = 65536,
    };
    Case *c = g_new0(Case, 1);

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        params.member_bytes[slot] = 1 << 20;
    }
    g_assert_cmpint(raid_geometry_init(&c->assembly.geom, &params), ==,
                    RAID_GEOMETRY_OK);
    c->assembly.missing_slots = missing;
    c->assembly.resync_offset = resync_offset;
    c->assembly.events = 100;
    c->found.policy = RAID_POLICY_DEGRADED;
    return c;
}

static bool recover(Case *c)
{
    memset(&c->plan, 0xee, sizeof(c->plan));
    return raid_recover(&c->assembly, &c->found, &c->plan);
}

static Case *make_ppl(RaidMask missing, RaidMask logs, RaidMask used,
                      RaidMask filled)
{
    Case *c = make(RAID_LEVEL_5, missing, 0);

    c->found.intent = RAID_INTENT_PPL;
    c->found.logs = logs;
    c->found.logs_used = used;
    c->found.logs_filled = filled;
    recover(c);
    return c;
}

/*
 * By name
 */

static void test_clean(void)
{
    Case *c = make(RAID_LEVEL_5, 1, MD_RESYNC_DONE);

    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_DEGRADED);
    c->found.intent = RAID_INTENT_BITMAP;
    c->found.bitmaps = 4;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_cmphex(c->plan.merge_slots, ==, 4);
    g_assert_true(c->plan.clean_bitmap);
    g_free(c);
}

/* It was written by a program that did not keep the bitmap. */
static void test_clean_without_bitmap(void)
{
    Case *c = make(RAID_LEVEL_6, 0, MD_RESYNC_DONE);

    c->found.intent = RAID_INTENT_BITMAP;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_assert_false(c->plan.resync_by_bitmap);
    g_assert_cmpuint(c->plan.resync_start, ==, 0);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_RESYNC_PENDING);
    c->assembly.missing_slots = 2;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_cmphex(c->plan.merge_slots, ==, 0);
    g_free(c);
}

/* Members that were stale: what bitmap and logs say is about others. */
static void test_doubtful(void)
{
    static const RaidIntent intents[] = {
        RAID_INTENT_RESYNC, RAID_INTENT_BITMAP, RAID_INTENT_PPL,
        RAID_INTENT_JOURNAL,
    };

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(intents); i++) {
        bool degraded = i & 1;
        Case *c = make(RAID_LEVEL_5, degraded, 0);

        c->found.intent = intents[i / 2];
        c->found.bitmaps = ALL;
        c->found.logs = c->found.logs_used = c->found.logs_filled = ALL;
        c->found.policy = RAID_POLICY_FORCE;
        c->assembly.doubtful = true;
        g_assert_true(recover(c));
        g_assert_cmphex(c->plan.replay_slots, ==, 0);
        g_assert_cmphex(c->plan.merge_slots, ==, 0);
        g_assert_cmpint(c->plan.forced, ==, degraded);
        g_assert_false(c->plan.clean_bitmap);
        g_assert_cmpint(c->plan.what, ==, degraded ? RAID_RECOVERY_NOTHING
                                                   : RAID_RECOVERY_RESYNC);
        g_assert_cmpint(c->plan.state, ==, degraded ? RAID_ARRAY_DEGRADED
                        : RAID_ARRAY_RESYNC_PENDING);
        g_assert_false(c->plan.resync_by_bitmap);
        g_assert_cmpuint(c->plan.resync_start, ==, 0);
        c->found.read_only = true;
        g_assert_true(recover(c));
        g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_READ_ONLY);
        g_free(c);
    }
}

/* Clean, they say; but a lockless bitmap knows of parity that is not there. */
static void test_foreign_bitmap(void)
{
    static const RaidLevel levels[] = { RAID_LEVEL_1, RAID_LEVEL_5 };

    for (unsigned i = 0; i < 2 * 2 * 2; i++) {
        bool lockless = i & 1;
        bool degraded = i & 2;
        Case *c = make(levels[i / 4], degraded, MD_RESYNC_DONE);
        bool lacks_parity = lockless && degraded && i / 4;

        c->found.intent = RAID_INTENT_BITMAP;
        c->found.foreign_bitmaps = 12;
        c->found.bitmaps = 2;
        c->found.lockless = lockless;
        c->found.policy = RAID_POLICY_FORCE;
        g_assert_false(recover(c));
        g_assert_cmpint(c->plan.refusal, ==, RAID_REFUSE_BITMAP);
        g_assert_cmpint(c->plan.slot, ==, 2);

        c->found.read_only = true;
        g_assert_true(recover(c));
        g_assert_cmpint(c->plan.forced, ==, lacks_parity);
        c->found.policy = RAID_POLICY_DEGRADED;
        g_assert_cmpint(recover(c), ==, !lacks_parity);
        c->found.bitmaps = 0;
        g_assert_cmpint(recover(c), ==, !lacks_parity);
        if (!degraded) {
            g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_RESYNC_PENDING);
        }
        g_free(c);
    }
}

static void test_dirty(void)
{
    Case *c = make(RAID_LEVEL_5, 0, 4096);

    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_assert_cmpuint(c->plan.resync_start, ==, 4096);
    g_assert_false(c->plan.resync_by_bitmap);
    c->found.intent = RAID_INTENT_BITMAP;
    c->found.bitmaps = 6;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_assert_true(c->plan.resync_by_bitmap);
    g_assert_false(c->plan.clean_bitmap);
    g_assert_cmphex(c->plan.merge_slots, ==, 6);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_RESYNC_PENDING);
    g_free(c);
}

/* P4. A bitmap says where parity may be wrong, but not what would be right. */
static void test_dirty_degraded(void)
{
    static const RaidLevel levels[] = {
        RAID_LEVEL_4, RAID_LEVEL_5, RAID_LEVEL_6
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        Case *c = make(levels[i], 4, 0);

        for (unsigned bitmap = 0; bitmap < 2; bitmap++) {
            c->found.intent = bitmap ? RAID_INTENT_BITMAP
                                     : RAID_INTENT_RESYNC;
            c->found.bitmaps = ALL;
            c->found.policy = RAID_POLICY_DEGRADED;
            g_assert_false(recover(c));
            g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REFUSE);
            g_assert_cmpstr(raid_refusal_name(c->plan.refusal), ==,
                            "DIRTY_DEGRADED");
            g_assert_cmpint(c->plan.slot, ==, 2);
            c->found.policy = RAID_POLICY_FORCE;
            g_assert_true(recover(c));
            g_assert_true(c->plan.forced);
            g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
            g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_DEGRADED);
        }
        g_free(c);
    }
}

static void test_dirty_mirrors(void)
{
    Case *c = make(RAID_LEVEL_1, 1, 0);

    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    c->assembly.missing_slots = 7;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_false(c->plan.forced);
    g_free(c);
    c = make(RAID_LEVEL_10, 5, 0);
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_free(c);
}

static void test_ppl(void)
{
    Case *c = make_ppl(0, ALL, 3, 2);

    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REPLAY);
    g_assert_cmphex(c->plan.replay_slots, ==, 2);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_OPTIMAL);
    g_free(c);

    /* Used, and nothing was under way. */
    c = make_ppl(0, ALL, 1, 0);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_OPTIMAL);
    g_free(c);

    /* Never used: the array may not even have had its first resync. */
    c = make_ppl(0, ALL, 0, 0);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_free(c);

    /* One log is damaged. */
    c = make_ppl(0, ALL & ~1, ALL, 6);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_assert_cmphex(c->plan.replay_slots, ==, 6);
    g_assert_cmpuint(c->plan.resync_start, ==, 0);
    /* A resync that was not over. */
    c->found.logs = ALL;
    c->assembly.resync_offset = 4096;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_RESYNC);
    g_assert_cmpuint(c->plan.resync_start, ==, 4096);
    /* A clean array's log is over. */
    c->assembly.resync_offset = MD_RESYNC_DONE;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    g_assert_cmphex(c->plan.replay_slots, ==, 0);
    g_free(c);
}

static void test_ppl_degraded(void)
{
    Case *c = make_ppl(1, ALL, 2, 6);

    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REPLAY);
    g_assert_cmphex(c->plan.replay_slots, ==, 6);
    g_assert_false(c->plan.forced);
    g_assert_cmpint(c->plan.state, ==, RAID_ARRAY_DEGRADED);
    /* Without writing, parity stays as wrong as it is. */
    c->found.read_only = true;
    g_assert_false(recover(c));
    g_assert_cmpint(c->plan.refusal, ==, RAID_REFUSE_DIRTY_DEGRADED);
    c->found.logs_filled = 0;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_READ_ONLY);
    g_free(c);

    /* The log of the missing member does not matter. */
    c = make_ppl(1, 14, 2, 2);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REPLAY);
    c->found.logs = 13;
    g_assert_false(recover(c));
    c->found.policy = RAID_POLICY_FORCE;
    g_assert_true(recover(c));
    g_assert_true(c->plan.forced);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_NOTHING);
    c->found.logs_filled = 4;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REPLAY);
    g_assert_true(c->plan.forced);
    g_free(c);
    c = make_ppl(1, ALL, 0, 0);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REFUSE);
    g_free(c);
    /* It is not known that only the log of the missing one was used. */
    c = make_ppl(1, 14, 1, 0);
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REFUSE);
    g_free(c);
}

/* A refused assembly holds all that is needed to judge it again. */
static void test_after_assemble(void)
{
    Case *c = g_new0(Case, 1);
    SuperSet *set = g_new0(SuperSet, 1);

    super_set_make(set, 5, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        set->supers[i].resync_offset = 0;
    }
    super_set_drop(set, 2);
    g_assert_false(super_set_assemble(set, RAID_POLICY_DEGRADED,
                                      &c->assembly));
    g_assert_true(raid_recover_decides(c->assembly.refusal));
    c->found.policy = RAID_POLICY_DEGRADED;
    g_assert_false(recover(c));
    g_assert_cmpint(c->plan.refusal, ==, c->assembly.refusal);
    g_assert_cmpint(c->plan.slot, ==, c->assembly.slot);
    c->found.intent = RAID_INTENT_PPL;
    c->found.logs = c->found.logs_used = c->found.logs_filled = 11;
    g_assert_true(recover(c));
    g_assert_cmpint(c->plan.what, ==, RAID_RECOVERY_REPLAY);
    g_assert_cmphex(c->plan.replay_slots, ==, 11);
    g_free(set);
    g_free(c);
}

/* A unit is on one member more than parity makes up for, or on all. */
static void test_journal(void)
{
    static const struct {
        RaidLevel level;
        RaidMask missing, logs, filled;
        bool ok;
        RaidRecovery what;
    } cases[] = {
        { RAID_LEVEL_6, 0, 15, 7, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_6, 0, 15, 0, true, RAID_RECOVERY_NOTHING },
        { RAID_LEVEL_6, 0, 3, 1, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_6, 0, 1, 1, true, RAID_RECOVERY_RESYNC },
        { RAID_LEVEL_6, 1, 14, 4, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_6, 1, 6, 4, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_6, 1, 4, 4, false, RAID_RECOVERY_REFUSE },
        { RAID_LEVEL_6, 3, 12, 0, true, RAID_RECOVERY_NOTHING },
        { RAID_LEVEL_6, 3, 8, 8, false, RAID_RECOVERY_REFUSE },
        { RAID_LEVEL_5, 0, 7, 1, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_5, 0, 3, 1, true, RAID_RECOVERY_RESYNC },
        { RAID_LEVEL_5, 2, 13, 1, true, RAID_RECOVERY_REPLAY },
        { RAID_LEVEL_5, 2, 12, 4, false, RAID_RECOVERY_REFUSE },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Case *c = make(cases[i].level, cases[i].missing, 0);

        c->found.intent = RAID_INTENT_JOURNAL;
        c->found.logs = cases[i].logs;
        c->found.logs_filled = cases[i].filled;
        g_assert_cmpint(recover(c), ==, cases[i].ok);
        g_assert_cmpint(c->plan.what, ==, cases[i].what);
        /* A resync that was not over is no matter of a journal. */
        c->assembly.resync_offset = 8;
        g_assert_cmpint(recover(c), ==, !cases[i].missing);
        /* What is not written can't be replayed. */
        c->assembly.resync_offset = 0;
        c->found.read_only = true;
        g_assert_cmpint(recover(c), ==,
                        !cases[i].missing ||
                        (cases[i].ok && !cases[i].filled));
        g_free(c);
    }
}

static void test_decides(void)
{
    unsigned n = 0;

    for (unsigned refusal = 0; refusal < RAID_REFUSE__MAX; refusal++) {
        n += raid_recover_decides(refusal);
    }
    g_assert_cmpuint(n, ==, 3);
    g_assert_true(raid_recover_decides(RAID_REFUSE_DIRTY_DEGRADED));
    g_assert_true(raid_recover_decides(RAID_REFUSE_BITMAP));
    g_assert_true(raid_recover_decides(RAID_REFUSE_PPL));
}

static void test_names(void)
{
    g_assert_cmpint(raid_intent_of(0), ==, RAID_INTENT_RESYNC);
    g_assert_cmpint(raid_intent_of(MD_FEATURE_BITMAP_OFFSET), ==,
                    RAID_INTENT_BITMAP);
    g_assert_cmpint(raid_intent_of(MD_FEATURE_PPL), ==, RAID_INTENT_PPL);
    g_assert_cmpint(raid_intent_of(MD_FEATURE_MULTIPLE_PPLS), ==,
                    RAID_INTENT_PPL);
    g_assert_cmpstr(raid_intent_name(RAID_INTENT_PPL), ==, "ppl");
    g_assert_cmpint(raid_intent_of(RAID_FEATURE_EXTENSION), ==,
                    RAID_INTENT_JOURNAL);
    g_assert_cmpstr(raid_intent_name(RAID_INTENT_JOURNAL), ==, "journal");
    g_assert_cmpstr(raid_recovery_name(RAID_RECOVERY_READ_ONLY), ==,
                    "read-only");
}

/*
 * What must hold whatever was found
 */

static bool is_parity(RaidLevel level)
{
    return level == RAID_LEVEL_4 || level == RAID_LEVEL_5 ||
           level == RAID_LEVEL_6;
}

static void check_rules(const Case *c, bool ok)
{
    const RaidAssembly *assembly = &c->assembly;
    const RaidFindings *found = &c->found;
    const RaidRecoverPlan *plan = &c->plan;
    RaidMask present = ALL & ~assembly->missing_slots;
    bool dirty = assembly->resync_offset != MD_RESYNC_DONE;
    bool degraded_parity = assembly->missing_slots &&
                           is_parity(assembly->geom.level);
    bool hole = dirty && degraded_parity;
    bool no_parity = degraded_parity && found->lockless;
    bool foreign = found->foreign_bitmaps &&
                   assembly->geom.level != RAID_LEVEL_0;

    g_assert_cmpint(ok, ==, plan->what != RAID_RECOVERY_REFUSE);
    g_assert_cmpint(ok, ==, plan->refusal == RAID_REFUSE_NONE);
    g_assert_cmphex((plan->replay_slots | plan->merge_slots) & ~present, ==,
                    0);
    g_assert_cmphex(plan->replay_slots & ~found->logs, ==, 0);
    g_assert_cmphex(plan->merge_slots & ~found->bitmaps, ==, 0);
    /* P4: only a log closes the hole, or force. */
    if (hole && ok && found->intent != RAID_INTENT_PPL &&
        found->intent != RAID_INTENT_JOURNAL) {
        g_assert_true(plan->forced);
    }
    if (hole && ok && found->intent == RAID_INTENT_PPL &&
        (present & ~found->logs)) {
        g_assert_true(plan->forced);
    }
    if (hole && ok && found->intent == RAID_INTENT_JOURNAL &&
        raid_mask_count(ALL & ~(present & found->logs)) >
        assembly->geom.nr_parity) {
        g_assert_true(plan->forced);
    }
    if (no_parity && ok) {
        g_assert_true(plan->forced);
    }
    if (plan->forced) {
        g_assert_true((hole || no_parity) &&
                      found->policy == RAID_POLICY_FORCE);
    }
    /* Of a bitmap that is not known nothing is overwritten, come what may. */
    if (foreign && !found->read_only) {
        g_assert_cmpint(plan->refusal, ==, RAID_REFUSE_BITMAP);
        g_assert_cmpint(plan->slot, ==,
                        raid_mask_lowest(found->foreign_bitmaps));
        return;
    }
    /* But for that, only the hole is refused, and force is never. */
    if (!ok) {
        g_assert_true((hole || no_parity) &&
                      found->policy != RAID_POLICY_FORCE);
        g_assert_cmpint(plan->refusal, ==, no_parity ? RAID_REFUSE_BITMAP :
                        RAID_REFUSE_DIRTY_DEGRADED);
    }
    /* Nothing is written to what is read-only, and nothing else is. */
    if (ok) {
        g_assert_cmpint(found->read_only, ==,
                        plan->what == RAID_RECOVERY_READ_ONLY);
    }
    /* Parity is not made from data of which some is missing. */
    if (plan->what == RAID_RECOVERY_RESYNC) {
        g_assert_true(!assembly->missing_slots ||
                      !is_parity(assembly->geom.level));
        g_assert_cmpint(plan->resync_by_bitmap, ==, plan->merge_slots != 0);
    }
    /* A dirty complete array without a log is always resynced. */
    if (dirty && !assembly->missing_slots && !found->read_only &&
        assembly->geom.level != RAID_LEVEL_0 &&
        found->intent != RAID_INTENT_PPL &&
        found->intent != RAID_INTENT_JOURNAL) {
        g_assert_cmpint(plan->what, ==, RAID_RECOVERY_RESYNC);
    }
    if (ok && plan->what != RAID_RECOVERY_READ_ONLY) {
        g_assert_cmpint(plan->state, !=, RAID_ARRAY_FAILED);
    }
}

/* Masks that matter: none, one that is missing, one that is there, all. */
static const RaidMask masks[] = { 0, 1, 2, 14, ALL };

static void try_findings(Case *c, unsigned *nr)
{
    for (unsigned i = 0; i < 5 * 5 * 5 * 5; i++) {
        c->found.bitmaps = masks[i % 5];
        c->found.logs = masks[i / 5 % 5];
        c->found.logs_used = masks[i / 25 % 5];
        c->found.logs_filled = masks[i / 125 % 5];
        check_rules(c, recover(c));
        (*nr)++;
    }
}

static void test_rules(void)
{
    static const uint64_t offsets[] = { 0, 512, MD_RESYNC_DONE };
    unsigned nr = 0;

    for (RaidLevel level = 0; level < RAID_LEVEL__MAX; level++) {
        for (unsigned i = 0; i < 2 * 3 * 4 * 2 * 2 * 3; i++) {
            Case *c = make(level, i % 2 && level != RAID_LEVEL_0,
                           offsets[i / 2 % 3]);

            c->found.intent = i / 6 % 4;
            c->found.policy = i / 24 % 2 ? RAID_POLICY_FORCE
                                         : RAID_POLICY_DEGRADED;
            c->found.read_only = i / 48 % 2;
            if (c->found.intent == RAID_INTENT_BITMAP) {
                c->found.foreign_bitmaps = i / 96 ? 6 : 0;
                c->found.lockless = i / 96 == 2;
            }
            try_findings(c, &nr);
            g_free(c);
        }
    }
    g_assert_cmpuint(nr, ==, RAID_LEVEL__MAX * 288 * 625);
}

/*
 * Coming back by bitmap
 */

/* The others have gone on without it. */
static bool readd(const Case *c, const MdSuper *member)
{
    SuperSet *set = g_new(SuperSet, 1);
    const MdSuper *in_sync[SLOTS];
    unsigned nr = 0;
    bool result;

    super_set_make(set, 5, SLOTS);
    super_set_say(set, ~0u, 1, MD_ROLE_FAULTY);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (i != 1) {
            set->supers[i].events = 100;
            in_sync[nr++] = &set->supers[i];
        }
    }
    result = raid_recover_readd(&c->assembly, in_sync, nr, member, 1, 50);
    g_free(set);
    return result;
}

static void test_readd(void)
{
    Case *c = make(RAID_LEVEL_5, 2, MD_RESYNC_DONE);
    SuperSet *set = g_new0(SuperSet, 1);
    MdSuper *member = &set->supers[1];

    super_set_make(set, 5, SLOTS);
    member->events = 50;
    g_assert_false(readd(c, member));   /* it knows of no bitmap */
    member->feature_map = MD_FEATURE_BITMAP_OFFSET;
    g_assert_true(readd(c, member));
    member->events = 49;            /* it missed a clearing */
    g_assert_false(readd(c, member));
    member->events = 100;
    g_assert_true(readd(c, member));
    member->events = 101;           /* it ran on its own */
    g_assert_false(readd(c, member));
    member->events = 60;
    member->roles[2] = MD_ROLE_FAULTY;
    g_assert_true(readd(c, member));    /* it went on with 0 for a while, ... */
    for (unsigned i = 0; i < SLOTS; i++) {
        member->roles[i] = i == 1 ? 1 : MD_ROLE_FAULTY;
    }
    g_assert_false(readd(c, member));   /* with nobody who is here now */
    for (unsigned i = 0; i < SLOTS; i++) {
        member->roles[i] = i;
    }

    member->feature_map |= MD_FEATURE_RECOVERY_OFFSET;
    g_assert_false(readd(c, member));
    member->feature_map |= MD_FEATURE_RECOVERY_BITMAP;
    g_assert_true(readd(c, member));
    member->feature_map = MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_REPLACEMENT;
    g_assert_false(readd(c, member));
    member->feature_map = MD_FEATURE_BITMAP_OFFSET;

    g_assert_false(readd(c, &set->supers[0]));      /* another slot */
    member->set_uuid[15]++;
    g_assert_false(readd(c, member));
    member->set_uuid[15]--;
    member->chunk_sectors *= 2;
    g_assert_false(readd(c, member));
    member->chunk_sectors /= 2;
    member->layout = 0;
    g_assert_false(readd(c, member));
    member->layout = 2;
    member->level = 4;
    g_assert_false(readd(c, member));
    member->level = 5;
    member->raid_disks = 5;
    g_assert_false(readd(c, member));
    member->raid_disks = SLOTS;
    member->data_size_sectors = (1 << 20) / 512 - 1;
    g_assert_false(readd(c, member));
    member->data_size_sectors++;
    g_assert_true(readd(c, member));
    c->assembly.missing_slots = 0;
    g_assert_false(readd(c, member));
    g_free(set);
    g_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/recover/clean", test_clean);
    g_test_add_func("/raid/recover/clean-without-bitmap",
                    test_clean_without_bitmap);
    g_test_add_func("/raid/recover/doubtful", test_doubtful);
    g_test_add_func("/raid/recover/foreign-bitmap", test_foreign_bitmap);
    g_test_add_func("/raid/recover/dirty", test_dirty);
    g_test_add_func("/raid/recover/dirty-degraded", test_dirty_degraded);
    g_test_add_func("/raid/recover/dirty-mirrors", test_dirty_mirrors);
    g_test_add_func("/raid/recover/ppl", test_ppl);
    g_test_add_func("/raid/recover/ppl-degraded", test_ppl_degraded);
    g_test_add_func("/raid/recover/journal", test_journal);
    g_test_add_func("/raid/recover/after-assemble", test_after_assemble);
    g_test_add_func("/raid/recover/decides", test_decides);
    g_test_add_func("/raid/recover/names", test_names);
    g_test_add_func("/raid/recover/rules", test_rules);
    g_test_add_func("/raid/recover/readd", test_readd);
    return g_test_run();
}
