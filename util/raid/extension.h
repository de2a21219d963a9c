/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extension: what md's superblock has no room for
 *
 * One block of 4 KiB right in front of a member's data area. It is there only
 * if the superblock has RAID_FEATURE_EXTENSION, which md rejects: so md never
 * writes to such an array, and the block needs no event count that would tell.
 * Pure, no I/O; any thread.
 */
#ifndef UTIL_RAID_EXTENSION_H
#define UTIL_RAID_EXTENSION_H

#include "md-super.h"

/* Of MdSuper.feature_map; neither md nor mdadm knows it, so they refuse it. */
#define RAID_FEATURE_EXTENSION      0x40000000u

#define RAID_EXTENSION_BYTES        4096u

/* Incompatible features: all of them must be known. */
#define RAID_EXTENSION_JOURNAL      1u
#define RAID_EXTENSION_KNOWN        RAID_EXTENSION_JOURNAL

typedef struct RaidExtension {
    uint32_t incompat;              /* RAID_EXTENSION_* */
    uint32_t compat;                /* may be unknown */
    uint8_t set_uuid[16];
    uint8_t device_uuid[16];
    uint64_t journal_sector;        /* from the start of the member */
    uint64_t journal_sectors;
} RaidExtension;

typedef enum RaidExtensionError {
    RAID_EXTENSION_OK,
    RAID_EXTENSION_NONE,            /* no magic, or no room for it */
    RAID_EXTENSION_BAD_VERSION,
    RAID_EXTENSION_BAD_CHECKSUM,
    RAID_EXTENSION_FOREIGN,         /* of another array or member */
    RAID_EXTENSION_UNKNOWN,         /* incompatible features */
    RAID_EXTENSION_BAD_JOURNAL,     /* is not between superblock and data */
    RAID_EXTENSION__MAX,
} RaidExtensionError;

/* A sentence part for messages, e.g. "checksum is wrong". Never NULL. */
const char *raid_extension_error_text(RaidExtensionError err);

/* Where it is on the member, in bytes; -1 when there is no room for it. */
int64_t raid_extension_off(const MdSuper *sb);

/* May a journal be there? It is large enough, and overlaps nothing (I13). */
bool raid_extension_journal_fits(const MdSuper *sb, uint64_t sector,
                                 uint64_t sectors);

/**
 * raid_extension_decode: read and validate
 * @buf: RAID_EXTENSION_BYTES
 * @ext: filled on OK and on UNKNOWN, unspecified otherwise
 */
RaidExtensionError raid_extension_decode(const void *buf, const MdSuper *sb,
                                         RaidExtension *ext);

/* @buf: RAID_EXTENSION_BYTES, wholly overwritten */
void raid_extension_encode(const RaidExtension *ext, void *buf);

#endif /* UTIL_RAID_EXTENSION_H */
