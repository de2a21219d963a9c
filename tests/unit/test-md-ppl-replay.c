/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-ppl: after any cut of a write, replay leaves parity
 * right and data that nobody wrote recoverable, with all members and without
 * one.
 */
#include <glib.h>
#include <string.h>

#include "util/raid/md-ppl.h"

#define MAX_SLOTS       6
#define CHUNK           (16u * 1024)

static RaidGeometry *make_geometry(unsigned nr_slots, uint32_t chunk_bytes)
{
    RaidGeometry *geom = g_new(RaidGeometry, 1);
    RaidGeometryParams params = {
        .level = RAID_LEVEL_5, .layout = RAID_LAYOUT_LEFT_SYMMETRIC,
        .nr_slots = nr_slots, .chunk_bytes = chunk_bytes,
    };

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        params.member_bytes[slot] = 64 * chunk_bytes;
    }
    g_assert_cmpint(raid_geometry_init(geom, &params), ==, RAID_GEOMETRY_OK);
    return geom;
}

/*
 * Replay after any cut. Each member's chunk of one stripe is in memory.
 */

typedef struct Stripe {
    RaidGeometry *geom;
    uint64_t number;
    uint8_t *was[MAX_SLOTS];        /* by role, parity last */
    uint8_t *is[MAX_SLOTS];
    uint8_t *want[MAX_SLOTS];       /* if all had arrived */
} Stripe;

static Stripe *make_stripe(unsigned nr_slots)
{
    Stripe *stripe = g_new0(Stripe, 1);

    stripe->geom = make_geometry(nr_slots, CHUNK);
    stripe->number = g_test_rand_int_range(0, 64);
    for (unsigned role = 0; role < nr_slots; role++) {
        stripe->was[role] = g_malloc0(CHUNK);
        stripe->is[role] = g_malloc0(CHUNK);
        stripe->want[role] = g_malloc0(CHUNK);
    }
    for (unsigned role = 0; role + 1 < nr_slots; role++) {
        uint64_t x = g_test_rand_int();

        for (unsigned i = 0; i < CHUNK; i++) {
            x = x * UINT64_C(6364136223846793005) + 1;
            stripe->was[role][i] = x >> 56;
            stripe->was[nr_slots - 1][i] ^= x >> 56;
        }
    }
    return stripe;
}

static void free_stripe(Stripe *stripe)
{
    for (unsigned role = 0; role < stripe->geom->nr_slots; role++) {
        g_free(stripe->was[role]);
        g_free(stripe->is[role]);
        g_free(stripe->want[role]);
    }
    g_free(stripe->geom);
    g_free(stripe);
}

/* The XOR of some roles of one version, over rows lo .. hi. */
static void xor_roles(uint8_t *out, uint8_t *const *roles, RaidMask mask,
                      uint32_t lo, uint32_t hi)
{
    RAID_MASK_FOREACH(role, mask) {
        for (uint32_t i = lo; i < hi; i++) {
            out[i - lo] ^= roles[role][i];
        }
    }
}

/* Write new data to a band; want becomes what should be there then. */
static void write_band(Stripe *stripe, const MdPplWrite *write)
{
    unsigned parity = stripe->geom->nr_data;

    for (unsigned role = 0; role <= parity; role++) {
        memcpy(stripe->want[role], stripe->was[role], CHUNK);
    }
    RAID_MASK_FOREACH(role, write->roles) {
        for (uint32_t i = write->lo; i < write->hi; i++) {
            stripe->want[role][i] = g_test_rand_int();
        }
    }
    memset(stripe->want[parity], 0, CHUNK);
    xor_roles(stripe->want[parity], stripe->want, raid_mask_first(parity), 0,
              CHUNK);
}

/* Of everything that changed, each sector arrives or not. */
static void cut(Stripe *stripe)
{
    for (unsigned role = 0; role <= stripe->geom->nr_data; role++) {
        for (unsigned at = 0; at < CHUNK; at += 512) {
            bool arrived = g_test_rand_int() & 1;

            memcpy(stripe->is[role] + at,
                   (arrived ? stripe->want : stripe->was)[role] + at, 512);
        }
    }
}

/* What was written of a role when it reads as @bytes in the end. */
static bool is_old_or_new(const Stripe *stripe, unsigned role, uint32_t at,
                          const uint8_t *bytes)
{
    return !memcmp(bytes, stripe->was[role] + at, 512) ||
           !memcmp(bytes, stripe->want[role] + at, 512);
}

/* Every chunk reads well, from the others too, but for the undefined rows. */
static void check_stripe(const Stripe *stripe, RaidMask missing_roles,
                         const MdPplBand *bands, unsigned nr)
{
    unsigned nr_roles = stripe->geom->nr_slots;

    for (unsigned role = 0; role + 1 < nr_roles; role++) {
        for (uint32_t at = 0; at < CHUNK; at += 512) {
            uint8_t others[512] = { 0 };
            bool undefined = false;

            for (unsigned i = 0; i < nr; i++) {
                undefined |= at >= bands[i].lo && at < bands[i].hi &&
                             (bands[i].undefined & RAID_BIT(role));
            }
            xor_roles(others, stripe->is, raid_mask_first(nr_roles) &
                      ~RAID_BIT(role), at, at + 512);
            if (!missing_roles) {
                g_assert_cmpmem(others, 512, stripe->is[role] + at, 512);
                g_assert_true(is_old_or_new(stripe, role, at, others));
            } else if ((missing_roles & RAID_BIT(role)) && !undefined) {
                g_assert_true(is_old_or_new(stripe, role, at, others));
            }
        }
    }
}

static void run_band(Stripe *stripe, const MdPplBand *band, const uint8_t *pp)
{
    unsigned parity = stripe->geom->nr_data;
    uint32_t bytes = band->hi - band->lo;

    g_assert_cmpuint(band->stripe, ==, stripe->number);
    if (band->action == MD_PPL_LEAVE) {
        return;
    }
    memset(stripe->is[parity] + band->lo, 0, bytes);
    if (band->action == MD_PPL_FROM_LOG) {
        memcpy(stripe->is[parity] + band->lo, pp + band->pp_off, bytes);
    }
    xor_roles(stripe->is[parity] + band->lo, stripe->is, band->read, band->lo,
              band->hi);
}

/* Nobody may use what the missing member holds. */
static void lose(Stripe *stripe, RaidMask missing_roles)
{
    RAID_MASK_FOREACH(role, missing_roles) {
        memset(stripe->is[role], 0xdb, CHUNK);
    }
}

/* One write, one cut, one replay; @lost is a role, or nr_slots for none. */
static void cut_and_replay(Stripe *stripe, const MdPplWrite *write,
                           unsigned lost)
{
    const RaidGeometry *geom = stripe->geom;
    MdPplRing ring;
    MdPplHeader *header = g_new0(MdPplHeader, 1);
    uint8_t *pp = g_malloc0(CHUNK);
    uint8_t anchor[MD_PPL_HEADER_BYTES];
    MdPplBand bands[MD_PPL_MAX_BANDS];
    RaidMask lost_roles = lost < geom->nr_slots ? RAID_BIT(lost) : 0;
    RaidMask missing = 0;
    unsigned slot = raid_stripe_slot(geom, stripe->number, geom->nr_data);
    unsigned nr;

    if (lost_roles) {
        missing = RAID_BIT(raid_stripe_slot(geom, stripe->number, lost));
    }
    write_band(stripe, write);
    xor_roles(pp, stripe->was,
              raid_mask_first(geom->nr_data) & ~write->roles, write->lo,
              write->hi);
    g_assert_true(md_ppl_ring_init(&ring, MD_PPL_DEFAULT_SECTORS, 1, 0,
                                   anchor));
    md_ppl_begin(&ring, header);
    g_assert_true(md_ppl_add(&ring, geom, header, write, pp));
    g_assert_cmpint(md_ppl_check(geom, slot, header, CHUNK), ==, MD_PPL_OK);
    g_assert_true(md_ppl_pp_is_whole(&header->entries[0], pp));
    g_assert_cmpuint(header->entries[0].pp_bytes, ==,
                     write->roles == raid_mask_first(geom->nr_data) ? 0 :
                     write->hi - write->lo);

    cut(stripe);
    lose(stripe, lost_roles);
    nr = md_ppl_replay(geom, &header->entries[0], true, missing, bands);
    g_assert_cmpuint(nr, ==, 1);
    g_assert_cmpuint(bands[0].lo, ==, write->lo);
    g_assert_cmpuint(bands[0].hi, ==, write->hi);
    g_assert_cmphex(bands[0].roles, ==, write->roles);
    g_assert_cmphex(bands[0].read & lost_roles, ==, 0);
    if (raid_mask_count(write->roles) == 1 || !(write->roles & lost_roles)) {
        g_assert_cmphex(bands[0].undefined, ==, 0);
    }
    run_band(stripe, &bands[0], pp);
    check_stripe(stripe, lost_roles, bands, nr);

    /* Torn: then nothing but the log had been written. */
    for (unsigned role = 0; role < geom->nr_slots; role++) {
        memcpy(stripe->is[role], stripe->was[role], CHUNK);
    }
    lose(stripe, lost_roles);
    memset(pp, 0xbd, CHUNK);
    nr = md_ppl_replay(geom, &header->entries[0], false, missing, bands);
    g_assert_cmphex(bands[0].undefined, ==, 0);
    run_band(stripe, &bands[0], pp);
    check_stripe(stripe, lost_roles, bands, nr);
    g_free(pp);
    g_free(header);
}

static void test_replay(void)
{
    for (unsigned nr_slots = 3; nr_slots <= MAX_SLOTS; nr_slots++) {
        Stripe *stripe = make_stripe(nr_slots);
        unsigned nr_data = nr_slots - 1;

        for (unsigned first = 0; first < nr_data; first++) {
            for (unsigned n = 1; n <= nr_data - first; n++) {
                for (unsigned lost = 0; lost < nr_data; lost++) {
                    uint32_t lo = 512 * g_test_rand_int_range(0, 32);
                    uint32_t hi = 512 * g_test_rand_int_range(lo / 512 + 1,
                                                              33);
                    MdPplWrite write = {
                        stripe->number, lo, hi, raid_mask_first(n) << first
                    };

                    cut_and_replay(stripe, &write, nr_slots);
                    cut_and_replay(stripe, &write, lost);
                    write.lo = 0;
                    write.hi = CHUNK;
                    cut_and_replay(stripe, &write, lost);
                }
            }
        }
        free_stripe(stripe);
    }
}

/* Rows that wrap: other programs write such entries, and md reads them. */
static void test_replay_run(void)
{
    RaidGeometry *geom = make_geometry(4, CHUNK);
    MdPplEntry entry = {
        .data_sector = 3 * CHUNK / 512 + 8, .pp_bytes = CHUNK,
        .data_bytes = 2 * CHUNK - 1024, .parity_slot = 2,
    };
    MdPplBand bands[MD_PPL_MAX_BANDS];

    /* From 4096 in role 0 up to 3072 in role 2. */
    g_assert_cmpuint(md_ppl_replay(geom, &entry, true, 0, bands), ==, 3);
    g_assert_cmpuint(bands[0].lo, ==, 0);
    g_assert_cmpuint(bands[0].hi, ==, 3072);
    g_assert_cmpuint(bands[0].pp_off, ==, CHUNK - 4096);
    g_assert_cmphex(bands[0].roles, ==, 6);
    g_assert_cmpuint(bands[1].hi, ==, 4096);
    g_assert_cmpuint(bands[1].pp_off, ==, CHUNK - 1024);
    g_assert_cmphex(bands[1].roles, ==, 2);
    g_assert_cmpuint(bands[2].lo, ==, 4096);
    g_assert_cmpuint(bands[2].hi, ==, CHUNK);
    g_assert_cmpuint(bands[2].pp_off, ==, 0);
    g_assert_cmphex(bands[2].roles, ==, 3);

    /* Less than a chunk, over the end of one: the rows between stay. */
    entry.data_sector = 3 * CHUNK / 512 + 24;
    entry.data_bytes = 8192;
    g_assert_cmpuint(md_ppl_replay(geom, &entry, true, RAID_BIT(2), bands), ==,
                     2);
    g_assert_cmpuint(bands[0].hi, ==, 4096);
    g_assert_cmphex(bands[0].roles, ==, 2);
    g_assert_cmpuint(bands[1].lo, ==, 12288);
    g_assert_cmphex(bands[1].roles, ==, 1);
    g_assert_cmpint(bands[1].action, ==, MD_PPL_LEAVE);
    g_free(geom);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-ppl/replay", test_replay);
    g_test_add_func("/raid/md-ppl/replay-run", test_replay_run);
    return g_test_run();
}
