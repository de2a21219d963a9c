/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run plan: carry out a plan on one stripe in memory
 *
 * Owns:      what each method means, step by step.
 * Knows not: which plan would be a good one.
 */
#include <glib.h>
#include <string.h>

#include "run-plan.h"

/* A band at work. */
typedef struct BandRun {
    const PlanRun *run;
    const RaidBand *band;
    unsigned lo;                /* units */
    size_t bytes;               /* of each column, in memory */
    RaidMask known;             /* roles with the right bytes in run->out */
} BandRun;

static unsigned column_of(const RaidGeometry *geom, uint64_t stripe,
                          unsigned role)
{
    return role < geom->nr_data ? raid_stripe_coef(geom, stripe, role) : role;
}

static RaidMask columns_of(const PlanRun *run, RaidMask roles)
{
    RaidMask columns = 0;

    RAID_MASK_FOREACH(role, roles) {
        columns |= RAID_BIT(column_of(run->geom, run->stripe, role));
    }
    return columns;
}

void stripe_make_parity(const RaidGeometry *geom, uint64_t number,
                        Stripe *stripe, unsigned lo, unsigned hi)
{
    uint8_t exps[RAID_MAX_MEMBERS];
    void *columns[RAID_MAX_MEMBERS];

    for (unsigned role = 0; role < geom->nr_data; role++) {
        columns[column_of(geom, number, role)] = stripe->at[role][lo];
    }
    raid_parity_generate(geom->nr_data,
                         raid_stripe_exponents(geom, number, exps),
                         (hi - lo) * UNIT_BYTES, columns,
                         stripe->at[geom->nr_data][lo],
                         geom->nr_parity == 2
                         ? stripe->at[geom->nr_data + 1][lo] : NULL);
}

static void copy_roles(BandRun *b, RaidMask roles, Stripe *to,
                       const Stripe *from)
{
    RAID_MASK_FOREACH(role, roles) {
        memcpy(to->at[role][b->lo], from->at[role][b->lo], b->bytes);
    }
}

static void read_members(BandRun *b)
{
    g_assert_cmphex(b->band->read & b->run->unreadable, ==, 0);
    copy_roles(b, b->band->read, b->run->out, b->run->members);
    b->known = b->band->read;
}

static void recover(BandRun *b)
{
    const PlanRun *run = b->run;
    unsigned nr = run->geom->nr_data + run->geom->nr_parity;
    void *columns[RAID_MAX_MEMBERS + 1] = { NULL };
    uint8_t exps[RAID_MAX_MEMBERS];

    g_assert_cmphex(b->band->recover, !=, 0);
    g_assert_cmphex(b->band->recover & b->known, ==, 0);
    for (unsigned role = 0; role < nr; role++) {
        if ((b->known | b->band->recover) & RAID_BIT(role)) {
            columns[column_of(run->geom, run->stripe, role)] =
                run->out->at[role][b->lo];
        }
    }
    g_assert_true(raid_parity_recover(run->geom->nr_data,
                                      raid_stripe_exponents(run->geom,
                                                            run->stripe, exps),
                                      b->bytes, columns,
                                      columns_of(run, b->known),
                                      columns_of(run, b->band->recover)));
    b->known |= b->band->recover;
}

static void take_new_data(BandRun *b)
{
    copy_roles(b, b->band->want, b->run->out, b->run->new_data);
    b->known |= b->band->want;
}

static void generate(BandRun *b)
{
    const RaidGeometry *geom = b->run->geom;
    RaidMask all = raid_mask_first(geom->nr_data);

    g_assert_cmphex(b->known & all, ==, all);
    stripe_make_parity(geom, b->run->stripe, b->run->out, b->lo,
                       b->lo + b->bytes / UNIT_BYTES);
    b->known = raid_mask_first(geom->nr_data + geom->nr_parity);
}

/* Old data and old parity are in run->out; make both new. */
static void modify(BandRun *b)
{
    const PlanRun *run = b->run;
    const RaidGeometry *geom = run->geom;
    void *parity[2] = { NULL, NULL };
    uint8_t exps_buf[RAID_MAX_MEMBERS];
    const uint8_t *exps = raid_stripe_exponents(geom, run->stripe, exps_buf);

    for (unsigned i = 0; i < geom->nr_parity; i++) {
        RaidMask role = RAID_BIT(geom->nr_data + i);

        if (b->band->write & role) {
            g_assert_cmphex(b->known & role, ==, role);
            parity[i] = run->out->at[geom->nr_data + i][b->lo];
        }
    }
    g_assert_cmphex(b->known & b->band->want, ==, b->band->want);
    RAID_MASK_FOREACH(role, b->band->want) {
        unsigned coef = raid_stripe_coef(geom, run->stripe, role);

        raid_parity_update(exps ? exps[coef] : coef, b->bytes,
                           run->out->at[role][b->lo],
                           run->new_data->at[role][b->lo],
                           parity[0], parity[1]);
    }
    take_new_data(b);
}

static void write_members(BandRun *b)
{
    g_assert_cmphex(b->band->write & b->run->missing, ==, 0);
    g_assert_cmphex(b->band->write & ~b->known, ==, 0);
    copy_roles(b, b->band->write, b->run->members, b->run->out);
}

static void run_band(const PlanRun *run, const RaidBand *band)
{
    uint32_t unit = run->geom->chunk_bytes / UNITS;
    BandRun b = {
        .run = run, .band = band, .lo = band->lo / unit,
        .bytes = (band->hi - band->lo) / unit * UNIT_BYTES,
    };

    read_members(&b);
    switch (band->method) {
    case RAID_METHOD_READ:
        g_assert_cmphex(band->recover, ==, 0);
        break;
    case RAID_METHOD_RECOVER_READ:
        recover(&b);
        break;
    case RAID_METHOD_FULL:
        g_assert_cmphex(band->read, ==, 0);
        /* fall through */
    case RAID_METHOD_RECONSTRUCT:
        g_assert_cmphex(band->recover, ==, 0);
        take_new_data(&b);
        generate(&b);
        break;
    case RAID_METHOD_MODIFY:
        g_assert_cmphex(band->recover, ==, 0);
        modify(&b);
        break;
    case RAID_METHOD_RECOVER_WRITE:
        g_assert_cmphex(band->recover & band->want, ==, 0);
        recover(&b);
        take_new_data(&b);
        generate(&b);
        break;
    case RAID_METHOD_DATA_ONLY:
        g_assert_cmphex(band->read, ==, 0);
        take_new_data(&b);
        break;
    }
    if (run->new_data) {
        write_members(&b);
    } else {
        g_assert_cmphex(band->write, ==, 0);
        g_assert_cmphex(band->want & ~b.known, ==, 0);
    }
}

void run_plan(const PlanRun *run, const RaidPlan *plan)
{
    g_assert_cmpuint(plan->stripe, ==, run->stripe);
    g_assert_cmpuint(plan->nr_bands, >, 0);
    g_assert_cmpuint(plan->nr_bands, <=, RAID_PLAN_MAX_BANDS);
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        run_band(run, &plan->bands[i]);
    }
}
