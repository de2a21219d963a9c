/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-super: the version 1 superblock of Linux md
 *
 * On disk it is struct mdp_superblock_1 of <linux/raid/md_p.h>, little-endian,
 * 256 bytes and two more for each device number. Here it is a struct in host
 * order that holds every field, so that what is read can be written back.
 * Sectors are 512 bytes. Pure; any thread.
 */
#ifndef UTIL_RAID_MD_SUPER_H
#define UTIL_RAID_MD_SUPER_H

#include "raid-types.h"

/* A superblock never takes more than this on disk (the kernel's limit). */
#define MD_SUPER_MAX_BYTES      4096
#define MD_SUPER_MAX_DEVICES    ((MD_SUPER_MAX_BYTES - 256) / 2)

/* Values of roles[] that are no slot. */
#define MD_ROLE_SPARE           0xffff
#define MD_ROLE_FAULTY          0xfffe
#define MD_ROLE_JOURNAL         0xfffd
#define MD_ROLE_MAX             0xff00  /* slots are below */

/* resync_offset of an array whose redundancy is right everywhere. */
#define MD_RESYNC_DONE          UINT64_MAX

typedef struct MdSuper {
    /* The array */
    unsigned minor_version;         /* 0: at the end, 1: start, 2: 4 KiB in */
    uint32_t feature_map;           /* MD_FEATURE_* */
    uint8_t set_uuid[16];
    char set_name[33];              /* NUL-terminated here */
    uint64_t ctime;                 /* low 40 bits seconds, then microseconds */
    int32_t level;
    uint32_t layout;
    uint64_t size_sectors;          /* used on each member */
    uint32_t chunk_sectors;
    uint32_t raid_disks;
    uint32_t block_bytes;           /* the disk's logical block; 0: not set */
    int32_t bitmap_offset_sectors;  /* from superblock; with FEATURE_BITMAP */
    int16_t ppl_offset_sectors;     /* same bytes; with FEATURE_PPL */
    uint16_t ppl_size_sectors;

    /* Reshape */
    uint32_t new_level;
    uint64_t reshape_position;
    uint32_t delta_disks;
    uint32_t new_layout;
    uint32_t new_chunk;
    uint32_t new_offset;

    /* This member */
    uint64_t data_offset_sectors;
    uint64_t data_size_sectors;
    uint64_t super_offset_sectors;
    uint64_t recovery_offset;       /* or journal_tail */
    uint32_t dev_number;            /* index in roles[] */
    uint32_t cnt_corrected_read;
    uint8_t device_uuid[16];
    uint8_t devflags;
    uint8_t bblog_shift;
    uint16_t bblog_size_sectors;
    int32_t bblog_offset_sectors;   /* from the superblock */

    /* State */
    uint64_t utime;
    uint64_t events;
    uint64_t resync_offset;         /* sectors; MD_RESYNC_DONE when clean */
    uint32_t max_dev;
    uint16_t roles[MD_SUPER_MAX_DEVICES];

    /* Not on disk: the byte that decoding objected to; 0 without an error */
    uint16_t error_at;
} MdSuper;

/* Those that come later have been found with more of it understood. */
typedef enum MdSuperError {
    MD_SUPER_OK,
    MD_SUPER_NONE,                  /* no magic: nothing of md's here */
    MD_SUPER_BAD_VERSION,           /* major version is not 1 */
    MD_SUPER_BAD_CHECKSUM,
    MD_SUPER_BAD_OFFSET,            /* it says that it lies elsewhere */
    MD_SUPER_BAD_MAX_DEV,
    MD_SUPER_BAD_DEV_NUMBER,
    MD_SUPER_BAD_DATA_AREA,         /* outside the member, or empty */
    MD_SUPER_OVERLAP,               /* metadata inside the data area */
    MD_SUPER_BAD_CHUNK,
    MD_SUPER_BAD_SLOTS,             /* none, or too many */
    MD_SUPER_BAD_BLOCK,             /* logical block: no such size */
    MD_SUPER_UNKNOWN_FIELD,         /* bytes set that md reserves (pad) */
    MD_SUPER__MAX,
} MdSuperError;

/* A sentence part for messages, e.g. "checksum is wrong". Never NULL. */
const char *md_super_error_text(MdSuperError err);

/* What the kernel's header calls the field at MdSuper.error_at. Never NULL. */
const char *md_super_field_name(unsigned at);

/**
 * md_super_offset: byte offset of a superblock of version 1.@minor
 *
 * 1.0: the last 4 KiB boundary that leaves 8 KiB behind it, as md computes it.
 * Returns UINT64_MAX when the member is too short for one (below 12 KiB, for
 * every version) or @minor is none of 0, 1 and 2.
 */
uint64_t md_super_offset(unsigned minor, uint64_t device_bytes);

/**
 * md_super_decode: read and validate
 * @buf:          the bytes at md_super_offset(); @buf_bytes >= 256, less than
 *                a whole superblock is MD_SUPER_BAD_MAX_DEV
 * @device_bytes: size of the member
 * @sb:           filled on MD_SUPER_OK; otherwise only error_at is
 *
 * Checks everything that can be checked on one member alone, so that I13
 * holds: superblock, bitmap, bad-block log and PPL, as far as they are there,
 * lie inside the member and outside its data area. Of the bitmap only the
 * start can be checked: its length is not in the superblock. Unknown feature
 * bits are no error here: raid_assemble() refuses them by name.
 */
MdSuperError md_super_decode(const void *buf, size_t buf_bytes,
                             unsigned minor, uint64_t device_bytes,
                             MdSuper *sb);

/**
 * md_super_encode: write a superblock image with its checksum
 * @buf: MD_SUPER_MAX_BYTES, wholly overwritten (zeros behind the image)
 *
 * Returns the bytes of the image. Write no more sectors than these take: in
 * version 1.0 a bitmap may start 1 KiB behind the start of the superblock.
 */
size_t md_super_encode(const MdSuper *sb, void *buf);

/**
 * md_super_add_devices: have room for @nr device numbers
 *
 * The new ones are spares. Returns false, and changes nothing, when there is
 * no room: then max_dev says how many there are.
 */
bool md_super_add_devices(MdSuper *sb, uint32_t nr);

/* How many device numbers md_super_add_devices() could make room for. */
uint32_t md_super_most_devices(const MdSuper *sb);

/* This member's entry in its own roles[]. */
static inline uint16_t md_super_role(const MdSuper *sb)
{
    return sb->dev_number < sb->max_dev ? sb->roles[sb->dev_number]
                                        : MD_ROLE_SPARE;
}

#endif /* UTIL_RAID_MD_SUPER_H */
