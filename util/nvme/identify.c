/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identify: what an NVMe controller and a namespace say about themselves
 *
 * Owns: the layout of Identify's answers, and what is refused.
 * Must not know: how they were got, what the system below can do.
 * Threads: any; no state.
 *
 * A drive may say anything: nothing that it says makes a shift, a product or an
 * index go astray.
 */
#include <string.h>

#include "util/nvme/identify.h"
#include "util/raid/le-bytes.h"

/* Identify Controller */
#define CTRL_SERIAL             4
#define CTRL_MODEL              24
#define CTRL_MDTS               77
#define CTRL_ONCS               520
#define CTRL_VWC                525
#define ONCS_DSM                (1u << 2)
#define ONCS_WRITE_ZEROES       (1u << 3)
#define VWC_PRESENT             1u

/* Identify Namespace */
#define NS_SIZE                 0
#define NS_FEATURES             24
#define NS_FORMAT               26
#define NS_PROTECTION           29
#define NS_DEALLOCATE           33
#define NS_WRITE_GRANULARITY    64
#define NS_DISCARD_GRANULARITY  68
#define NS_OPTIMAL_WRITE        72
#define NS_ATTRIBUTES           99
#define NS_FORMATS              128
#define FEATURES_OPTIMAL        (1u << 4)
#define PROTECTION_MASK         7u
#define DEALLOCATE_READ_MASK    7u
#define DEALLOCATE_READ_ZERO    1u
#define DEALLOCATE_BY_ZEROES    (1u << 3)
#define ATTRIBUTE_PROTECTED     1u
#define FORMAT_BYTES            4

/* Identify Controller of the NVM command set */
#define NVM_ZERO_LIMIT          1
#define NVM_DISCARD_RANGE       4
#define NVM_DISCARD_TOTAL       8

/* Namespace Identification Descriptors */
#define DESCRIPTOR_HEAD         4
#define DESCRIPTOR_COMMAND_SET  4

#define MIN_BLOCK_SHIFT         9
#define MAX_BLOCK_SHIFT         16
#define DISCARD_RANGE_MAX       UINT32_MAX

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* 2^@power pages in blocks, at least 1; 0 stands for no limit. */
static uint64_t pages_to_blocks(unsigned power, uint32_t page_bytes,
                                uint32_t block_bytes)
{
    uint64_t bytes;

    if (power == 0 || power >= 32) {
        return UINT64_MAX;
    }
    bytes = (uint64_t)page_bytes << power;
    return bytes > block_bytes ? bytes / block_bytes : 1;
}

/* Text that is filled up with blanks; what can't be printed becomes '?'. */
static void copy_text(char *to, const uint8_t *from, size_t chars)
{
    for (size_t i = 0; i < chars; i++) {
        to[i] = from[i] >= ' ' && from[i] < 127 ? from[i] : '?';
    }
    while (chars > 0 && (to[chars - 1] == ' ' || from[chars - 1] == 0)) {
        chars--;
    }
    to[chars] = 0;
}

/* The command set that the namespace speaks; 0, NVM, if none is told. */
static unsigned command_set(const uint8_t *descriptors)
{
    size_t at = 0;

    while (at + DESCRIPTOR_HEAD < NV_IDENTIFY_BYTES) {
        unsigned type = descriptors[at];
        unsigned bytes = descriptors[at + 1];

        if (bytes == 0) {
            break;
        }
        if (type == DESCRIPTOR_COMMAND_SET) {
            return descriptors[at + DESCRIPTOR_HEAD];
        }
        at += DESCRIPTOR_HEAD + bytes;
    }
    return 0;
}

static const char *read_format(const uint8_t *ns, NvLimits *limits)
{
    unsigned index = (ns[NS_FORMAT] & 0xf) | (ns[NS_FORMAT] >> 5 & 3) << 4;
    const uint8_t *format = ns + NS_FORMATS + index * FORMAT_BYTES;
    unsigned shift = format[2];

    if (ns[NS_PROTECTION] & PROTECTION_MASK) {
        return "is formatted with protection information";
    }
    if (le_get_u16(format, 0)) {
        return "is formatted with metadata";
    }
    if (shift < MIN_BLOCK_SHIFT || shift > MAX_BLOCK_SHIFT) {
        return "has blocks of a size that is not from 512 to 65536";
    }
    limits->block_bytes = 1u << shift;
    limits->blocks = le_get_u64(ns, NS_SIZE);
    if (limits->blocks == 0) {
        return "is not active, or has no blocks";
    }
    if (limits->blocks > INT64_MAX / limits->block_bytes) {
        return "is larger than 8 EiB";
    }
    return NULL;
}

static void read_discard(const uint8_t *controller, const uint8_t *nvm,
                         NvLimits *limits)
{
    uint64_t range = nvm ? le_get_u32(nvm, NVM_DISCARD_RANGE) : 0;
    uint64_t total = nvm ? le_get_u64(nvm, NVM_DISCARD_TOTAL) : 0;

    if (!(le_get_u16(controller, CTRL_ONCS) & ONCS_DSM)) {
        return;
    }
    limits->discard_blocks = min_u64(range ? range : DISCARD_RANGE_MAX,
                                     total ? total : DISCARD_RANGE_MAX);
}

/*
 * MDTS does not count for Write Zeroes, but without a limit of its own drives
 * were seen to keep to it, and Linux keeps to it with all.
 */
static void read_zeroes(const uint8_t *controller, const uint8_t *ns,
                        const uint8_t *nvm, uint32_t page_bytes,
                        NvLimits *limits)
{
    unsigned deallocate = ns[NS_DEALLOCATE];
    uint64_t limit = limits->transfer_blocks;

    if (!(le_get_u16(controller, CTRL_ONCS) & ONCS_WRITE_ZEROES)) {
        return;
    }
    if (nvm && nvm[NVM_ZERO_LIMIT]) {
        limit = pages_to_blocks(nvm[NVM_ZERO_LIMIT], page_bytes,
                                limits->block_bytes);
    }
    limits->zero_blocks = min_u64(limit, NV_COMMAND_MAX_BLOCKS);
    limits->zero_deallocates = (deallocate & DEALLOCATE_BY_ZEROES) &&
        (deallocate & DEALLOCATE_READ_MASK) == DEALLOCATE_READ_ZERO;
}

const char *nv_identify(const uint8_t *controller, const uint8_t *ns,
                        const uint8_t *nvm, const uint8_t *descriptors,
                        uint32_t page_bytes, NvLimits *limits)
{
    const char *refusal;

    memset(limits, 0, sizeof(*limits));
    copy_text(limits->serial, controller + CTRL_SERIAL, NV_SERIAL_CHARS);
    copy_text(limits->model, controller + CTRL_MODEL, NV_MODEL_CHARS);
    if (descriptors && command_set(descriptors) != 0) {
        return "is zoned, or not made of blocks";
    }
    refusal = read_format(ns, limits);
    if (refusal) {
        return refusal;
    }
    limits->transfer_blocks = min_u64(
        pages_to_blocks(controller[CTRL_MDTS], page_bytes,
                        limits->block_bytes), NV_COMMAND_MAX_BLOCKS);
    limits->volatile_cache = controller[CTRL_VWC] & VWC_PRESENT;
    limits->write_protected = ns[NS_ATTRIBUTES] & ATTRIBUTE_PROTECTED;
    limits->write_blocks = 1;
    limits->discard_granularity = 1;
    if (ns[NS_FEATURES] & FEATURES_OPTIMAL) {
        limits->write_blocks = le_get_u16(ns, NS_WRITE_GRANULARITY) + 1;
        limits->discard_granularity =
            le_get_u16(ns, NS_DISCARD_GRANULARITY) + 1;
        limits->optimal_blocks = le_get_u16(ns, NS_OPTIMAL_WRITE) + 1;
    }
    read_discard(controller, nvm, limits);
    read_zeroes(controller, ns, nvm, page_bytes, limits);
    return NULL;
}
