/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/assemble: arrays that md wrote, whole and in part, in all
 * orders of their members (P8).
 */
#include <glib.h>
#include <string.h>

#include "assemble-rules.h"
#include "super-set.h"

#define STRICT  RAID_POLICY_STRICT
#define DEGRADED RAID_POLICY_DEGRADED
#define FORCE   RAID_POLICY_FORCE

typedef struct GoldenCase {
    const char *name;
    const char *which;              /* of its members */
    RaidPolicy policy;
    bool read_only;
    RaidRefusal refusal;
    const char *verdicts;           /* a letter each: In-sync, sTale, ... */
    RaidArrayState state;
    RaidMask missing;
} GoldenCase;

#define ACCEPT(letters, word, mask) \
    .refusal = RAID_REFUSE_NONE, .verdicts = letters, \
    .state = RAID_ARRAY_##word, .missing = mask
#define REFUSE(why) .refusal = RAID_REFUSE_##why

static const GoldenCase golden_cases[] = {
    { "raid0", "01", STRICT, false, ACCEPT("II", OPTIMAL, 0) },
    { "raid0", "1", DEGRADED, false, REFUSE(TOO_FEW) },
    { "raid0-uneven", "012", STRICT, false, ACCEPT("III", OPTIMAL, 0) },
    { "raid0-uneven", "02", FORCE, false, REFUSE(TOO_FEW) },
    { "raid1-end", "01", STRICT, false, ACCEPT("II", OPTIMAL, 0) },
    { "raid1-end", "1", DEGRADED, false, ACCEPT("I", DEGRADED, 1) },
    { "raid1-end", "1", STRICT, false, REFUSE(INCOMPLETE) },
    { "raid1-bitmap", "01", FORCE, false, REFUSE(BITMAP) },
    { "raid1-bitmap", "01", STRICT, true, ACCEPT("II", OPTIMAL, 0) },
    { "raid4", "012", STRICT, false, ACCEPT("III", OPTIMAL, 0) },
    { "raid4", "02", DEGRADED, false, ACCEPT("II", DEGRADED, 2) },
    { "raid5-ppl", "012", FORCE, false, REFUSE(PPL) },
    { "raid5-ppl", "012", STRICT, true, ACCEPT("III", OPTIMAL, 0) },
    { "raid5-ppl-end", "012", STRICT, true, ACCEPT("III", OPTIMAL, 0) },
    { "raid6-start", "0123", STRICT, false, ACCEPT("IIII", OPTIMAL, 0) },
    { "raid6-start", "03", DEGRADED, false, ACCEPT("II", DEGRADED, 6) },
    { "raid6-start", "3", FORCE, false, REFUSE(TOO_FEW) },
    { "raid6-bitmap-end", "012", DEGRADED, true,
      ACCEPT("III", DEGRADED, 8) },
    { "raid10-n2", "0123", STRICT, false, ACCEPT("IIII", OPTIMAL, 0) },
    { "raid10-n2", "02", DEGRADED, false, ACCEPT("II", DEGRADED, 10) },
    { "raid10-n2", "01", DEGRADED, false, REFUSE(TOO_FEW) },
    { "raid10-f2", "0123", STRICT, false, ACCEPT("IIII", OPTIMAL, 0) },
    { "raid10-f2", "13", DEGRADED, false, ACCEPT("II", DEGRADED, 5) },
    { "raid10-f2", "12", DEGRADED, false, REFUSE(TOO_FEW) },
    { "raid10-o2", "0123", STRICT, false, ACCEPT("IIII", OPTIMAL, 0) },
    { "raid10-o2", "123", DEGRADED, false, ACCEPT("III", DEGRADED, 1) },
    { "raid5-dirty", "01234", STRICT, false,
      ACCEPT("IIIIS", RESYNC_PENDING, 0) },
    { "raid5-dirty", "0123", FORCE, false,
      ACCEPT("IIII", RESYNC_PENDING, 0) },
    { "raid5-dirty", "0134", DEGRADED, false, REFUSE(DIRTY_DEGRADED) },
    { "raid5-dirty", "0134", FORCE, false, ACCEPT("IIIS", DEGRADED, 4) },
    { "raid5-spare", "01234", STRICT, false, ACCEPT("IIIIS", OPTIMAL, 0) },
    { "raid5-failed", "01234", STRICT, false, REFUSE(STALE) },
    { "raid5-failed", "01234", DEGRADED, false, ACCEPT("ITIIS", DEGRADED, 2) },
    { "raid5-failed", "0234", STRICT, false, REFUSE(INCOMPLETE) },
    { "raid5-failed", "014", FORCE, false, REFUSE(TOO_FEW) },
    { "raid5-rebuilding", "01234", DEGRADED, false,
      ACCEPT("ITIIR", DEGRADED, 2) },
    { "raid5-rebuilding", "0234", STRICT, false, REFUSE(INCOMPLETE) },
    { "raid5-rebuilt", "0234", STRICT, false, ACCEPT("IIII", OPTIMAL, 0) },
    { "raid5-rebuilt", "01234", STRICT, false, REFUSE(STALE) },
    { "raid5-rebuilt", "01234", DEGRADED, false, ACCEPT("ITIII", OPTIMAL, 0) },
    { "raid5-rebuilt", "023", DEGRADED, false, ACCEPT("III", DEGRADED, 2) },
    /* The failed one never ran without the others: its own table has all. */
    { "raid5-rebuilt", "14", DEGRADED, false, REFUSE(TOO_FEW) },
    { "raid6-readded", "0123", STRICT, true, REFUSE(STALE) },
    { "raid6-readded", "0123", DEGRADED, true, ACCEPT("ITII", DEGRADED, 2) },
    { "raid6-readded", "01", DEGRADED, true, REFUSE(TOO_FEW) },
    { "raid1-left-behind", "01", STRICT, false, REFUSE(STALE) },
    { "raid1-left-behind", "01", DEGRADED, false, ACCEPT("IT", DEGRADED, 2) },
    { "raid1-split", "01", STRICT, false, REFUSE(SPLIT_BRAIN) },
    { "raid1-split", "01", DEGRADED, true, REFUSE(SPLIT_BRAIN) },
    { "raid1-split", "01", FORCE, false, REFUSE(SPLIT_BRAIN) },
    { "raid1-split", "1", DEGRADED, false, ACCEPT("I", DEGRADED, 1) },
    { "raid1-badblocks", "01", FORCE, false, REFUSE(BAD_BLOCKS) },
    { "raid1-badblocks", "1", DEGRADED, false, ACCEPT("I", DEGRADED, 1) },
    { "raid1-replacement", "012", STRICT, false, ACCEPT("IIR", OPTIMAL, 0) },
    { "raid1-replacement", "01", STRICT, false, ACCEPT("II", OPTIMAL, 0) },
    { "raid1-replaced", "12", STRICT, false, ACCEPT("II", OPTIMAL, 0) },
    { "raid1-replaced", "012", STRICT, false, REFUSE(STALE) },
    { "raid1-replaced", "012", DEGRADED, false, ACCEPT("TII", OPTIMAL, 0) },
    { "raid5-journal", "0123", FORCE, true, REFUSE(JOURNAL) },
    { "raid5-journal", "012", FORCE, true, REFUSE(JOURNAL) },
    { "raid5-reshape", "0123", FORCE, true, REFUSE(RESHAPE) },
};

static void test_golden(gconstpointer data)
{
    const GoldenCase *want = data;
    RaidAssembleOptions options = {
        .policy = want->policy, .read_only = want->read_only
    };
    Golden *golden = g_new(Golden, 1);
    SuperSet *set = g_new(SuperSet, 1);
    RaidAssembly *out = g_new(RaidAssembly, 1);

    golden_load(golden, want->name);
    super_set_load(set, golden, want->which);
    for (unsigned i = 0; i < set->nr; i++) {
        /* None of the others must be judged by it. */
        set->candidates[i].bad_log_unknown = true;
    }
    rules_assemble_orders(set->candidates, set->nr, &options, 120, 1, out);
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==,
                    raid_refusal_name(want->refusal));
    if (want->verdicts) {
        g_assert_cmpuint(strlen(want->verdicts), ==, set->nr);
        for (unsigned i = 0; i < set->nr; i++) {
            g_assert_cmpint("MIFTRS"[out->verdicts[i]], ==,
                            want->verdicts[i]);
        }
        g_assert_cmpint(out->state, ==, want->state);
        g_assert_cmphex(out->missing_slots, ==, want->missing);
        g_assert_cmphex(out->lagging_slots, ==, 0);
    }
    g_free(out);
    g_free(set);
    g_free(golden);
}

static void add_golden_cases(void)
{
    static const char *const policies[] = { "strict", "degraded", "force" };

    for (unsigned i = 0; i < G_N_ELEMENTS(golden_cases); i++) {
        const GoldenCase *c = &golden_cases[i];
        g_autofree char *path = g_strdup_printf(
            "/raid/assemble/md/%s/%s/%s%s", c->name, c->which,
            policies[c->policy], c->read_only ? "-read-only" : "");

        g_test_add_data_func(path, c, test_golden);
    }
}

/* Members of their own size each, and one that took another's slot. */
static void test_golden_sizes(void)
{
    Golden *golden = g_new(Golden, 1);
    SuperSet *set = g_new(SuperSet, 1);
    RaidAssembly *out = g_new(RaidAssembly, 1);

    golden_load(golden, "raid0-uneven");
    super_set_load(set, golden, "201");
    g_assert_true(super_set_assemble(set, STRICT, out));
    g_assert_cmpuint(out->geom.array_bytes, ==, 512 * (24576 + 26624 + 28672));
    g_assert_cmpint(out->slots[0], ==, 1);
    g_assert_cmpint(out->slots[1], ==, 2);
    g_assert_cmpint(out->slots[2], ==, 0);
    golden_load(golden, "raid5-rebuilt");
    super_set_load(set, golden, "4320");
    g_assert_true(super_set_assemble(set, STRICT, out));
    g_assert_cmpuint(out->geom.array_bytes, ==, 512 * 3 * 22528);
    g_assert_cmpint(out->slots[0], ==, 3);
    g_assert_cmpint(out->slots[1], ==, 0);
    g_assert_cmpuint(out->events, ==, set->supers[0].events);
    g_free(out);
    g_free(set);
    g_free(golden);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_golden_cases();
    g_test_add_func("/raid/assemble/md-sizes", test_golden_sizes);
    return g_test_run();
}
