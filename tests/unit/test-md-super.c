/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-super: every refusal, torn writes, and that what is
 * decoded can be written back. I13. (Superblocks that md wrote are in
 * test-md-super-golden.c.)
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "super-set.h"
#include "util/raid/md-super.h"

#define DEVICE_BYTES    (16u << 20)
#define MAGIC_AT        0
#define VERSION_AT      4
#define PAD0_AT         12
#define CSUM_AT         216
#define MAX_DEV_AT      220
#define BLOCK_AT        224
#define PAD3_AT         228
#define ROLES_AT        256

static void put_u32(uint8_t *image, size_t at, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(image + at, &value, 4);
}

static uint32_t get_u32(const uint8_t *image, size_t at)
{
    uint32_t value;

    memcpy(&value, image + at, 4);
    return GUINT32_FROM_LE(value);
}

/* The sum byte by byte, carries folded in as they come up at the end. */
static void fix_checksum(uint8_t *image)
{
    size_t bytes = ROLES_AT + 2 * (size_t)get_u32(image, MAX_DEV_AT);
    uint64_t sum = 0;

    put_u32(image, CSUM_AT, 0);
    for (size_t i = 0; i < bytes; i++) {
        sum += (uint64_t)image[i] << (8 * (i % 4));
    }
    put_u32(image, CSUM_AT, (sum & UINT32_MAX) + (sum >> 32));
}

/* A valid superblock of version 1.@minor to be spoilt. */
static void make(MdSuper *sb, unsigned minor)
{
    SuperSet *set = g_new(SuperSet, 1);

    super_set_make(set, 5, 4);
    *sb = set->supers[0];
    g_free(set);
    sb->minor_version = minor;
    sb->super_offset_sectors = md_super_offset(minor, DEVICE_BYTES) / 512;
    sb->data_offset_sectors = minor ? 2048 : 0;
}

static MdSuperError decode_again(const MdSuper *sb, MdSuper *out)
{
    uint8_t image[MD_SUPER_MAX_BYTES];

    md_super_encode(sb, image);
    return md_super_decode(image, sizeof(image), sb->minor_version,
                           DEVICE_BYTES, out);
}

static void assert_error(const MdSuper *sb, MdSuperError err)
{
    MdSuper *out = g_new(MdSuper, 1);

    g_assert_cmpint(decode_again(sb, out), ==, err);
    if (err == MD_SUPER_OK) {
        g_assert_cmpuint(out->error_at, ==, 0);
    } else {
        g_assert_cmpstr(md_super_field_name(out->error_at), !=, "reserved");
    }
    g_free(out);
}

/* Cut within a sector or between two, an update is never half believed. */
static void test_torn(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t before[MD_SUPER_MAX_BYTES];
    uint8_t after[MD_SUPER_MAX_BYTES];
    size_t bytes;

    make(sb, 2);
    sb->max_dev = 384;
    for (unsigned dev = 4; dev < sb->max_dev; dev++) {
        sb->roles[dev] = MD_ROLE_SPARE;
    }
    bytes = md_super_encode(sb, before);
    g_assert_cmpuint(bytes, ==, 1024);
    sb->events++;
    sb->roles[300] = MD_ROLE_FAULTY;
    md_super_encode(sb, after);
    for (size_t cut = 1; cut < bytes; cut++) {
        uint8_t torn[MD_SUPER_MAX_BYTES];
        MdSuperError err;

        memcpy(torn, before, sizeof(torn));
        memcpy(torn, after, cut);
        err = md_super_decode(torn, sizeof(torn), 2, DEVICE_BYTES, out);
        if (!memcmp(torn, before, bytes) || !memcmp(torn, after, bytes)) {
            g_assert_cmpint(err, ==, MD_SUPER_OK);
        } else {
            g_assert_cmpint(err, ==, MD_SUPER_BAD_CHECKSUM);
        }
    }
    g_free(out);
    g_free(sb);
}

/*
 * Places and lengths
 */

static void test_offset(void)
{
    g_assert_cmpuint(md_super_offset(1, DEVICE_BYTES), ==, 0);
    g_assert_cmpuint(md_super_offset(2, DEVICE_BYTES), ==, 4096);
    g_assert_cmpuint(md_super_offset(3, DEVICE_BYTES), ==, UINT64_MAX);
    for (unsigned minor = 0; minor <= 2; minor++) {
        g_assert_cmpuint(md_super_offset(minor, 24 * 512 - 1), ==, UINT64_MAX);
        g_assert_cmpuint(md_super_offset(minor, 24 * 512), <=, 4096);
        g_assert_cmpuint(md_super_offset(minor, 0), ==, UINT64_MAX);
    }
    for (uint64_t bytes = 24 * 512; bytes < 64 * 512; bytes += 100) {
        uint64_t off = md_super_offset(0, bytes);

        g_assert_cmpuint(off % 4096, ==, 0);
        g_assert_cmpuint(off + 8192, <=, bytes);
        g_assert_cmpuint(off + 8192 + 4096, >, bytes / 512 * 512);
    }
    g_assert_cmpuint(md_super_offset(0, (UINT64_C(1) << 50) + 3 * 4096 - 1),
                     ==, UINT64_C(1) << 50);
    g_assert_cmpuint(md_super_offset(0, UINT64_MAX), ==,
                     UINT64_MAX - 3 * 4096 + 1);
}

static void test_buffer_lengths(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t image[MD_SUPER_MAX_BYTES];
    size_t bytes;
    uint32_t sum;

    make(sb, 2);
    sb->max_dev = 7;                /* half a word at the end */
    sb->roles[6] = MD_ROLE_FAULTY;
    bytes = md_super_encode(sb, image);
    g_assert_cmpuint(bytes, ==, 256 + 14);
    sum = get_u32(image, CSUM_AT);
    fix_checksum(image);
    g_assert_cmphex(sum, ==, get_u32(image, CSUM_AT));
    for (size_t n = 0; n < bytes; n++) {
        g_autofree uint8_t *exact = g_memdup2(image, n);

        g_assert_cmpint(md_super_decode(exact, n, 2, DEVICE_BYTES, out), ==,
                        MD_SUPER_BAD_MAX_DEV);
    }
    g_assert_cmpint(md_super_decode(image, bytes, 2, DEVICE_BYTES, out), ==,
                    MD_SUPER_OK);
    g_assert_cmpmem(sb->roles, 14, out->roles, 14);
    g_free(out);
    g_free(sb);
}

/*
 * Refusals
 */

static void test_bad_header(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t image[MD_SUPER_MAX_BYTES];
    static const struct {
        unsigned at;
        uint32_t value;
        MdSuperError err;
    } cases[] = {
        { MAGIC_AT, 0, MD_SUPER_NONE },
        { VERSION_AT, 0, MD_SUPER_BAD_VERSION },
        { VERSION_AT, 2, MD_SUPER_BAD_VERSION },
        { BLOCK_AT, 1, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 256, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 513, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 3 * 512, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 2 * 65536, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 1u << 31, MD_SUPER_BAD_BLOCK },
        { BLOCK_AT, 512, MD_SUPER_OK },
        { BLOCK_AT, 65536, MD_SUPER_OK },
        { MAX_DEV_AT, MD_SUPER_MAX_DEVICES, MD_SUPER_OK },
        { MAX_DEV_AT, 0, MD_SUPER_OK },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        make(sb, 2);
        md_super_encode(sb, image);
        put_u32(image, cases[i].at, cases[i].value);
        fix_checksum(image);
        g_assert_cmpint(md_super_decode(image, sizeof(image), 2, DEVICE_BYTES,
                                        out), ==, cases[i].err);
        if (cases[i].err != MD_SUPER_OK) {
            g_assert_cmpuint(out->error_at, ==, cases[i].at);
        }
    }
    make(sb, 2);
    md_super_encode(sb, image);
    put_u32(image, MAX_DEV_AT, MD_SUPER_MAX_DEVICES + 1);
    g_assert_cmpint(md_super_decode(image, sizeof(image), 2, DEVICE_BYTES,
                                    out), ==, MD_SUPER_BAD_MAX_DEV);
    put_u32(image, MAX_DEV_AT, UINT32_MAX);
    g_assert_cmpint(md_super_decode(image, sizeof(image), 2, DEVICE_BYTES,
                                    out), ==, MD_SUPER_BAD_MAX_DEV);
    g_free(out);
    g_free(sb);
}

/* Each byte that has no meaning yet is told by its place. */
static void test_reserved(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t image[MD_SUPER_MAX_BYTES];

    for (unsigned at = 0; at < ROLES_AT; at++) {
        if (at == PAD0_AT + 4) {
            at = PAD3_AT;
        } else if (at < PAD0_AT) {
            continue;
        }
        for (unsigned bit = 0; bit < 8; bit++) {
            make(sb, 2);
            md_super_encode(sb, image);
            image[at] |= 1u << bit;
            fix_checksum(image);
            g_assert_cmpint(md_super_decode(image, sizeof(image), 2,
                                            DEVICE_BYTES, out), ==,
                            MD_SUPER_UNKNOWN_FIELD);
            g_assert_cmpuint(out->error_at, ==, at);
            g_assert_cmpstr(md_super_field_name(at), ==, "reserved");
        }
    }
    g_free(out);
    g_free(sb);
}

/* As 6.19 writes it: it is kept, and takes no part in anything else. */
static void test_block_size(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t image[MD_SUPER_MAX_BYTES];

    for (uint32_t bytes = 512; bytes <= 65536; bytes *= 2) {
        make(sb, 2);
        md_super_encode(sb, image);
        put_u32(image, BLOCK_AT, bytes);
        fix_checksum(image);
        g_assert_cmpint(md_super_decode(image, sizeof(image), 2, DEVICE_BYTES,
                                        out), ==, MD_SUPER_OK);
        g_assert_cmpuint(out->block_bytes, ==, bytes);
        out->events++;
        md_super_encode(out, image);
        g_assert_cmpuint(get_u32(image, BLOCK_AT), ==, bytes);
        out->events--;
        out->block_bytes = 0;
        g_assert_cmpmem(sb, sizeof(*sb), out, sizeof(*out));
    }
    md_super_encode(sb, image);
    g_assert_cmpuint(get_u32(image, BLOCK_AT), ==, 0);
    g_free(out);
    g_free(sb);
}

/* Looked for where it does not say that it lies, and on short members. */
static void test_bad_offset(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);
    uint8_t image[MD_SUPER_MAX_BYTES];

    for (unsigned minor = 0; minor <= 2; minor++) {
        for (unsigned as = 0; as <= 2; as++) {
            make(sb, minor);
            md_super_encode(sb, image);
            g_assert_cmpint(md_super_decode(image, sizeof(image), as,
                                            DEVICE_BYTES, out), ==,
                            as == minor ? MD_SUPER_OK : MD_SUPER_BAD_OFFSET);
        }
        g_assert_cmpint(md_super_decode(image, sizeof(image), minor, 1000,
                                        out), ==, MD_SUPER_BAD_OFFSET);
        g_assert_cmpint(md_super_decode(image, sizeof(image), 3,
                                        DEVICE_BYTES, out), ==,
                        MD_SUPER_BAD_VERSION);
        sb->super_offset_sectors += UINT64_C(1) << 55;
        assert_error(sb, MD_SUPER_BAD_OFFSET);
    }
    g_free(out);
    g_free(sb);
}

static void test_bad_numbers(void)
{
    MdSuper *sb = g_new(MdSuper, 1);

    make(sb, 2);
    sb->dev_number = MD_SUPER_MAX_DEVICES - 1;
    assert_error(sb, MD_SUPER_OK);
    g_assert_cmpuint(md_super_role(sb), ==, MD_ROLE_SPARE);
    sb->dev_number = MD_SUPER_MAX_DEVICES;
    assert_error(sb, MD_SUPER_BAD_DEV_NUMBER);
    sb->dev_number = UINT32_MAX;
    assert_error(sb, MD_SUPER_BAD_DEV_NUMBER);

    make(sb, 2);
    sb->raid_disks = 0;
    assert_error(sb, MD_SUPER_BAD_SLOTS);
    sb->raid_disks = MD_SUPER_MAX_DEVICES;
    assert_error(sb, MD_SUPER_OK);
    sb->raid_disks++;
    assert_error(sb, MD_SUPER_BAD_SLOTS);
    make(sb, 2);
    sb->chunk_sectors = UINT32_MAX / 512;
    assert_error(sb, MD_SUPER_OK);
    sb->chunk_sectors++;
    assert_error(sb, MD_SUPER_BAD_CHUNK);
    g_free(sb);
}

static void test_bad_data_area(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    uint64_t sectors = DEVICE_BYTES / 512;
    const struct {
        uint64_t offset;
        uint64_t size;
        MdSuperError err;
    } cases[] = {
        { 2048, sectors - 2048, MD_SUPER_OK },
        { 2048, sectors - 2047, MD_SUPER_BAD_DATA_AREA },
        { 2048, 10, MD_SUPER_OK },
        { 2048, 9, MD_SUPER_BAD_DATA_AREA },
        { 2048, 0, MD_SUPER_BAD_DATA_AREA },
        { sectors - 10, 10, MD_SUPER_OK },
        { sectors - 9, 10, MD_SUPER_BAD_DATA_AREA },
        { sectors + 1, 10, MD_SUPER_BAD_DATA_AREA },
        { UINT64_MAX, 10, MD_SUPER_BAD_DATA_AREA },
        { 2048, UINT64_MAX, MD_SUPER_BAD_DATA_AREA },
        { UINT64_MAX - 5, 10, MD_SUPER_BAD_DATA_AREA },
        { 16, 100, MD_SUPER_OK },
        { 15, 100, MD_SUPER_OVERLAP },
        { 0, 100, MD_SUPER_OVERLAP },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        make(sb, 2);
        sb->data_offset_sectors = cases[i].offset;
        sb->data_size_sectors = cases[i].size;
        assert_error(sb, cases[i].err);
    }
    make(sb, 0);
    sb->data_size_sectors = sb->super_offset_sectors;
    assert_error(sb, MD_SUPER_OK);
    sb->data_size_sectors++;
    assert_error(sb, MD_SUPER_OVERLAP);
    g_free(sb);
}

/* Bitmap, log and PPL against data, superblock, device and each other. */
static void test_overlap(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    enum { BM = MD_FEATURE_BITMAP_OFFSET, BB = MD_FEATURE_BAD_BLOCKS,
           PPL = MD_FEATURE_PPL, PPLS = MD_FEATURE_MULTIPLE_PPLS };
    static const struct {
        unsigned minor;
        uint32_t features;
        int32_t start;              /* bitmap or PPL */
        uint16_t size;              /* PPL */
        int32_t bb_start;
        uint16_t bb_size;
        MdSuperError err;
    } cases[] = {
        { 2, BM, 1, 0, 0, 0, MD_SUPER_OK },         /* right behind it */
        { 2, BM, 0, 0, 0, 0, MD_SUPER_OVERLAP },    /* on it */
        { 2, BM, -1, 0, 0, 0, MD_SUPER_OK },
        { 2, BM, -8, 0, 0, 0, MD_SUPER_OK },
        { 2, BM, -9, 0, 0, 0, MD_SUPER_OVERLAP },   /* before the device */
        { 2, BM, 2039, 0, 0, 0, MD_SUPER_OK },
        { 2, BM, 2040, 0, 0, 0, MD_SUPER_OVERLAP }, /* data starts there */
        { 2, BM, INT32_MAX, 0, 0, 0, MD_SUPER_OVERLAP },
        { 2, BM, INT32_MIN, 0, 0, 0, MD_SUPER_OVERLAP },
        { 2, BM, 16, 0, 16, 8, MD_SUPER_OVERLAP },  /* log on bitmap */
        { 2, BM, 24, 0, 16, 8, MD_SUPER_OK },
        { 2, 0, INT32_MAX, 0, 0, 0, MD_SUPER_OK },  /* no bitmap */
        { 2, PPL, 8, 2032, 0, 0, MD_SUPER_OK },
        { 2, PPL, 8, 2033, 0, 0, MD_SUPER_OVERLAP },
        { 2, PPLS, 8, 2033, 0, 0, MD_SUPER_OVERLAP },
        { 2, PPL, 8, 0, 0, 0, MD_SUPER_OVERLAP },
        { 2, PPL, -32768, 8, 0, 0, MD_SUPER_OVERLAP },
        { 0, PPL, -2056, 2048, -8, 8, MD_SUPER_OK },
        { 0, PPL, -2055, 2048, -8, 8, MD_SUPER_OVERLAP },
        { 2, BB, 0, 0, 16, 8, MD_SUPER_OK },
        { 2, BB, 0, 0, 16, 9, MD_SUPER_OVERLAP },   /* longer than a page */
        { 2, BB, 0, 0, 16, 0, MD_SUPER_OVERLAP },
        { 2, BB, 0, 0, 0, 8, MD_SUPER_OVERLAP },
        { 2, 0, 0, 0, 2033, 8, MD_SUPER_OVERLAP },  /* set aside, unused */
        { 2, 0, 0, 0, 2032, 8, MD_SUPER_OK },
        { 2, 0, 0, 0, 0, 8, MD_SUPER_OK },
        { 2, 0, 0, 0, 16, 0, MD_SUPER_OK },
        { 0, 0, 0, 0, 16, 8, MD_SUPER_OVERLAP },    /* behind the device */
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        make(sb, cases[i].minor);
        sb->feature_map = cases[i].features;
        if (cases[i].features & (PPL | PPLS)) {
            sb->ppl_offset_sectors = cases[i].start;
            sb->ppl_size_sectors = cases[i].size;
        } else {
            sb->bitmap_offset_sectors = cases[i].start;
        }
        sb->bblog_offset_sectors = cases[i].bb_start;
        sb->bblog_size_sectors = cases[i].bb_size;
        g_test_message("case %u", i);
        assert_error(sb, cases[i].err);
    }
    g_free(sb);
}

static void test_texts(void)
{
    for (int err = -1; err <= MD_SUPER__MAX; err++) {
        g_assert_cmpuint(strlen(md_super_error_text(err)), >, 10);
        for (int other = -1; other < err; other++) {
            if (other >= 0 && err < MD_SUPER__MAX) {
                g_assert_cmpstr(md_super_error_text(err), !=,
                                md_super_error_text(other));
            }
        }
    }
}

/*
 * Anything
 */

/* Random in all fields that no check restricts. */
static void randomise(MdSuper *sb)
{
    uint32_t number;

    make(sb, g_test_rand_int_range(0, 3));
    sb->feature_map = g_test_rand_int() & ~(uint32_t)
        (MD_FEATURE_BITMAP_OFFSET | MD_FEATURE_BAD_BLOCKS);
    for (unsigned i = 0; i < 16; i++) {
        sb->set_uuid[i] = g_test_rand_int();
        sb->device_uuid[i] = g_test_rand_int();
        sb->set_name[i] = g_test_rand_int();
        sb->set_name[31 - i] = g_test_rand_int();
    }
    sb->ctime = ((uint64_t)g_test_rand_int() << 32) | g_test_rand_int();
    sb->level = g_test_rand_int();
    sb->layout = g_test_rand_int();
    sb->size_sectors = g_test_rand_int();
    sb->chunk_sectors = (uint32_t)g_test_rand_int() >> 9;
    sb->raid_disks = g_test_rand_int_range(1, MD_SUPER_MAX_DEVICES + 1);
    sb->block_bytes = g_test_rand_int_range(0, 2) << g_test_rand_int_range(9,
                                                                           17);
    sb->ppl_size_sectors = 4;
    sb->ppl_offset_sectors = sb->minor_version == 0 ? -50 : 50;
    memcpy(&number, (uint16_t [2]) {
        GUINT16_TO_LE((uint16_t)sb->ppl_offset_sectors),
        GUINT16_TO_LE(sb->ppl_size_sectors) }, 4);
    sb->bitmap_offset_sectors = GUINT32_FROM_LE(number);
    sb->new_level = g_test_rand_int();
    sb->reshape_position = g_test_rand_int();
    sb->delta_disks = g_test_rand_int();
    sb->new_layout = g_test_rand_int();
    sb->new_chunk = g_test_rand_int();
    sb->new_offset = g_test_rand_int();
    sb->recovery_offset = g_test_rand_int();
    sb->dev_number = g_test_rand_int_range(0, MD_SUPER_MAX_DEVICES);
    sb->cnt_corrected_read = g_test_rand_int();
    sb->devflags = g_test_rand_int();
    sb->bblog_shift = g_test_rand_int();
    sb->utime = g_test_rand_int();
    sb->events = g_test_rand_int();
    sb->resync_offset = g_test_rand_int();
    sb->max_dev = g_test_rand_int_range(0, MD_SUPER_MAX_DEVICES + 1);
    memset(sb->roles, 0, sizeof(sb->roles));
    for (unsigned i = 0; i < sb->max_dev; i++) {
        sb->roles[i] = g_test_rand_int();
    }
}

static void test_round_trip(void)
{
    MdSuper *sb = g_new(MdSuper, 1);
    MdSuper *out = g_new(MdSuper, 1);

    for (unsigned n = 0; n < 2000; n++) {
        randomise(sb);
        g_assert_cmpint(decode_again(sb, out), ==, MD_SUPER_OK);
        g_assert_cmpmem(sb, sizeof(*sb), out, sizeof(*out));
    }
    g_free(out);
    g_free(sb);
}

/* A table grows as far as nothing lies behind it, and stays valid. */
static void test_add_devices(void)
{
    static const struct {
        uint32_t feature;
        int offset;
        uint32_t most;
    } behind[] = {
        { 0, 0, MD_SUPER_MAX_DEVICES },
        { MD_FEATURE_BITMAP_OFFSET, 8, MD_SUPER_MAX_DEVICES },
        { MD_FEATURE_BITMAP_OFFSET, 2, (1024 - 256) / 2 },
        { MD_FEATURE_BITMAP_OFFSET, 1, (512 - 256) / 2 },
        { MD_FEATURE_PPL, 4, (2048 - 256) / 2 },
        { MD_FEATURE_BAD_BLOCKS, 6, (3072 - 256) / 2 },
    };
    MdSuper *sb = g_new(MdSuper, 1);

    for (unsigned i = 0; i < G_N_ELEMENTS(behind); i++) {
        make(sb, 2);
        sb->feature_map = behind[i].feature;
        if (sb->feature_map & MD_FEATURE_BITMAP_OFFSET) {
            sb->bitmap_offset_sectors = behind[i].offset;
        } else if (sb->feature_map & MD_FEATURE_PPL) {
            sb->ppl_offset_sectors = behind[i].offset;
            sb->ppl_size_sectors = 8;
        } else if (sb->feature_map) {
            sb->bblog_offset_sectors = behind[i].offset;
            sb->bblog_size_sectors = 8;
        }
        memset(&sb->roles[16], 0, 2 * (MD_SUPER_MAX_DEVICES - 16));
        g_assert_cmpuint(md_super_most_devices(sb), ==, behind[i].most);
        g_assert_true(md_super_add_devices(sb, 3));
        g_assert_cmpuint(sb->max_dev, ==, 16);
        g_assert_false(md_super_add_devices(sb, behind[i].most + 1));
        g_assert_cmpuint(sb->max_dev, ==, 16);
        for (uint32_t nr = 16; nr <= behind[i].most; nr++) {
            g_assert_true(md_super_add_devices(sb, nr));
            g_assert_cmpuint(sb->max_dev, ==, nr);
            g_assert_cmpuint(sb->roles[nr - 1], ==, MD_ROLE_SPARE);
        }
        assert_error(sb, MD_SUPER_OK);
    }
    g_free(sb);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-super/torn", test_torn);
    g_test_add_func("/raid/md-super/offset", test_offset);
    g_test_add_func("/raid/md-super/buffer-lengths", test_buffer_lengths);
    g_test_add_func("/raid/md-super/bad-header", test_bad_header);
    g_test_add_func("/raid/md-super/reserved", test_reserved);
    g_test_add_func("/raid/md-super/block-size", test_block_size);
    g_test_add_func("/raid/md-super/bad-offset", test_bad_offset);
    g_test_add_func("/raid/md-super/bad-numbers", test_bad_numbers);
    g_test_add_func("/raid/md-super/bad-data-area", test_bad_data_area);
    g_test_add_func("/raid/md-super/overlap", test_overlap);
    g_test_add_func("/raid/md-super/texts", test_texts);
    g_test_add_func("/raid/md-super/round-trip", test_round_trip);
    g_test_add_func("/raid/md-super/add-devices", test_add_devices);
    return g_test_run();
}
