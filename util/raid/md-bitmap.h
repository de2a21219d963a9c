/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-bitmap: the internal write-intent bitmap of Linux md
 *
 * On disk it is a superblock of 256 bytes with one bit behind it for each
 * chunk of the range that a resync covers, lowest bit first. That range is
 * counted in sectors of one member's data area for RAID1, 4, 5 and 6, and in
 * sectors of the array for RAID10: md_bitmap_range() knows. A bit that is set
 * says: redundancy may be wrong here, or a member that is missing may lack
 * what was written here.
 *
 * In memory there is the image in blocks of 4 KiB, which is how it is written,
 * and a word for each bit. The life of a bit:
 *
 *            start_write        block_begin         block_end
 *     clear ------------> set ------------> going ------------> durable
 *       ^                                                          |
 *       |  clear_commit                                clear_begin |
 *       +---- members flushed, block 0 durable <---- idle twice <--+
 *
 * Data may be written once all bits of its range are durable (I1); a bit is
 * cleared only when no write came since two sweeps ago, every member in sync
 * was flushed, and none is missing (I3).
 *
 * No I/O, no allocation. A caller that uses one MdBitmap from several threads
 * serialises all calls; all other functions are pure.
 */
#ifndef UTIL_RAID_MD_BITMAP_H
#define UTIL_RAID_MD_BITMAP_H

#include "geometry.h"
#include "md-super.h"

#define MD_BITMAP_SUPER_BYTES   256
#define MD_BITMAP_BLOCK_BYTES   4096

/* What mdadm gives a bitmap for which nothing else is asked. */
#define MD_BITMAP_DEFAULT_CHUNK_BYTES   (64u << 20)
#define MD_BITMAP_DEFAULT_SLEEP_SECONDS 5

/* In MdBitmapSuper.state; no other bits are accepted. */
#define MD_BITMAP_STATE_STALE       (1u << 1)
#define MD_BITMAP_STATE_WRITE_ERROR (1u << 2)

typedef struct MdBitmapSuper {
    uint8_t uuid[16];               /* of the array */
    uint64_t events;                /* of the array, written before it */
    uint64_t events_cleared;        /* of the array when bits were cleared */
    uint64_t sync_size_sectors;
    uint32_t state;                 /* MD_BITMAP_STATE_* */
    uint32_t chunk_bytes;           /* that one bit stands for */
    uint32_t daemon_sleep_seconds;  /* between two sweeps */
    uint32_t write_behind;          /* RAID1: writes that may lag behind */
    uint32_t sectors_reserved;      /* 0: not known */
} MdBitmapSuper;

typedef enum MdBitmapError {
    MD_BITMAP_OK,
    MD_BITMAP_NONE,                 /* no magic: none was ever written */
    MD_BITMAP_BAD_VERSION,          /* not 4: other byte order, or newer */
    MD_BITMAP_LOCKLESS,             /* says what redundancy was never made */
    MD_BITMAP_CLUSTERED,            /* shared by several hosts */
    MD_BITMAP_BAD_CHUNK,            /* no power of two, or below a sector */
    MD_BITMAP_BAD_SLEEP,
    MD_BITMAP_BAD_WRITE_BEHIND,
    MD_BITMAP_UNKNOWN_FIELD,        /* bytes set that md reserves */
    MD_BITMAP_NO_ROOM,              /* reaches into something else (I13) */
    MD_BITMAP_WRONG_UUID,           /* that of another array */
    MD_BITMAP_WRONG_SIZE,           /* does not cover all of the array */
    MD_BITMAP_STALE,                /* the array was written without it */
    MD_BITMAP__MAX,
} MdBitmapError;

/* A sentence part for messages, e.g. "bitmap is out of date". Never NULL. */
const char *md_bitmap_error_text(MdBitmapError err);

/**
 * md_bitmap_is_foreign: is it one, but of a kind that can't be kept here?
 *
 * It must stay as it is then: this code does not know what else it says.
 */
bool md_bitmap_is_foreign(MdBitmapError err);

/**
 * md_bitmap_super_decode: read and validate
 * @buf: MD_BITMAP_SUPER_BYTES
 * @sb:  filled on MD_BITMAP_OK, unspecified otherwise
 */
MdBitmapError md_bitmap_super_decode(const void *buf, MdBitmapSuper *sb);

/* Writes MD_BITMAP_SUPER_BYTES. */
void md_bitmap_super_encode(const MdBitmapSuper *sb, void *buf);

/**
 * md_bitmap_judge: may this member's bitmap be believed?
 * @sync_sectors: of the array, see md_bitmap_sync_sectors()
 * @events:       of the array's freshest superblock
 *
 * Returns MD_BITMAP_OK, WRONG_UUID, WRONG_SIZE or STALE. One that is not OK
 * says nothing: without another that is, every bit counts as set. One that
 * covers more than the array is fine: the array was about to grow.
 */
MdBitmapError md_bitmap_judge(const MdBitmapSuper *sb, const uint8_t *uuid,
                              uint64_t sync_sectors, uint64_t events);

/**
 * md_bitmap_can_readd: do the set bits cover all that a member missed?
 * @sb:            a current bitmap of the members that stayed
 * @member_events: of the returning member's superblock
 *
 * Bits are not cleared while a member is missing, so a member which saw the
 * last clearing has missed nothing but what the bits name.
 */
static inline bool md_bitmap_can_readd(const MdBitmapSuper *sb,
                                       uint64_t member_events)
{
    return member_events >= sb->events_cleared;
}

/*
 * Sizes and places
 */

/* Length of the range that the bits of an array cover; 0 for RAID0. */
uint64_t md_bitmap_sync_sectors(const RaidGeometry *geom);

/**
 * md_bitmap_range: the part of that range which a request touches
 * @array_off, @bytes: the request; @bytes > 0, inside the array
 * @start, @end:       sectors, @start < @end
 */
void md_bitmap_range(const RaidGeometry *geom, uint64_t array_off,
                     uint64_t bytes, uint64_t *start, uint64_t *end);

uint64_t md_bitmap_nr_bits(uint64_t sync_sectors, uint32_t chunk_bytes);

/* Sectors that it takes on disk, superblock included. */
uint64_t md_bitmap_file_sectors(uint64_t nr_bits);

/* Sectors that mdadm sets aside on a member with @data_sectors of data. */
uint32_t md_bitmap_default_space(uint64_t data_sectors);

/**
 * md_bitmap_default_chunk: the chunk that mdadm would take
 * @space_sectors: what there is for the bitmap
 *
 * 64 MiB, or more when the bits do not fit otherwise; of more than 128 KiB of
 * space only that much is used. Returns 0 when no chunk will do.
 */
uint32_t md_bitmap_default_chunk(uint64_t sync_sectors,
                                 uint32_t space_sectors);

/**
 * md_bitmap_default_offset: where mdadm puts it, relative to the superblock
 * @minor: 0: in front of the superblock with a bad-block log of 4 KiB between
 *         them; 1, 2: 4 KiB behind the start of the superblock
 */
int32_t md_bitmap_default_offset(unsigned minor, uint64_t nr_bits);

/**
 * md_bitmap_check_room: I13 for the whole length of the bitmap
 * @super:   a valid superblock with the bitmap feature
 * @nr_bits: of the bitmap at super->bitmap_offset_sectors
 *
 * Returns MD_BITMAP_OK or MD_BITMAP_NO_ROOM.
 */
MdBitmapError md_bitmap_check_room(const MdSuper *super, uint64_t device_bytes,
                                   uint64_t nr_bits);

/**
 * md_bitmap_fitting_chunk: what a bit has to stand for on these members
 * @supers:       of the members, each with a bitmap or going to have one
 * @device_bytes: their sizes
 * @chunk_bytes:  what is wanted; a power of two
 * @max_bits:     of the bitmap
 *
 * Returns that, or the next power of two for which there is room on all of
 * them, or 0.
 */
uint32_t md_bitmap_fitting_chunk(const MdSuper *const *supers,
                                 const uint64_t *device_bytes, unsigned nr,
                                 uint64_t sync_sectors, uint32_t chunk_bytes,
                                 uint64_t max_bits);

/**
 * md_bitmap_merge: add the bits of one member's bitmap to those of another
 * @into, @from: images of whole blocks with chunks of the same size; the
 *               superblocks are left alone
 * @nr_bits:     bits behind these are not looked at
 *
 * Returns true when the bits differed.
 */
bool md_bitmap_merge(void *into, const void *from, uint64_t nr_bits);

/*
 * The bitmap of a running array
 */

typedef struct MdBitmapBlock {
    uint32_t nr_set;                /* bits */
    uint32_t flags;
} MdBitmapBlock;

typedef struct MdBitmap {
    /* Constant after init */
    unsigned chunk_shift;           /* log2 of the sectors of a bit */
    uint64_t sync_sectors;
    uint64_t nr_bits;
    uint32_t nr_blocks;
    uint8_t *image;                 /* nr_blocks of MD_BITMAP_BLOCK_BYTES */
    uint32_t *words;                /* one for each bit */
    MdBitmapBlock *blocks;

    /* Changed by the functions below */
    MdBitmapSuper super;
    uint64_t nr_set;
    uint64_t cleared_going;         /* events_cleared in block 0 under way */
    uint64_t cleared_durable;       /* and in the last that is durable */
} MdBitmap;

/* Bytes of memory that md_bitmap_init() wants for so many bits. */
size_t md_bitmap_memory_bytes(uint64_t nr_bits);

/**
 * md_bitmap_init: an empty bitmap
 * @super:        valid; its sync size is replaced by @sync_sectors
 * @sync_sectors: > 0
 * @memory:       md_bitmap_memory_bytes(), aligned for uint64_t; must live as
 *                long as @bm does. Aligned to a block, so are the blocks.
 *
 * Nothing counts as written: md_bitmap_next_block() gives every block.
 */
void md_bitmap_init(MdBitmap *bm, const MdBitmapSuper *super,
                    uint64_t sync_sectors, void *memory);

/**
 * md_bitmap_load: take over the bits of an image right after init
 * @image:   whole blocks; the superblock in it is not looked at
 * @needed:  these bits have to be resynced before they may be cleared: the
 *           array is not clean
 * @durable: every member in use holds exactly these bits; then no block needs
 *           to be written
 */
void md_bitmap_load(MdBitmap *bm, const void *image, bool needed,
                    bool durable);

/**
 * md_bitmap_set_all: there is no bitmap that can be believed
 * @needed: everything has to be resynced; otherwise the bits are set for the
 *          members that are missing
 */
void md_bitmap_set_all(MdBitmap *bm, bool needed);

/**
 * md_bitmap_inherit: take over the bits of another right after init
 * @from: no write to it is under way; its sync size or its chunk may differ,
 *        by a power of two
 *
 * What is behind the end is forgotten. None of them is durable yet.
 */
void md_bitmap_inherit(MdBitmap *bm, const MdBitmap *from);

typedef struct MdBitmapWait {
    bool new_bits;                  /* some were clear before */
    uint32_t first_block;           /* all bits that are not durable yet lie */
    uint32_t last_block;            /* in these blocks */
} MdBitmapWait;

/**
 * md_bitmap_start_write: a write to a range is about to begin
 * @start, @end: sectors, start < end <= sync_sectors
 * @wait:        filled when false is returned
 *
 * Returns true when the data may be written at once. If not, first write the
 * blocks that md_bitmap_next_block() names among those of @wait, and wait for
 * those which are on their way, until md_bitmap_is_durable(). In either case
 * md_bitmap_end_write() must follow. Keeps I1.
 */
bool md_bitmap_start_write(MdBitmap *bm, uint64_t start, uint64_t end,
                           MdBitmapWait *wait);

bool md_bitmap_is_durable(const MdBitmap *bm, uint64_t start, uint64_t end);

/**
 * md_bitmap_end_write: the write of a range ended
 * @redundant: every member in sync has it. If not, and no member failed for
 *             it, the range must be resynced.
 */
void md_bitmap_end_write(MdBitmap *bm, uint64_t start, uint64_t end,
                         bool redundant);

typedef enum MdBitmapHurry {
    MD_BITMAP_URGENT,               /* a write waits for it */
    MD_BITMAP_ANY,                  /* or it has changed otherwise */
} MdBitmapHurry;

/* First block >= @from to be written and not on its way, else nr_blocks. */
uint32_t md_bitmap_next_block(const MdBitmap *bm, uint32_t from,
                              MdBitmapHurry hurry);

/* Bytes of a block that exist on disk: whole sectors; the last has fewer. */
uint32_t md_bitmap_block_bytes(const MdBitmap *bm, uint32_t block);

/**
 * md_bitmap_block_begin: a block is about to be written to all members
 * @block: not on its way
 * @buf:   MD_BITMAP_BLOCK_BYTES; gets what must be written, which a change in
 *         the meantime does not change
 *
 * Until md_bitmap_block_end(), the block must not be begun again: so the
 * member sees its versions one after the other.
 */
void md_bitmap_block_begin(MdBitmap *bm, uint32_t block, void *buf);

/**
 * md_bitmap_block_end: it arrived, or not
 * @durable: on every member in sync, past its cache
 */
void md_bitmap_block_end(MdBitmap *bm, uint32_t block, bool durable);

bool md_bitmap_block_is_going(const MdBitmap *bm, uint32_t block);

/**
 * md_bitmap_set_events: the superblocks are about to get this event count
 *
 * Block 0 must be durable on all members before any superblock is written,
 * or after a crash the bitmap would be taken for stale. md takes an event back
 * when an array becomes clean; then events_cleared goes back with it.
 */
void md_bitmap_set_events(MdBitmap *bm, uint64_t events);

/**
 * md_bitmap_clear_begin: one sweep; find bits that are no longer needed
 * @events:   of the array
 * @degraded: a member is missing or does not hold everything yet
 *
 * Bits that had no write since the sweep before are marked. Returns how many.
 * If there are any: flush all members, write block 0 durably if it is to be
 * written (it now says that bits were cleared at @events), and only then call
 * md_bitmap_clear_commit(). While the array is degraded none are marked, nor
 * those that a sweep before marked and that was not committed.
 */
uint64_t md_bitmap_clear_begin(MdBitmap *bm, uint64_t events, bool degraded);

/**
 * md_bitmap_clear_commit: clear those marked which had no write since
 * @keep: a member went missing or one of the steps between failed: clear none
 *
 * The blocks need to be written some time. Returns how many were cleared.
 * Keeps I3.
 */
uint64_t md_bitmap_clear_commit(MdBitmap *bm, bool keep);

typedef enum MdBitmapKind {
    MD_BITMAP_SET,                  /* what a returning member may lack */
    MD_BITMAP_NEEDED,               /* what must be resynced */
} MdBitmapKind;

/**
 * md_bitmap_next_range: the next run of such bits
 * @from:        sector to start at
 * @start, @end: sectors, from <= start < end <= sync_sectors
 */
bool md_bitmap_next_range(const MdBitmap *bm, uint64_t from, MdBitmapKind kind,
                          uint64_t *start, uint64_t *end);

/**
 * md_bitmap_resynced: redundancy of a range is right, durably
 *
 * Counts for the bits that it covers as a whole. They may then be cleared like
 * any other.
 */
void md_bitmap_resynced(MdBitmap *bm, uint64_t start, uint64_t end);

#endif /* UTIL_RAID_MD_BITMAP_H */
