/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extension: what md's superblock has no room for
 *
 * Owns: the bytes of the block.
 * Must not know: what a journal holds.
 * Threads: any; pure.
 * Keeps: I13 (a journal never overlaps data or superblock).
 *
 *   | ... | super | journal, or nothing | extension | data ................. |
 */
#include "crc32c.h"
#include "extension.h"
#include "le-bytes.h"
#include "stripe-journal.h"

#define MAGIC           UINT64_C(0x545845445253504f)    /* "OPSRDEXT" */
#define VERSION         1

#define AT_MAGIC        0
#define AT_VERSION      8
#define AT_CHECKSUM     12
#define AT_INCOMPAT     16
#define AT_COMPAT       20
#define AT_SET_UUID     32
#define AT_DEVICE_UUID  48
#define AT_JOURNAL      64
#define AT_SECTORS      72

#define BLOCK_SECTORS   (RAID_EXTENSION_BYTES / RAID_SECTOR_BYTES)

const char *raid_extension_error_text(RaidExtensionError err)
{
    static const char *const texts[RAID_EXTENSION__MAX] = {
        [RAID_EXTENSION_OK] = "it is valid",
        [RAID_EXTENSION_NONE] = "there is none",
        [RAID_EXTENSION_BAD_VERSION] = "version is not known",
        [RAID_EXTENSION_BAD_CHECKSUM] = "checksum is wrong",
        [RAID_EXTENSION_FOREIGN] = "it belongs to another member",
        [RAID_EXTENSION_UNKNOWN] = "it has features that are not known here",
        [RAID_EXTENSION_BAD_JOURNAL] = "the journal's place is not free",
    };

    return texts[err];
}

int64_t raid_extension_off(const MdSuper *sb)
{
    /* Only where the superblock comes first is there a gap of ours. */
    if (sb->minor_version == 0 ||
        sb->data_offset_sectors < sb->super_offset_sectors +
                                  2 * BLOCK_SECTORS) {
        return -1;
    }
    return (sb->data_offset_sectors - BLOCK_SECTORS) * RAID_SECTOR_BYTES;
}

bool raid_extension_journal_fits(const MdSuper *sb, uint64_t sector,
                                 uint64_t sectors)
{
    int64_t off = raid_extension_off(sb);
    uint64_t end = off < 0 ? 0 : off / RAID_SECTOR_BYTES;

    return off >= 0 && sector % BLOCK_SECTORS == 0 &&
           sector >= sb->super_offset_sectors + BLOCK_SECTORS &&
           sector <= end && sectors <= end - sector &&
           sectors * RAID_SECTOR_BYTES >= RAID_JOURNAL_MIN_BYTES;
}

/* With the field itself taken as zero. */
static uint32_t checksum(const uint8_t *image)
{
    static const uint8_t zero[4];
    uint32_t crc = raid_crc32c(0, image, AT_CHECKSUM);

    crc = raid_crc32c(crc, zero, sizeof(zero));
    return raid_crc32c(crc, image + AT_CHECKSUM + sizeof(zero),
                       RAID_EXTENSION_BYTES - AT_CHECKSUM - sizeof(zero));
}

RaidExtensionError raid_extension_decode(const void *buf, const MdSuper *sb,
                                         RaidExtension *ext)
{
    const uint8_t *image = buf;

    if (le_get_u64(image, AT_MAGIC) != MAGIC) {
        return RAID_EXTENSION_NONE;
    }
    if (le_get_u32(image, AT_VERSION) != VERSION) {
        return RAID_EXTENSION_BAD_VERSION;
    }
    if (le_get_u32(image, AT_CHECKSUM) != checksum(image)) {
        return RAID_EXTENSION_BAD_CHECKSUM;
    }
    ext->incompat = le_get_u32(image, AT_INCOMPAT);
    ext->compat = le_get_u32(image, AT_COMPAT);
    memcpy(ext->set_uuid, image + AT_SET_UUID, sizeof(ext->set_uuid));
    memcpy(ext->device_uuid, image + AT_DEVICE_UUID,
           sizeof(ext->device_uuid));
    ext->journal_sector = le_get_u64(image, AT_JOURNAL);
    ext->journal_sectors = le_get_u64(image, AT_SECTORS);
    if (memcmp(ext->set_uuid, sb->set_uuid, sizeof(ext->set_uuid)) ||
        memcmp(ext->device_uuid, sb->device_uuid, sizeof(ext->device_uuid))) {
        return RAID_EXTENSION_FOREIGN;
    }
    if (ext->incompat & ~RAID_EXTENSION_KNOWN) {
        return RAID_EXTENSION_UNKNOWN;
    }
    if ((ext->incompat & RAID_EXTENSION_JOURNAL) &&
        !raid_extension_journal_fits(sb, ext->journal_sector,
                                     ext->journal_sectors)) {
        return RAID_EXTENSION_BAD_JOURNAL;
    }
    return RAID_EXTENSION_OK;
}

void raid_extension_encode(const RaidExtension *ext, void *buf)
{
    uint8_t *image = buf;

    memset(image, 0, RAID_EXTENSION_BYTES);
    le_put_u64(image, AT_MAGIC, MAGIC);
    le_put_u32(image, AT_VERSION, VERSION);
    le_put_u32(image, AT_INCOMPAT, ext->incompat);
    le_put_u32(image, AT_COMPAT, ext->compat);
    memcpy(image + AT_SET_UUID, ext->set_uuid, sizeof(ext->set_uuid));
    memcpy(image + AT_DEVICE_UUID, ext->device_uuid,
           sizeof(ext->device_uuid));
    le_put_u64(image, AT_JOURNAL, ext->journal_sector);
    le_put_u64(image, AT_SECTORS, ext->journal_sectors);
    le_put_u32(image, AT_CHECKSUM, checksum(image));
}
