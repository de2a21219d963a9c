/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Config: virtio-blk's configuration space, and the features that go with it
 */

#ifndef OPUS_VUB_CONFIG_H
#define OPUS_VUB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* What the guest is told of its disk. */
typedef struct VubConfig {
    uint64_t capacity_bytes;
    uint32_t block_bytes;       /* logical; a power of two >= 512 */
    uint32_t physical_bytes;    /* a power of two times @block_bytes */
    uint32_t min_io_bytes;      /* best for small requests; 0: unknown */
    uint32_t opt_io_bytes;      /* best for large ones; 0: unknown */
    uint32_t max_discard_sectors;
    uint32_t max_zeroes_sectors;
    uint32_t discard_align_bytes;
    unsigned num_queues;
    unsigned seg_max;           /* data buffers in one request */
    bool writable;
    bool volatile_cache;        /* may hold back writes until a flush, */
    bool wce;                   /* and does so now; */
    bool config_wce;            /* the driver may choose that */
} VubConfig;

/* The virtio features that the device offers, vhost-user's left aside. */
uint64_t vub_config_features(const VubConfig *config);

/* Fills @bytes of @space; what is not defined is 0. */
void vub_config_fill(const VubConfig *config, uint8_t *space, unsigned bytes);

/* Where a driver may write, one byte: the "wce" field. */
unsigned vub_config_wce_offset(void);

#endif /* OPUS_VUB_CONFIG_H */
