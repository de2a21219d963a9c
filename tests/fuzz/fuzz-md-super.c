/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/md-super: whatever lies on a device, decoding reads nothing
 * outside the buffer, and what it accepts can be written back byte by byte and
 * keeps I13.
 *
 * Input: what to repair (bits below), the minor version, the member's length
 * (8 bytes, little-endian), then the bytes of the superblock.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"
#include "util/raid/md-super.h"

/* Without these, almost no input would get past the first checks. */
#define REPAIR_MAGIC    1
#define REPAIR_OFFSET   2
#define REPAIR_CHECKSUM 4

#define HEADER_BYTES    10

static uint64_t load64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

static void store32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t sum_of(const uint8_t *image, size_t bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < bytes; i++) {
        sum += (uint64_t)image[i] << (8 * (i % 4));
    }
    return (sum & UINT32_MAX) + (sum >> 32);
}

static void repair(uint8_t *image, size_t bytes, unsigned what, unsigned minor,
                   uint64_t device_bytes)
{
    uint64_t super_sector = md_super_offset(minor, device_bytes) / 512;
    size_t image_bytes;

    if (bytes < 256) {
        return;
    }
    if (what & REPAIR_MAGIC) {
        store32(image, MD_SB_MAGIC);
        store32(image + 4, 1);
    }
    if (what & REPAIR_OFFSET) {
        super_sector = htole64(super_sector);
        memcpy(image + 144, &super_sector, 8);
    }
    image_bytes = 256 + 2 * (size_t)(load64(image + 216) >> 32);
    if ((what & REPAIR_CHECKSUM) && image_bytes <= bytes) {
        store32(image + 216, 0);
        store32(image + 216, sum_of(image, image_bytes));
    }
}

/* No sector of the data area is one of metadata. */
static void check_extent(const MdSuper *sb, int64_t off, int64_t sectors,
                         uint64_t device_sectors)
{
    int64_t start = (int64_t)sb->super_offset_sectors + off;
    int64_t data = sb->data_offset_sectors;

    rule(start >= 0 && sectors > 0 &&
         (uint64_t)(start + sectors) <= device_sectors, "inside the device");
    rule(start + sectors <= data ||
         start >= data + (int64_t)sb->data_size_sectors, "I13");
}

static void check_accepted(const MdSuper *sb, const uint8_t *image,
                           uint64_t device_bytes)
{
    uint8_t *again = malloc(MD_SUPER_MAX_BYTES);
    MdSuper *second = malloc(sizeof(*second));
    size_t bytes = md_super_encode(sb, again);
    uint64_t sectors = device_bytes / 512;

    rule(!memcmp(again, image, bytes), "encoded as it was");
    rule(md_super_decode(again, bytes, sb->minor_version, device_bytes,
                         second) == MD_SUPER_OK, "decoded again");
    rule(!memcmp(sb, second, sizeof(*sb)), "decoded to the same");

    rule(sb->data_offset_sectors + sb->data_size_sectors <= sectors, "data");
    check_extent(sb, 0, (bytes + 511) / 512, sectors);
    if (sb->feature_map & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
        check_extent(sb, sb->ppl_offset_sectors, sb->ppl_size_sectors,
                     sectors);
    } else if (sb->feature_map & MD_FEATURE_BITMAP_OFFSET) {
        check_extent(sb, sb->bitmap_offset_sectors, 1, sectors);
    }
    if (sb->feature_map & MD_FEATURE_BAD_BLOCKS) {
        check_extent(sb, sb->bblog_offset_sectors, sb->bblog_size_sectors,
                     sectors);
    }
    free(second);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    unsigned minor;
    uint64_t device_bytes;
    uint8_t *image;
    MdSuper *sb;

    if (bytes < HEADER_BYTES) {
        return 0;
    }
    minor = data[1] % 4;
    device_bytes = load64(data + 2);
    bytes -= HEADER_BYTES;
    image = malloc(bytes + 1);      /* its own block, for the sanitizer */
    sb = malloc(sizeof(*sb));
    memcpy(image, data + HEADER_BYTES, bytes);
    repair(image, bytes, data[0], minor, device_bytes);

    if (md_super_decode(image, bytes, minor, device_bytes, sb) ==
        MD_SUPER_OK) {
        check_accepted(sb, image, device_bytes);
    }
    free(sb);
    free(image);
    return 0;
}
