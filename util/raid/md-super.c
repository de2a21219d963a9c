/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-super: encode, decode and validate the version 1 superblock
 *
 * Owns: the byte layout of struct mdp_superblock_1, its checksum, and all
 * that can be said about one member from its superblock alone.
 * Must not know: other members, how an array is put together, how the bytes
 * got into memory.
 * Threads: any; nothing here has state.
 * Keeps: I13 (metadata never overlaps the data area).
 *
 * The buffer is hostile: every number in it is range-checked before it is
 * used, and the struct of the kernel header serves only for offsetof(). It is
 * older than some of what kernels write: see AT_BLOCK_BYTES.
 *
 *   1.0  | data ......................... | bitmap, log | super | tail |
 *   1.1  | super | bitmap, log, PPL | data ........................... |
 *   1.2  | 4 KiB | super | bitmap, log, PPL | data ................... |
 */
#include <assert.h>
#include <endian.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "le-bytes.h"
#include "md-super.h"

#define SB_FIXED_BYTES      256
#define SB_RESERVED_SECTORS (MD_SUPER_MAX_BYTES / RAID_SECTOR_BYTES)

/* md and mdadm take no smaller member, whatever the version. */
#define MIN_MEMBER_SECTORS  24
#define MIN_DATA_SECTORS    10

/* The kernel holds the bad-block log in one page. */
#define MAX_BBLOG_SECTORS   8

/*
 * Since Linux 6.19 the array's logical block size, which headers from before
 * have as padding; those bytes are still behind it.
 */
#define AT_BLOCK_BYTES      224
#define AT_PAD3             228

/* Any sector size that a kernel could have as its page. */
#define MAX_BLOCK_BYTES     65536

#define OFFSET_OF(field)    offsetof(struct mdp_superblock_1, field)
#define CHECK_OFFSET(field, bytes) \
    _Static_assert(OFFSET_OF(field) == (bytes), #field " moved")

_Static_assert(sizeof(struct mdp_superblock_1) == SB_FIXED_BYTES, "size");
CHECK_OFFSET(level, 72);
CHECK_OFFSET(bitmap_offset, 96);
CHECK_OFFSET(data_offset, 128);
CHECK_OFFSET(device_uuid, 168);
CHECK_OFFSET(utime, 192);
CHECK_OFFSET(sb_csum, 216);
CHECK_OFFSET(max_dev, 220);
CHECK_OFFSET(dev_roles, SB_FIXED_BYTES);

/*
 * Little-endian loads and stores at a byte offset, whatever the alignment.
 */

/* Superblocks are as long as they have device numbers. */
static size_t image_bytes(uint32_t max_dev)
{
    return SB_FIXED_BYTES + 2 * (size_t)max_dev;
}

/*
 * The sum of all 32-bit words, the checksum's own left out, with the carries
 * added back in once. An odd number of roles leaves half a word at the end.
 */
static uint32_t checksum(const uint8_t *image, size_t bytes)
{
    uint64_t sum = 0;
    size_t at;

    for (at = 0; at + 4 <= bytes; at += 4) {
        if (at != OFFSET_OF(sb_csum)) {
            sum += le_get_u32(image, at);
        }
    }
    if (at < bytes) {
        sum += le_get_u16(image, at);
    }
    return (uint32_t)sum + (uint32_t)(sum >> 32);
}

const char *md_super_error_text(MdSuperError err)
{
    static const char *const texts[MD_SUPER__MAX] = {
        [MD_SUPER_OK] = "superblock is valid",
        [MD_SUPER_NONE] = "no md superblock",
        [MD_SUPER_BAD_VERSION] = "superblock version is not supported",
        [MD_SUPER_BAD_CHECKSUM] = "superblock checksum is wrong",
        [MD_SUPER_BAD_OFFSET] = "superblock belongs to another place",
        [MD_SUPER_BAD_MAX_DEV] = "superblock has too many device numbers",
        [MD_SUPER_BAD_DEV_NUMBER] = "superblock's device number is too large",
        [MD_SUPER_BAD_DATA_AREA] =
            "data area is empty or does not lie inside the device",
        [MD_SUPER_OVERLAP] =
            "metadata overlap the data area or lie outside the device",
        [MD_SUPER_BAD_CHUNK] = "chunk size is nonsensical",
        [MD_SUPER_BAD_SLOTS] = "number of slots is nonsensical",
        [MD_SUPER_BAD_BLOCK] = "logical block size is nonsensical",
        [MD_SUPER_UNKNOWN_FIELD] =
            "superblock uses bytes that are reserved as far as is known here",
    };

    if ((unsigned)err >= MD_SUPER__MAX) {
        return "unknown superblock error";
    }
    return texts[err];
}

const char *md_super_field_name(unsigned at)
{
    static const struct {
        unsigned at;
        const char *name;
    } fields[] = {
        { OFFSET_OF(magic), "magic" },
        { OFFSET_OF(major_version), "major_version" },
        { OFFSET_OF(chunksize), "chunksize" },
        { OFFSET_OF(raid_disks), "raid_disks" },
        { OFFSET_OF(bitmap_offset), "bitmap_offset or ppl" },
        { OFFSET_OF(data_offset), "data_offset" },
        { OFFSET_OF(super_offset), "super_offset" },
        { OFFSET_OF(dev_number), "dev_number" },
        { OFFSET_OF(bblog_offset), "bblog_offset" },
        { OFFSET_OF(sb_csum), "sb_csum" },
        { OFFSET_OF(max_dev), "max_dev" },
        { AT_BLOCK_BYTES, "logical_block_size" },
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].at == at) {
            return fields[i].name;
        }
    }
    return "reserved";
}

uint64_t md_super_offset(unsigned minor, uint64_t device_bytes)
{
    uint64_t sectors = device_bytes / RAID_SECTOR_BYTES;

    if (sectors < MIN_MEMBER_SECTORS) {
        return UINT64_MAX;
    }
    switch (minor) {
    case 0:
        return ((sectors - 16) & ~(uint64_t)7) * RAID_SECTOR_BYTES;
    case 1:
        return 0;
    case 2:
        return 4096;
    default:
        return UINT64_MAX;
    }
}

/* What all members of an array have in common. */
static void load_array_fields(const uint8_t *image, MdSuper *sb)
{
    sb->feature_map = le_get_u32(image, OFFSET_OF(feature_map));
    memcpy(sb->set_uuid, image + OFFSET_OF(set_uuid), sizeof(sb->set_uuid));
    /* All 32 bytes, even behind a NUL: they are written back. */
    memcpy(sb->set_name, image + OFFSET_OF(set_name), 32);
    sb->ctime = le_get_u64(image, OFFSET_OF(ctime));
    sb->level = (int32_t)le_get_u32(image, OFFSET_OF(level));
    sb->layout = le_get_u32(image, OFFSET_OF(layout));
    sb->size_sectors = le_get_u64(image, OFFSET_OF(size));
    sb->chunk_sectors = le_get_u32(image, OFFSET_OF(chunksize));
    sb->raid_disks = le_get_u32(image, OFFSET_OF(raid_disks));
    sb->block_bytes = le_get_u32(image, AT_BLOCK_BYTES);

    /* A union: which view counts is up to the feature bits. */
    sb->bitmap_offset_sectors =
        (int32_t)le_get_u32(image, OFFSET_OF(bitmap_offset));
    sb->ppl_offset_sectors = (int16_t)le_get_u16(image, OFFSET_OF(ppl.offset));
    sb->ppl_size_sectors = le_get_u16(image, OFFSET_OF(ppl.size));

    sb->new_level = le_get_u32(image, OFFSET_OF(new_level));
    sb->reshape_position = le_get_u64(image, OFFSET_OF(reshape_position));
    sb->delta_disks = le_get_u32(image, OFFSET_OF(delta_disks));
    sb->new_layout = le_get_u32(image, OFFSET_OF(new_layout));
    sb->new_chunk = le_get_u32(image, OFFSET_OF(new_chunk));
    sb->new_offset = le_get_u32(image, OFFSET_OF(new_offset));
}

/* What each member has for itself, and the state at the last update. */
static void load_member_fields(const uint8_t *image, MdSuper *sb)
{
    sb->data_offset_sectors = le_get_u64(image, OFFSET_OF(data_offset));
    sb->data_size_sectors = le_get_u64(image, OFFSET_OF(data_size));
    sb->super_offset_sectors = le_get_u64(image, OFFSET_OF(super_offset));
    sb->recovery_offset = le_get_u64(image, OFFSET_OF(recovery_offset));
    sb->dev_number = le_get_u32(image, OFFSET_OF(dev_number));
    sb->cnt_corrected_read = le_get_u32(image, OFFSET_OF(cnt_corrected_read));
    memcpy(sb->device_uuid, image + OFFSET_OF(device_uuid),
           sizeof(sb->device_uuid));
    sb->devflags = image[OFFSET_OF(devflags)];
    sb->bblog_shift = image[OFFSET_OF(bblog_shift)];
    sb->bblog_size_sectors = le_get_u16(image, OFFSET_OF(bblog_size));
    sb->bblog_offset_sectors =
        (int32_t)le_get_u32(image, OFFSET_OF(bblog_offset));

    sb->utime = le_get_u64(image, OFFSET_OF(utime));
    sb->events = le_get_u64(image, OFFSET_OF(events));
    sb->resync_offset = le_get_u64(image, OFFSET_OF(resync_offset));
    sb->max_dev = le_get_u32(image, OFFSET_OF(max_dev));
    for (uint32_t i = 0; i < sb->max_dev; i++) {
        sb->roles[i] = le_get_u16(image, OFFSET_OF(dev_roles) + 2 * i);
    }
}

/* Which of the two decides only how many logs the space is cut into. */
static bool has_ppl(const MdSuper *sb)
{
    return sb->feature_map & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS);
}

/* A run of sectors of the member. */
typedef struct Extent {
    int64_t start;
    int64_t end;
    unsigned said_at;               /* in the superblock */
} Extent;

static bool overlap(Extent a, Extent b)
{
    return a.start < b.end && b.start < a.end;
}

/*
 * Metadata besides the superblock, placed relative to it. The bitmap's length
 * is not recorded here, so only its first sector can be checked. Space that is
 * set aside for a bad-block log counts even while the log is not in use.
 */
static unsigned list_extras(const MdSuper *sb, Extent extras[2])
{
    int64_t super = sb->super_offset_sectors;
    unsigned n = 0;

    if (has_ppl(sb)) {
        int64_t start = super + sb->ppl_offset_sectors;
        extras[n++] = (Extent) { start, start + sb->ppl_size_sectors,
                                 OFFSET_OF(ppl) };
    } else if (sb->feature_map & MD_FEATURE_BITMAP_OFFSET) {
        int64_t start = super + sb->bitmap_offset_sectors;
        extras[n++] = (Extent) { start, start + 1, OFFSET_OF(bitmap_offset) };
    }
    if ((sb->bblog_offset_sectors && sb->bblog_size_sectors) ||
        (sb->feature_map & MD_FEATURE_BAD_BLOCKS)) {
        int64_t start = super + sb->bblog_offset_sectors;
        extras[n++] = (Extent) { start, start + sb->bblog_size_sectors,
                                 OFFSET_OF(bblog_offset) };
    }
    return n;
}

static MdSuperError objection(MdSuper *sb, MdSuperError err, unsigned at)
{
    sb->error_at = at;
    return err;
}

/*
 * I13, given that superblock and data area each lie inside the member. Room
 * for the largest superblock is kept free of data; bitmap and log may follow
 * the one that is there directly, as version 1.0 has it.
 */
static MdSuperError check_extents(MdSuper *sb, int64_t member_sectors)
{
    int64_t super = sb->super_offset_sectors;
    int64_t used = (image_bytes(sb->max_dev) + RAID_SECTOR_BYTES - 1)
                   / RAID_SECTOR_BYTES;
    Extent data = {
        sb->data_offset_sectors,
        sb->data_offset_sectors + sb->data_size_sectors,
        OFFSET_OF(data_offset)
    };
    Extent room = { super, super + SB_RESERVED_SECTORS,
                    OFFSET_OF(super_offset) };
    Extent image = { super, super + used, OFFSET_OF(max_dev) };
    Extent extras[2];
    unsigned n = list_extras(sb, extras);

    if (overlap(room, data)) {
        return objection(sb, MD_SUPER_OVERLAP, data.said_at);
    }
    for (unsigned i = 0; i < n; i++) {
        if (extras[i].start < 0 || extras[i].end > member_sectors ||
            extras[i].start == extras[i].end ||
            overlap(extras[i], data) || overlap(extras[i], image)) {
            return objection(sb, MD_SUPER_OVERLAP, extras[i].said_at);
        }
    }
    if ((n == 2 && overlap(extras[0], extras[1])) ||
        ((sb->feature_map & MD_FEATURE_BAD_BLOCKS) &&
         sb->bblog_size_sectors > MAX_BBLOG_SECTORS)) {
        return objection(sb, MD_SUPER_OVERLAP, OFFSET_OF(bblog_offset));
    }
    return MD_SUPER_OK;
}

static bool block_is_possible(uint32_t bytes)
{
    return bytes == 0 ||
           (bytes >= RAID_SECTOR_BYTES && bytes <= MAX_BLOCK_BYTES &&
            !(bytes & (bytes - 1)));
}

/* Subtracting instead of adding, so that no number is too large to check. */
static MdSuperError check_fields(MdSuper *sb, uint64_t device_bytes)
{
    uint64_t sectors = device_bytes / RAID_SECTOR_BYTES;

    /* Between max_dev and this limit it is a spare, see md_super_role(). */
    if (sb->dev_number >= MD_SUPER_MAX_DEVICES) {
        return objection(sb, MD_SUPER_BAD_DEV_NUMBER, OFFSET_OF(dev_number));
    }
    if (sb->data_size_sectors < MIN_DATA_SECTORS ||
        sb->data_offset_sectors > sectors ||
        sb->data_size_sectors > sectors - sb->data_offset_sectors) {
        return objection(sb, MD_SUPER_BAD_DATA_AREA, OFFSET_OF(data_offset));
    }
    /* A chunk's bytes fit 32 bits; which values make sense is up to level. */
    if (sb->raid_disks == 0 || sb->raid_disks > MD_SUPER_MAX_DEVICES) {
        return objection(sb, MD_SUPER_BAD_SLOTS, OFFSET_OF(raid_disks));
    }
    if (sb->chunk_sectors > UINT32_MAX / RAID_SECTOR_BYTES) {
        return objection(sb, MD_SUPER_BAD_CHUNK, OFFSET_OF(chunksize));
    }
    if (!block_is_possible(sb->block_bytes)) {
        return objection(sb, MD_SUPER_BAD_BLOCK, AT_BLOCK_BYTES);
    }
    return check_extents(sb, sectors);
}

/* Newer kernels give reserved bytes a meaning without a feature bit. */
static unsigned first_reserved_set(const uint8_t *image)
{
    for (size_t at = 0; at < sizeof(uint32_t); at++) {
        if (image[OFFSET_OF(pad0) + at]) {
            return OFFSET_OF(pad0) + at;
        }
    }
    for (size_t at = AT_PAD3; at < SB_FIXED_BYTES; at++) {
        if (image[at]) {
            return at;
        }
    }
    return 0;
}

/*
 * Is it one, and whole? A wrong checksum has to be told from nonsense that was
 * written on purpose, because a torn write looks like the former.
 */
static MdSuperError check_whole(const uint8_t *image, size_t buf_bytes,
                                unsigned minor, MdSuper *sb)
{
    uint32_t max_dev;

    if (buf_bytes < SB_FIXED_BYTES) {
        return objection(sb, MD_SUPER_BAD_MAX_DEV, OFFSET_OF(max_dev));
    }
    if (le_get_u32(image, OFFSET_OF(magic)) != MD_SB_MAGIC) {
        return objection(sb, MD_SUPER_NONE, OFFSET_OF(magic));
    }
    if (minor > 2 || le_get_u32(image, OFFSET_OF(major_version)) != 1) {
        return objection(sb, MD_SUPER_BAD_VERSION, OFFSET_OF(major_version));
    }
    max_dev = le_get_u32(image, OFFSET_OF(max_dev));
    if (max_dev > MD_SUPER_MAX_DEVICES || image_bytes(max_dev) > buf_bytes) {
        return objection(sb, MD_SUPER_BAD_MAX_DEV, OFFSET_OF(max_dev));
    }
    if (checksum(image, image_bytes(max_dev)) !=
        le_get_u32(image, OFFSET_OF(sb_csum))) {
        return objection(sb, MD_SUPER_BAD_CHECKSUM, OFFSET_OF(sb_csum));
    }
    return MD_SUPER_OK;
}

/* Only when it is whole, what it says. */
MdSuperError md_super_decode(const void *buf, size_t buf_bytes,
                             unsigned minor, uint64_t device_bytes,
                             MdSuper *sb)
{
    const uint8_t *image = buf;
    uint64_t super_off = md_super_offset(minor, device_bytes);
    MdSuperError err = check_whole(image, buf_bytes, minor, sb);

    if (err != MD_SUPER_OK) {
        return err;
    }
    if (first_reserved_set(image)) {
        return objection(sb, MD_SUPER_UNKNOWN_FIELD,
                         first_reserved_set(image));
    }

    memset(sb, 0, sizeof(*sb));
    sb->minor_version = minor;
    load_array_fields(image, sb);
    load_member_fields(image, sb);
    if (super_off == UINT64_MAX ||
        sb->super_offset_sectors != super_off / RAID_SECTOR_BYTES) {
        return objection(sb, MD_SUPER_BAD_OFFSET, OFFSET_OF(super_offset));
    }
    return check_fields(sb, device_bytes);
}

static void store_array_fields(const MdSuper *sb, uint8_t *image)
{
    le_put_u32(image, OFFSET_OF(magic), MD_SB_MAGIC);
    le_put_u32(image, OFFSET_OF(major_version), 1);
    le_put_u32(image, OFFSET_OF(feature_map), sb->feature_map);
    memcpy(image + OFFSET_OF(set_uuid), sb->set_uuid, sizeof(sb->set_uuid));
    memcpy(image + OFFSET_OF(set_name), sb->set_name, 32);
    le_put_u64(image, OFFSET_OF(ctime), sb->ctime);
    le_put_u32(image, OFFSET_OF(level), sb->level);
    le_put_u32(image, OFFSET_OF(layout), sb->layout);
    le_put_u64(image, OFFSET_OF(size), sb->size_sectors);
    le_put_u32(image, OFFSET_OF(chunksize), sb->chunk_sectors);
    le_put_u32(image, OFFSET_OF(raid_disks), sb->raid_disks);
    le_put_u32(image, AT_BLOCK_BYTES, sb->block_bytes);
    if (has_ppl(sb)) {
        le_put_u16(image, OFFSET_OF(ppl.offset), sb->ppl_offset_sectors);
        le_put_u16(image, OFFSET_OF(ppl.size), sb->ppl_size_sectors);
    } else {
        le_put_u32(image, OFFSET_OF(bitmap_offset), sb->bitmap_offset_sectors);
    }
    le_put_u32(image, OFFSET_OF(new_level), sb->new_level);
    le_put_u64(image, OFFSET_OF(reshape_position), sb->reshape_position);
    le_put_u32(image, OFFSET_OF(delta_disks), sb->delta_disks);
    le_put_u32(image, OFFSET_OF(new_layout), sb->new_layout);
    le_put_u32(image, OFFSET_OF(new_chunk), sb->new_chunk);
    le_put_u32(image, OFFSET_OF(new_offset), sb->new_offset);
}

static void store_member_fields(const MdSuper *sb, uint8_t *image)
{
    le_put_u64(image, OFFSET_OF(data_offset), sb->data_offset_sectors);
    le_put_u64(image, OFFSET_OF(data_size), sb->data_size_sectors);
    le_put_u64(image, OFFSET_OF(super_offset), sb->super_offset_sectors);
    le_put_u64(image, OFFSET_OF(recovery_offset), sb->recovery_offset);
    le_put_u32(image, OFFSET_OF(dev_number), sb->dev_number);
    le_put_u32(image, OFFSET_OF(cnt_corrected_read), sb->cnt_corrected_read);
    memcpy(image + OFFSET_OF(device_uuid), sb->device_uuid,
           sizeof(sb->device_uuid));
    image[OFFSET_OF(devflags)] = sb->devflags;
    image[OFFSET_OF(bblog_shift)] = sb->bblog_shift;
    le_put_u16(image, OFFSET_OF(bblog_size), sb->bblog_size_sectors);
    le_put_u32(image, OFFSET_OF(bblog_offset), sb->bblog_offset_sectors);

    le_put_u64(image, OFFSET_OF(utime), sb->utime);
    le_put_u64(image, OFFSET_OF(events), sb->events);
    le_put_u64(image, OFFSET_OF(resync_offset), sb->resync_offset);
    le_put_u32(image, OFFSET_OF(max_dev), sb->max_dev);
    for (uint32_t i = 0; i < sb->max_dev; i++) {
        le_put_u16(image, OFFSET_OF(dev_roles) + 2 * i, sb->roles[i]);
    }
}

/* Reserved bytes become 0, as md wants them; decoding let no others through. */
size_t md_super_encode(const MdSuper *sb, void *buf)
{
    uint8_t *image = buf;
    size_t bytes = image_bytes(sb->max_dev);

    assert(sb->max_dev <= MD_SUPER_MAX_DEVICES);
    memset(image, 0, MD_SUPER_MAX_BYTES);
    store_array_fields(sb, image);
    store_member_fields(sb, image);
    le_put_u32(image, OFFSET_OF(sb_csum), checksum(image, bytes));
    return bytes;
}

/* Bytes from the superblock to what lies behind it first. */
static uint64_t bytes_to(int64_t offset_sectors, uint64_t bytes)
{
    uint64_t here = (uint64_t)offset_sectors * RAID_SECTOR_BYTES;

    return offset_sectors > 0 && here < bytes ? here : bytes;
}

uint32_t md_super_most_devices(const MdSuper *sb)
{
    uint64_t bytes = MD_SUPER_MAX_BYTES;
    uint32_t nr;

    if (sb->feature_map & MD_FEATURE_BITMAP_OFFSET) {
        bytes = bytes_to(sb->bitmap_offset_sectors, bytes);
    }
    if (sb->feature_map & (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)) {
        bytes = bytes_to(sb->ppl_offset_sectors, bytes);
    }
    if (sb->bblog_size_sectors) {
        bytes = bytes_to(sb->bblog_offset_sectors, bytes);
    }
    bytes = bytes_to((int64_t)sb->data_offset_sectors -
                     (int64_t)sb->super_offset_sectors, bytes);
    nr = (bytes - SB_FIXED_BYTES) / 2;
    return nr > sb->max_dev ? nr : sb->max_dev;
}

bool md_super_add_devices(MdSuper *sb, uint32_t nr)
{
    if (nr > md_super_most_devices(sb)) {
        return false;
    }
    while (sb->max_dev < nr) {
        sb->roles[sb->max_dev++] = MD_ROLE_SPARE;
    }
    return true;
}
