/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/assemble: an array that runs is assembled anew, because
 * it was at rest. Members may have failed since, and policies ask no second
 * time what they asked before the start. P4, P8.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "super-set.h"

#define NR  4

static const RaidPolicy policies[] = {
    RAID_POLICY_STRICT, RAID_POLICY_DEGRADED, RAID_POLICY_FORCE
};

/* What has to come out, for members that are all in sync by superblocks. */
static RaidRefusal expect(RaidPolicy policy, RaidMask failed_slots,
                          RaidMask known_slots, bool clean, unsigned bearable)
{
    if (raid_mask_count(failed_slots) > bearable) {
        return RAID_REFUSE_TOO_FEW;
    }
    if (policy == RAID_POLICY_STRICT && (failed_slots & ~known_slots)) {
        return RAID_REFUSE_INCOMPLETE;
    }
    if (failed_slots && !clean && policy != RAID_POLICY_FORCE) {
        return RAID_REFUSE_DIRTY_DEGRADED;
    }
    return RAID_REFUSE_NONE;
}

static void check(const SuperSet *set, RaidPolicy policy,
                  RaidMask failed_slots, RaidMask known_slots, bool clean,
                  unsigned bearable)
{
    g_autofree RaidAssembly *out = g_new0(RaidAssembly, 1);
    RaidAssembleOptions options = {
        .policy = policy, .known_missing_slots = known_slots,
    };
    RaidRefusal want = expect(policy, failed_slots, known_slots, clean,
                              bearable);

    raid_assemble(set->candidates, set->nr, &options, out);
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==,
                    raid_refusal_name(want));
    if (want != RAID_REFUSE_NONE) {
        return;
    }
    g_assert_cmphex(out->missing_slots, ==, failed_slots);
    for (unsigned i = 0; i < NR; i++) {
        bool failed = failed_slots & RAID_BIT(i);

        g_assert_cmpint(out->verdicts[i], ==, failed ? RAID_MEMBER_FAULTY
                                                     : RAID_MEMBER_IN_SYNC);
        g_assert_cmpint(out->slots[i], ==, failed ? -1 : (int)i);
    }
}

/* All members that can have failed, all that can be known to be missing. */
static void test_failed_since(void)
{
    g_autofree SuperSet *set = g_new(SuperSet, 1);

    for (unsigned level = 5; level <= 6; level++) {
        for (unsigned clean = 0; clean < 2; clean++) {
            super_set_make(set, level, NR);
            for (unsigned i = 0; i < NR && !clean; i++) {
                set->supers[i].resync_offset = 0;
            }
            for (RaidMask failed = 0; failed < RAID_BIT(NR); failed++) {
                for (unsigned i = 0; i < NR; i++) {
                    set->candidates[i].failed = failed & RAID_BIT(i);
                }
                for (RaidMask known = 0; known < RAID_BIT(NR); known++) {
                    for (unsigned p = 0; p < G_N_ELEMENTS(policies); p++) {
                        check(set, policies[p], failed, known, clean,
                              level - 4);
                    }
                }
            }
        }
    }
}

/* One that was recorded, and may have missed writes, is stale by then. */
static void test_recorded(void)
{
    g_autofree SuperSet *set = g_new(SuperSet, 1);
    g_autofree RaidAssembly *out = g_new0(RaidAssembly, 1);
    RaidAssembleOptions options = { .policy = RAID_POLICY_STRICT };

    super_set_make(set, 5, NR);
    for (unsigned i = 1; i < NR; i++) {
        set->supers[i].events += 2;
    }
    super_set_say(set, 0xe, 0, MD_DISK_ROLE_FAULTY);
    g_assert_false(raid_assemble(set->candidates, NR, &options, out));
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_STALE);

    options.known_missing_slots = RAID_BIT(0);
    g_assert_true(raid_assemble(set->candidates, NR, &options, out));
    g_assert_cmphex(out->missing_slots, ==, RAID_BIT(0));
    g_assert_cmpint(out->verdicts[0], ==, RAID_MEMBER_STALE);

    /* But no other may be missing than the one that is known. */
    options.known_missing_slots = RAID_BIT(1);
    g_assert_false(raid_assemble(set->candidates, NR, &options, out));
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_INCOMPLETE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/assemble-again/failed-since", test_failed_since);
    g_test_add_func("/raid/assemble-again/recorded", test_recorded);
    return g_test_run();
}
