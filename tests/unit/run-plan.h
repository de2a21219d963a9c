/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run plan: carry out a plan on one stripe in memory
 *
 * Members are known by their role here. A chunk is cut into UNITS units, and
 * UNIT_BYTES bytes in memory stand for each of them.
 */
#ifndef TESTS_UNIT_RUN_PLAN_H
#define TESTS_UNIT_RUN_PLAN_H

#include "util/raid/parity.h"
#include "util/raid/plan.h"

#define UNITS       8
#define UNIT_BYTES  RAID_PARITY_ALIGN

/* One chunk of each role. */
typedef struct Stripe {
    _Alignas(RAID_PARITY_ALIGN)
    uint8_t at[RAID_MAX_MEMBERS][UNITS][UNIT_BYTES];
} Stripe;

typedef struct PlanRun {
    const RaidGeometry *geom;
    uint64_t stripe;
    RaidMask missing;           /* roles that must be left alone */
    RaidMask unreadable;        /* roles that can't be read, missing or not */
    Stripe *members;
    const Stripe *new_data;     /* to write; NULL for a read */
    Stripe *out;                /* what a read returns, or scratch */
} PlanRun;

/* Compute P and Q of the units @lo to @hi from the data in the same stripe. */
void stripe_make_parity(const RaidGeometry *geom, uint64_t number,
                        Stripe *stripe, unsigned lo, unsigned hi);

/*
 * Do what @plan says and nothing else. Fails the test when that names a
 * missing member, reads an unreadable one, or uses bytes that no step has
 * provided.
 */
void run_plan(const PlanRun *run, const RaidPlan *plan);

#endif /* TESTS_UNIT_RUN_PLAN_H */
