/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/identify: limits as the standard has them, formats that are
 * refused, and answers that a drive must not give
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/identify.h"

#define ROUNDS  200000

typedef struct Drive {
    uint8_t ctrl[NV_IDENTIFY_BYTES];
    uint8_t ns[NV_IDENTIFY_BYTES];
    uint8_t nvm[NV_IDENTIFY_BYTES];
    uint8_t descriptors[NV_IDENTIFY_BYTES];
    NvLimits limits;
} Drive;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    while (bytes--) {
        *at++ = value;
        value >>= 8;
    }
}

/* 1 GiB in blocks of 512 bytes, MDTS 512 KiB, all commands. */
static Drive *drive_new(void)
{
    Drive *d = g_new0(Drive, 1);

    memset(d->ctrl + 4, ' ', 60);
    memcpy(d->ctrl + 4, "SERIAL", 6);
    memcpy(d->ctrl + 24, "A \x01 drive", 9);
    d->ctrl[77] = 7;
    put(d->ctrl + 520, 0xc, 2);
    d->ctrl[525] = 1;
    put(d->ns, 1 << 21, 8);
    d->ns[33] = 9;
    d->ns[128 + 2] = 9;
    d->ns[132 + 2] = 12;
    d->ns[136 + 0] = 8;
    d->ns[136 + 2] = 9;
    return d;
}

static const char *judge(Drive *d)
{
    return nv_identify(d->ctrl, d->ns, d->nvm, d->descriptors, NV_PAGE_BYTES,
                       &d->limits);
}

static void test_plain(void)
{
    g_autofree Drive *d = drive_new();
    NvLimits *l = &d->limits;

    g_assert_null(judge(d));
    g_assert_cmpstr(l->serial, ==, "SERIAL");
    g_assert_cmpstr(l->model, ==, "A ? drive");
    g_assert_cmpuint(l->block_bytes, ==, 512);
    g_assert_cmpuint(l->blocks, ==, 1 << 21);
    g_assert_cmpuint(l->transfer_blocks, ==, 1024);
    g_assert_cmpuint(l->zero_blocks, ==, 1024);
    g_assert_cmpuint(l->discard_blocks, ==, UINT32_MAX);
    g_assert_cmpuint(l->write_blocks, ==, 1);
    g_assert_cmpuint(l->optimal_blocks, ==, 0);
    g_assert_cmpuint(l->discard_granularity, ==, 1);
    g_assert_true(l->zero_deallocates);
    g_assert_true(l->volatile_cache);
    g_assert_false(l->write_protected);
}

/* Of what was not asked for, or not answered, nothing is known. */
static void test_old_drive(void)
{
    g_autofree Drive *d = drive_new();

    d->ctrl[77] = 0;
    d->ctrl[525] = 0;
    put(d->ctrl + 520, 0, 2);
    g_assert_null(nv_identify(d->ctrl, d->ns, NULL, NULL, NV_PAGE_BYTES,
                              &d->limits));
    g_assert_cmpuint(d->limits.transfer_blocks, ==, NV_COMMAND_MAX_BLOCKS);
    g_assert_cmpuint(d->limits.zero_blocks, ==, 0);
    g_assert_cmpuint(d->limits.discard_blocks, ==, 0);
    g_assert_false(d->limits.zero_deallocates);
    g_assert_false(d->limits.volatile_cache);
}

static void test_limits(void)
{
    g_autofree Drive *d = drive_new();
    NvLimits *l = &d->limits;

    d->ns[26] = 1;                      /* blocks of 4096 */
    d->ns[24] = 1 << 4;
    put(d->ns + 64, 3, 2);
    put(d->ns + 68, 15, 2);
    put(d->ns + 72, 31, 2);
    d->ns[99] = 1;
    d->nvm[1] = 3;                      /* 32 KiB for Write Zeroes */
    put(d->nvm + 4, 1000, 4);
    put(d->nvm + 8, 500, 8);
    g_assert_null(judge(d));
    g_assert_cmpuint(l->block_bytes, ==, 4096);
    g_assert_cmpuint(l->transfer_blocks, ==, 128);
    g_assert_cmpuint(l->zero_blocks, ==, 8);
    g_assert_cmpuint(l->discard_blocks, ==, 500);
    g_assert_cmpuint(l->write_blocks, ==, 4);
    g_assert_cmpuint(l->discard_granularity, ==, 16);
    g_assert_cmpuint(l->optimal_blocks, ==, 32);
    g_assert_true(l->write_protected);
    put(d->nvm + 8, 0, 8);
    g_assert_null(judge(d));
    g_assert_cmpuint(l->discard_blocks, ==, 1000);

    /* Pages that are smaller than a block: one block it is. */
    d->ns[26] = 0x21;                   /* format 17 */
    d->ns[128 + 4 * 17 + 2] = 16;
    d->ctrl[77] = 1;
    g_assert_null(judge(d));
    g_assert_cmpuint(l->block_bytes, ==, 65536);
    g_assert_cmpuint(l->transfer_blocks, ==, 1);
}

/* Deallocated blocks must read as zeroes, and the command be able to. */
static void test_deallocate(void)
{
    g_autofree Drive *d = drive_new();

    for (unsigned dlfeat = 0; dlfeat < 256; dlfeat++) {
        d->ns[33] = dlfeat;
        g_assert_null(judge(d));
        g_assert_cmpint(d->limits.zero_deallocates, ==, dlfeat % 16 == 9);
    }
}

static void assert_refused(Drive *d, const char *why)
{
    g_assert_cmpstr(judge(d), ==, why);
    g_free(d);
}

static void test_refused(void)
{
    Drive *d = drive_new();

    d->ns[26] = 2;
    assert_refused(d, "is formatted with metadata");
    d = drive_new();
    d->ns[29] = 1;
    assert_refused(d, "is formatted with protection information");
    d = drive_new();
    d->ns[128 + 2] = 8;
    assert_refused(d, "has blocks of a size that is not from 512 to 65536");
    d = drive_new();
    d->ns[128 + 2] = 255;
    assert_refused(d, "has blocks of a size that is not from 512 to 65536");
    d = drive_new();
    put(d->ns, 0, 8);
    assert_refused(d, "is not active, or has no blocks");
    d = drive_new();
    put(d->ns, 1ull << 54, 8);
    assert_refused(d, "is larger than 8 EiB");
    d = drive_new();
    memcpy(d->descriptors, "\x02\x10\0\0", 4);
    memcpy(d->descriptors + 20, "\x04\x01\0\0\x02", 5);
    assert_refused(d, "is zoned, or not made of blocks");
    d = drive_new();
    memcpy(d->descriptors, "\x04\x01\0\0\x00", 5);
    assert_refused(d, NULL);
}

static void test_random(void)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        /* A new one, or a field that is refused would stay for good. */
        g_autofree Drive *d = drive_new();
        NvLimits *l = &d->limits;

        for (unsigned n = 0; n < 8; n++) {
            d->ctrl[g_test_rand_int_range(70, 530)] = g_test_rand_int();
            d->ns[g_test_rand_int_range(0, 256)] = g_test_rand_int();
            d->nvm[g_test_rand_int_range(0, 16)] = g_test_rand_int();
            d->descriptors[g_test_rand_int_range(0, 4096)] = g_test_rand_int();
        }
        memset(d->ns + 4, 0, 4);
        d->ns[29] &= ~7;
        if (judge(d)) {
            continue;
        }
        taken++;
        g_assert_cmpuint(l->block_bytes & (l->block_bytes - 1), ==, 0);
        g_assert_cmpuint(l->block_bytes, >=, 512);
        g_assert_cmpuint(l->blocks, >=, 1);
        g_assert_cmpuint(l->blocks, <=, INT64_MAX / l->block_bytes);
        g_assert_cmpuint(l->transfer_blocks, >=, 1);
        g_assert_cmpuint(l->transfer_blocks, <=, NV_COMMAND_MAX_BLOCKS);
        g_assert_cmpuint(l->zero_blocks, <=, NV_COMMAND_MAX_BLOCKS);
        g_assert_cmpuint(l->discard_blocks, <=, UINT32_MAX);
        g_assert_cmpuint(l->write_blocks, >=, 1);
        g_assert_cmpuint(l->discard_granularity, >=, 1);
        g_assert_true(g_str_is_ascii(l->serial));
        g_assert_true(g_str_is_ascii(l->model));
    }
    g_assert_cmpuint(taken, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme-identify/plain", test_plain);
    g_test_add_func("/nvme-identify/old-drive", test_old_drive);
    g_test_add_func("/nvme-identify/limits", test_limits);
    g_test_add_func("/nvme-identify/deallocate", test_deallocate);
    g_test_add_func("/nvme-identify/refused", test_refused);
    g_test_add_func("/nvme-identify/random", test_random);
    return g_test_run();
}
