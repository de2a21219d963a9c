/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/plan where a stripe lacks something: rebuilding a slot,
 * and writing where more is lost than parity makes up for. Every geometry and
 * slot with every set of missing and of unreadable members; each plan is
 * carried out.
 */
#include <glib.h>
#include <string.h>

#include "run-plan.h"

#define CHUNK_BYTES     4096
#define UNIT            (CHUNK_BYTES / UNITS)

typedef struct Bench {
    RaidGeometry geom;
    uint64_t number;            /* of the stripe */
    unsigned nr_roles;
    Stripe base;                /* what it should hold */
    Stripe new_data;
    unsigned nr_plans;
    unsigned nr_refused;
    unsigned nr_methods[RAID_METHOD_DATA_ONLY + 1];
} Bench;

static Bench *bench;            /* static, for its alignment */

static void fill(Stripe *stripe, unsigned nr_roles)
{
    for (unsigned role = 0; role < nr_roles; role++) {
        for (unsigned unit = 0; unit < UNITS; unit++) {
            uint64_t x = g_test_rand_int();

            for (unsigned i = 0; i < UNIT_BYTES; i++) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                stripe->at[role][unit][i] = x >> 56;
            }
        }
    }
}

static void bench_set(RaidLevel level, RaidLayout layout, unsigned nr_slots)
{
    RaidGeometryParams params = {
        .level = level, .layout = layout, .nr_slots = nr_slots,
        .chunk_bytes = CHUNK_BYTES,
    };

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        params.member_bytes[slot] = CHUNK_BYTES << 10;
    }
    g_assert_cmpint(raid_geometry_init(&bench->geom, &params), ==,
                    RAID_GEOMETRY_OK);
    bench->nr_roles = bench->geom.nr_data + bench->geom.nr_parity;
}

static void bench_set_stripe(uint64_t number)
{
    bench->number = number;
    fill(&bench->base, bench->nr_roles);
    stripe_make_parity(&bench->geom, number, &bench->base, 0, UNITS);
    fill(&bench->new_data, bench->geom.nr_data);
}

static RaidMask roles_of(RaidMask slots)
{
    RaidMask roles = 0;

    RAID_MASK_FOREACH(slot, slots) {
        roles |= RAID_BIT(raid_stripe_role(&bench->geom, bench->number, slot));
    }
    return roles;
}

static size_t used_bytes(void)
{
    return sizeof(bench->base.at[0]) * bench->nr_roles;
}

/* What the members hold when those of @roles hold nonsense. */
static void spoil(Stripe *members, RaidMask roles)
{
    memcpy(members, &bench->base, used_bytes());
    RAID_MASK_FOREACH(role, roles) {
        memset(members->at[role], 0xdd, sizeof(members->at[role]));
    }
}

typedef struct Lost {
    RaidMask missing_slots;
    RaidMask unreadable_slots;
    RaidMask missing;           /* roles */
    RaidMask unreadable;        /* roles not to be read, missing or not */
} Lost;

static Lost lost_of(RaidMask missing_slots, RaidMask unreadable_slots)
{
    Lost lost = {
        .missing_slots = missing_slots,
        .unreadable_slots = unreadable_slots,
        .missing = roles_of(missing_slots),
        .unreadable = roles_of(missing_slots | unreadable_slots),
    };

    return lost;
}

/*
 * Rebuilding
 */

static void check_rebuild(unsigned slot, const Lost *lost, unsigned lo,
                          unsigned hi)
{
    RaidMask target = roles_of(RAID_BIT(slot));
    static Stripe before, members, out;
    PlanRun run = {
        .geom = &bench->geom, .stripe = bench->number,
        .missing = lost->missing & ~target, .unreadable = lost->unreadable,
        .members = &members, .out = &out, .new_data = &bench->new_data,
    };
    RaidMask restored = (lost->unreadable & ~lost->missing) | target;
    RaidPlan plan, untouched;

    memset(&plan, 0xaa, sizeof(plan));
    untouched = plan;
    if (!raid_plan_rebuild(&bench->geom, bench->number, lo * UNIT, hi * UNIT,
                           slot, lost->missing_slots, lost->unreadable_slots,
                           &plan)) {
        g_assert_cmpuint(raid_mask_count(lost->unreadable), >,
                         bench->geom.nr_parity);
        g_assert_cmpmem(&plan, sizeof(plan), &untouched, sizeof(untouched));
        bench->nr_refused++;
        return;
    }
    g_assert_cmpuint(raid_mask_count(lost->unreadable), <=,
                     bench->geom.nr_parity);
    g_assert_cmpuint(plan.nr_bands, ==, 1);
    g_assert_cmpuint(plan.bands[0].lo, ==, lo * UNIT);
    g_assert_cmpuint(plan.bands[0].hi, ==, hi * UNIT);
    g_assert_cmphex(plan.bands[0].write, ==, target);
    g_assert_cmphex(plan.bands[0].recover, ==, restored);
    g_assert_cmphex(plan.bands[0].lose, ==, 0);
    g_assert_cmpuint(raid_mask_count(plan.bands[0].read), <=,
                     bench->geom.nr_data);

    spoil(&before, lost->unreadable);
    memcpy(&members, &before, used_bytes());
    run_plan(&run, &plan);
    for (unsigned role = 0; role < bench->nr_roles; role++) {
        for (unsigned unit = 0; unit < UNITS; unit++) {
            bool inside = unit >= lo && unit < hi;
            bool written = inside && (target & RAID_BIT(role));
            const Stripe *want = written ? &bench->base : &before;

            g_assert_cmpmem(members.at[role][unit], UNIT_BYTES,
                            want->at[role][unit], UNIT_BYTES);
            /* What others could not read is there to be given back. */
            if (inside && (restored & RAID_BIT(role))) {
                g_assert_cmpmem(out.at[role][unit], UNIT_BYTES,
                                bench->base.at[role][unit], UNIT_BYTES);
            }
        }
    }
    bench->nr_plans++;
}

static void rebuild_all_slots(RaidMask missing, RaidMask unreadable)
{
    RAID_MASK_FOREACH(slot, missing) {
        Lost lost = lost_of(missing, unreadable);

        check_rebuild(slot, &lost, 0, UNITS);
        check_rebuild(slot, &lost, 3, 5);
    }
}

/*
 * Writing past what is lost
 */

static RaidMask want_in(const RaidPlan *plan, unsigned unit, unsigned *band)
{
    for (*band = 0; *band < plan->nr_bands; ++*band) {
        if (unit * UNIT >= plan->bands[*band].lo &&
            unit * UNIT < plan->bands[*band].hi) {
            return plan->bands[*band].want;
        }
    }
    return 0;
}

/* Why there may be no plan: some data would have nowhere to go. */
static bool may_be_refused(const Lost *lost, RaidMask want)
{
    RaidMask data = raid_mask_first(bench->geom.nr_data);
    RaidMask parity = raid_mask_first(bench->nr_roles) & ~data &
                      ~lost->missing;

    if (!parity) {
        return want & lost->missing;
    }
    return lost->missing && (data & ~want & lost->unreadable) &&
           ((want | parity) & lost->unreadable);
}

static void check_band(const Lost *lost, const RaidBand *band)
{
    RaidMask data = raid_mask_first(bench->geom.nr_data);
    RaidMask parity = raid_mask_first(bench->nr_roles) & ~data &
                      ~lost->missing;

    g_assert_cmphex(band->want & ~lost->missing & ~band->write, ==, 0);
    if (band->lose) {
        /* All of it, and only where nothing else is lost by that. */
        g_assert_cmphex(band->lose, ==, parity);
        g_assert_cmphex(band->write & parity, ==, 0);
        g_assert_cmphex(lost->missing, ==, 0);
        g_assert_cmphex(data & ~band->want & lost->unreadable, !=, 0);
    } else {
        g_assert_cmphex(band->write & parity, ==, parity);
    }
    bench->nr_methods[band->method]++;
}

static void check_past(const Lost *lost, uint64_t start, uint64_t end)
{
    static Stripe logical, before, members, out;
    PlanRun run = {
        .geom = &bench->geom, .stripe = bench->number,
        .missing = lost->missing, .unreadable = lost->unreadable,
        .members = &members, .out = &out, .new_data = &bench->new_data,
    };
    RaidStripeRange range = {
        .stripe = bench->number, .start = start * UNIT, .end = end * UNIT,
    };
    RaidPlan plan, bands;
    bool refused = false;

    /* The cut does not depend on what is lost. */
    g_assert_true(raid_plan_write(&bench->geom, &range, 0, 0, true, &bands));
    for (unsigned i = 0; i < bands.nr_bands; i++) {
        refused |= may_be_refused(lost, bands.bands[i].want);
    }
    if (!raid_plan_write_past(&bench->geom, &range, lost->missing_slots,
                              lost->unreadable_slots, &plan)) {
        g_assert_true(refused);
        bench->nr_refused++;
        return;
    }
    g_assert_false(refused);
    g_assert_cmpuint(plan.nr_bands, ==, bands.nr_bands);
    for (unsigned i = 0; i < plan.nr_bands; i++) {
        g_assert_cmphex(plan.bands[i].want, ==, bands.bands[i].want);
        check_band(lost, &plan.bands[i]);
    }

    spoil(&before, lost->missing);
    memcpy(&members, &before, used_bytes());
    run_plan(&run, &plan);
    memcpy(&logical, &bench->base, used_bytes());
    for (unsigned unit = 0; unit < UNITS; unit++) {
        unsigned band;
        RaidMask want = want_in(&plan, unit, &band);

        RAID_MASK_FOREACH(role, want) {
            memcpy(logical.at[role][unit], bench->new_data.at[role][unit],
                   UNIT_BYTES);
        }
        if (want) {
            stripe_make_parity(&bench->geom, bench->number, &logical, unit,
                               unit + 1);
        }
        for (unsigned role = 0; role < bench->nr_roles; role++) {
            bool written = want && (plan.bands[band].write & RAID_BIT(role));
            const Stripe *right = written ? &logical : &before;

            g_assert_cmpmem(members.at[role][unit], UNIT_BYTES,
                            right->at[role][unit], UNIT_BYTES);
        }
    }
    bench->nr_plans++;
}

static void past_all_ranges(RaidMask missing, RaidMask unreadable)
{
    Lost lost = lost_of(missing, unreadable);
    unsigned end = bench->geom.nr_data * UNITS;

    if (raid_mask_count(missing) > bench->geom.nr_parity) {
        return;                 /* the array has failed */
    }
    for (unsigned start = 0; start < end; start += 3) {
        for (unsigned stop = start + 1; stop <= end; stop += 2) {
            check_past(&lost, start, stop);
        }
    }
}

/*
 * All sets
 */

typedef void LostFn(RaidMask missing, RaidMask unreadable);

static void for_all_sets(LostFn *fn, unsigned most)
{
    RaidMask all = raid_mask_first(bench->geom.nr_slots);

    for (RaidMask missing = 0; missing <= all; missing++) {
        for (RaidMask unreadable = 0; unreadable <= all; unreadable++) {
            if (raid_mask_count(missing | unreadable) <= most) {
                fn(missing, unreadable);
            }
        }
    }
}

static void for_all_geometries(LostFn *fn, unsigned more)
{
    static const struct {
        RaidLevel level;
        unsigned nr_parity;
    } levels[] = {
        { RAID_LEVEL_4, 1 }, { RAID_LEVEL_5, 1 }, { RAID_LEVEL_6, 2 },
    };

    bench = g_aligned_alloc0(1, sizeof(*bench), RAID_PARITY_ALIGN);
    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        RaidLayout first = levels[i].level == RAID_LEVEL_4 ?
            RAID_LAYOUT_PARITY_LAST : RAID_LAYOUT_LEFT_ASYMMETRIC;

        for (unsigned nr = 2 + levels[i].nr_parity; nr <= 5; nr++) {
            for (RaidLayout layout = first; layout <= RAID_LAYOUT_PARITY_LAST;
                 layout++) {
                bench_set(levels[i].level, layout, nr);
                for (uint64_t stripe = 0; stripe < 2 * nr; stripe++) {
                    /* The first of each round, and one of each rotation. */
                    bench_set_stripe(stripe);
                    for_all_sets(fn, levels[i].nr_parity + more);
                    if (more > 1 && stripe == nr) {
                        break;
                    }
                }
            }
        }
    }
    g_assert_cmpuint(bench->nr_plans, >, 0);
    g_assert_cmpuint(bench->nr_refused, >, 0);
    g_test_message("%u plans, %u refused", bench->nr_plans,
                   bench->nr_refused);
}

static void test_rebuild(void)
{
    for_all_geometries(rebuild_all_slots, 1);
    g_aligned_free(bench);
}

static void test_past(void)
{
    for_all_geometries(past_all_ranges, 2);
    g_assert_cmpuint(bench->nr_methods[RAID_METHOD_FULL], >, 0);
    g_assert_cmpuint(bench->nr_methods[RAID_METHOD_RECONSTRUCT], >, 0);
    g_assert_cmpuint(bench->nr_methods[RAID_METHOD_MODIFY], >, 0);
    g_assert_cmpuint(bench->nr_methods[RAID_METHOD_DATA_ONLY], >, 0);
    g_aligned_free(bench);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/plan-lost/rebuild", test_rebuild);
    g_test_add_func("/raid/plan-lost/write-past", test_past);
    return g_test_run();
}
