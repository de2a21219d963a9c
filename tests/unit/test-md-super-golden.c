/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-super: superblocks that mdadm and md wrote are read
 * right and written back byte by byte.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "super-set.h"
#include "util/raid/md-super.h"

#define VERSION_AT      4
#define MAX_DEV_AT      220

/* What is known of each array from how it was made. */
typedef struct Expected {
    const char *name;
    int32_t level;
    uint32_t layout;
    uint32_t raid_disks;
    uint32_t features;              /* of the first member */
    uint32_t chunk_sectors;
} Expected;

static const Expected expected[] = {
    { "raid0", 0, 1, 2, 0, 128 },
    { "raid0-uneven", 0, 1, 3, MD_FEATURE_RAID0_LAYOUT, 128 },
    { "raid1-end", 1, 0, 2, 0, 0 },
    { "raid1-bitmap", 1, 0, 2, MD_FEATURE_BITMAP_OFFSET, 0 },
    { "raid4", 4, 0, 3, 0, 128 },
    { "raid5-ppl", 5, 2, 3, MD_FEATURE_PPL, 128 },
    { "raid5-ppl-end", 5, 2, 3, MD_FEATURE_PPL, 128 },
    { "raid6-start", 6, 2, 4, 0, 128 },
    { "raid6-bitmap-end", 6, 2, 4, MD_FEATURE_BITMAP_OFFSET, 128 },
    { "raid10-n2", 10, 0x102, 4, 0, 128 },
    { "raid10-f2", 10, 0x201, 4, 0, 128 },
    { "raid10-o2", 10, 0x10201, 4, 0, 128 },
    { "raid5-dirty", 5, 2, 4, 0, 128 },
    { "raid5-spare", 5, 2, 4, 0, 128 },
    { "raid5-failed", 5, 2, 4, 0, 128 },
    { "raid5-rebuilding", 5, 2, 4, 0, 128 },
    { "raid5-rebuilt", 5, 2, 4, 0, 128 },
    { "raid6-readded", 6, 2, 4, MD_FEATURE_BITMAP_OFFSET, 128 },
    { "raid1-left-behind", 1, 0, 2, 0, 0 },
    { "raid1-split", 1, 0, 2, 0, 0 },
    { "raid1-badblocks", 1, 0, 2, MD_FEATURE_BAD_BLOCKS, 0 },
    { "raid1-replacement", 1, 0, 2, 0, 0 },
    { "raid1-replaced", 1, 0, 2, 0, 0 },
    { "raid5-journal", 5, 2, 3, MD_FEATURE_JOURNAL, 128 },
    { "raid5-reshape", 5, 2, 4, MD_FEATURE_RESHAPE_ACTIVE, 128 },
};

static const Expected *find_expected(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        if (!strcmp(expected[i].name, name)) {
            return &expected[i];
        }
    }
    g_error("unexpected array %s", name);
}

static void check_golden(const Golden *golden)
{
    const Expected *want = find_expected(golden->name);
    MdSuper *sb = g_new(MdSuper, 1);

    for (unsigned i = 0; i < golden->nr; i++) {
        uint8_t image[MD_SUPER_MAX_BYTES];
        MdSuperError err = md_super_decode(golden->image[i], GOLDEN_BYTES,
                                           golden->minor,
                                           golden->device_bytes[i], sb);

        g_test_message("%s %u", golden->name, i);
        g_assert_cmpint(err, ==, MD_SUPER_OK);
        g_assert_cmpint(sb->level, ==, want->level);
        g_assert_cmpuint(sb->layout, ==, want->layout);
        g_assert_cmpuint(sb->raid_disks, ==, want->raid_disks);
        g_assert_cmpuint(sb->chunk_sectors, ==, want->chunk_sectors);
        g_assert_cmpstr(sb->set_name, ==, "golden:sb");
        if (i == 0) {
            g_assert_cmpuint(sb->feature_map, ==, want->features);
        }
        g_assert_cmpuint(md_super_encode(sb, image), ==, GOLDEN_BYTES);
        g_assert_cmpmem(image, GOLDEN_BYTES, golden->image[i], GOLDEN_BYTES);
        for (unsigned at = GOLDEN_BYTES; at < sizeof(image); at++) {
            g_assert_cmpuint(image[at], ==, 0);
        }
    }
    g_free(sb);
}

static void test_golden(void)
{
    g_assert_cmpuint(golden_foreach(check_golden), ==,
                     G_N_ELEMENTS(expected));
}

/* What mdadm --examine says of these. */
static void test_golden_values(void)
{
    Golden *golden = g_new(Golden, 1);
    MdSuper *sb = g_new(MdSuper, 1);

    golden_load(golden, "raid5-rebuilding");
    md_super_decode(golden->image[4], GOLDEN_BYTES, 2,
                    golden->device_bytes[4], sb);
    g_assert_cmpuint(sb->feature_map, ==, MD_FEATURE_RECOVERY_OFFSET);
    g_assert_cmpuint(sb->recovery_offset, ==, 1024);
    g_assert_cmpuint(sb->dev_number, ==, 4);
    g_assert_cmpuint(md_super_role(sb), ==, 1);
    g_assert_cmpuint(sb->roles[1], ==, MD_ROLE_FAULTY);
    g_assert_cmpuint(sb->max_dev, ==, 128);
    g_assert_cmpuint(sb->size_sectors, ==, 22528);
    g_assert_cmpuint(sb->data_offset_sectors, ==, 2048);
    g_assert_cmpuint(sb->data_size_sectors, ==, 26624);

    golden_load(golden, "raid5-ppl-end");
    md_super_decode(golden->image[0], GOLDEN_BYTES, 0,
                    golden->device_bytes[0], sb);
    g_assert_cmpint(sb->ppl_offset_sectors, ==, -2056);
    g_assert_cmpuint(sb->ppl_size_sectors, ==, 2048);
    g_assert_cmpint(sb->bblog_offset_sectors, ==, -8);
    g_assert_cmpuint(sb->bblog_size_sectors, ==, 8);
    g_assert_cmpuint(sb->super_offset_sectors, ==, 24560);

    golden_load(golden, "raid6-bitmap-end");
    md_super_decode(golden->image[0], GOLDEN_BYTES, 0,
                    golden->device_bytes[0], sb);
    g_assert_cmpint(sb->bitmap_offset_sectors, ==, -16);

    golden_load(golden, "raid5-dirty");
    md_super_decode(golden->image[0], GOLDEN_BYTES, 2,
                    golden->device_bytes[0], sb);
    g_assert_cmpuint(sb->resync_offset, ==, 0);
    g_assert_cmpuint(sb->events, ==, 1);
    g_free(sb);
    g_free(golden);
}

/* The checksum leaves no bit unguarded. */
static void test_flipped_bits(void)
{
    Golden *golden = g_new(Golden, 1);
    MdSuper *sb = g_new(MdSuper, 1);

    golden_load(golden, "raid5-failed");
    for (unsigned bit = 0; bit < 8 * GOLDEN_BYTES; bit++) {
        uint8_t *byte = &golden->image[0][bit / 8];
        MdSuperError err;

        *byte ^= 1u << (bit % 8);
        err = md_super_decode(golden->image[0], GOLDEN_BYTES, 2,
                              golden->device_bytes[0], sb);
        *byte ^= 1u << (bit % 8);
        if (bit / 8 < VERSION_AT) {
            g_assert_cmpint(err, ==, MD_SUPER_NONE);
        } else if (bit / 8 < VERSION_AT + 4) {
            g_assert_cmpint(err, ==, MD_SUPER_BAD_VERSION);
        } else if (bit / 8 >= MAX_DEV_AT && bit / 8 < MAX_DEV_AT + 4) {
            g_assert_true(err == MD_SUPER_BAD_MAX_DEV ||
                          err == MD_SUPER_BAD_CHECKSUM);
        } else {
            g_assert_cmpint(err, ==, MD_SUPER_BAD_CHECKSUM);
        }
    }
    g_free(sb);
    g_free(golden);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-super/golden", test_golden);
    g_test_add_func("/raid/md-super/golden-values", test_golden_values);
    g_test_add_func("/raid/md-super/flipped-bits", test_flipped_bits);
    return g_test_run();
}
