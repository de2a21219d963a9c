/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/plan: every range of a small stripe with every set of
 * missing members, and random ones of wide stripes. Each plan is carried out;
 * the outcome, and the number of bytes it reads, are compared with what they
 * should be.
 */
#include <glib.h>
#include <string.h>

#include "deal.h"
#include "fewest-reads.h"
#include "run-plan.h"

/* One geometry and stripe under test, with what its members hold. */
typedef struct Bench {
    RaidGeometry geom;
    uint64_t number;            /* of the stripe */
    unsigned nr_roles;
    Stripe base;                /* right data and parity */
    Stripe wrong;               /* right data, wrong parity */
    Stripe new_data;
    FewestReads fewest;
    uint64_t nr_plans;
    unsigned nr_methods[RAID_METHOD_DATA_ONLY + 1];
} Bench;

/* One request. */
typedef struct Case {
    Bench *bench;
    RaidStripeRange range;
    RaidMask missing_slots;
    RaidMask unreadable_slots;  /* for writes; others count as missing */
    RaidMask missing;           /* roles that must be left alone */
    RaidMask unreadable;        /* roles not to read, missing or not */
    bool write;
    bool parity_trusted;
    RaidMask want[UNITS];       /* data roles requested in each unit */
} Case;

static void fill(Stripe *stripe, unsigned nr_roles)
{
    for (unsigned role = 0; role < nr_roles; role++) {
        for (unsigned unit = 0; unit < UNITS; unit++) {
            uint64_t x = (uint64_t)(uint32_t)g_test_rand_int() << 8 | 1;

            for (unsigned i = 0; i < UNIT_BYTES; i++) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                stripe->at[role][unit][i] = x >> 56;
            }
        }
    }
}

static Bench *bench_new(RaidLevel level, RaidLayout layout, unsigned nr_slots,
                        uint32_t chunk_bytes)
{
    Bench *bench = g_aligned_alloc0(1, sizeof(*bench), RAID_PARITY_ALIGN);
    RaidGeometryParams params = {
        .level = level, .layout = layout, .nr_slots = nr_slots,
        .chunk_bytes = chunk_bytes,
    };

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        params.member_bytes[slot] = (uint64_t)chunk_bytes << 20;
    }
    g_assert_cmpint(raid_geometry_init(&bench->geom, &params), ==,
                    RAID_GEOMETRY_OK);
    bench->nr_roles = bench->geom.nr_data + bench->geom.nr_parity;
    return bench;
}

/* Go to another stripe, where other slots have other roles. */
static void bench_set_stripe(Bench *bench, uint64_t number)
{
    bench->number = number;
    fill(&bench->base, bench->nr_roles);
    bench->wrong = bench->base;
    stripe_make_parity(&bench->geom, number, &bench->base, 0, UNITS);
    fill(&bench->new_data, bench->geom.nr_data);
}

/* Mark what the range covers, unit by unit. */
static void case_mark(Case *c)
{
    const RaidGeometry *geom = &c->bench->geom;
    uint32_t unit = geom->chunk_bytes / UNITS;

    memset(c->want, 0, sizeof(c->want));
    for (uint64_t at = c->range.start; at < c->range.end; at += unit) {
        c->want[at % geom->chunk_bytes / unit] |=
            RAID_BIT(at / geom->chunk_bytes);
    }
}

/* Bands say in other words what the range said, and nothing more. */
static void check_bands(const Case *c, const RaidPlan *plan)
{
    uint32_t unit = c->bench->geom.chunk_bytes / UNITS;
    RaidMask covered[UNITS] = { 0 };

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        const RaidBand *band = &plan->bands[i];

        g_assert_cmpuint(band->lo, <, band->hi);
        g_assert_cmpuint(band->hi, <=, c->bench->geom.chunk_bytes);
        g_assert_cmpuint(band->lo % unit, ==, 0);
        g_assert_cmpuint(band->hi % unit, ==, 0);
        g_assert_cmphex(band->want, !=, 0);
        if (i > 0) {
            g_assert_cmpuint(band->lo, >=, plan->bands[i - 1].hi);
        }
        for (unsigned u = band->lo / unit; u < band->hi / unit; u++) {
            covered[u] = band->want;
        }
    }
    g_assert_cmpmem(covered, sizeof(covered), c->want, sizeof(c->want));
}

/* No other way of doing it would read less. */
static void check_reads(const Case *c, const RaidBand *band)
{
    const RaidGeometry *geom = &c->bench->geom;
    bool use_parity = !c->write || c->parity_trusted || c->unreadable;
    FewestReadsCase fewest = {
        .unreadable = c->unreadable, .missing = c->missing,
        .want = band->want, .write = c->write, .use_parity = use_parity,
    };
    RaidMask others = raid_mask_first(geom->nr_data) & ~band->want;

    g_assert_cmpuint(raid_mask_count(band->read), ==,
                     fewest_reads(&c->bench->fewest, geom, &fewest));
    if (!use_parity) {
        g_assert_cmphex(band->read >> geom->nr_data, ==, 0);
    }
    /* Among equals, the one that does not build upon old parity. */
    if (band->method == RAID_METHOD_MODIFY && !(others & c->unreadable)) {
        g_assert_cmpuint(raid_mask_count(others), >,
                         raid_mask_count(band->read));
    }
    c->bench->nr_methods[band->method]++;
}

/* All that is requested has arrived. */
static void check_read_outcome(const Case *c, const Stripe *out)
{
    for (unsigned unit = 0; unit < UNITS; unit++) {
        RAID_MASK_FOREACH(role, c->want[unit]) {
            g_assert_cmpmem(out->at[role][unit], UNIT_BYTES,
                            c->bench->base.at[role][unit], UNIT_BYTES);
        }
    }
}

/* What @plan recovers in a unit: an unreadable member gets that back. */
static RaidMask recovered_in(const Case *c, const RaidPlan *plan,
                             unsigned unit)
{
    uint32_t at = unit * (c->bench->geom.chunk_bytes / UNITS);

    for (unsigned i = 0; i < plan->nr_bands; i++) {
        if (at >= plan->bands[i].lo && at < plan->bands[i].hi) {
            return plan->bands[i].recover;
        }
    }
    return 0;
}

/*
 * New data is where it belongs, parity is right wherever data was written,
 * what was recovered is restored, and nothing else has changed, least of all
 * on missing members.
 */
static void check_write_outcome(const Case *c, const RaidPlan *plan,
                                const Stripe *before, const Stripe *after)
{
    const Bench *bench = c->bench;
    RaidMask all = raid_mask_first(bench->geom.nr_data);
    static Stripe logical;      /* the data as a reader shall see it */

    memcpy(&logical, &bench->base, sizeof(logical.at[0]) * bench->nr_roles);
    for (unsigned unit = 0; unit < UNITS; unit++) {
        RaidMask written = c->want[unit];

        RAID_MASK_FOREACH(role, c->want[unit]) {
            memcpy(logical.at[role][unit], bench->new_data.at[role][unit],
                   UNIT_BYTES);
        }
        if (written) {
            stripe_make_parity(&bench->geom, bench->number, &logical, unit,
                               unit + 1);
            written |= ~all | recovered_in(c, plan, unit);
        }
        written &= ~c->missing;
        for (unsigned role = 0; role < bench->nr_roles; role++) {
            const Stripe *want = written & RAID_BIT(role) ? &logical : before;

            g_assert_cmpmem(after->at[role][unit], UNIT_BYTES,
                            want->at[role][unit], UNIT_BYTES);
        }
    }
}

static bool make_plan(const Case *c, RaidPlan *plan)
{
    const RaidGeometry *geom = &c->bench->geom;

    return c->write
           ? raid_plan_write(geom, &c->range, c->missing_slots,
                             c->unreadable_slots, c->parity_trusted, plan)
           : raid_plan_read(geom, &c->range, c->missing_slots, plan);
}

static void run_case(Case *c)
{
    static Stripe before, members, out;
    Bench *bench = c->bench;
    bool wrong_parity = c->write && !c->parity_trusted && !c->unreadable;
    size_t used = sizeof(members.at[0]) * bench->nr_roles;
    PlanRun run = {
        .geom = &bench->geom, .stripe = bench->number, .missing = c->missing,
        .unreadable = c->unreadable, .members = &members, .out = &out,
        .new_data = c->write ? &bench->new_data : NULL,
    };
    RaidPlan plan;

    g_assert_true(make_plan(c, &plan));
    check_bands(c, &plan);
    for (unsigned i = 0; i < plan.nr_bands; i++) {
        check_reads(c, &plan.bands[i]);
    }

    memcpy(&before, wrong_parity ? &bench->wrong : &bench->base, used);
    RAID_MASK_FOREACH(role, c->unreadable) {
        memset(before.at[role], 0xdd, sizeof(before.at[role]));
    }
    memcpy(&members, &before, used);
    memset(&out, 0xee, used);
    run_plan(&run, &plan);
    if (c->write) {
        check_write_outcome(c, &plan, &before, &members);
    } else {
        g_assert_cmpmem(&members, used, &before, used);
        check_read_outcome(c, &out);
    }
    bench->nr_plans++;
}

/* Too many are missing: no plan, and nothing touched. */
static void check_refused(const Case *c)
{
    RaidPlan plan, untouched;

    memset(&plan, 0xaa, sizeof(plan));
    untouched = plan;
    g_assert_false(make_plan(c, &plan));
    g_assert_cmpmem(&plan, sizeof(plan), &untouched, sizeof(untouched));
}

static RaidMask roles_of(const Bench *bench, RaidMask slots)
{
    RaidMask roles = 0;

    RAID_MASK_FOREACH(slot, slots) {
        roles |= RAID_BIT(raid_stripe_role(&bench->geom, bench->number, slot));
    }
    return roles;
}

/* One range: read it, write it, write it while parity may be wrong. */
static void run_all_kinds(Case *c)
{
    Bench *bench = c->bench;

    c->range.stripe = bench->number;
    case_mark(c);
    c->missing = roles_of(bench, c->missing_slots);
    for (unsigned kind = 0; kind < 3; kind++) {
        c->write = kind > 0;
        c->parity_trusted = kind == 1;
        c->unreadable = c->missing;
        if (c->write) {
            c->unreadable |= roles_of(bench, c->unreadable_slots);
        } else if (c->unreadable_slots) {
            continue;           /* a read takes them as missing */
        }
        if (raid_mask_count(c->unreadable) > bench->geom.nr_parity) {
            check_refused(c);
        } else {
            run_case(c);
        }
    }
}

static void run_all_ranges(Bench *bench, RaidMask missing_slots,
                           RaidMask unreadable_slots)
{
    uint32_t unit = bench->geom.chunk_bytes / UNITS;
    unsigned nr_units = bench->geom.nr_data * UNITS;

    for (unsigned start = 0; start < nr_units; start++) {
        for (unsigned end = start + 1; end <= nr_units; end++) {
            Case c = {
                .bench = bench, .missing_slots = missing_slots,
                .unreadable_slots = unreadable_slots,
                .range = { .start = start * unit, .end = end * unit },
            };

            run_all_kinds(&c);
        }
    }
}

/*
 * All sets of up to one member more than can be spared, and all ways to call
 * some of them missing and the rest unreadable, or both. As these are all sets
 * of roles, too, one stripe is as good as any other.
 */
static void run_exhaustive(Bench *bench)
{
    RaidMask all = raid_mask_first(bench->geom.nr_slots);

    bench_set_stripe(bench, g_test_rand_int_range(0, 1 << 20));
    for (RaidMask lost = 0; lost <= all; lost++) {
        if (raid_mask_count(lost) > bench->geom.nr_parity + 1) {
            continue;
        }
        for (RaidMask missing = 0; missing <= lost; missing++) {
            if (!(missing & ~lost)) {
                run_all_ranges(bench, missing, missing & 1 && lost != missing
                                               ? lost : lost & ~missing);
            }
        }
    }
}

static void check_exhaustive(RaidLevel level, RaidLayout layout)
{
    for (unsigned nr_slots = MAX(3, raid_level_min_slots(level));
         nr_slots <= 8; nr_slots++) {
        Bench *bench = bench_new(level, layout, nr_slots,
                                 RAID_MIN_CHUNK_BYTES);

        run_exhaustive(bench);
        g_test_message("%s of %u: %" G_GUINT64_FORMAT " plans",
                       raid_level_name(level), nr_slots, bench->nr_plans);
        /*
         * All methods must have had their turn. With one parity and one data
         * column lost, MODIFY never reads more than RECOVER_WRITE.
         */
        for (unsigned m = 0; nr_slots >= 6 && m <= RAID_METHOD_DATA_ONLY;
             m++) {
            if (m != RAID_METHOD_RECOVER_WRITE || level == RAID_LEVEL_6) {
                g_assert_cmpuint(bench->nr_methods[m], >, 0);
            }
        }
        g_aligned_free(bench);
    }
}

static void test_exhaustive_raid4(void)
{
    check_exhaustive(RAID_LEVEL_4, RAID_LAYOUT_PARITY_LAST);
}

static void test_exhaustive_raid5(void)
{
    check_exhaustive(RAID_LEVEL_5, RAID_LAYOUT_LEFT_SYMMETRIC);
}

static void test_exhaustive_raid6(void)
{
    check_exhaustive(RAID_LEVEL_6, RAID_LAYOUT_LEFT_SYMMETRIC);
}

/* Two members: a mirror made of one data column and its parity. */
static void test_two_slots(void)
{
    Bench *bench = bench_new(RAID_LEVEL_5, RAID_LAYOUT_LEFT_SYMMETRIC, 2,
                             RAID_MIN_CHUNK_BYTES);

    run_exhaustive(bench);
    g_aligned_free(bench);
}

static RaidMask random_slots(unsigned nr_slots, unsigned nr)
{
    RaidMask slots = 0;

    while (raid_mask_count(slots) < nr) {
        slots |= RAID_BIT(g_test_rand_int_range(0, nr_slots));
    }
    return slots;
}

static void run_random(Bench *bench, unsigned nr_cases)
{
    const RaidGeometry *geom = &bench->geom;
    uint32_t unit = geom->chunk_bytes / UNITS;
    unsigned nr_units = geom->nr_data * UNITS;

    for (unsigned i = 0; i < nr_cases; i++) {
        unsigned nr_missing = g_test_rand_int_range(0, geom->nr_parity + 2);
        unsigned start, end;
        Case c = { .bench = bench };

        if (i % 10 == 0) {
            bench_set_stripe(bench, g_test_rand_int_range(0, 1 << 20));
        }
        start = g_test_rand_int_range(0, nr_units);
        /* Most requests are short. */
        end = start + g_test_rand_int_range(1, i & 1 ? nr_units + 1
                                                     : 2 * UNITS + 2);
        c.range.start = (uint64_t)start * unit;
        c.range.end = (uint64_t)MIN(end, nr_units) * unit;
        c.missing_slots = random_slots(geom->nr_slots, nr_missing);
        c.unreadable_slots = c.missing_slots &
                             random_slots(geom->nr_slots, i % 4);
        c.missing_slots &= ~c.unreadable_slots;
        run_all_kinds(&c);
    }
}

static void test_random(void)
{
    static const unsigned slot_counts[] = {
        3, 4, 5, 6, 7, 9, 15, 16, 17, 31, 32, 33, 48, 62, 63, 64
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(slot_counts); i++) {
        for (RaidLayout layout = RAID_LAYOUT_LEFT_ASYMMETRIC;
             layout <= RAID_LAYOUT_PARITY_LAST; layout++) {
            uint32_t chunk = RAID_MIN_CHUNK_BYTES << g_test_rand_int_range(0,
                                                                           9);
            Bench *bench = bench_new(RAID_LEVEL_5, layout, slot_counts[i],
                                     chunk);

            run_random(bench, 200);
            g_aligned_free(bench);
            if (slot_counts[i] >= raid_level_min_slots(RAID_LEVEL_6)) {
                bench = bench_new(RAID_LEVEL_6, layout, slot_counts[i],
                                  chunk);
                run_random(bench, 200);
                g_aligned_free(bench);
            }
        }
        for (RaidLayout layout = RAID_LAYOUT_DDF_ZERO_RESTART;
             layout < RAID_LAYOUT__MAX &&
             slot_counts[i] >= raid_level_min_slots(RAID_LEVEL_6); layout++) {
            Bench *bench = bench_new(RAID_LEVEL_6, layout, slot_counts[i],
                                     RAID_MIN_CHUNK_BYTES);

            run_random(bench, 50);
            g_aligned_free(bench);
        }
    }
}

/*
 * Mirrors
 */

/* Those that may be read at all, and of these those that are not avoided. */
static void check_copies_to_read(const RaidGeometry *geom, uint64_t off,
                                 RaidMask missing)
{
    RaidMask all = raid_mask_first(geom->nr_slots);

    for (RaidMask avoid = 0; avoid <= all; avoid++) {
        RaidMask got = raid_plan_copies_to_read(geom, off, missing, avoid);
        bool other = false;

        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidLoc loc;

            raid_map_copy(geom, off, copy, &loc);
            other |= !((missing | avoid) & RAID_BIT(loc.slot));
        }
        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidMask bit;
            RaidLoc loc;

            raid_map_copy(geom, off, copy, &loc);
            bit = RAID_BIT(loc.slot);
            g_assert_cmpint(!!(got & RAID_BIT(copy)), ==,
                            !(missing & bit) && !(other && (avoid & bit)));
        }
        g_assert_cmphex(got >> geom->copies, ==, 0);
    }
}

static void check_copies(RaidGeometryParams *params, unsigned nr_chunks)
{
    unsigned chunks[RAID_MAX_MEMBERS];
    RaidMask all = raid_mask_first(params->nr_slots);
    RaidGeometry geom;
    Deal deal;

    params->chunk_bytes = 1 << 20;
    for (unsigned slot = 0; slot < params->nr_slots; slot++) {
        chunks[slot] = nr_chunks;
        params->member_bytes[slot] = (uint64_t)nr_chunks << 20;
    }
    g_assert_cmpint(raid_geometry_init(&geom, params), ==, RAID_GEOMETRY_OK);
    deal_cards(&deal, params, chunks);
    for (RaidMask missing = 0; missing <= all; missing++) {
        g_autofree RaidMask *copies = g_new0(RaidMask, deal.nr_cards);

        for (unsigned slot = 0; slot < deal.nr_slots; slot++) {
            for (unsigned row = 0; row < deal.nr_rows; row++) {
                const Place *place = deal_place(&deal, slot, row);

                if (place->use == RAID_USE_DATA &&
                    !(missing & RAID_BIT(slot))) {
                    copies[place->card] |= RAID_BIT(place->copy);
                }
            }
        }
        for (unsigned card = 0; card < deal.nr_cards; card++) {
            g_assert_cmphex(raid_plan_copies(&geom, ((uint64_t)card << 20) + 9,
                                             missing), ==, copies[card]);
            check_copies_to_read(&geom, ((uint64_t)card << 20) + 9, missing);
        }
    }
    deal_free(&deal);
}

static void test_copies(void)
{
    static const struct {
        RaidLayout layout;
        unsigned nr_slots, near, far;
    } arrays[] = {
        { RAID_LAYOUT_NEAR, 4, 2, 1 }, { RAID_LAYOUT_NEAR, 3, 2, 1 },
        { RAID_LAYOUT_NEAR, 5, 3, 1 }, { RAID_LAYOUT_FAR, 5, 1, 2 },
        { RAID_LAYOUT_FAR, 7, 2, 2 }, { RAID_LAYOUT_OFFSET, 5, 1, 3 },
        { RAID_LAYOUT_OFFSET, 6, 2, 2 },
    };
    RaidGeometryParams params = { .level = RAID_LEVEL_1 };

    for (params.nr_slots = 2; params.nr_slots < 6; params.nr_slots++) {
        check_copies(&params, 3);
    }
    params.level = RAID_LEVEL_10;
    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        params.layout = arrays[i].layout;
        params.nr_slots = arrays[i].nr_slots;
        params.near_copies = arrays[i].near;
        params.far_copies = arrays[i].far;
        check_copies(&params, 9);
    }
}

static void test_names(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (RaidMethod m = 0; m <= RAID_METHOD_DATA_ONLY; m++) {
        g_assert_nonnull(raid_method_name(m));
        g_assert_true(g_hash_table_add(seen, (gpointer)raid_method_name(m)));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plan/exhaustive/raid4", test_exhaustive_raid4);
    g_test_add_func("/plan/exhaustive/raid5", test_exhaustive_raid5);
    g_test_add_func("/plan/exhaustive/raid6", test_exhaustive_raid6);
    g_test_add_func("/plan/two-slots", test_two_slots);
    g_test_add_func("/plan/random", test_random);
    g_test_add_func("/plan/copies", test_copies);
    g_test_add_func("/plan/names", test_names);
    return g_test_run();
}
