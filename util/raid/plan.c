/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plan: what has to be read, computed and written for one stripe request
 *
 * Owns: the choice between the ways to write, and which columns each reads.
 * Must not know: buffers, I/O, locks, why a member is missing.
 * Threads: any; pure functions.
 * Invariants: I2, I11.
 *
 * Choosing: with n data columns, w of them written, and k data columns
 * missing, the ways to know parity afterwards read
 *
 *     RECONSTRUCT      n - w           if none of the others is missing
 *     MODIFY           w + parity      if none of the written is missing
 *     RECOVER_WRITE    n               always: n - k data and k parity
 *
 * columns, and all of them write the same ones, so the fewest reads win.
 */

#include "plan.h"

/* What one stripe offers, as sets of roles. */
typedef struct StripeRoles {
    RaidMask data;              /* all data roles */
    RaidMask parity;            /* parity roles that can be written */
    RaidMask missing;           /* can be neither read nor written */
    RaidMask unreadable;        /* can't be read, @missing included */
    bool prefer_q;              /* where either P or Q would do */
    bool parity_trusted;
} StripeRoles;

/* Returns false when parity can't make up for what is unreadable. */
static bool stripe_roles_init(StripeRoles *roles, const RaidGeometry *geom,
                              uint64_t stripe, RaidMask missing_slots,
                              RaidMask unreadable_slots, bool parity_trusted)
{
    RaidMask all = raid_mask_first(geom->nr_data + geom->nr_parity);

    unreadable_slots |= missing_slots;
    if (!unreadable_slots) {
        roles->missing = 0;
        roles->unreadable = 0;
    } else {
        roles->missing = raid_stripe_roles(geom, stripe, missing_slots) & all;
        roles->unreadable = raid_stripe_roles(geom, stripe,
                                              unreadable_slots) & all;
    }
    roles->data = raid_mask_first(geom->nr_data);
    roles->parity = all & ~roles->data & ~roles->missing;
    roles->prefer_q = (stripe / geom->nr_slots) & 1;
    roles->parity_trusted = parity_trusted;
    return raid_mask_count(roles->unreadable) <= geom->nr_parity;
}

/*
 * All that must be read to compute any unreadable data column: n columns. P
 * costs less than Q, but with P alone the member behind the missing one would
 * take part in every recovery and hold up all of them. So every other round of
 * the layout takes Q.
 */
static RaidMask recover_sources(const StripeRoles *roles)
{
    RaidMask parity = roles->parity & ~roles->unreadable;
    RaidMask sources = roles->data & ~roles->unreadable;
    unsigned n = raid_mask_count(roles->data & roles->unreadable);

    if (n == 0) {
        return sources;
    }
    if (n == raid_mask_count(parity)) {
        return sources | parity;
    }
    /* One is enough, and both can be read. */
    return sources | (roles->prefer_q ? parity & (parity - 1)
                                      : parity & -parity);
}

/* Cut @range into bands; only lo, hi and want are set. */
static void plan_bands(const RaidGeometry *geom, const RaidStripeRange *range,
                       RaidPlan *plan)
{
    uint32_t chunk = geom->chunk_bytes;
    unsigned first = range->start >> geom->chunk_shift;
    unsigned last = (range->end - 1) >> geom->chunk_shift;
    uint32_t a = range->start & (chunk - 1);
    uint32_t b = ((range->end - 1) & (chunk - 1)) + 1;
    RaidMask between = raid_mask_first(last) & ~raid_mask_first(first + 1);
    uint32_t cuts[] = { 0, a < b ? a : b, a < b ? b : a, chunk };

    plan->stripe = range->stripe;
    plan->nr_bands = 0;
    if (first == last) {
        plan->bands[plan->nr_bands++] = (RaidBand) {
            .lo = a, .hi = b, .want = RAID_BIT(first),
        };
        return;
    }

    for (unsigned i = 0; i < RAID_PLAN_MAX_BANDS; i++) {
        uint32_t lo = cuts[i];
        uint32_t hi = cuts[i + 1];
        RaidMask want = between |
                        (lo >= a ? RAID_BIT(first) : 0) |
                        (lo < b ? RAID_BIT(last) : 0);

        if (lo < hi && want) {
            plan->bands[plan->nr_bands++] = (RaidBand) {
                .lo = lo, .hi = hi, .want = want,
            };
        }
    }
}

static void plan_band_read(const StripeRoles *roles, RaidBand *band)
{
    band->recover = band->want & roles->unreadable;
    band->write = 0;
    if (band->recover) {
        band->method = RAID_METHOD_RECOVER_READ;
        band->read = recover_sources(roles);
    } else {
        band->method = RAID_METHOD_READ;
        band->read = band->want;
    }
}

/* Later ones win ties: RECOVER_WRITE < MODIFY < RECONSTRUCT. */
static void choose_method(const StripeRoles *roles, RaidBand *band)
{
    RaidMask others = roles->data & ~band->want;
    RaidMask modify_read = band->want | roles->parity;
    unsigned best = raid_mask_count(roles->data);

    band->method = RAID_METHOD_RECOVER_WRITE;
    band->read = recover_sources(roles);
    band->recover = others & roles->unreadable;

    if (!(modify_read & roles->unreadable) &&
        (roles->parity_trusted || roles->unreadable) &&
        raid_mask_count(modify_read) <= best) {
        band->method = RAID_METHOD_MODIFY;
        band->read = modify_read;
        band->recover = 0;
        best = raid_mask_count(modify_read);
    }
    if (!(others & roles->unreadable) && raid_mask_count(others) <= best) {
        band->method = RAID_METHOD_RECONSTRUCT;
        band->read = others;
        band->recover = 0;
    }
}

static void plan_band_write(const StripeRoles *roles, RaidBand *band)
{
    band->read = 0;
    band->recover = 0;
    if (!roles->parity) {
        band->method = RAID_METHOD_DATA_ONLY;
    } else if (band->want == roles->data) {
        band->method = RAID_METHOD_FULL;
    } else {
        choose_method(roles, band);
    }
    band->write = (band->want | band->recover | roles->parity) &
                  ~roles->missing;
}

bool raid_plan_read(const RaidGeometry *geom, const RaidStripeRange *range,
                    RaidMask missing_slots, RaidPlan *plan)
{
    StripeRoles roles;

    if (!stripe_roles_init(&roles, geom, range->stripe, missing_slots, 0,
                           true)) {
        return false;
    }
    plan_bands(geom, range, plan);
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        plan_band_read(&roles, &plan->bands[i]);
    }
    return true;
}

bool raid_plan_write(const RaidGeometry *geom, const RaidStripeRange *range,
                     RaidMask missing_slots, RaidMask unreadable_slots,
                     bool parity_trusted, RaidPlan *plan)
{
    StripeRoles roles;

    if (!stripe_roles_init(&roles, geom, range->stripe, missing_slots,
                           unreadable_slots, parity_trusted)) {
        return false;
    }
    plan_bands(geom, range, plan);
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        plan_band_write(&roles, &plan->bands[i]);
    }
    return true;
}

/* The first way that works, from the best on; false when there is none. */
static bool plan_band_past(const StripeRoles *roles, RaidBand *band)
{
    RaidMask others = roles->data & ~band->want;
    RaidMask modify_read = band->want | roles->parity;

    band->write = (band->want | roles->parity) & ~roles->missing;
    if (!roles->parity) {
        band->method = RAID_METHOD_DATA_ONLY;
        return !(band->want & roles->missing);
    }
    if (!(others & roles->unreadable)) {
        band->method = others ? RAID_METHOD_RECONSTRUCT : RAID_METHOD_FULL;
        band->read = others;
        return true;
    }
    if (!(modify_read & roles->unreadable)) {
        band->method = RAID_METHOD_MODIFY;
        band->read = modify_read;
        return true;
    }
    band->method = RAID_METHOD_DATA_ONLY;
    band->write = band->want;
    band->lose = roles->parity;
    return !roles->missing;
}

bool raid_plan_write_past(const RaidGeometry *geom,
                          const RaidStripeRange *range,
                          RaidMask missing_slots, RaidMask unreadable_slots,
                          RaidPlan *plan)
{
    StripeRoles roles;

    stripe_roles_init(&roles, geom, range->stripe, missing_slots,
                      unreadable_slots, true);
    plan_bands(geom, range, plan);
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        if (!plan_band_past(&roles, &plan->bands[i])) {
            return false;
        }
    }
    return true;
}

bool raid_plan_rebuild(const RaidGeometry *geom, uint64_t stripe, uint32_t lo,
                       uint32_t hi, unsigned slot, RaidMask missing_slots,
                       RaidMask unreadable_slots, RaidPlan *plan)
{
    RaidMask target = RAID_BIT(raid_stripe_role(geom, stripe, slot));
    StripeRoles roles;

    if (!stripe_roles_init(&roles, geom, stripe, missing_slots,
                           unreadable_slots, true)) {
        return false;
    }
    plan->stripe = stripe;
    plan->nr_bands = 1;
    plan->bands[0] = (RaidBand) {
        .lo = lo,
        .hi = hi,
        .method = RAID_METHOD_RECOVER_READ,
        .read = recover_sources(&roles),
        .recover = target | (roles.unreadable & ~roles.missing),
        .write = target,
    };
    return true;
}

RaidMask raid_plan_copies(const RaidGeometry *geom, uint64_t array_off,
                          RaidMask missing_slots)
{
    RaidMask copies = 0;

    for (unsigned copy = 0; copy < geom->copies; copy++) {
        RaidLoc loc;

        raid_map_copy(geom, array_off, copy, &loc);
        if (!(missing_slots & RAID_BIT(loc.slot))) {
            copies |= RAID_BIT(copy);
        }
    }
    return copies;
}

RaidMask raid_plan_copies_to_read(const RaidGeometry *geom,
                                  uint64_t array_off, RaidMask missing_slots,
                                  RaidMask avoid_slots)
{
    RaidMask copies = raid_plan_copies(geom, array_off,
                                       missing_slots | avoid_slots);

    return copies ? copies : raid_plan_copies(geom, array_off, missing_slots);
}

const char *raid_method_name(RaidMethod method)
{
    static const char *const names[] = {
        [RAID_METHOD_READ] = "read",
        [RAID_METHOD_RECOVER_READ] = "recover-read",
        [RAID_METHOD_FULL] = "full-stripe",
        [RAID_METHOD_RECONSTRUCT] = "reconstruct",
        [RAID_METHOD_MODIFY] = "read-modify",
        [RAID_METHOD_RECOVER_WRITE] = "recover-write",
        [RAID_METHOD_DATA_ONLY] = "data-only",
    };

    return names[method];
}
