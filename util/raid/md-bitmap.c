/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-bitmap: the bitmap's superblock, its sizes and places, what of it is to
 * be believed
 *
 * Owns: the byte layout of the bitmap on disk, and mdadm's choices for it.
 * Must not know: which bits are in use right now (md-bitmap-bits.c), how the
 * bytes got into memory.
 * Threads: any; nothing here has state.
 * Keeps: I13 (for the bitmap's whole length).
 *
 * The buffer is hostile. The layout has no public header:
 *
 *      0 magic   4 version   8 uuid[16]   24 events   32 events_cleared
 *     40 sync_size (sectors)   48 state   52 chunksize (bytes)
 *     56 daemon_sleep (seconds)   60 write_behind   64 sectors_reserved
 *     68 nodes   72 cluster_name[64]   136 zero   256 bits
 */
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "le-bytes.h"
#include "md-bitmap.h"

#define BITMAP_MAGIC        0x6d746962      /* "bitm" */
#define BITMAP_VERSION      4               /* bits in little-endian order */
#define VERSION_CLUSTERED   5
#define VERSION_LOCKLESS    6               /* a byte for each chunk */

#define AT_MAGIC            0
#define AT_VERSION          4
#define AT_UUID             8
#define AT_EVENTS           24
#define AT_EVENTS_CLEARED   32
#define AT_SYNC_SIZE        40
#define AT_STATE            48
#define AT_CHUNK            52
#define AT_SLEEP            56
#define AT_WRITE_BEHIND     60
#define AT_RESERVED         64
#define AT_NODES            68              /* from here on all is zero */

#define KNOWN_STATE         (MD_BITMAP_STATE_STALE | \
                             MD_BITMAP_STATE_WRITE_ERROR)

/* The kernel counts writes that lag behind in 14 bits. */
#define MAX_WRITE_BEHIND    16383

/* Beyond this a kernel with 32-bit jiffies at 1000 Hz would overflow. */
#define MAX_SLEEP_SECONDS   (INT32_MAX / 1000)

/* mdadm takes no smaller chunk by default, and no more space than this. */
#define MIN_CHUNK_BYTES     4096
#define MAX_SPACE_SECTORS   256
#define BLOCK_SECTORS       (MD_BITMAP_BLOCK_BYTES / RAID_SECTOR_BYTES)

#define GIB_SECTORS         (UINT64_C(1) << 21)

const char *md_bitmap_error_text(MdBitmapError err)
{
    static const char *const texts[MD_BITMAP__MAX] = {
        [MD_BITMAP_OK] = "bitmap is valid",
        [MD_BITMAP_NONE] = "no bitmap",
        [MD_BITMAP_BAD_VERSION] = "bitmap version is not supported",
        [MD_BITMAP_LOCKLESS] = "bitmap is a lockless one",
        [MD_BITMAP_CLUSTERED] = "bitmap is that of a cluster",
        [MD_BITMAP_BAD_CHUNK] = "bitmap's chunk size is nonsensical",
        [MD_BITMAP_BAD_SLEEP] = "bitmap's sleep time is out of range",
        [MD_BITMAP_BAD_WRITE_BEHIND] = "bitmap's write-behind is too large",
        [MD_BITMAP_UNKNOWN_FIELD] =
            "bitmap uses a field that is not known here",
        [MD_BITMAP_NO_ROOM] = "bitmap reaches into data or other metadata",
        [MD_BITMAP_WRONG_UUID] = "bitmap belongs to another array",
        [MD_BITMAP_WRONG_SIZE] = "bitmap is for another size of the array",
        [MD_BITMAP_STALE] = "bitmap is out of date",
    };

    if ((unsigned)err >= MD_BITMAP__MAX) {
        return "unknown bitmap error";
    }
    return texts[err];
}

bool md_bitmap_is_foreign(MdBitmapError err)
{
    return err == MD_BITMAP_BAD_VERSION || err == MD_BITMAP_LOCKLESS ||
           err == MD_BITMAP_CLUSTERED || err == MD_BITMAP_UNKNOWN_FIELD;
}

static MdBitmapError check_fields(const MdBitmapSuper *sb)
{
    if (sb->chunk_bytes < RAID_SECTOR_BYTES ||
        (sb->chunk_bytes & (sb->chunk_bytes - 1))) {
        return MD_BITMAP_BAD_CHUNK;
    }
    if (sb->daemon_sleep_seconds < 1 ||
        sb->daemon_sleep_seconds > MAX_SLEEP_SECONDS) {
        return MD_BITMAP_BAD_SLEEP;
    }
    if (sb->write_behind > MAX_WRITE_BEHIND) {
        return MD_BITMAP_BAD_WRITE_BEHIND;
    }
    if (sb->state & ~KNOWN_STATE) {
        return MD_BITMAP_UNKNOWN_FIELD;
    }
    return MD_BITMAP_OK;
}

MdBitmapError md_bitmap_super_decode(const void *buf, MdBitmapSuper *sb)
{
    const uint8_t *image = buf;
    uint32_t version = le_get_u32(image, AT_VERSION);
    uint8_t any = 0;

    if (le_get_u32(image, AT_MAGIC) != BITMAP_MAGIC) {
        return MD_BITMAP_NONE;
    }
    if (version == VERSION_CLUSTERED) {
        return MD_BITMAP_CLUSTERED;
    }
    if (version == VERSION_LOCKLESS) {
        return MD_BITMAP_LOCKLESS;
    }
    if (version != BITMAP_VERSION) {
        return MD_BITMAP_BAD_VERSION;
    }
    for (size_t at = AT_NODES; at < MD_BITMAP_SUPER_BYTES; at++) {
        any |= image[at];
    }
    if (any) {
        return MD_BITMAP_UNKNOWN_FIELD;
    }

    memcpy(sb->uuid, image + AT_UUID, sizeof(sb->uuid));
    sb->events = le_get_u64(image, AT_EVENTS);
    sb->events_cleared = le_get_u64(image, AT_EVENTS_CLEARED);
    sb->sync_size_sectors = le_get_u64(image, AT_SYNC_SIZE);
    sb->state = le_get_u32(image, AT_STATE);
    sb->chunk_bytes = le_get_u32(image, AT_CHUNK);
    sb->daemon_sleep_seconds = le_get_u32(image, AT_SLEEP);
    sb->write_behind = le_get_u32(image, AT_WRITE_BEHIND);
    sb->sectors_reserved = le_get_u32(image, AT_RESERVED);
    return check_fields(sb);
}

void md_bitmap_super_encode(const MdBitmapSuper *sb, void *buf)
{
    uint8_t *image = buf;

    memset(image, 0, MD_BITMAP_SUPER_BYTES);
    le_put_u32(image, AT_MAGIC, BITMAP_MAGIC);
    le_put_u32(image, AT_VERSION, BITMAP_VERSION);
    memcpy(image + AT_UUID, sb->uuid, sizeof(sb->uuid));
    le_put_u64(image, AT_EVENTS, sb->events);
    le_put_u64(image, AT_EVENTS_CLEARED, sb->events_cleared);
    le_put_u64(image, AT_SYNC_SIZE, sb->sync_size_sectors);
    le_put_u32(image, AT_STATE, sb->state);
    le_put_u32(image, AT_CHUNK, sb->chunk_bytes);
    le_put_u32(image, AT_SLEEP, sb->daemon_sleep_seconds);
    le_put_u32(image, AT_WRITE_BEHIND, sb->write_behind);
    le_put_u32(image, AT_RESERVED, sb->sectors_reserved);
}

/*
 * The bitmap is written before the superblocks. So it is behind them only if a
 * program wrote to the array that did not know of the bitmap. Its size is only
 * a note, and md does not look at it. It becomes larger before that of the
 * array does. Where it is smaller, no bits were kept for the rest.
 */
MdBitmapError md_bitmap_judge(const MdBitmapSuper *sb, const uint8_t *uuid,
                              uint64_t sync_sectors, uint64_t events)
{
    if (memcmp(sb->uuid, uuid, sizeof(sb->uuid))) {
        return MD_BITMAP_WRONG_UUID;
    }
    if (sb->sync_size_sectors < sync_sectors) {
        return MD_BITMAP_WRONG_SIZE;
    }
    if (sb->events < events ||
        (sb->state & (MD_BITMAP_STATE_STALE | MD_BITMAP_STATE_WRITE_ERROR))) {
        return MD_BITMAP_STALE;
    }
    return MD_BITMAP_OK;
}

/*
 * Sizes and places
 */

uint64_t md_bitmap_sync_sectors(const RaidGeometry *geom)
{
    if (raid_has_parity(geom)) {
        return geom->member_bytes / RAID_SECTOR_BYTES;
    }
    return raid_has_mirrors(geom) ? geom->array_bytes / RAID_SECTOR_BYTES : 0;
}

/*
 * Exact where the rows touched are one run. Where a request goes from one
 * chunk of a stripe to the next they may be two, and the whole chunk counts:
 * with bits larger than chunks it makes no difference.
 */
static void parity_range(const RaidGeometry *geom, uint64_t array_off,
                         uint64_t last_off, uint64_t *lo, uint64_t *hi)
{
    uint64_t mask = ((uint64_t)1 << geom->chunk_shift) - 1;
    uint64_t first_chunk = array_off >> geom->chunk_shift;
    uint64_t last_chunk = last_off >> geom->chunk_shift;
    uint64_t first = first_chunk / geom->nr_data;
    uint64_t last = last_chunk / geom->nr_data;
    bool one_chunk = first_chunk == last_chunk;

    *lo = raid_stripe_member_off(geom, first);
    *hi = raid_stripe_member_off(geom, last + 1);
    if (one_chunk || (first != last &&
                      first_chunk % geom->nr_data == geom->nr_data - 1)) {
        *lo += array_off & mask;
    }
    if (one_chunk || (first != last && last_chunk % geom->nr_data == 0)) {
        *hi -= mask - (last_off & mask);
    }
}

void md_bitmap_range(const RaidGeometry *geom, uint64_t array_off,
                     uint64_t bytes, uint64_t *start, uint64_t *end)
{
    uint64_t lo = array_off;
    uint64_t hi = array_off + bytes;

    if (raid_has_parity(geom)) {
        parity_range(geom, array_off, hi - 1, &lo, &hi);
    }
    *start = lo / RAID_SECTOR_BYTES;
    *end = (hi + RAID_SECTOR_BYTES - 1) / RAID_SECTOR_BYTES;
}

uint64_t md_bitmap_nr_bits(uint64_t sync_sectors, uint32_t chunk_bytes)
{
    uint64_t chunk_sectors = chunk_bytes / RAID_SECTOR_BYTES;

    return sync_sectors / chunk_sectors + !!(sync_sectors % chunk_sectors);
}

uint64_t md_bitmap_file_sectors(uint64_t nr_bits)
{
    uint64_t bytes = MD_BITMAP_SUPER_BYTES + nr_bits / 8 + !!(nr_bits % 8);

    return (bytes + RAID_SECTOR_BYTES - 1) / RAID_SECTOR_BYTES;
}

uint32_t md_bitmap_default_space(uint64_t data_sectors)
{
    if (data_sectors < 128) {
        return 0;
    }
    if (data_sectors >= 200 * GIB_SECTORS + 128) {
        return 256;
    }
    return data_sectors > 8 * GIB_SECTORS + BLOCK_SECTORS ? 128
                                                          : BLOCK_SECTORS;
}

uint32_t md_bitmap_default_chunk(uint64_t sync_sectors,
                                 uint32_t space_sectors)
{
    uint64_t chunk_bytes = MIN_CHUNK_BYTES;
    uint64_t max_bits;
    uint64_t bits;

    if (space_sectors > MAX_SPACE_SECTORS) {
        space_sectors = MAX_SPACE_SECTORS;
    }
    if (space_sectors <= 1) {
        return 0;
    }
    max_bits = 8 * ((uint64_t)space_sectors * RAID_SECTOR_BYTES -
                    MD_BITMAP_SUPER_BYTES);
    bits = sync_sectors / (MIN_CHUNK_BYTES / RAID_SECTOR_BYTES) + 1;
    while (bits > max_bits) {
        chunk_bytes *= 2;
        bits = bits / 2 + bits % 2;
    }
    if (chunk_bytes < MD_BITMAP_DEFAULT_CHUNK_BYTES) {
        chunk_bytes = MD_BITMAP_DEFAULT_CHUNK_BYTES;
    }
    return chunk_bytes <= UINT32_MAX ? chunk_bytes : 0;
}

int32_t md_bitmap_default_offset(unsigned minor, uint64_t nr_bits)
{
    uint64_t blocks = (md_bitmap_file_sectors(nr_bits) + BLOCK_SECTORS - 1) /
                      BLOCK_SECTORS;

    if (minor) {
        return BLOCK_SECTORS;
    }
    return -(int32_t)((blocks + 1) * BLOCK_SECTORS);
}

/* Does a run of @sectors at @start meet what lies at @other? */
static bool meets(int64_t start, int64_t sectors, int64_t other,
                  int64_t other_sectors)
{
    return start < other + other_sectors && other < start + sectors;
}

/*
 * Decoding the superblock has checked where everything lies but for the
 * bitmap's length. Subtracting keeps that from overflowing: start is inside
 * the member.
 */
MdBitmapError md_bitmap_check_room(const MdSuper *super, uint64_t device_bytes,
                                   uint64_t nr_bits)
{
    int64_t member_sectors = device_bytes / RAID_SECTOR_BYTES;
    int64_t at = super->super_offset_sectors;
    int64_t start = at + super->bitmap_offset_sectors;
    uint64_t sectors = md_bitmap_file_sectors(nr_bits);
    uint64_t super_bytes = 256 + 2 * (uint64_t)super->max_dev;
    int64_t super_sectors = (super_bytes + RAID_SECTOR_BYTES - 1) /
                            RAID_SECTOR_BYTES;

    if (start < 0 || start >= member_sectors ||
        sectors > (uint64_t)(member_sectors - start)) {
        return MD_BITMAP_NO_ROOM;
    }
    if (meets(start, sectors, at, super_sectors) ||
        meets(start, sectors, super->data_offset_sectors,
              super->data_size_sectors)) {
        return MD_BITMAP_NO_ROOM;
    }
    if (super->bblog_offset_sectors &&
        meets(start, sectors, at + super->bblog_offset_sectors,
              super->bblog_size_sectors)) {
        return MD_BITMAP_NO_ROOM;
    }
    return MD_BITMAP_OK;
}

static bool fits_all(const MdSuper *const *supers,
                     const uint64_t *device_bytes, unsigned nr,
                     uint64_t nr_bits)
{
    for (unsigned i = 0; i < nr; i++) {
        if (md_bitmap_check_room(supers[i], device_bytes[i], nr_bits) !=
            MD_BITMAP_OK) {
            return false;
        }
    }
    return true;
}

uint32_t md_bitmap_fitting_chunk(const MdSuper *const *supers,
                                 const uint64_t *device_bytes, unsigned nr,
                                 uint64_t sync_sectors, uint32_t chunk_bytes,
                                 uint64_t max_bits)
{
    for (; chunk_bytes; chunk_bytes *= 2) {
        uint64_t nr_bits = md_bitmap_nr_bits(sync_sectors, chunk_bytes);

        if (nr_bits <= max_bits &&
            fits_all(supers, device_bytes, nr, nr_bits)) {
            break;
        }
    }
    return chunk_bytes;
}

bool md_bitmap_merge(void *into, const void *from, uint64_t nr_bits)
{
    uint8_t *to = (uint8_t *)into + MD_BITMAP_SUPER_BYTES;
    const uint8_t *add = (const uint8_t *)from + MD_BITMAP_SUPER_BYTES;
    uint8_t differ = 0;

    for (uint64_t i = 0; i < nr_bits / 8; i++) {
        differ |= to[i] ^ add[i];
        to[i] |= add[i];
    }
    if (nr_bits % 8) {
        uint8_t mask = (1u << (nr_bits % 8)) - 1;

        differ |= (to[nr_bits / 8] ^ add[nr_bits / 8]) & mask;
        to[nr_bits / 8] |= add[nr_bits / 8] & mask;
    }
    return differ != 0;
}
