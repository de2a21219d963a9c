/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/stripe-journal and of the extension block that says where
 * a journal is: bytes, damage, room for every write that is allowed, a copy
 * of the newest unit whichever members are lost, and replay after any cut.
 */
#include <glib.h>
#include <string.h>

#include "util/raid/extension.h"
#include "util/raid/plan.h"
#include "util/raid/stripe-journal.h"

#define CHUNK   (16u * 1024)
#define STRIPES 64
#define HALF    (256u * 1024)

static const uint8_t uuid[16] = "0123456789abcde";

static void make_geometry(RaidGeometry *geom, RaidLevel level,
                          unsigned nr_slots, uint32_t chunk_bytes)
{
    RaidGeometryParams params = {
        .level = level, .layout = RAID_LAYOUT_LEFT_SYMMETRIC,
        .nr_slots = nr_slots, .chunk_bytes = chunk_bytes,
    };

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        params.member_bytes[slot] = STRIPES * (uint64_t)chunk_bytes;
    }
    g_assert_cmpint(raid_geometry_init(geom, &params), ==, RAID_GEOMETRY_OK);
}

static void fill_random(uint8_t *buf, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        buf[i] = g_test_rand_int();
    }
}

/* Rows of a write, as sectors. */
static RaidJournalEntry random_entry(const RaidGeometry *geom)
{
    unsigned sectors = geom->chunk_bytes / RAID_SECTOR_BYTES;
    unsigned lo = g_test_rand_int_range(0, sectors);
    unsigned hi = g_test_rand_int_range(lo + 1, sectors + 1);
    RaidJournalEntry entry = {
        .stripe = g_test_rand_int_range(0, STRIPES),
    };

    if (g_test_rand_int_range(0, 4) == 0) {
        entry.zero_stripes = g_test_rand_int_range(1, STRIPES - entry.stripe +
                                                      1);
        return entry;
    }
    entry.lo = lo * RAID_SECTOR_BYTES;
    entry.hi = hi * RAID_SECTOR_BYTES;
    entry.roles = g_test_rand_int_range(1, 1 << geom->nr_slots);
    return entry;
}

static void random_unit(const RaidGeometry *geom, uint64_t generation,
                        RaidJournalUnit *unit)
{
    unsigned nr = g_test_rand_int_range(0, 8);

    memset(unit, 0, sizeof(*unit));
    unit->generation = generation;
    unit->content_crc = g_test_rand_int();
    for (unsigned i = 0; i < nr; i++) {
        RaidJournalEntry entry = random_entry(geom);

        raid_journal_add(unit, HALF, &entry);
    }
}

static RaidJournalError decode(const void *image, const RaidGeometry *geom,
                               unsigned half, RaidJournalUnit *unit)
{
    return raid_journal_decode(image, geom, uuid, half, HALF, unit);
}

static void check_same(const RaidJournalEntry *a, const RaidJournalEntry *b)
{
    g_assert_cmpuint(a->stripe, ==, b->stripe);
    g_assert_cmpuint(a->zero_stripes, ==, b->zero_stripes);
    g_assert_cmpuint(a->lo, ==, b->lo);
    g_assert_cmpuint(a->hi, ==, b->hi);
    g_assert_cmphex(a->roles, ==, b->roles);
}

static void test_round_trip(void)
{
    g_autofree RaidJournalUnit *unit = g_new(RaidJournalUnit, 1);
    g_autofree RaidJournalUnit *again = g_new(RaidJournalUnit, 1);
    uint8_t image[RAID_JOURNAL_HEADER_BYTES];
    uint8_t second[RAID_JOURNAL_HEADER_BYTES];
    RaidGeometry geom;

    make_geometry(&geom, RAID_LEVEL_6, 6, CHUNK);
    for (unsigned i = 0; i < 1000; i++) {
        random_unit(&geom, i, unit);
        raid_journal_encode(unit, uuid, image);
        g_assert_cmpint(decode(image, &geom, i & 1, again), ==,
                        RAID_JOURNAL_OK);
        raid_journal_encode(again, uuid, second);
        g_assert_cmpmem(image, sizeof(image), second, sizeof(second));
        g_assert_cmpuint(again->nr_entries, ==, unit->nr_entries);
        for (unsigned k = 0; k < unit->nr_entries; k++) {
            check_same(&unit->entries[k], &again->entries[k]);
        }
        g_assert_cmpint(decode(image, &geom, ~i & 1, again), ==,
                        RAID_JOURNAL_FOREIGN);
    }
}

static void test_damage(void)
{
    g_autofree RaidJournalUnit *unit = g_new(RaidJournalUnit, 1);
    g_autofree RaidJournalUnit *again = g_new(RaidJournalUnit, 1);
    uint8_t other[16] = { 1 };
    uint8_t image[RAID_JOURNAL_HEADER_BYTES];
    RaidGeometry geom;

    make_geometry(&geom, RAID_LEVEL_5, 4, CHUNK);
    random_unit(&geom, 8, unit);
    raid_journal_encode(unit, uuid, image);
    for (unsigned bit = 0; bit < 8 * sizeof(image); bit++) {
        image[bit / 8] ^= 1 << bit % 8;
        g_assert_cmpint(decode(image, &geom, 0, again), !=, RAID_JOURNAL_OK);
        image[bit / 8] ^= 1 << bit % 8;
    }
    g_assert_cmpint(raid_journal_decode(image, &geom, other, 0, HALF, again),
                    ==, RAID_JOURNAL_FOREIGN);
    memset(image, 0, sizeof(image));
    g_assert_cmpint(decode(image, &geom, 0, again), ==, RAID_JOURNAL_NONE);
}

/* Each with a right checksum, and one thing that can't be. */
static void test_bad_entries(void)
{
    static const RaidJournalEntry bad[] = {
        { .stripe = STRIPES, .hi = 512, .roles = 0 },
        { .stripe = STRIPES, .hi = CHUNK + 512, .roles = 1 },
        { .stripe = STRIPES, .zero_stripes = 1, .roles = 1 },
        { .stripe = 0, .lo = 512, .hi = 512, .roles = 1 },
        { .stripe = 0, .lo = 0, .hi = CHUNK + 512, .roles = 1 },
        { .stripe = 0, .lo = 100, .hi = 512, .roles = 1 },
        { .stripe = 0, .lo = 0, .hi = 700, .roles = 1 },
        { .stripe = 0, .lo = 0, .hi = 512, .roles = 0 },
        { .stripe = 0, .lo = 0, .hi = 512, .roles = 16 },
        { .stripe = 1, .zero_stripes = STRIPES },
        { .stripe = 1, .zero_stripes = 1, .roles = 1 },
    };
    g_autofree RaidJournalUnit *unit = g_new0(RaidJournalUnit, 1);
    g_autofree RaidJournalUnit *again = g_new(RaidJournalUnit, 1);
    uint8_t image[RAID_JOURNAL_HEADER_BYTES];
    RaidGeometry geom;

    make_geometry(&geom, RAID_LEVEL_5, 4, CHUNK);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        unit->nr_entries = 1;
        unit->entries[0] = bad[i];
        unit->content_bytes = raid_journal_entry_bytes(&bad[i]);
        raid_journal_encode(unit, uuid, image);
        g_assert_cmpint(decode(image, &geom, 0, again), ==,
                        RAID_JOURNAL_BAD_ENTRY);
    }
    unit->entries[0] = (RaidJournalEntry) { .hi = 512, .roles = 1 };
    unit->content_bytes = 1024;
    raid_journal_encode(unit, uuid, image);
    g_assert_cmpint(decode(image, &geom, 0, again), ==,
                    RAID_JOURNAL_BAD_ENTRY);
    unit->content_bytes = 512;
    raid_journal_encode(unit, uuid, image);
    g_assert_cmpint(decode(image, &geom, 0, again), ==, RAID_JOURNAL_OK);
}

/* An array that was cut while it grew has its old size, and a newer unit. */
static void test_behind_the_end(void)
{
    static const RaidJournalEntry entries[] = {
        { .stripe = STRIPES - 1, .hi = 512, .roles = 1 },
        { .stripe = STRIPES, .hi = 512, .roles = 3 },
        { .stripe = UINT64_MAX, .zero_stripes = UINT32_MAX },
        { .stripe = STRIPES - 1, .zero_stripes = 1 },
        { .stripe = STRIPES, .zero_stripes = STRIPES },
        { .stripe = UINT64_MAX, .lo = 512, .hi = 1536, .roles = 1 },
        { .stripe = 0, .lo = 512, .hi = 1024, .roles = 4 },
    };
    static const uint32_t content[] = { 0, 0, 0, 0, 0, 512 + 2 * 512 + 1024 };
    g_autofree RaidJournalUnit *unit = g_new0(RaidJournalUnit, 1);
    g_autofree RaidJournalUnit *again = g_new(RaidJournalUnit, 1);
    uint8_t image[RAID_JOURNAL_HEADER_BYTES];
    RaidJournalCursor cursor = { 0 };
    RaidJournalWrite w;
    RaidGeometry geom;

    make_geometry(&geom, RAID_LEVEL_5, 4, CHUNK);
    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_assert_true(raid_journal_add(unit, HALF, &entries[i]));
    }
    raid_journal_encode(unit, uuid, image);
    g_assert_cmpint(decode(image, &geom, 0, again), ==, RAID_JOURNAL_OK);
    for (unsigned n = 0; n < G_N_ELEMENTS(content); n++) {
        g_assert_true(raid_journal_next(&geom, again, &cursor, &w));
        g_assert_cmpuint(w.member_off + w.bytes, <=, STRIPES * CHUNK);
        g_assert_true(w.zero == (n > 0 && n < 5));
        if (!w.zero) {
            g_assert_cmpuint(w.content_off, ==, content[n]);
        }
    }
    g_assert_false(raid_journal_next(&geom, again, &cursor, &w));
}

static void test_full(void)
{
    g_autofree RaidJournalUnit *unit = g_new0(RaidJournalUnit, 1);
    RaidJournalEntry entry = { .hi = 512, .roles = 1 };

    for (unsigned i = 0; i < RAID_JOURNAL_MAX_ENTRIES; i++) {
        g_assert_true(raid_journal_add(unit, HALF, &entry));
    }
    g_assert_false(raid_journal_add(unit, HALF, &entry));
    g_assert_cmpuint(unit->content_bytes, ==, RAID_JOURNAL_MAX_ENTRIES * 512);

    memset(unit, 0, sizeof(*unit));
    entry.hi = HALF - RAID_JOURNAL_HEADER_BYTES;
    g_assert_true(raid_journal_add(unit, HALF, &entry));
    entry.hi = 512;
    g_assert_false(raid_journal_add(unit, HALF, &entry));
    g_assert_cmpuint(unit->nr_entries, ==, 1);
    g_assert_cmpuint(raid_journal_half_bytes(17), ==, 4096);
    g_assert_cmpuint(raid_journal_half_bytes(UINT64_C(1) << 40), ==,
                     RAID_JOURNAL_MAX_HALF_BYTES);
}

/* Whatever is missing or can't be read, a write that is allowed fits. */
static void test_max_write(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        g_autofree RaidJournalUnit *unit = g_new0(RaidJournalUnit, 1);
        RaidLevel level = i & 1 ? RAID_LEVEL_5 : RAID_LEVEL_6;
        unsigned nr_slots = g_test_rand_int_range(4, 10);
        uint32_t half = g_test_rand_int_range(16, 80) * 4096;
        RaidStripeRange range = { .stripe = 3 };
        RaidMask lost[2] = { 0, 0 };
        RaidGeometry geom;
        RaidPlan plan;
        uint64_t max, bytes;

        make_geometry(&geom, level, nr_slots,
                      4096u << g_test_rand_int_range(0, 6));
        max = MIN(raid_journal_max_write(&geom, half),
                  raid_stripe_bytes(&geom));
        g_assert_cmpuint(max, >=, 4096);
        bytes = max;
        if (i % 3 == 0) {
            bytes = g_test_rand_int_range(1, max / 512 + 1) * 512;
        }
        range.start = g_test_rand_int_range(0, (raid_stripe_bytes(&geom) -
                                                bytes) / 512 + 1) * 512;
        range.end = range.start + bytes;
        for (unsigned k = 0; k < geom.nr_parity; k++) {
            lost[g_test_rand_int_range(0, 2)] |=
                RAID_BIT(g_test_rand_int_range(0, nr_slots));
        }
        if (!raid_plan_write(&geom, &range, lost[0], lost[1], true, &plan)) {
            continue;
        }
        for (unsigned k = 0; k < plan.nr_bands; k++) {
            RaidJournalEntry entry = {
                .stripe = 3, .lo = plan.bands[k].lo, .hi = plan.bands[k].hi,
                .roles = plan.bands[k].write,
            };

            g_assert_true(raid_journal_add(unit, half, &entry));
        }
    }
}

/* Which can be lost all at once: up to as many as parity makes up for. */
static void check_copies(const RaidGeometry *geom, RaidMask gone,
                         uint64_t generation)
{
    RaidMask all = raid_mask_first(geom->nr_slots);
    RaidMask copies = raid_journal_copies(geom, all & ~gone, generation);

    g_assert_cmphex(copies & gone, ==, 0);
    g_assert_cmpuint(raid_mask_count(copies), <=, geom->nr_parity + 1);
    for (RaidMask lost = 0; lost <= all; lost++) {
        if (!(gone & ~lost) && raid_mask_count(lost) <= geom->nr_parity) {
            g_assert_cmphex(copies & ~lost, !=, 0);
        }
    }
}

static void test_copies(void)
{
    RaidGeometry geom;
    RaidMask seen = 0;

    for (unsigned nr_slots = 3; nr_slots < 9; nr_slots++) {
        for (unsigned level = 5; level <= 6; level++) {
            if (nr_slots == 3 && level == 6) {
                continue;
            }
            make_geometry(&geom, level == 5 ? RAID_LEVEL_5 : RAID_LEVEL_6,
                          nr_slots, CHUNK);
            for (RaidMask gone = 0; gone < RAID_BIT(nr_slots); gone++) {
                for (unsigned g = 0; g < nr_slots &&
                     raid_mask_count(gone) <= geom.nr_parity; g++) {
                    check_copies(&geom, gone, g);
                }
            }
        }
    }
    for (unsigned g = 0; g < 100; g++) {
        seen |= raid_journal_copies(&geom, 0xff, g);
    }
    g_assert_cmphex(seen, ==, 0xff);
}

/* Every member's data area, and what it should become. */
typedef struct Array {
    RaidGeometry geom;
    uint8_t *is[6];
    uint8_t *want[6];
    RaidJournalUnit unit;
    uint8_t content[HALF];
} Array;

/* Done once more, from the entries alone: what each should become. */
static void expect(Array *a)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < a->unit.nr_entries; i++) {
        const RaidJournalEntry *entry = &a->unit.entries[i];

        for (unsigned role = 0; role < a->geom.nr_slots; role++) {
            unsigned slot = raid_stripe_slot(&a->geom, entry->stripe, role);

            if (entry->zero_stripes) {
                memset(a->want[slot] + entry->stripe * CHUNK, 0,
                       entry->zero_stripes * CHUNK);
            } else if (entry->roles & RAID_BIT(role)) {
                memcpy(a->want[slot] + entry->stripe * CHUNK + entry->lo,
                       a->content + at, entry->hi - entry->lo);
                at += entry->hi - entry->lo;
            }
        }
    }
}

/* Each sector of the writes, only if a coin says so (with @torn). */
static void replay(Array *a, bool torn)
{
    RaidJournalCursor cursor = { 0 };
    RaidJournalWrite w;

    while (raid_journal_next(&a->geom, &a->unit, &cursor, &w)) {
        g_assert_cmpuint(w.member_off + w.bytes, <=, STRIPES * CHUNK);
        for (uint64_t at = 0; at < w.bytes; at += RAID_SECTOR_BYTES) {
            uint8_t *to = a->is[w.slot] + w.member_off + at;

            if (torn && g_test_rand_bit()) {
                continue;
            }
            if (w.zero) {
                memset(to, 0, RAID_SECTOR_BYTES);
            } else {
                memcpy(to, a->content + w.content_off + at,
                       RAID_SECTOR_BYTES);
            }
        }
    }
}

static void test_replay(void)
{
    g_autofree Array *a = g_new0(Array, 1);

    for (unsigned slot = 0; slot < 6; slot++) {
        a->is[slot] = g_malloc(STRIPES * CHUNK);
        a->want[slot] = g_malloc(STRIPES * CHUNK);
    }
    for (unsigned i = 0; i < 200; i++) {
        make_geometry(&a->geom, i & 1 ? RAID_LEVEL_5 : RAID_LEVEL_6, 6, CHUNK);
        random_unit(&a->geom, i, &a->unit);
        fill_random(a->content, a->unit.content_bytes);
        for (unsigned slot = 0; slot < 6; slot++) {
            memset(a->is[slot], 0xaa, STRIPES * CHUNK);
            memset(a->want[slot], 0xaa, STRIPES * CHUNK);
        }
        expect(a);
        replay(a, true);
        replay(a, true);
        replay(a, false);
        for (unsigned slot = 0; slot < 6; slot++) {
            g_assert_cmpmem(a->is[slot], STRIPES * CHUNK, a->want[slot],
                            STRIPES * CHUNK);
        }
    }
    for (unsigned slot = 0; slot < 6; slot++) {
        g_free(a->is[slot]);
        g_free(a->want[slot]);
    }
}

static void make_super(MdSuper *sb)
{
    *sb = (MdSuper) {
        .minor_version = 2, .super_offset_sectors = 8,
        .data_offset_sectors = 2048,
    };
    memcpy(sb->set_uuid, uuid, sizeof(uuid));
    memcpy(sb->device_uuid, "device", 6);
}

static void test_extension(void)
{
    g_autofree MdSuper *sb = g_new0(MdSuper, 1);
    uint8_t image[RAID_EXTENSION_BYTES];
    RaidExtension again;
    RaidExtension ext = {
        .incompat = RAID_EXTENSION_JOURNAL, .compat = 0x80000000,
        .journal_sector = 128, .journal_sectors = 2048 - 8 - 128,
    };

    make_super(sb);
    memcpy(ext.set_uuid, sb->set_uuid, sizeof(ext.set_uuid));
    memcpy(ext.device_uuid, sb->device_uuid, sizeof(ext.device_uuid));
    g_assert_cmpint(raid_extension_off(sb), ==, 2040 * 512);
    raid_extension_encode(&ext, image);
    g_assert_cmpint(raid_extension_decode(image, sb, &again), ==,
                    RAID_EXTENSION_OK);
    g_assert_cmpmem(&ext, sizeof(ext), &again, sizeof(again));
    for (unsigned bit = 0; bit < 8 * sizeof(image); bit++) {
        image[bit / 8] ^= 1 << bit % 8;
        g_assert_cmpint(raid_extension_decode(image, sb, &again), !=,
                        RAID_EXTENSION_OK);
        image[bit / 8] ^= 1 << bit % 8;
    }
    sb->device_uuid[0] ^= 1;
    g_assert_cmpint(raid_extension_decode(image, sb, &again), ==,
                    RAID_EXTENSION_FOREIGN);
    sb->device_uuid[0] ^= 1;
    ext.incompat |= 2;
    raid_extension_encode(&ext, image);
    g_assert_cmpint(raid_extension_decode(image, sb, &again), ==,
                    RAID_EXTENSION_UNKNOWN);
    g_assert_cmphex(again.incompat, ==, 3);
}

/* I13: between superblock and extension block, or nowhere. */
static void test_extension_place(void)
{
    g_autofree MdSuper *sb = g_new0(MdSuper, 1);

    make_super(sb);
    g_assert_true(raid_extension_journal_fits(sb, 16, 2040 - 16));
    g_assert_false(raid_extension_journal_fits(sb, 8, 1024));
    g_assert_false(raid_extension_journal_fits(sb, 17, 1024));
    g_assert_false(raid_extension_journal_fits(sb, 16, 2040 - 15));
    g_assert_false(raid_extension_journal_fits(sb, 2048, 1024));
    g_assert_false(raid_extension_journal_fits(sb, 16, UINT64_MAX));
    g_assert_false(raid_extension_journal_fits(sb, UINT64_MAX - 7, 1024));
    g_assert_false(raid_extension_journal_fits(sb, 16, 255));
    sb->data_offset_sectors = 16;
    g_assert_cmpint(raid_extension_off(sb), ==, -1);
    sb->data_offset_sectors = 2048;
    sb->minor_version = 0;
    g_assert_cmpint(raid_extension_off(sb), ==, -1);
    g_assert_false(raid_extension_journal_fits(sb, 16, 1024));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/stripe-journal/round-trip", test_round_trip);
    g_test_add_func("/raid/stripe-journal/damage", test_damage);
    g_test_add_func("/raid/stripe-journal/bad-entries", test_bad_entries);
    g_test_add_func("/raid/stripe-journal/behind-the-end",
                    test_behind_the_end);
    g_test_add_func("/raid/stripe-journal/full", test_full);
    g_test_add_func("/raid/stripe-journal/max-write", test_max_write);
    g_test_add_func("/raid/stripe-journal/copies", test_copies);
    g_test_add_func("/raid/stripe-journal/replay", test_replay);
    g_test_add_func("/raid/extension/bytes", test_extension);
    g_test_add_func("/raid/extension/place", test_extension_place);
    return g_test_run();
}
