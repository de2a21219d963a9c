/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Config: virtio-blk's configuration space, and the features that go with it
 *
 * Owns: the translation from bytes to what each field counts in.
 * Must not know: where the numbers come from.
 * Threads: any.
 *
 * "wce" must not lie: Linux takes wce=0 for a disk without a cache and sends
 * no flush ever after, so that a device which says so and holds back writes
 * all the same loses data that was acknowledged when power fails.
 */

#include "vub-config.h"

#include <glib.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>

#define SECTOR_BYTES 512

uint64_t vub_config_features(const VubConfig *config)
{
    uint64_t features = 1ull << VIRTIO_F_VERSION_1 |
                        1ull << VIRTIO_F_RING_PACKED |
                        1ull << VIRTIO_RING_F_INDIRECT_DESC |
                        1ull << VIRTIO_RING_F_EVENT_IDX |
                        1ull << VIRTIO_BLK_F_SEG_MAX |
                        1ull << VIRTIO_BLK_F_BLK_SIZE |
                        1ull << VIRTIO_BLK_F_TOPOLOGY |
                        1ull << VIRTIO_BLK_F_MQ;

    if (config->writable) {
        features |= 1ull << VIRTIO_BLK_F_DISCARD |
                    1ull << VIRTIO_BLK_F_WRITE_ZEROES;
    } else {
        features |= 1ull << VIRTIO_BLK_F_RO;
    }
    if (config->volatile_cache) {
        features |= 1ull << VIRTIO_BLK_F_FLUSH;
    }
    if (config->volatile_cache && config->config_wce) {
        features |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    }
    return features;
}

void vub_config_fill(const VubConfig *config, uint8_t *space, unsigned bytes)
{
    uint32_t block_bytes = config->block_bytes;
    struct virtio_blk_config cfg = {
        .capacity = GUINT64_TO_LE(config->capacity_bytes / SECTOR_BYTES),
        .seg_max = GUINT32_TO_LE(config->seg_max),
        .blk_size = GUINT32_TO_LE(block_bytes),
        .physical_block_exp = g_bit_nth_lsf(config->physical_bytes /
                                            block_bytes, -1),
        .min_io_size = GUINT16_TO_LE(MIN(config->min_io_bytes / block_bytes,
                                         UINT16_MAX)),
        .opt_io_size = GUINT32_TO_LE(config->opt_io_bytes / block_bytes),
        .wce = config->wce,
        .num_queues = GUINT16_TO_LE(config->num_queues),
        .max_discard_sectors = GUINT32_TO_LE(config->max_discard_sectors),
        .max_discard_seg = GUINT32_TO_LE(1),
        .discard_sector_alignment =
            GUINT32_TO_LE(config->discard_align_bytes / SECTOR_BYTES),
        .max_write_zeroes_sectors = GUINT32_TO_LE(config->max_zeroes_sectors),
        .max_write_zeroes_seg = GUINT32_TO_LE(1),
        .write_zeroes_may_unmap = 1,
    };

    memset(space, 0, bytes);
    memcpy(space, &cfg, MIN(bytes, sizeof(cfg)));
}

unsigned vub_config_wce_offset(void)
{
    return offsetof(struct virtio_blk_config, wce);
}
