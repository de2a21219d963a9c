/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-ppl and util/raid/crc32c: the logs that md wrote,
 * headers and entries that make no sense, the ring of units. (What is done
 * with them is in test-md-ppl-replay.c.)
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "intent-golden.h"
#include "util/raid/crc32c.h"
#include "util/raid/md-ppl.h"

#define KIB             1024u
#define HEADER          MD_PPL_HEADER_BYTES
#define SIGNATURE       0x12345678u
#define CHUNK           (16 * KIB)
#define AT_COUNT        528
#define AT_CHECKSUM     532

/* Big, so never on a stack. */
typedef struct Log {
    MdPplScan scan;
    MdPplHeader header;
    MdPplRing ring;
    uint8_t space[96 * KIB];
} Log;

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
 * Checksum
 */

/* Bit by bit, as it is defined. */
static uint32_t slow_crc(const uint8_t *at, size_t bytes)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

static void test_checksum(void)
{
    uint8_t bytes[100];

    g_assert_cmphex(raid_crc32c(0, "123456789", 9), ==, 0xe3069283);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        bytes[i] = g_test_rand_int();
    }
    for (unsigned n = 0; n <= sizeof(bytes); n++) {
        uint32_t crc = slow_crc(bytes, n);

        g_assert_cmphex(raid_crc32c(0, bytes, n), ==, crc);
        for (unsigned cut = 0; cut <= n; cut += 3) {
            g_assert_cmphex(raid_crc32c(raid_crc32c(0, bytes, cut),
                                        bytes + cut, n - cut), ==, crc);
        }
    }
}

/*
 * What md wrote
 */

static void scan_space(MdPplScan *scan, const uint8_t *space, size_t bytes)
{
    uint32_t at;

    while (md_ppl_scan_next(scan, &at)) {
        md_ppl_scan_feed(scan, at + HEADER <= bytes ? space + at : NULL);
    }
}

/* Behind what was kept of a golden log there is nothing but zeros. */
static Log *scan_golden(const IntentGolden *golden, unsigned i)
{
    const IntentMember *member = &golden->members[i];
    Log *log = g_new0(Log, 1);

    memcpy(log->space, member->intent, golden->intent_bytes);
    md_ppl_scan_start(&log->scan, member->super.ppl_size_sectors,
                      md_ppl_signature(member->super.set_uuid));
    scan_space(&log->scan, log->space, sizeof(log->space));
    return log;
}

/* Redo what the newest entry asks for; it must be the parity that is there. */
static void check_replayed(const IntentGolden *golden, const Log *log,
                           unsigned slot, const MdPplEntry *entry,
                           const uint8_t *pp)
{
    const RaidGeometry *geom = &golden->geom;
    MdPplBand bands[MD_PPL_MAX_BANDS];
    unsigned nr = md_ppl_replay(geom, entry, true, 0, bands);

    g_assert_true(md_ppl_pp_is_whole(entry, pp));
    g_assert_cmpuint(nr, ==, 1);
    for (uint32_t row = bands[0].lo; row < bands[0].hi; row++) {
        uint64_t base = raid_stripe_member_off(geom, bands[0].stripe);
        uint8_t parity = 0;

        if (bands[0].action == MD_PPL_FROM_LOG) {
            parity = pp[bands[0].pp_off + row - bands[0].lo];
        }
        RAID_MASK_FOREACH(role, bands[0].read) {
            unsigned from = raid_stripe_slot(geom, bands[0].stripe, role);

            parity ^= golden->members[from].data[base + row];
        }
        g_assert_cmpuint(base + row, <, golden->data_bytes);
        g_assert_cmphex(golden->members[slot].data[base + row], ==, parity);
    }
    g_assert_cmpuint(log->scan.newest.nr_entries, >, 0);
}

static void check_encoded(const Log *log)
{
    uint8_t again[HEADER];

    md_ppl_encode(&log->scan.newest, again);
    g_assert_cmpmem(again, HEADER, log->space + log->scan.newest_at, HEADER);
}

/* Three full stripes, then one chunk of the first: its log has two units. */
static void test_golden_one(void)
{
    IntentGolden *golden = intent_golden_load("ppl-one");

    for (unsigned slot = 0; slot < golden->nr; slot++) {
        Log *log = scan_golden(golden, slot);
        const MdPplHeader *newest = &log->scan.newest;
        const MdPplEntry *entry = &newest->entries[0];

        g_assert_true(log->scan.found);
        g_assert_true(md_ppl_scan_used(&log->scan));
        g_assert_cmpuint(golden->members[slot].super.feature_map, ==,
                         MD_FEATURE_MULTIPLE_PPLS);
        g_assert_cmpint(md_ppl_check(&golden->geom, slot, newest, 4096), ==,
                        MD_PPL_OK);
        g_assert_cmpuint(newest->nr_entries, ==, 1);
        check_encoded(log);
        if (slot == 2) {
            g_assert_cmpuint(log->scan.newest_at, ==, 4096);
            g_assert_cmpuint(newest->generation, ==, 4);
            g_assert_cmpuint(entry->pp_bytes, ==, 4096);
            check_replayed(golden, log, slot, entry, log->space + 2 * HEADER);
        } else {
            g_assert_cmpuint(log->scan.newest_at, ==, 0);
            g_assert_cmpuint(entry->pp_bytes, ==, 0);
        }
        g_free(log);
    }
    intent_golden_free(golden);
}

/* Rows of one chunk, and rows of two, in one unit. */
static void test_golden_two(void)
{
    IntentGolden *golden = intent_golden_load("ppl-two");
    Log *log = scan_golden(golden, 3);
    const MdPplHeader *newest = &log->scan.newest;
    const uint8_t *pp = log->space + log->scan.newest_at + HEADER;

    g_assert_true(log->scan.found);
    g_assert_cmpuint(log->scan.newest_at, ==, 4096);
    g_assert_cmpuint(newest->nr_entries, ==, 2);
    g_assert_cmpint(md_ppl_check(&golden->geom, 3, newest, 8192), ==,
                    MD_PPL_OK);
    check_encoded(log);
    for (unsigned i = 0; i < newest->nr_entries; i++) {
        check_replayed(golden, log, 3, &newest->entries[i], pp);
        pp += newest->entries[i].pp_bytes;
    }
    g_free(log);
    /* The other logs were not used. */
    log = scan_golden(golden, 0);
    g_assert_true(log->scan.found);
    g_assert_false(md_ppl_scan_used(&log->scan));
    g_free(log);
    intent_golden_free(golden);
}

static void test_golden_empty(void)
{
    IntentGolden *golden = intent_golden_load("ppl-empty");

    for (unsigned slot = 0; slot < golden->nr; slot++) {
        const MdSuper *super = &golden->members[slot].super;
        Log *log = scan_golden(golden, slot);

        g_assert_true(log->scan.found);
        g_assert_false(md_ppl_scan_used(&log->scan));
        g_assert_cmpuint(super->ppl_size_sectors, ==, MD_PPL_DEFAULT_SECTORS);
        g_assert_cmpint(super->ppl_offset_sectors, ==,
                        md_ppl_default_offset(2, MD_PPL_DEFAULT_SECTORS));
        check_encoded(log);
        g_free(log);
    }
    intent_golden_free(golden);
    golden = intent_golden_load("ppl-two");
    g_assert_cmpint(golden->members[0].super.ppl_offset_sectors, ==,
                    md_ppl_default_offset(0, MD_PPL_DEFAULT_SECTORS));
    intent_golden_free(golden);
}

/*
 * Headers and entries that are wrong
 */

static void test_header_refusals(void)
{
    MdPplHeader *header = g_new0(MdPplHeader, 1);
    MdPplHeader *out = g_new0(MdPplHeader, 1);
    uint8_t image[HEADER];
    uint32_t count = GUINT32_TO_LE(MD_PPL_MAX_ENTRIES + 1);
    uint32_t crc = 0;

    header->signature = SIGNATURE;
    header->generation = 5;
    header->nr_entries = MD_PPL_MAX_ENTRIES;
    header->entries[147].checksum = 99;
    md_ppl_encode(header, image);
    g_assert_cmpint(md_ppl_decode(image, SIGNATURE, out), ==, MD_PPL_OK);
    g_assert_cmpmem(header, sizeof(*header), out, sizeof(*out));
    g_assert_cmpint(md_ppl_decode(image, SIGNATURE + 1, out), ==,
                    MD_PPL_BAD_SIGNATURE);
    for (unsigned at = 0; at < HEADER; at++) {
        image[at] ^= 0x10;
        g_assert_cmpint(md_ppl_decode(image, SIGNATURE, out), ==,
                        MD_PPL_BAD_CHECKSUM);
        image[at] ^= 0x10;
    }
    memcpy(image + AT_COUNT, &count, 4);
    memcpy(image + AT_CHECKSUM, &crc, 4);
    crc = GUINT32_TO_LE(slow_crc(image, HEADER));
    memcpy(image + AT_CHECKSUM, &crc, 4);
    g_assert_cmpint(md_ppl_decode(image, SIGNATURE, out), ==,
                    MD_PPL_BAD_ENTRY);
    g_free(header);
    g_free(out);
}

/* 4 members, chunk 16 KiB: parity of stripe 1 is on slot 2. */
static void test_entry_refusals(void)
{
    RaidGeometry *geom = make_geometry(4, CHUNK);
    MdPplHeader *header = g_new0(MdPplHeader, 1);
    const unsigned stripe = 3 * CHUNK / 512;
    static const struct {
        bool ok;
        uint32_t sector;            /* in stripe 1 */
        uint32_t pp_bytes;
        uint32_t data_bytes;
        uint32_t slot;
    } cases[] = {
        { true, 0, 4096, 4096, 2 },
        { true, 24, 4096, 8192, 2 },
        { true, 24, 4096, 12288, 2 },
        { true, 31, 512, 512, 2 },
        { true, 0, 0, 3 * 4096, 2 },
        { true, 31, 0, 3 * 512, 2 },
        { true, 0, CHUNK, 3 * CHUNK, 2 },
        { true, 40, CHUNK, CHUNK, 2 },
        { true, 40, CHUNK, 512, 2 },
        { false, 0, 4096, 4096, 1 },            /* other slot */
        { false, 0, 4096, 4096, 4 },
        { false, 0, 4096, 0, 2 },
        { false, 0, 4096, 6144, 2 },            /* a chunk and a half */
        { false, 0, 4096, 16384, 2 },           /* four chunks */
        { false, 32, 4096, 12288, 2 },          /* three from the second */
        { false, 25, 4096, 4096, 2 },           /* beyond the chunk */
        { false, 0, 1000, 1000, 2 },
        { false, 0, 1024, 1000, 2 },
        { false, 0, 2 * CHUNK, 2 * CHUNK, 2 },
        { false, 32, 0, 3 * 4096, 2 },          /* all, from the second */
        { false, 0, 0, 4096, 2 },               /* not in whole sectors */
        { false, 25, 0, 3 * 4096, 2 },
        { false, 0, CHUNK, 3 * CHUNK + 512, 2 },
        { false, 40, CHUNK, 3 * CHUNK - 39 * 512, 2 },
        { true, 0xffffff00, 512, 512, 2 },      /* beyond the array */
        { true, 0xffffff01, CHUNK, 3 * CHUNK, 2 },
        { false, 0xffffff00, 512, 512, 1 },     /* and another slot's */
        { false, 0xffffff00, 2 * CHUNK, 512, 2 },
        { false, 0xffffff00, 512, 0, 2 },
        { false, 0, 0xfffffe00, 0xfffffe00, 2 },
    };

    header->nr_entries = 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %u", i);
        header->entries[0] = (MdPplEntry) {
            .data_sector = stripe + (uint64_t)cases[i].sector,
            .pp_bytes = cases[i].pp_bytes,
            .data_bytes = cases[i].data_bytes,
            .parity_slot = cases[i].slot,
        };
        g_assert_true((md_ppl_check(geom, 2, header, 64 * KIB) ==
                       MD_PPL_OK) == cases[i].ok);
    }
    header->entries[0] = (MdPplEntry) { stripe, 4096, 4096, 2, 0 };
    g_assert_cmpint(md_ppl_check(geom, 2, header, 4096), ==, MD_PPL_OK);
    g_assert_cmpint(md_ppl_check(geom, 2, header, 4095), ==, MD_PPL_BAD_ENTRY);
    g_free(header);
    g_free(geom);
}

/* An array that was cut while it grew has its old size, and a newer log. */
static void test_behind_the_end(void)
{
    RaidGeometry *geom = make_geometry(4, CHUNK);
    MdPplHeader *header = g_new0(MdPplHeader, 1);
    uint64_t end = geom->array_bytes / 512;
    MdPplBand bands[MD_PPL_MAX_BANDS];
    unsigned last = raid_stripe_slot(geom, raid_stripe_of(geom, 512 * end - 1),
                                     geom->nr_data);
    const uint64_t sectors[] = { end - 3 * CHUNK / 512, end, end + 1,
                                 UINT64_MAX / 512, UINT64_MAX };

    for (unsigned i = 0; i < G_N_ELEMENTS(sectors); i++) {
        header->nr_entries = 1;
        header->entries[0] = (MdPplEntry) { sectors[i], 0, 3 * CHUNK, last, 0 };
        g_assert_cmpint(md_ppl_check(geom, last, header, 4096), ==, MD_PPL_OK);
        g_assert_cmpuint(md_ppl_replay(geom, &header->entries[0], true, 0,
                                       bands), ==, i == 0);
    }
    g_free(header);
    g_free(geom);
}

static void test_error_texts(void)
{
    for (unsigned err = 0; err <= MD_PPL__MAX; err++) {
        const char *text = md_ppl_error_text(err);

        g_assert_nonnull(text);
        for (unsigned other = 0; other < err; other++) {
            g_assert_cmpstr(text, !=, md_ppl_error_text(other));
        }
    }
}

/*
 * The ring
 */

#define RING_SECTORS    (96 * KIB / 512)

static Log *make_log(void)
{
    Log *log = g_new0(Log, 1);

    g_assert_true(md_ppl_ring_init(&log->ring, RING_SECTORS, SIGNATURE, 41,
                                   log->space));
    return log;
}

static void rescan(Log *log)
{
    md_ppl_scan_start(&log->scan, RING_SECTORS, SIGNATURE);
    scan_space(&log->scan, log->space, sizeof(log->space));
}

/* Place a unit of one entry; its partial parity is made of @pp. */
static uint32_t put_unit(Log *log, const RaidGeometry *geom, uint32_t bytes,
                         const uint8_t *pp)
{
    MdPplWrite write = { .stripe = 0, .lo = 0, .hi = bytes, .roles = 1 };
    uint32_t zeros;
    uint32_t at;

    md_ppl_begin(&log->ring, &log->header);
    g_assert_true(md_ppl_add(&log->ring, geom, &log->header, &write, pp));
    at = md_ppl_place(&log->ring, &log->header, &zeros);
    g_assert_cmpuint(at, >=, HEADER);
    g_assert_cmpuint(at + HEADER + bytes + zeros, <=, sizeof(log->space));
    md_ppl_encode(&log->header, log->space + at);
    memcpy(log->space + at + HEADER, pp, bytes);
    memset(log->space + at + HEADER + bytes, 0, zeros);
    return at;
}

/* Whatever their lengths, the last unit is the one that is found. */
static void test_ring(void)
{
    RaidGeometry *geom = make_geometry(3, 128 * KIB);
    Log *log = make_log();
    g_autofree uint8_t *pp = g_malloc0(88 * KIB);

    rescan(log);
    g_assert_true(log->scan.found);
    g_assert_true(md_ppl_scan_used(&log->scan));
    g_assert_cmpuint(log->scan.newest.nr_entries, ==, 0);
    g_assert_cmpuint(log->scan.newest.generation, ==, 42);
    g_assert_cmpuint(md_ppl_ring_capacity(&log->ring), ==, 88 * KIB);
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t bytes = 512 * g_test_rand_int_range(1, i % 10 ? 20 : 177);
        uint32_t at = put_unit(log, geom, bytes, pp);

        rescan(log);
        g_assert_true(log->scan.found);
        g_assert_cmpuint(log->scan.newest_at, ==, at);
        g_assert_cmpuint(log->scan.newest.generation, ==, 43 + i);
        g_assert_cmpuint(md_ppl_unit_bytes(&log->scan.newest), ==, bytes);
    }
    g_free(log);
    g_free(geom);
}

/* A header that never was whole hides nothing but itself. */
static void test_ring_torn(void)
{
    RaidGeometry *geom = make_geometry(3, 128 * KIB);
    Log *log = make_log();
    g_autofree uint8_t *pp = g_malloc0(32 * KIB);
    uint64_t before = 42;
    unsigned wraps = 0;

    for (unsigned i = 0; i < 500; i++) {
        uint8_t old[HEADER];
        uint32_t at = log->ring.next;
        uint32_t bytes = 512 * g_test_rand_int_range(1, 64);

        if (at + HEADER + bytes > sizeof(log->space)) {
            at = HEADER;
            wraps++;
            before = 42;            /* the walk ends at once */
        }
        memcpy(old, log->space + at, HEADER);
        g_assert_cmpuint(put_unit(log, geom, bytes, pp), ==, at);
        /* The second sector arrived, the one with the entries. */
        memcpy(log->space + at, old, 512);
        memset(log->space + at + 1024, 0xee, HEADER - 1024);
        rescan(log);
        g_assert_true(log->scan.found);
        g_assert_cmpuint(log->scan.newest.generation, ==, before);
        md_ppl_encode(&log->header, log->space + at);
        before = log->header.generation;
    }
    g_assert_cmpuint(wraps, >, 10);
    log->space[0] ^= 1;
    rescan(log);
    g_assert_false(log->scan.found);
    g_free(log);
    g_free(geom);
}

/* The anchor of the next start leaves nothing of the last to be found. */
static void test_ring_restart(void)
{
    RaidGeometry *geom = make_geometry(3, CHUNK);
    Log *log = make_log();
    uint8_t pp[512] = { 0 };

    put_unit(log, geom, 512, pp);
    put_unit(log, geom, 512, pp);
    rescan(log);
    g_assert_cmpuint(log->scan.newest.generation, ==, 44);
    g_assert_true(md_ppl_ring_init(&log->ring, RING_SECTORS, SIGNATURE,
                                   log->scan.newest.generation, log->space));
    rescan(log);
    g_assert_cmpuint(log->scan.newest_at, ==, 0);
    g_assert_cmpuint(log->scan.newest.generation, ==, 45);
    g_assert_cmpuint(log->scan.newest.nr_entries, ==, 0);
    g_assert_cmpuint(put_unit(log, geom, 512, pp), ==, HEADER);
    rescan(log);
    g_assert_cmpuint(log->scan.newest.generation, ==, 46);
    g_free(log);
    g_free(geom);
}

/* Partial parity is the guest's; it can't pass for a header. */
static void test_ring_forged(void)
{
    RaidGeometry *geom = make_geometry(3, 128 * KIB);
    Log *log = make_log();
    g_autofree uint8_t *pp = g_malloc0(16 * KIB);
    MdPplHeader *forged = g_new0(MdPplHeader, 1);
    uint32_t at;

    forged->signature = SIGNATURE;
    forged->generation = UINT64_MAX;
    for (unsigned i = 0; i < 4; i++) {
        md_ppl_encode(forged, pp + i * HEADER);
    }
    for (unsigned i = 0; i < 100; i++) {
        at = put_unit(log, geom, HEADER * (1 + i % 4), pp);
        rescan(log);
        g_assert_cmpuint(log->scan.newest_at, ==, at);
        g_assert_cmpuint(log->scan.newest.generation, !=, UINT64_MAX);
    }
    g_free(forged);
    g_free(log);
    g_free(geom);
}

static void test_ring_limits(void)
{
    RaidGeometry *geom = make_geometry(3, CHUNK);
    Log *log = make_log();
    uint8_t pp[4096] = { 0 };
    MdPplWrite write = { .stripe = 0, .lo = 0, .hi = 512, .roles = 1 };
    unsigned n = 0;

    /* As many entries as fit, then as many bytes. */
    md_ppl_begin(&log->ring, &log->header);
    while (md_ppl_add(&log->ring, geom, &log->header, &write, pp)) {
        n++;
    }
    g_assert_cmpuint(n, ==, MD_PPL_MAX_ENTRIES);
    g_assert_cmpuint(log->header.nr_entries, ==, n);
    write.hi = 4096;
    md_ppl_begin(&log->ring, &log->header);
    n = 0;
    while (md_ppl_add(&log->ring, geom, &log->header, &write, pp)) {
        n++;
    }
    g_assert_cmpuint(n, ==, 22);
    g_assert_cmpuint(md_ppl_unit_bytes(&log->header), ==, 88 * KIB);

    g_assert_false(md_ppl_ring_init(&log->ring, 16, SIGNATURE, 0,
                                    log->space));
    g_assert_true(md_ppl_ring_init(&log->ring, 24, SIGNATURE, 0, log->space));
    g_assert_cmpuint(md_ppl_ring_capacity(&log->ring), ==, 4096);
    g_assert_true(md_ppl_ring_init(&log->ring, 2048, SIGNATURE, 0,
                                   log->space));
    g_assert_cmpuint(md_ppl_ring_capacity(&log->ring), ==, MD_PPL_UNIT_BYTES);
    g_free(log);
    g_free(geom);
}

/* What could not be read may have been the newest. */
static void test_scan_unreadable(void)
{
    RaidGeometry *geom = make_geometry(3, CHUNK);
    Log *log = make_log();
    uint8_t pp[512] = { 0 };
    uint32_t at;

    put_unit(log, geom, 512, pp);
    md_ppl_scan_start(&log->scan, RING_SECTORS, SIGNATURE);
    g_assert_true(md_ppl_scan_next(&log->scan, &at));
    md_ppl_scan_feed(&log->scan, log->space);
    g_assert_true(md_ppl_scan_next(&log->scan, &at));
    g_assert_cmpuint(at, ==, HEADER);
    md_ppl_scan_feed(&log->scan, NULL);
    g_assert_false(md_ppl_scan_next(&log->scan, &at));
    g_assert_false(log->scan.found);
    g_free(log);
    g_free(geom);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-ppl/checksum", test_checksum);
    g_test_add_func("/raid/md-ppl/golden-one", test_golden_one);
    g_test_add_func("/raid/md-ppl/golden-two", test_golden_two);
    g_test_add_func("/raid/md-ppl/golden-empty", test_golden_empty);
    g_test_add_func("/raid/md-ppl/header-refusals", test_header_refusals);
    g_test_add_func("/raid/md-ppl/entry-refusals", test_entry_refusals);
    g_test_add_func("/raid/md-ppl/behind-the-end", test_behind_the_end);
    g_test_add_func("/raid/md-ppl/error-texts", test_error_texts);
    g_test_add_func("/raid/md-ppl/ring", test_ring);
    g_test_add_func("/raid/md-ppl/ring-restart", test_ring_restart);
    g_test_add_func("/raid/md-ppl/ring-torn", test_ring_torn);
    g_test_add_func("/raid/md-ppl/ring-forged", test_ring_forged);
    g_test_add_func("/raid/md-ppl/ring-limits", test_ring_limits);
    g_test_add_func("/raid/md-ppl/scan-unreadable", test_scan_unreadable);
    return g_test_run();
}
