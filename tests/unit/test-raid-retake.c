/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/retake, through raid_assemble(): for every way in which
 * members may lag behind, whom force takes back is held against all sets that
 * it could have taken. And of what tells members of two copies.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assemble-rules.h"
#include "super-set.h"

/* How a member is: how many events behind, or why it is of no use. */
typedef enum Kind {
    FRESH, AGE_3, AGE_5, REBUILDING, OTHER_SIZE, KIND__MAX
} Kind;

static const struct {
    int32_t level;
    unsigned nr;
} arrays[] = { { 0, 2 }, { 1, 3 }, { 4, 3 }, { 5, 4 }, { 6, 5 }, { 10, 4 },
               { 10, 3 } };

static SuperSet *set;
static RaidAssembly *out;

static Kind kind_of(unsigned code, unsigned i)
{
    while (i--) {
        code /= KIND__MAX;
    }
    return code % KIND__MAX;
}

static void make_set(int32_t level, unsigned nr, unsigned code)
{
    super_set_make(set, level, nr);
    for (unsigned i = 0; i < nr; i++) {
        MdSuper *sb = &set->supers[i];
        Kind kind = kind_of(code, i);

        sb->events -= kind == AGE_3 ? 3 : kind == FRESH ? 0 : 5;
        sb->utime = sb->events;
        if (kind == REBUILDING) {
            sb->feature_map = MD_FEATURE_RECOVERY_OFFSET;
        }
        if (kind == OTHER_SIZE) {
            sb->size_sectors -= 8;
            sb->chunk_sectors += 8;
        }
        for (unsigned k = 0; k < nr && kind != FRESH; k++) {
            /* Members that went on know which ones did not. */
            if (kind_of(code, k) == FRESH ||
                (kind_of(code, k) == AGE_3 && kind != AGE_3)) {
                set->supers[k].roles[i] = MD_ROLE_FAULTY;
            }
        }
    }
}

static bool suffices(RaidMask missing)
{
    return raid_array_state_of(&out->geom, missing, true, false) !=
           RAID_ARRAY_FAILED;
}

/* The ages of @slots in a number that grows with freshness, for nr equal. */
static unsigned freshness(unsigned code, RaidMask slots)
{
    unsigned sum = 0;

    RAID_MASK_FOREACH(slot, slots) {
        sum += kind_of(code, slot) == AGE_3;
    }
    return sum;
}

static bool is_fresher_set(unsigned code, RaidMask a, RaidMask b)
{
    return raid_mask_count(a) == raid_mask_count(b) &&
           freshness(code, a) > freshness(code, b);
}

/* With parity: whole ages, and the older only if the younger don't do. */
static RaidMask expect_parity(RaidMask missing, RaidMask young, RaidMask old)
{
    return suffices(missing & ~young) ? young : young | old;
}

static void check_mirrors(unsigned code, RaidMask missing, RaidMask usable,
                          RaidMask taken)
{
    for (RaidMask some = 0; some <= usable; some++) {
        if ((some & ~usable) || !suffices(missing & ~some)) {
            continue;
        }
        rule((some & taken) != some || some == taken, "no more than needed");
        rule(!is_fresher_set(code, some, taken), "the freshest that do");
    }
}

static void check_retaken(unsigned code, unsigned nr, RaidMask missing,
                          RaidMask taken)
{
    RaidMask young = 0, old = 0;

    for (unsigned i = 0; i < nr; i++) {
        young |= kind_of(code, i) == AGE_3 ? RAID_BIT(i) : 0;
        old |= kind_of(code, i) == AGE_5 ? RAID_BIT(i) : 0;
    }
    if (suffices(missing) || !suffices(missing & ~(young | old))) {
        rule(!taken, "nobody, where it is of no use");
    } else if (raid_has_parity(&out->geom)) {
        rule(taken == expect_parity(missing, young, old), "whole ages");
    } else {
        rule(!(taken & ~(young | old)), "only whole ones");
        rule(suffices(missing & ~taken), "enough of them");
        check_mirrors(code, missing, young | old, taken);
    }
}

/* Returns whether members had to be taken back. */
static bool check_code(int32_t level, unsigned nr, unsigned code)
{
    RaidMask fresh = 0, taken = 0;
    RaidRefusal why;

    make_set(level, nr, code);
    for (unsigned i = 0; i < nr; i++) {
        fresh |= kind_of(code, i) == FRESH ? RAID_BIT(i) : 0;
    }
    if (!fresh) {
        return false;
    }
    super_set_assemble(set, RAID_POLICY_DEGRADED, out);
    why = out->refusal;
    for (unsigned i = 0; i < nr; i++) {
        taken |= out->retaken[i] ? RAID_BIT(i) : 0;
    }
    check_retaken(code, nr, raid_mask_first(nr) & ~fresh, taken);
    rule((why == RAID_REFUSE_TOO_FEW) ==
         !suffices(raid_mask_first(nr) & ~fresh), "only by force");

    super_set_assemble(set, RAID_POLICY_FORCE, out);
    rule(out->refusal == (taken ? RAID_REFUSE_NONE : why), "force");
    for (unsigned i = 0; i < nr; i++) {
        rule(out->retaken[i] == !!(taken & RAID_BIT(i)), "as it was told");
    }
    if (taken) {
        rule(out->missing_slots == (raid_mask_first(nr) & ~fresh & ~taken),
             "all others are missing");
        rule(level == 0 || out->resync_offset == 0, "to be resynced");
        rule(out->lagging_slots == taken, "to be written");
    }
    return taken;
}

static void test_all(void)
{
    for (unsigned a = 0; a < G_N_ELEMENTS(arrays); a++) {
        unsigned codes = 1, forced = 0;

        for (unsigned i = 0; i < arrays[a].nr; i++) {
            codes *= KIND__MAX;
        }
        for (unsigned code = 0; code < codes; code++) {
            forced += check_code(arrays[a].level, arrays[a].nr, code);
        }
        g_test_message("level %d of %u: %u ways, %u by force",
                       arrays[a].level, arrays[a].nr, codes, forced);
        g_assert_true(arrays[a].level == 1 ? !forced : forced > 0);
    }
}

/* One slot, two that held it; and equal counts, of which one is younger. */
static void test_rivals(void)
{
    super_set_make(set, 5, 4);
    super_set_add(set, 1);
    super_set_say(set, ~(1u << 1), 1, MD_ROLE_FAULTY);
    super_set_say(set, 0x9, 4, MD_ROLE_FAULTY);
    super_set_say(set, 0x9, 2, MD_ROLE_FAULTY);
    set->supers[1].roles[4] = MD_ROLE_SPARE;
    set->supers[1].events = 2;
    set->supers[2].events = 6;
    set->supers[4].events = 6;
    set->supers[4].roles[2] = MD_ROLE_FAULTY;
    super_set_assemble(set, RAID_POLICY_FORCE, out);
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_NONE);
    g_assert_cmpint(out->slots[1], ==, 4);
    g_assert_cmphex(out->missing_slots, ==, 4);
    g_assert_false(out->retaken[1] || out->retaken[2]);
    /* Without the one that came in later, its forerunner is the older one. */
    super_set_drop(set, 4);
    super_set_assemble(set, RAID_POLICY_FORCE, out);
    g_assert_true(out->retaken[2] && !out->retaken[1]);
}

/* One event count, but one of the two has seen the other go. */
static void test_younger(void)
{
    for (unsigned first = 1; first <= 2; first++) {
        unsigned last = 3 - first;

        super_set_make(set, 5, 4);
        for (unsigned i = 1; i <= 2; i++) {
            super_set_say(set, 0x9, i, MD_ROLE_FAULTY);
            set->supers[i].events = 6;
        }
        set->supers[last].roles[first] = MD_ROLE_FAULTY;
        super_set_assemble(set, RAID_POLICY_FORCE, out);
        g_assert_true(out->retaken[last] && !out->retaken[first]);
    }
}

/* Members that ran apart stay out, by force or not. */
static void test_apart(void)
{
    super_set_make(set, 5, 4);
    for (unsigned i = 0; i < 2; i++) {
        super_set_say(set, 0x3, 2 + i, MD_ROLE_FAULTY);
        super_set_say(set, 0xc, i, MD_ROLE_FAULTY);
    }
    super_set_assemble(set, RAID_POLICY_FORCE, out);
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_SPLIT_BRAIN);
    g_assert_false(out->times_differ);
}

/* In slot order, the first that differs is told beside one before it. */
static void test_copies(void)
{
    for (unsigned a = 0; a < G_N_ELEMENTS(arrays); a++) {
        for (unsigned who = 1; who < (1u << arrays[a].nr) - 1; who++) {
            super_set_make(set, arrays[a].level, arrays[a].nr);
            for (unsigned i = 0; i < arrays[a].nr; i++) {
                set->supers[i].utime = who & (1u << i) ? 77 : 55;
            }
            for (RaidPolicy policy = 0; policy < RAID_POLICY_FORCE; policy++) {
                super_set_assemble(set, policy, out);
                g_assert_cmpint(out->refusal, ==, RAID_REFUSE_SPLIT_BRAIN);
                g_assert_true(out->times_differ);
                g_assert_cmpint(set->supers[out->member].utime, !=,
                                set->supers[out->other].utime);
            }
            super_set_assemble(set, RAID_POLICY_FORCE, out);
            g_assert_cmpint(out->refusal, ==, RAID_REFUSE_NONE);
            g_assert_true(out->times_differ);
            g_assert_cmpint(out->doubtful, ==, arrays[a].level != 0);

            /* One event apart, it is an update that was cut. */
            for (unsigned i = 0; i < arrays[a].nr; i++) {
                set->supers[i].events -= set->supers[i].utime == 55;
            }
            super_set_assemble(set, RAID_POLICY_STRICT, out);
            g_assert_cmpint(out->refusal, ==, RAID_REFUSE_NONE);
        }
    }
}

/* Earlier versions gave single superblocks a time of their own. */
static void test_old_times(void)
{
    const int64_t now = INT64_C(1780000000) * 1000000;
    uint64_t first = raid_update_time(now + 123456);

    g_assert_true(raid_is_update_time(first));
    g_assert_cmphex(first, ==, 1780000000 | UINT64_C(123001) << 40);
    g_assert_true(raid_is_update_time(1780000000));
    g_assert_true(raid_is_update_time(raid_update_time(now)));
    g_assert_false(raid_is_update_time(1780000000 | UINT64_C(123456) << 40));
    for (unsigned who = 0; who < 2; who++) {
        super_set_make(set, 5, 4);
        for (unsigned i = 0; i < 4; i++) {
            set->supers[i].utime = first;
        }
        set->supers[who].utime += UINT64_C(455) << 40;
        super_set_assemble(set, RAID_POLICY_STRICT, out);
        g_assert_cmpint(out->refusal, ==, RAID_REFUSE_NONE);
        set->supers[who].utime = first + (UINT64_C(1000) << 40);
        super_set_assemble(set, RAID_POLICY_STRICT, out);
        g_assert_cmpint(out->refusal, ==, RAID_REFUSE_SPLIT_BRAIN);
    }
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    set = g_new(SuperSet, 1);
    out = g_new(RaidAssembly, 1);
    g_test_add_func("/raid/retake/all", test_all);
    g_test_add_func("/raid/retake/rivals", test_rivals);
    g_test_add_func("/raid/retake/younger", test_younger);
    g_test_add_func("/raid/retake/apart", test_apart);
    g_test_add_func("/raid/retake/copies", test_copies);
    g_test_add_func("/raid/retake/old-times", test_old_times);
    ret = g_test_run();
    g_free(out);
    g_free(set);
    return ret;
}
