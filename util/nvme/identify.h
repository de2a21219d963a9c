/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identify: what an NVMe controller and a namespace say about themselves
 *
 * From the 4096-byte answers of Identify to one struct of limits in bytes and
 * blocks, which is all that the rest needs to know.
 *
 * Pure; any thread.
 */
#ifndef UTIL_NVME_IDENTIFY_H
#define UTIL_NVME_IDENTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NV_IDENTIFY_BYTES       4096

/* Values of CNS: which answer Identify is to give. */
#define NV_CNS_NAMESPACE        0x00
#define NV_CNS_CONTROLLER       0x01
#define NV_CNS_DESCRIPTORS      0x03
#define NV_CNS_CONTROLLER_NVM   0x06    /* with command set 0 */

/* The smallest page that any controller has; MDTS and others count in pages. */
#define NV_PAGE_BYTES           4096u

/* A length in a command is 16 bits, less one. */
#define NV_COMMAND_MAX_BLOCKS   65536u

#define NV_SERIAL_CHARS         20
#define NV_MODEL_CHARS          40

typedef struct NvLimits {
    uint32_t block_bytes;           /* a power of two from 512 to 65536 */
    uint64_t blocks;
    uint64_t transfer_blocks;       /* of a read or write, at least 1 */
    uint64_t zero_blocks;           /* of Write Zeroes; 0: it has none */
    uint64_t discard_blocks;        /* of a range of DSM; 0: it has none */
    uint32_t write_blocks;          /* best writes are multiples of it */
    uint32_t optimal_blocks;        /* best size of a write, or 0 */
    uint32_t discard_granularity;   /* in blocks, at least 1 */
    bool zero_deallocates;          /* Write Zeroes can, and zeroes follow */
    bool volatile_cache;
    bool write_protected;
    char serial[NV_SERIAL_CHARS + 1];
    char model[NV_MODEL_CHARS + 1];
} NvLimits;

/**
 * nv_identify: judge what a drive has answered
 * @controller, @ns: NV_IDENTIFY_BYTES each
 * @nvm:         what NV_CNS_CONTROLLER_NVM gave, or NULL if it is not known
 * @descriptors: what NV_CNS_DESCRIPTORS gave, or NULL if it is not known
 * @page_bytes:  the controller's smallest page, or NV_PAGE_BYTES
 *
 * Returns NULL, or why such a namespace can't be used, in words that follow
 * "the namespace ".
 */
const char *nv_identify(const uint8_t *controller, const uint8_t *ns,
                        const uint8_t *nvm, const uint8_t *descriptors,
                        uint32_t page_bytes, NvLimits *limits);

#endif /* UTIL_NVME_IDENTIFY_H */
