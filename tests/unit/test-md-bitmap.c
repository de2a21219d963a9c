/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-bitmap: the superblock and its refusals, places and
 * sizes as mdadm chooses them, and the bitmaps that md wrote. (The bits of a
 * running array are in test-md-bitmap-bits.c.)
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "intent-golden.h"
#include "util/raid/md-bitmap.h"

#define KIB     UINT64_C(1024)
#define MIB     (1024 * KIB)
#define GIB_S   (1024 * MIB / 512)      /* in sectors */

static void make(MdBitmapSuper *sb)
{
    memset(sb, 0, sizeof(*sb));
    for (unsigned i = 0; i < 16; i++) {
        sb->uuid[i] = i + 1;
    }
    sb->events = UINT64_C(0x1122334455667788);
    sb->events_cleared = 77;
    sb->sync_size_sectors = 100000;
    sb->state = MD_BITMAP_STATE_STALE;
    sb->chunk_bytes = 65536;
    sb->daemon_sleep_seconds = 5;
    sb->write_behind = 256;
    sb->sectors_reserved = 8;
}

/*
 * The superblock
 */

static void test_round_trip(void)
{
    MdBitmapSuper sb;
    MdBitmapSuper out;
    uint8_t image[MD_BITMAP_SUPER_BYTES];

    make(&sb);
    memset(image, 0xaa, sizeof(image));
    memset(&out, 0, sizeof(out));
    md_bitmap_super_encode(&sb, image);
    g_assert_cmpmem(image, 4, "bitm", 4);
    g_assert_cmpuint(image[4], ==, 4);
    g_assert_cmpuint(image[24], ==, 0x88);
    g_assert_cmpint(md_bitmap_super_decode(image, &out), ==, MD_BITMAP_OK);
    g_assert_cmpmem(&sb, sizeof(sb), &out, sizeof(out));
}

/* Set one byte of a valid image. */
static MdBitmapError decode_with(unsigned at, uint8_t value)
{
    MdBitmapSuper sb;
    MdBitmapSuper out;
    uint8_t image[MD_BITMAP_SUPER_BYTES];

    make(&sb);
    md_bitmap_super_encode(&sb, image);
    image[at] = value;
    return md_bitmap_super_decode(image, &out);
}

static void test_refusals(void)
{
    g_assert_cmpint(decode_with(0, 'x'), ==, MD_BITMAP_NONE);
    g_assert_cmpint(decode_with(4, 3), ==, MD_BITMAP_BAD_VERSION);
    g_assert_cmpint(decode_with(4, 5), ==, MD_BITMAP_CLUSTERED);
    g_assert_cmpint(decode_with(4, 6), ==, MD_BITMAP_LOCKLESS);
    g_assert_cmpint(decode_with(4, 7), ==, MD_BITMAP_BAD_VERSION);
    g_assert_cmpint(decode_with(53, 1), ==, MD_BITMAP_BAD_CHUNK);
    g_assert_cmpint(decode_with(54, 0), ==, MD_BITMAP_BAD_CHUNK);
    g_assert_cmpint(decode_with(56, 0), ==, MD_BITMAP_BAD_SLEEP);
    g_assert_cmpint(decode_with(59, 0x7f), ==, MD_BITMAP_BAD_SLEEP);
    g_assert_cmpint(decode_with(61, 0x40), ==, MD_BITMAP_BAD_WRITE_BEHIND);
    g_assert_cmpint(decode_with(61, 0x3f), ==, MD_BITMAP_OK);
    g_assert_cmpint(decode_with(48, 6), ==, MD_BITMAP_OK);
    g_assert_cmpint(decode_with(48, 8), ==, MD_BITMAP_UNKNOWN_FIELD);
    g_assert_cmpint(decode_with(49, 0x80), ==, MD_BITMAP_UNKNOWN_FIELD);
    for (unsigned at = 68; at < MD_BITMAP_SUPER_BYTES; at++) {
        g_assert_cmpint(decode_with(at, 1), ==, MD_BITMAP_UNKNOWN_FIELD);
    }
}

/* Those that say something that can't be written back. */
static void test_foreign(void)
{
    unsigned n = 0;

    for (unsigned err = 0; err <= MD_BITMAP__MAX; err++) {
        n += md_bitmap_is_foreign(err);
    }
    g_assert_cmpuint(n, ==, 4);
    g_assert_true(md_bitmap_is_foreign(decode_with(4, 3)));
    g_assert_true(md_bitmap_is_foreign(decode_with(4, 5)));
    g_assert_true(md_bitmap_is_foreign(decode_with(4, 6)));
    g_assert_true(md_bitmap_is_foreign(decode_with(4, 7)));
    g_assert_true(md_bitmap_is_foreign(decode_with(68, 1)));
    g_assert_true(md_bitmap_is_foreign(decode_with(48, 8)));
    g_assert_false(md_bitmap_is_foreign(decode_with(0, 'x')));
    g_assert_false(md_bitmap_is_foreign(decode_with(53, 1)));
}

static void test_error_texts(void)
{
    for (unsigned err = 0; err <= MD_BITMAP__MAX; err++) {
        const char *text = md_bitmap_error_text(err);

        g_assert_nonnull(text);
        for (unsigned other = 0; other < err; other++) {
            g_assert_cmpstr(text, !=, md_bitmap_error_text(other));
        }
    }
}

/* Its event count is never behind that of the array it was written with. */
static void test_judge(void)
{
    MdBitmapSuper sb;
    uint8_t other[16] = { 1 };

    make(&sb);
    sb.state = 0;
    sb.events = 10;
    sb.events_cleared = 7;
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100000, 9), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100000, 10), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100000, 11), ==,
                    MD_BITMAP_STALE);
    g_assert_cmpint(md_bitmap_judge(&sb, other, 100000, 10), ==,
                    MD_BITMAP_WRONG_UUID);
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100001, 10), ==,
                    MD_BITMAP_WRONG_SIZE);
    /* The array was about to grow. */
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 99999, 10), ==,
                    MD_BITMAP_OK);
    sb.state = MD_BITMAP_STATE_STALE;
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100000, 10), ==,
                    MD_BITMAP_STALE);
    sb.state = MD_BITMAP_STATE_WRITE_ERROR;
    g_assert_cmpint(md_bitmap_judge(&sb, sb.uuid, 100000, 10), ==,
                    MD_BITMAP_STALE);

    g_assert_true(md_bitmap_can_readd(&sb, 8));
    g_assert_true(md_bitmap_can_readd(&sb, 7));
    g_assert_false(md_bitmap_can_readd(&sb, 6));
}

/*
 * Sizes and places
 */

static void test_sizes(void)
{
    g_assert_cmpuint(md_bitmap_nr_bits(128, 65536), ==, 1);
    g_assert_cmpuint(md_bitmap_nr_bits(129, 65536), ==, 2);
    g_assert_cmpuint(md_bitmap_nr_bits(1, 1u << 31), ==, 1);
    g_assert_cmpuint(md_bitmap_nr_bits(UINT64_MAX, 512), ==, UINT64_MAX);
    g_assert_cmpuint(md_bitmap_file_sectors(1), ==, 1);
    g_assert_cmpuint(md_bitmap_file_sectors(256 * 8), ==, 1);
    g_assert_cmpuint(md_bitmap_file_sectors(256 * 8 + 1), ==, 2);
    g_assert_cmpuint(md_bitmap_file_sectors(3840 * 8), ==, 8);
    g_assert_cmpuint(md_bitmap_file_sectors(3840 * 8 + 1), ==, 9);
}

static void test_default_chunk(void)
{
    static const struct {
        uint64_t sync_sectors;
        uint32_t space;
        uint32_t chunk_bytes;
    } cases[] = {
        { 20480, 8, 64 * MIB },
        { 100 * GIB_S, 128, 64 * MIB },
        /* 30720 bits fit 4 KiB: doubled as long as they are more. */
        { 30720 * 64 * MIB / 512 - 8, 8, 64 * MIB },
        { 30720 * 64 * MIB / 512, 8, 128 * MIB },
        { 30720 * 64 * MIB / 512 * 4, 8, 512 * MIB },
        /* No more than 128 KiB is used. */
        { 1000 * 1024 * GIB_S, 256, 1024 * MIB },
        { 1000 * 1024 * GIB_S, 4096, 1024 * MIB },
        { 30000 * 1024 * GIB_S, 256, 0 },
        { 20480, 2, 64 * MIB },
        { 20480, 1, 0 },
        { 20480, 0, 0 },
        { UINT64_MAX, 8, 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t chunk = md_bitmap_default_chunk(cases[i].sync_sectors,
                                                 cases[i].space);

        g_test_message("case %u", i);
        if (chunk) {
            uint64_t bits = md_bitmap_nr_bits(cases[i].sync_sectors, chunk);

            g_assert_cmpuint(md_bitmap_file_sectors(bits), <=,
                             cases[i].space);
        }
        g_assert_cmpuint(chunk, ==, cases[i].chunk_bytes);
    }
}

static void test_default_place(void)
{
    g_assert_cmpuint(md_bitmap_default_space(127), ==, 0);
    g_assert_cmpuint(md_bitmap_default_space(128), ==, 8);
    g_assert_cmpuint(md_bitmap_default_space(8 * GIB_S + 8), ==, 8);
    g_assert_cmpuint(md_bitmap_default_space(8 * GIB_S + 9), ==, 128);
    g_assert_cmpuint(md_bitmap_default_space(200 * GIB_S + 127), ==, 128);
    g_assert_cmpuint(md_bitmap_default_space(200 * GIB_S + 128), ==, 256);
    g_assert_cmpint(md_bitmap_default_offset(2, 1000000), ==, 8);
    g_assert_cmpint(md_bitmap_default_offset(1, 1), ==, 8);
    g_assert_cmpint(md_bitmap_default_offset(0, 1), ==, -16);
    g_assert_cmpint(md_bitmap_default_offset(0, 3840 * 8), ==, -16);
    g_assert_cmpint(md_bitmap_default_offset(0, 3840 * 8 + 1), ==, -24);
}

/* I13: superblock at 8, log at 16 to 24, data from 2048. */
static void test_room(void)
{
    MdSuper *super = g_new0(MdSuper, 1);
    uint64_t device_bytes = 16 * MIB;

    super->super_offset_sectors = 8;
    super->max_dev = 128;
    super->bblog_offset_sectors = 8;
    super->bblog_size_sectors = 8;
    super->data_offset_sectors = 2048;
    super->data_size_sectors = 16 * MIB / 512 - 2048;
    super->bitmap_offset_sectors = 16;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, 8 * 256), ==,
                    MD_BITMAP_OK);
    /* From 24 to 2048 there are 2024 sectors. */
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (2024 * 512 - 256)), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (2024 * 512 - 256) + 1), ==,
                    MD_BITMAP_NO_ROOM);
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, UINT64_MAX), ==,
                    MD_BITMAP_NO_ROOM);
    super->bitmap_offset_sectors = 2;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (6 * 512 - 256)), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (6 * 512 - 256) + 1), ==,
                    MD_BITMAP_NO_ROOM);
    super->bitmap_offset_sectors = 0;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, 1), ==,
                    MD_BITMAP_NO_ROOM);
    super->bitmap_offset_sectors = -9;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, 1), ==,
                    MD_BITMAP_NO_ROOM);
    super->bitmap_offset_sectors = -1;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, 1), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes, 8 * 256 + 1), ==,
                    MD_BITMAP_NO_ROOM);

    /* Behind everything, at the end of the device. */
    super->data_size_sectors = 1000;
    super->bitmap_offset_sectors = 16 * MIB / 512 - 8 - 2;
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (1024 - 256)), ==, MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_check_room(super, device_bytes,
                                         8 * (1024 - 256) + 1), ==,
                    MD_BITMAP_NO_ROOM);
    g_free(super);
}

static void test_merge(void)
{
    uint8_t into[MD_BITMAP_BLOCK_BYTES] = { 0 };
    uint8_t from[MD_BITMAP_BLOCK_BYTES] = { 0 };

    memset(from, 0x11, MD_BITMAP_SUPER_BYTES);
    g_assert_false(md_bitmap_merge(into, from, 100));
    g_assert_cmpuint(into[0], ==, 0);
    from[256] = 0x05;
    into[256] = 0x03;
    from[256 + 12] = 0xf1;          /* bits 96, 100 and more: up to 99 count */
    g_assert_true(md_bitmap_merge(into, from, 100));
    g_assert_cmpuint(into[256], ==, 0x07);
    g_assert_cmpuint(into[256 + 12], ==, 0x01);
    from[256] = 0x07;
    g_assert_false(md_bitmap_merge(into, from, 100));
    g_assert_true(md_bitmap_merge(into, from, 101));
    g_assert_cmpuint(into[256 + 12], ==, 0x11);
    /* Only the one that is merged into has it. */
    into[257] = 1;
    g_assert_true(md_bitmap_merge(into, from, 100));
    g_assert_cmpuint(into[257], ==, 1);
}

/*
 * What md wrote
 */

typedef struct Written {
    uint64_t array_off;
    uint64_t bytes;
} Written;

static const Written written[] = {
    { 0, 4 * KIB }, { 5000 * KIB, 20 * KIB }, { 9212 * KIB, 8 * KIB },
};

static bool is_set(const uint8_t *image, uint64_t bit)
{
    return image[MD_BITMAP_SUPER_BYTES + bit / 8] >> (bit % 8) & 1;
}

/* Exactly the bits of what was written, so md counts in the same units. */
static void check_bits(const IntentGolden *golden, const uint8_t *image,
                       uint32_t chunk_bytes, unsigned nr_written)
{
    uint64_t sync = md_bitmap_sync_sectors(&golden->geom);
    uint64_t nr_bits = md_bitmap_nr_bits(sync, chunk_bytes);
    g_autofree bool *want = g_new0(bool, nr_bits);
    uint64_t chunk_sectors = chunk_bytes / 512;

    for (unsigned i = 0; i < nr_written; i++) {
        uint64_t start;
        uint64_t end;

        md_bitmap_range(&golden->geom, written[i].array_off, written[i].bytes,
                        &start, &end);
        g_assert_cmpuint(start, <, end);
        g_assert_cmpuint(end, <=, sync);
        for (uint64_t s = start; s < end; s++) {
            want[s / chunk_sectors] = true;
        }
    }
    for (uint64_t bit = 0; bit < nr_bits; bit++) {
        g_assert_cmpint(is_set(image, bit), ==, want[bit]);
    }
}

static void check_member(const IntentGolden *golden, unsigned i,
                         uint32_t chunk_bytes, unsigned nr_written)
{
    const IntentMember *member = &golden->members[i];
    uint64_t sync = md_bitmap_sync_sectors(&golden->geom);
    uint64_t nr_bits = md_bitmap_nr_bits(sync, chunk_bytes);
    uint8_t again[MD_BITMAP_SUPER_BYTES];
    MdBitmapSuper sb;

    g_assert_cmpint(md_bitmap_super_decode(member->intent, &sb), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_judge(&sb, member->super.set_uuid, sync,
                                    member->super.events), ==, MD_BITMAP_OK);
    g_assert_cmpuint(sb.chunk_bytes, ==, chunk_bytes);
    g_assert_cmpuint(sb.daemon_sleep_seconds, ==,
                     MD_BITMAP_DEFAULT_SLEEP_SECONDS);
    g_assert_cmpuint(member->super.feature_map, ==, MD_FEATURE_BITMAP_OFFSET);
    g_assert_cmpint(member->super.bitmap_offset_sectors, ==,
                    md_bitmap_default_offset(member->super.minor_version,
                                             nr_bits));
    g_assert_cmpint(md_bitmap_check_room(&member->super, member->device_bytes,
                                         nr_bits), ==, MD_BITMAP_OK);
    md_bitmap_super_encode(&sb, again);
    g_assert_cmpmem(again, sizeof(again), member->intent, sizeof(again));
    check_bits(golden, member->intent, chunk_bytes, nr_written);
}

static void test_golden(void)
{
    static const struct {
        const char *name;
        uint32_t chunk_bytes;
    } arrays[] = {
        { "bm-raid1", 64 * KIB },
        { "bm-raid5", 16 * KIB },
        { "bm-raid5-default", 64 * MIB },
        { "bm-raid6-end", 8 * KIB },
        { "bm-raid10", 4 * KIB },
        { "bm-raid10-end", 4 * KIB },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        IntentGolden *golden = intent_golden_load(arrays[i].name);

        for (unsigned m = 0; m < golden->nr; m++) {
            g_test_message("%s %u", arrays[i].name, m);
            check_member(golden, m, arrays[i].chunk_bytes,
                         G_N_ELEMENTS(written));
        }
        intent_golden_free(golden);
    }
}

/* What was chosen without being asked for is what we would choose. */
static void test_golden_default_chunk(void)
{
    IntentGolden *golden = intent_golden_load("bm-raid5-default");
    uint64_t size = golden->members[0].super.size_sectors;
    uint32_t space = md_bitmap_default_space(size);

    g_assert_cmpuint(md_bitmap_default_chunk(
                         md_bitmap_sync_sectors(&golden->geom), space), ==,
                     64 * MIB);
    intent_golden_free(golden);
}

/*
 * Member 1 went missing after the first write: its own bitmap ends there, and
 * that of the one which stayed has all that it missed.
 */
static void test_golden_left_behind(void)
{
    IntentGolden *golden = intent_golden_load("bm-raid1-left");
    const IntentMember *stayed = &golden->members[0];
    const IntentMember *left = &golden->members[1];
    uint64_t sync = md_bitmap_sync_sectors(&golden->geom);
    MdBitmapSuper sb;
    MdBitmapSuper old;

    check_member(golden, 0, 64 * KIB, 3);
    check_member(golden, 1, 64 * KIB, 1);
    g_assert_cmpint(md_bitmap_super_decode(stayed->intent, &sb), ==,
                    MD_BITMAP_OK);
    g_assert_cmpint(md_bitmap_super_decode(left->intent, &old), ==,
                    MD_BITMAP_OK);
    g_assert_cmpuint(left->super.events, <, stayed->super.events);
    g_assert_cmpint(md_bitmap_judge(&old, stayed->super.set_uuid, sync,
                                    stayed->super.events), ==,
                    MD_BITMAP_STALE);
    g_assert_true(md_bitmap_can_readd(&sb, left->super.events));
    g_assert_false(md_bitmap_can_readd(&sb, sb.events_cleared - 1));
    intent_golden_free(golden);
}

/*
 * Which sectors a request touches
 */

/* All that lies on the members of a request is inside its range. */
static void check_range(const RaidGeometry *geom, uint64_t off, uint64_t bytes)
{
    uint64_t start;
    uint64_t end;

    md_bitmap_range(geom, off, bytes, &start, &end);
    for (uint64_t at = off; at < off + bytes; at += 512) {
        uint64_t sector = at / 512;

        if (raid_has_parity(geom)) {
            RaidLoc loc;

            raid_map(geom, at, &loc);
            sector = loc.member_off / 512;
        }
        g_assert_cmpuint(sector, >=, start);
        g_assert_cmpuint(sector, <, end);
    }
    g_assert_cmpuint(end, <=, md_bitmap_sync_sectors(geom));
}

static void test_ranges(void)
{
    static const int32_t levels[] = { 1, 4, 5, 6, 10 };

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        RaidGeometryParams params = {
            .nr_slots = 5, .chunk_bytes = 4096,
        };
        RaidGeometry *geom = g_new(RaidGeometry, 1);
        uint32_t layout = levels[i] == 10 ? 0x102 : 0;

        g_assert_true(raid_from_md(levels[i], layout, &params));
        for (unsigned slot = 0; slot < 5; slot++) {
            params.member_bytes[slot] = 64 * KIB;
        }
        g_assert_cmpint(raid_geometry_init(geom, &params), ==,
                        RAID_GEOMETRY_OK);
        for (uint64_t off = 0; off < geom->array_bytes; off += 1536) {
            for (uint64_t n = 512; n <= 40 * KIB &&
                 off + n <= geom->array_bytes; n += 2560) {
                check_range(geom, off, n);
            }
        }
        check_range(geom, 0, geom->array_bytes);
        g_free(geom);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-bitmap/round-trip", test_round_trip);
    g_test_add_func("/raid/md-bitmap/refusals", test_refusals);
    g_test_add_func("/raid/md-bitmap/foreign", test_foreign);
    g_test_add_func("/raid/md-bitmap/error-texts", test_error_texts);
    g_test_add_func("/raid/md-bitmap/judge", test_judge);
    g_test_add_func("/raid/md-bitmap/sizes", test_sizes);
    g_test_add_func("/raid/md-bitmap/default-chunk", test_default_chunk);
    g_test_add_func("/raid/md-bitmap/default-place", test_default_place);
    g_test_add_func("/raid/md-bitmap/room", test_room);
    g_test_add_func("/raid/md-bitmap/merge", test_merge);
    g_test_add_func("/raid/md-bitmap/golden", test_golden);
    g_test_add_func("/raid/md-bitmap/golden-default-chunk",
                    test_golden_default_chunk);
    g_test_add_func("/raid/md-bitmap/golden-left-behind",
                    test_golden_left_behind);
    g_test_add_func("/raid/md-bitmap/ranges", test_ranges);
    return g_test_run();
}
