/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/history, through raid_assemble(): updates cut anywhere
 * (I6), halves that ran apart (I7), and random sets of superblocks. Each set
 * is assembled in all orders (P8) under the rules of assemble-rules.c.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assemble-rules.h"
#include "super-set.h"

#define ALL     (~0u)
#define STRICT  RAID_POLICY_STRICT
#define DEGRADED RAID_POLICY_DEGRADED
#define FORCE   RAID_POLICY_FORCE

static SuperSet *set;
static RaidAssembly *out;

static void assert_accepted(RaidPolicy policy, RaidMask missing)
{
    super_set_assemble(set, policy, out);
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==, "NONE");
    g_assert_cmphex(out->missing_slots, ==, missing);
}

static void assert_refused(RaidPolicy policy, RaidRefusal why)
{
    g_assert_false(super_set_assemble(set, policy, out));
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==,
                    raid_refusal_name(why));
}

static void assert_split_brain(int member, int other)
{
    for (RaidPolicy policy = STRICT; policy <= FORCE; policy++) {
        assert_refused(policy, RAID_REFUSE_SPLIT_BRAIN);
        g_assert_cmpint(out->member, ==, member);
        g_assert_cmpint(out->other, ==, other);
    }
}

/*
 * Cuts. An update turns the superblocks of @before into those of @after, in
 * whatever order they reach the members; one of them may be torn.
 */

typedef struct Update {
    SuperSet before;
    SuperSet after;
} Update;

/* What a user of the array would notice. */
typedef struct Outcome {
    RaidRefusal refusal;
    RaidMask missing;
    bool clean;
    RaidArrayState state;
} Outcome;

static Outcome outcome_of(const SuperSet *supers, RaidPolicy policy)
{
    super_set_assemble(supers, policy, out);
    return (Outcome) {
        .refusal = out->refusal, .missing = out->missing_slots,
        .clean = out->resync_offset == MD_RESYNC_DONE, .state = out->state,
    };
}

static bool outcome_equal(Outcome a, Outcome b)
{
    return a.refusal == b.refusal &&
           (a.refusal != RAID_REFUSE_NONE ||
            (a.missing == b.missing && a.clean == b.clean &&
             a.state == b.state));
}

static void assert_one_of(Outcome got, Outcome before, Outcome after)
{
    if (!outcome_equal(got, before) && !outcome_equal(got, after)) {
        g_error("cut: %s, missing 0x%" G_GINT64_MODIFIER "x, clean %d",
                raid_refusal_name(got.refusal), got.missing, got.clean);
    }
}

/* Members in @written have the new superblock, the others the old one. */
static void cut(const Update *update, unsigned written, SuperSet *result)
{
    super_set_copy(result, &update->before);
    for (unsigned i = 0; i < result->nr; i++) {
        if (written & (1u << i)) {
            result->supers[i] = update->after.supers[i];
        }
    }
}

/*
 * All subsets are states that some order of the writes passes through. With
 * @torn, one more has neither superblock: to be compared with the states
 * before and after without that member.
 */
static void check_cuts(const Update *update, RaidPolicy policy, bool torn)
{
    unsigned nr = update->before.nr;

    for (unsigned written = 0; written < 1u << nr; written++) {
        for (unsigned lost = torn ? 0 : nr; lost < (torn ? nr : nr + 1);
             lost++) {
            Update rest;
            SuperSet got;

            super_set_copy(&rest.before, &update->before);
            super_set_copy(&rest.after, &update->after);
            cut(update, written, &got);
            if (torn) {
                super_set_drop(&rest.before, lost);
                super_set_drop(&rest.after, lost);
                got.candidates[lost].super_error = MD_SUPER_BAD_CHECKSUM;
            }
            assert_one_of(outcome_of(&got, policy),
                          outcome_of(&rest.before, policy),
                          outcome_of(&rest.after, policy));
        }
    }
}

static void check_update(const Update *update, bool strict)
{
    if (strict) {
        check_cuts(update, STRICT, false);
    }
    check_cuts(update, DEGRADED, false);
    check_cuts(update, DEGRADED, true);
    check_cuts(update, FORCE, true);
}

/* An update of all @nr members, to be changed further. */
static Update *new_update(int32_t level, unsigned nr)
{
    Update *update = g_new(Update, 1);

    super_set_make(&update->before, level, nr);
    super_set_copy(&update->after, &update->before);
    for (unsigned i = 0; i < nr; i++) {
        update->after.supers[i].events++;
    }
    return update;
}

static const int32_t levels[] = { 1, 4, 5, 6, 10 };

static void test_cut_dirty(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        g_autofree Update *update = new_update(levels[i], 4);

        for (unsigned k = 0; k < 4; k++) {
            update->after.supers[k].resync_offset = 0;
        }
        check_update(update, true);
    }
}

/* md takes the event back that made the array dirty. */
static void test_cut_clean(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        for (int step = -1; step <= 1; step += 2) {
            g_autofree Update *update = new_update(levels[i], 4);

            for (unsigned k = 0; k < 4; k++) {
                update->before.supers[k].resync_offset = 0;
                update->after.supers[k].events =
                    update->before.supers[k].events + step;
            }
            check_update(update, true);
        }
    }
}

/*
 * A member fails; it is never written again. Where one event was taken back
 * just before, its old superblock is as new as that of the others now.
 */
static void test_cut_failure(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        for (unsigned taken_back = 0; taken_back <= 1; taken_back++) {
            g_autofree Update *update = new_update(levels[i], 4);

            for (unsigned k = 0; k < 3; k++) {
                update->before.supers[k].events -= taken_back;
                update->after.supers[k].events -= taken_back;
                update->after.supers[k].roles[3] = MD_ROLE_FAULTY;
            }
            update->after.supers[3] = update->before.supers[3];
            check_update(update, false);
        }
    }
}

/* A spare is taken for the slot, and at the end of rebuilding gets it. */
static void test_cut_rebuild(void)
{
    g_autofree Update *start = g_new(Update, 1);
    g_autofree Update *done = g_new(Update, 1);

    super_set_make(&start->before, 5, 4);
    super_set_say(&start->before, ALL, 3, MD_ROLE_FAULTY);
    super_set_drop(&start->before, 3);
    start->before.nr = 4;
    start->before.supers[3] = start->before.supers[2];
    start->before.candidates[3].super = &start->before.supers[3];
    start->before.supers[3].dev_number = 4;
    start->before.supers[3].device_uuid[0] = 0x55;

    super_set_copy(&start->after, &start->before);
    super_set_say(&start->after, ALL, 4, 3);
    start->after.supers[3].feature_map = MD_FEATURE_RECOVERY_OFFSET;
    super_set_copy(&done->before, &start->after);
    super_set_copy(&done->after, &start->after);
    done->after.supers[3].feature_map = 0;
    for (unsigned k = 0; k < 4; k++) {
        start->after.supers[k].events++;
        done->after.supers[k].events++;
    }
    check_update(start, true);
    check_update(done, true);
}

/*
 * The tolerance of one event must not let back in whom a cut update left
 * behind: the others went on without it and wrote one event of their own.
 */
static void test_cut_and_gone_on(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        super_set_make(set, levels[i], 4);
        for (unsigned k = 0; k < 4; k++) {
            set->supers[k].events++;
        }
        /* Member 0 alone was written before the cut, then was not there. */
        super_set_say(set, ALL & ~1u, 0, MD_ROLE_SPARE);
        assert_refused(STRICT, RAID_REFUSE_STALE);
        g_assert_cmpint(out->member, ==, 0);
        assert_accepted(DEGRADED, 1);
        g_assert_cmpint(out->verdicts[0], ==, RAID_MEMBER_STALE);
    }
}

/*
 * Split brain
 */

/* Each half without the other, however many updates each has made. */
static void test_raid1_halves(void)
{
    static const uint16_t words[] = { MD_ROLE_FAULTY, MD_ROLE_SPARE };

    for (unsigned w = 0; w < G_N_ELEMENTS(words); w++) {
        for (unsigned lead = 0; lead < 5; lead++) {
            super_set_make(set, 1, 2);
            super_set_say(set, 1, 1, words[w]);
            super_set_say(set, 2, 0, words[w]);
            set->supers[0].events += lead;
            assert_split_brain(lead ? 1 : 0, lead ? 0 : 1);
        }
        /* Only one of them went on: the other is stale. */
        super_set_make(set, 1, 2);
        super_set_say(set, 1, 1, words[w]);
        assert_refused(STRICT, RAID_REFUSE_STALE);
        assert_accepted(DEGRADED, 2);
    }
}

/* {0, 1, 2} ran without 3, then {1, 2, 3} without 0, with equal events. */
static void test_overlapping_runs(void)
{
    for (unsigned behind = 0; behind <= 1; behind++) {
        super_set_make(set, 5, 4);
        super_set_say(set, 1, 3, MD_ROLE_FAULTY);
        super_set_say(set, ALL & ~1u, 0, MD_ROLE_FAULTY);
        set->supers[0].events -= behind;
        assert_split_brain(0, 3);
    }
    /* With events that show it, 0 just left before the others went on. */
    set->supers[0].events--;
    assert_refused(STRICT, RAID_REFUSE_STALE);
    assert_accepted(DEGRADED, 1);
}

static void test_raid6_halves(void)
{
    super_set_make(set, 6, 4);
    for (unsigned dev = 0; dev < 4; dev++) {
        super_set_say(set, dev < 2 ? 0xc : 0x3, dev, MD_ROLE_FAULTY);
    }
    assert_split_brain(0, 2);
    set->supers[0].events += 7;
    set->supers[1].events += 7;
    assert_split_brain(2, 0);
    super_set_drop(set, 3);
    assert_split_brain(2, 0);
    super_set_drop(set, 2);
    assert_accepted(DEGRADED, 0xc);
}

static void test_raid10_halves(void)
{
    super_set_make(set, 10, 4);     /* near 2: 0 and 1, 2 and 3 are alike */
    super_set_say(set, 0x5, 1, MD_ROLE_FAULTY);
    super_set_say(set, 0x5, 3, MD_ROLE_FAULTY);
    super_set_say(set, 0xa, 0, MD_ROLE_FAULTY);
    super_set_say(set, 0xa, 2, MD_ROLE_FAULTY);
    assert_split_brain(0, 1);
}

/* Three of a mirror, each of which has seen another one fail. */
static void test_circle(void)
{
    super_set_make(set, 1, 3);
    for (unsigned i = 0; i < 3; i++) {
        super_set_say(set, 1u << i, (i + 1) % 3, MD_ROLE_FAULTY);
    }
    assert_refused(STRICT, RAID_REFUSE_STALE);
    assert_refused(DEGRADED, RAID_REFUSE_TOO_FEW);
    assert_refused(FORCE, RAID_REFUSE_TOO_FEW);
}

/* Out for one, in for the next update: nobody was rebuilt in between. */
static void test_back_without_rebuild(void)
{
    super_set_make(set, 1, 3);
    set->supers[0].events--;
    set->supers[0].roles[2] = MD_ROLE_FAULTY;
    assert_split_brain(0, 2);
}

/* First 0 fails, then 1; 0 is rebuilt. 1 and 0 know each other as failed. */
static void test_early_leaver(void)
{
    super_set_make(set, 6, 5);
    super_set_say(set, ALL, 1, MD_ROLE_FAULTY);
    set->supers[1].roles[0] = MD_ROLE_FAULTY;
    set->supers[1].roles[1] = 1;
    set->supers[1].events -= 4;
    assert_refused(STRICT, RAID_REFUSE_STALE);
    g_assert_cmpint(out->member, ==, 1);
    assert_accepted(DEGRADED, 2);
    /* The one that 1 went along with is not here, but 0 knows it still. */
    super_set_make(set, 1, 3);
    super_set_say(set, ALL, 1, MD_ROLE_FAULTY);
    set->supers[1].roles[0] = MD_ROLE_FAULTY;
    set->supers[1].roles[1] = 1;
    set->supers[1].events -= 4;
    super_set_drop(set, 2);
    assert_accepted(DEGRADED, 6);
    /* Had that one gone, too, it could have been either way. */
    super_set_say(set, 1, 2, MD_ROLE_FAULTY);
    assert_split_brain(1, 0);
}

/*
 * All members but one leave one after the other, and each slot is given to a
 * new one. Whichever of the first members is kept beside them is merely stale,
 * for it never ran without the others. Had it, its table would say so.
 */
static void test_all_replaced(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        unsigned nr = levels[i] == 1 ? 2 : 4;

        for (unsigned kept = 0; kept < nr; kept++) {
            for (unsigned alone = 0; alone <= 1; alone++) {
                super_set_make(set, levels[i], nr);
                for (unsigned dev = 0; dev < nr; dev++) {
                    MdSuper *sb = &set->supers[dev];

                    if (dev == kept) {
                        sb->roles[(kept + 1) % nr] = alone ? MD_ROLE_FAULTY
                                                  : sb->roles[(kept + 1) % nr];
                        continue;
                    }
                    sb->events += 20;
                    sb->dev_number = nr + dev;
                    sb->device_uuid[0] = 0x55;
                }
                super_set_add(set, kept);
                set->supers[nr].events = 30;
                set->supers[nr].dev_number = nr + kept;
                for (unsigned dev = 0; dev < nr; dev++) {
                    super_set_say(set, ALL & ~(1u << kept), dev,
                                  MD_ROLE_FAULTY);
                    super_set_say(set, ALL & ~(1u << kept), nr + dev, dev);
                }
                set->supers[kept].roles[nr] = MD_ROLE_SPARE;
                if (alone) {
                    assert_refused(DEGRADED, RAID_REFUSE_SPLIT_BRAIN);
                    assert_refused(FORCE, RAID_REFUSE_SPLIT_BRAIN);
                } else {
                    assert_refused(STRICT, RAID_REFUSE_STALE);
                    assert_accepted(DEGRADED, 0);
                    g_assert_cmpint(out->verdicts[kept], ==,
                                    RAID_MEMBER_STALE);
                }
            }
        }
    }
}

/*
 * 0 and 1 ran without 2, 2 ran alone. 1 has been put back from an old copy,
 * which still knows 2: that proves nothing.
 */
static void test_old_copy(void)
{
    super_set_make(set, 1, 3);
    super_set_say(set, 1, 2, MD_ROLE_FAULTY);
    super_set_say(set, 4, 0, MD_ROLE_FAULTY);
    super_set_say(set, 4, 1, MD_ROLE_FAULTY);
    set->supers[1].events -= 2;
    set->supers[2].events += 10;
    assert_split_brain(0, 2);
}

/*
 * Witnesses: a spare or a half-rebuilt member saw the one that is left fail.
 */
static void test_witness(void)
{
    for (unsigned rebuilding = 0; rebuilding <= 1; rebuilding++) {
        super_set_make(set, 1, 2);
        super_set_add(set, rebuilding ? 1 : MD_ROLE_SPARE);
        if (rebuilding) {
            set->supers[2].feature_map = MD_FEATURE_RECOVERY_OFFSET;
        }
        set->supers[2].events += 7;
        set->supers[2].roles[1] = MD_ROLE_FAULTY;
        super_set_drop(set, 0);
        assert_refused(STRICT, RAID_REFUSE_STALE);
        assert_refused(FORCE, RAID_REFUSE_TOO_FEW);
        /* Had it seen nothing, its events alone would not count. */
        set->supers[1].roles[1] = 1;
        assert_accepted(DEGRADED, 1);
        g_assert_cmpuint(out->events, ==, 10);
    }
}

static void test_rebuilding(void)
{
    super_set_make(set, 5, 4);
    set->supers[2].feature_map = MD_FEATURE_RECOVERY_OFFSET;
    set->supers[2].recovery_offset = 1024;
    assert_refused(STRICT, RAID_REFUSE_INCOMPLETE);
    g_assert_cmpint(out->slot, ==, 2);
    assert_accepted(DEGRADED, 4);
    g_assert_cmpint(out->verdicts[2], ==, RAID_MEMBER_REBUILDING);
    set->supers[2].events++;        /* written first, then the cut */
    assert_accepted(DEGRADED, 4);
    g_assert_cmpint(out->verdicts[2], ==, RAID_MEMBER_REBUILDING);
    g_assert_cmphex(out->lagging_slots, ==, 0);
    set->supers[2].events -= 3;
    assert_refused(STRICT, RAID_REFUSE_STALE);
    assert_accepted(DEGRADED, 4);
}

/*
 * Random sets: small numbers, so that they often nearly fit together.
 */

static unsigned below(unsigned n)
{
    return g_test_rand_int_range(0, n);
}

static uint16_t random_role(unsigned nr_slots)
{
    static const uint16_t others[] = {
        MD_ROLE_SPARE, MD_ROLE_FAULTY, MD_ROLE_FAULTY
    };

    return below(4) ? below(nr_slots) : others[below(G_N_ELEMENTS(others))];
}

static void random_set(unsigned nr)
{
    static const int32_t some[] = { 0, 1, 1, 5, 6, 10 };
    int32_t level = some[below(G_N_ELEMENTS(some))];
    unsigned nr_slots = level == 6 ? 4 + below(2) : 2 + below(3);
    unsigned mess = below(3);

    super_set_make(set, level, nr_slots);
    while (set->nr < nr) {
        super_set_add(set, MD_ROLE_SPARE);
    }
    while (set->nr > nr) {
        super_set_drop(set, below(set->nr));
    }
    for (unsigned i = 0; i < nr; i++) {
        MdSuper *sb = &set->supers[i];

        sb->events -= below(2 + mess);
        sb->feature_map = below(8) ? 0 : MD_FEATURE_RECOVERY_OFFSET;
        sb->resync_offset = below(4) ? MD_RESYNC_DONE : 0;
        if (!below(12)) {
            sb->dev_number = below(6);
        }
        if (!below(20)) {
            memset(sb->device_uuid, 0, sizeof(sb->device_uuid));
        }
        if (!below(30)) {
            sb->set_uuid[0] = below(3);
        }
        for (unsigned n = below(1 + 2 * mess); n > 0; n--) {
            sb->roles[below(6)] = random_role(nr_slots);
        }
    }
}

static void test_random(void)
{
    unsigned runs = g_test_thorough() ? 200000 : 20000;
    unsigned accepted = 0, split = 0, stale = 0;

    for (unsigned n = 0; n < runs; n++) {
        RaidAssembleOptions options = { .policy = below(3) };

        random_set(1 + below(n % 20 ? 4 : 6));
        rules_assemble_orders(set->candidates, set->nr, &options, 720, n, out);
        accepted += out->refusal == RAID_REFUSE_NONE;
        split += out->refusal == RAID_REFUSE_SPLIT_BRAIN;
        stale += out->refusal == RAID_REFUSE_STALE;
    }
    g_test_message("%u sets: %u accepted, %u split brain, %u stale", runs,
                   accepted, split, stale);
    /* All kinds turned up, or this test has tested nothing. */
    g_assert_cmpuint(accepted, >, runs / 10);
    g_assert_cmpuint(split, >, runs / 50);
    g_assert_cmpuint(stale, >, runs / 50);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = {
        { "cut-dirty", test_cut_dirty },
        { "cut-clean", test_cut_clean },
        { "cut-failure", test_cut_failure },
        { "cut-rebuild", test_cut_rebuild },
        { "cut-and-gone-on", test_cut_and_gone_on },
        { "raid1-halves", test_raid1_halves },
        { "overlapping-runs", test_overlapping_runs },
        { "raid6-halves", test_raid6_halves },
        { "raid10-halves", test_raid10_halves },
        { "circle", test_circle },
        { "back-without-rebuild", test_back_without_rebuild },
        { "early-leaver", test_early_leaver },
        { "all-replaced", test_all_replaced },
        { "old-copy", test_old_copy },
        { "witness", test_witness },
        { "rebuilding", test_rebuilding },
        { "random", test_random },
    };
    int ret;

    g_test_init(&argc, &argv, NULL);
    set = g_new(SuperSet, 1);
    out = g_new(RaidAssembly, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/raid/history/", tests[i].name,
                                            NULL);
        g_test_add_func(path, tests[i].fn);
    }
    ret = g_test_run();
    g_free(out);
    g_free(set);
    return ret;
}
