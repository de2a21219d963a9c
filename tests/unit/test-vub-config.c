/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-config: every field at the place and in the unit that
 * virtio 1.2, 5.2.4, gives it, and the features that go with it.
 */
#include <glib.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "export/vub-config.h"

static const VubConfig disk = {
    .capacity_bytes = 0x123456789aull * 512,
    .block_bytes = 1024,
    .physical_bytes = 8192,
    .min_io_bytes = 64 << 10,
    .opt_io_bytes = 768 << 10,
    .max_discard_sectors = 0x11223344,
    .max_zeroes_sectors = 0x55667788,
    .discard_align_bytes = 4096,
    .num_queues = 0x1ff,
    .seg_max = 126,
    .writable = true,
    .volatile_cache = true,
    .wce = true,
    .config_wce = true,
};

static uint64_t field(const uint8_t *space, unsigned off, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes--) {
        value = value << 8 | space[off + bytes];
    }
    return value;
}

static void test_fields(void)
{
    uint8_t space[256];

    memset(space, 0xff, sizeof(space));
    vub_config_fill(&disk, space, sizeof(space));
    g_assert_cmphex(field(space, 0, 8), ==, 0x123456789aull);
    g_assert_cmpuint(field(space, 8, 4), ==, 0);        /* size_max */
    g_assert_cmpuint(field(space, 12, 4), ==, 126);
    g_assert_cmpuint(field(space, 16, 4), ==, 0);       /* geometry */
    g_assert_cmpuint(field(space, 20, 4), ==, 1024);
    g_assert_cmpuint(field(space, 24, 1), ==, 3);
    g_assert_cmpuint(field(space, 25, 1), ==, 0);       /* alignment_offset */
    g_assert_cmpuint(field(space, 26, 2), ==, 64);
    g_assert_cmpuint(field(space, 28, 4), ==, 768);
    g_assert_cmpuint(field(space, 32, 1), ==, 1);
    g_assert_cmpuint(field(space, 34, 2), ==, 0x1ff);
    g_assert_cmphex(field(space, 36, 4), ==, 0x11223344);
    g_assert_cmpuint(field(space, 40, 4), ==, 1);
    g_assert_cmpuint(field(space, 44, 4), ==, 8);
    g_assert_cmphex(field(space, 48, 4), ==, 0x55667788);
    g_assert_cmpuint(field(space, 52, 4), ==, 1);
    g_assert_cmpuint(field(space, 56, 1), ==, 1);
    for (unsigned i = sizeof(struct virtio_blk_config); i < 256; i++) {
        g_assert_cmphex(space[i], ==, 0);
    }
    g_assert_cmpuint(vub_config_wce_offset(), ==, 32);
}

/* A driver may ask for less. */
static void test_short(void)
{
    uint8_t space[256], part[256];

    vub_config_fill(&disk, space, sizeof(space));
    for (unsigned bytes = 0; bytes < 256; bytes++) {
        memset(part, 0xee, sizeof(part));
        vub_config_fill(&disk, part, bytes);
        g_assert_cmpmem(part, bytes, space, bytes);
        for (unsigned i = bytes; i < 256; i++) {
            g_assert_cmphex(part[i], ==, 0xee);
        }
    }
}

static void test_edges(void)
{
    VubConfig config = disk;
    uint8_t space[64];

    config.block_bytes = 512;
    config.physical_bytes = 512;
    config.min_io_bytes = 64 << 20;
    config.opt_io_bytes = 0;
    config.capacity_bytes = 512;
    config.wce = false;
    vub_config_fill(&config, space, sizeof(space));
    g_assert_cmpuint(field(space, 0, 8), ==, 1);
    g_assert_cmpuint(field(space, 24, 1), ==, 0);
    g_assert_cmpuint(field(space, 26, 2), ==, UINT16_MAX);
    g_assert_cmpuint(field(space, 28, 4), ==, 0);
    g_assert_cmpuint(field(space, 32, 1), ==, 0);
}

static bool offered(const VubConfig *config, unsigned bit)
{
    return vub_config_features(config) & 1ull << bit;
}

static void test_features(void)
{
    static const unsigned always[] = {
        VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED, VIRTIO_RING_F_INDIRECT_DESC,
        VIRTIO_RING_F_EVENT_IDX, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE,
        VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_MQ,
    };

    for (unsigned i = 0; i < 16; i++) {
        VubConfig config = disk;

        config.writable = i & 1;
        config.volatile_cache = i & 2;
        config.wce = i & 4;
        config.config_wce = i & 8;
        for (unsigned j = 0; j < G_N_ELEMENTS(always); j++) {
            g_assert_true(offered(&config, always[j]));
        }
        g_assert_cmpint(offered(&config, VIRTIO_BLK_F_RO), ==, !(i & 1));
        g_assert_cmpint(offered(&config, VIRTIO_BLK_F_DISCARD), ==, i & 1);
        g_assert_cmpint(offered(&config, VIRTIO_BLK_F_WRITE_ZEROES), ==,
                        i & 1);
        g_assert_cmpint(offered(&config, VIRTIO_BLK_F_FLUSH), ==, !!(i & 2));
        g_assert_cmpint(offered(&config, VIRTIO_BLK_F_CONFIG_WCE), ==,
                        (i & 2) && (i & 8));
        g_assert_false(offered(&config, VIRTIO_BLK_F_SIZE_MAX));
        g_assert_false(offered(&config, 16));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-config/fields", test_fields);
    g_test_add_func("/export/vub-config/short", test_short);
    g_test_add_func("/export/vub-config/edges", test_edges);
    g_test_add_func("/export/vub-config/features", test_features);
    return g_test_run();
}
