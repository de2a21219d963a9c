/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-bitmap: the bits of a running array, when they are set and cleared
 *
 * Owns: which bits are set, which of them are known to be on disk, which
 * writes are under way, which blocks have to be written.
 * Must not know: members, how blocks are written, how time passes.
 * Threads: the caller serialises all calls on one MdBitmap.
 * Keeps: I1 (a bit counts as durable only when a block that held it is), I3
 * (see md_bitmap_clear_begin()).
 *
 * A bit is in at most one of SETTING, GOING, and durable, which is neither. A
 * block that fails to be written takes its GOING bits back to SETTING. Bits are
 * cleared in durable state only; so whatever version of a block reaches the
 * disk, a bit that a write relies on is in it.
 */
#include <assert.h>
#include <string.h>

#include "md-bitmap.h"

/* A bit's word: writes under way, and what is known of the bit. */
#define WRITES_MASK     0x03ffffffu
#define BIT_SETTING     (1u << 31)      /* in no write of its block so far */
#define BIT_GOING       (1u << 30)      /* in the write that is under way */
#define BIT_NEEDED      (1u << 29)      /* not before a resync of its range */
#define BIT_IDLE        (1u << 28)      /* no write since the last sweep */
#define BIT_CLEARING    (1u << 27)      /* nor in the sweep before that */
#define NOT_DURABLE     (BIT_SETTING | BIT_GOING)

#define BLOCK_URGENT    1u              /* has bits that are SETTING */
#define BLOCK_CHANGED   2u
#define BLOCK_GOING     4u

#define BITS_PER_BLOCK  (8u * MD_BITMAP_BLOCK_BYTES)
#define SUPER_BITS      (8u * MD_BITMAP_SUPER_BYTES)

static unsigned log2_of(uint32_t power)
{
    return __builtin_ctz(power);
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static uint64_t image_blocks(uint64_t nr_bits)
{
    return (SUPER_BITS + nr_bits + BITS_PER_BLOCK - 1) / BITS_PER_BLOCK;
}

static uint32_t block_of(uint64_t bit)
{
    return (SUPER_BITS + bit) / BITS_PER_BLOCK;
}

/* The first bit of a block; those of the block are up to that of the next. */
static uint64_t first_bit(const MdBitmap *bm, uint32_t block)
{
    uint64_t bit = block ? (uint64_t)block * BITS_PER_BLOCK - SUPER_BITS : 0;

    return bit < bm->nr_bits ? bit : bm->nr_bits;
}

static uint8_t *byte_of(const MdBitmap *bm, uint64_t bit)
{
    return &bm->image[MD_BITMAP_SUPER_BYTES + bit / 8];
}

static bool is_set(const MdBitmap *bm, uint64_t bit)
{
    return *byte_of(bm, bit) >> (bit % 8) & 1;
}

/* First bit >= @bit that is set, or nr_bits. Skips whole bytes. */
static uint64_t next_set(const MdBitmap *bm, uint64_t bit)
{
    while (bit < bm->nr_bits) {
        unsigned rest = *byte_of(bm, bit) >> (bit % 8);

        if (rest) {
            bit += __builtin_ctz(rest);
            return bit < bm->nr_bits ? bit : bm->nr_bits;
        }
        bit = (bit | 7) + 1;
    }
    return bm->nr_bits;
}

/* For each set bit of a block; do not change the image in the body. */
#define FOREACH_SET(bm, block, bit)                                     \
    for (uint64_t bit = next_set(bm, first_bit(bm, block)),             \
                  end_##bit##_ = first_bit(bm, (block) + 1);            \
         bit < end_##bit##_; bit = next_set(bm, bit + 1))

static void set_bit(MdBitmap *bm, uint64_t bit)
{
    MdBitmapBlock *block = &bm->blocks[block_of(bit)];

    *byte_of(bm, bit) |= 1u << (bit % 8);
    bm->words[bit] |= BIT_SETTING;
    block->nr_set++;
    block->flags |= BLOCK_URGENT | BLOCK_CHANGED;
    bm->nr_set++;
}

static void clear_bit(MdBitmap *bm, uint64_t bit)
{
    MdBitmapBlock *block = &bm->blocks[block_of(bit)];

    *byte_of(bm, bit) &= ~(1u << (bit % 8));
    bm->words[bit] = 0;
    block->nr_set--;
    block->flags |= BLOCK_CHANGED;
    bm->nr_set--;
}

/* The bits that a range of sectors touches: *first <= bit < *end. */
static void bits_of(const MdBitmap *bm, uint64_t start, uint64_t end,
                    uint64_t *first, uint64_t *last)
{
    assert(start < end && end <= bm->sync_sectors);
    *first = start >> bm->chunk_shift;
    *last = ((end - 1) >> bm->chunk_shift) + 1;
}

/*
 * Coming to life
 */

size_t md_bitmap_memory_bytes(uint64_t nr_bits)
{
    uint64_t blocks = image_blocks(nr_bits);

    return blocks * MD_BITMAP_BLOCK_BYTES + blocks * sizeof(MdBitmapBlock) +
           round_up(nr_bits * sizeof(uint32_t), sizeof(uint64_t));
}

void md_bitmap_init(MdBitmap *bm, const MdBitmapSuper *super,
                    uint64_t sync_sectors, void *memory)
{
    uint8_t *at = memory;

    assert(sync_sectors > 0);
    memset(bm, 0, sizeof(*bm));
    bm->super = *super;
    bm->super.sync_size_sectors = sync_sectors;
    bm->chunk_shift = log2_of(super->chunk_bytes / RAID_SECTOR_BYTES);
    bm->sync_sectors = sync_sectors;
    bm->nr_bits = md_bitmap_nr_bits(sync_sectors, super->chunk_bytes);
    bm->nr_blocks = image_blocks(bm->nr_bits);
    memset(memory, 0, md_bitmap_memory_bytes(bm->nr_bits));
    bm->image = at;
    at += (size_t)bm->nr_blocks * MD_BITMAP_BLOCK_BYTES;
    bm->blocks = (MdBitmapBlock *)at;
    at += bm->nr_blocks * sizeof(MdBitmapBlock);
    bm->words = (uint32_t *)at;
    for (uint32_t block = 0; block < bm->nr_blocks; block++) {
        bm->blocks[block].flags = BLOCK_CHANGED;
    }
}

/* Behind the last bit mdadm leaves ones; here they are zero. */
void md_bitmap_load(MdBitmap *bm, const void *image, bool needed, bool durable)
{
    const uint8_t *bytes = (const uint8_t *)image + MD_BITMAP_SUPER_BYTES;

    for (uint64_t bit = 0; bit < bm->nr_bits; bit++) {
        if (!bytes[bit / 8]) {
            bit |= 7;
        } else if (bytes[bit / 8] >> (bit % 8) & 1) {
            set_bit(bm, bit);
            bm->words[bit] = (needed ? BIT_NEEDED : 0) |
                             (durable ? 0 : BIT_SETTING);
        }
    }
    for (uint32_t block = 0; block < bm->nr_blocks && durable; block++) {
        bm->blocks[block].flags = 0;
    }
}

void md_bitmap_set_all(MdBitmap *bm, bool needed)
{
    for (uint64_t bit = 0; bit < bm->nr_bits; bit++) {
        if (!is_set(bm, bit)) {
            set_bit(bm, bit);
        }
        if (needed) {
            bm->words[bit] |= BIT_NEEDED;
        }
    }
}

void md_bitmap_inherit(MdBitmap *bm, const MdBitmap *from)
{
    for (uint64_t bit = next_set(from, 0); bit < from->nr_bits;
         bit = next_set(from, bit + 1)) {
        uint64_t start = bit << from->chunk_shift;
        uint64_t end = (bit + 1) << from->chunk_shift;
        uint64_t first, stop;

        assert(!(from->words[bit] & WRITES_MASK));
        if (start >= bm->sync_sectors) {
            break;
        }
        if (end > bm->sync_sectors) {
            end = bm->sync_sectors;
        }
        for (bits_of(bm, start, end, &first, &stop); first < stop; first++) {
            if (!is_set(bm, first)) {
                set_bit(bm, first);
            }
            bm->words[first] |= from->words[bit] & BIT_NEEDED;
        }
    }
}

/*
 * Around a write
 */

bool md_bitmap_start_write(MdBitmap *bm, uint64_t start, uint64_t end,
                           MdBitmapWait *wait)
{
    bool go = true;
    bool new_bits = false;
    uint64_t bit;
    uint64_t stop;

    for (bits_of(bm, start, end, &bit, &stop); bit < stop; bit++) {
        if (!is_set(bm, bit)) {
            set_bit(bm, bit);
            new_bits = true;
        }
        assert((bm->words[bit] & WRITES_MASK) < WRITES_MASK);
        bm->words[bit] = (bm->words[bit] & ~(BIT_IDLE | BIT_CLEARING)) + 1;
        if (bm->words[bit] & NOT_DURABLE) {
            if (go) {
                wait->first_block = block_of(bit);
            }
            wait->last_block = block_of(bit);
            go = false;
        }
    }
    if (!go) {
        wait->new_bits = new_bits;
    }
    return go;
}

bool md_bitmap_is_durable(const MdBitmap *bm, uint64_t start, uint64_t end)
{
    uint64_t bit;
    uint64_t stop;

    for (bits_of(bm, start, end, &bit, &stop); bit < stop; bit++) {
        if (!is_set(bm, bit) || (bm->words[bit] & NOT_DURABLE)) {
            return false;
        }
    }
    return true;
}

/* The sweep that comes next must not yet call the bit idle: see sweep_bit(). */
void md_bitmap_end_write(MdBitmap *bm, uint64_t start, uint64_t end,
                         bool redundant)
{
    uint64_t bit;
    uint64_t stop;

    for (bits_of(bm, start, end, &bit, &stop); bit < stop; bit++) {
        assert(bm->words[bit] & WRITES_MASK);
        bm->words[bit]--;
        if (!redundant) {
            bm->words[bit] |= BIT_NEEDED;
        }
    }
}

/*
 * Blocks
 */

uint32_t md_bitmap_next_block(const MdBitmap *bm, uint32_t from,
                              MdBitmapHurry hurry)
{
    uint32_t wanted = hurry == MD_BITMAP_URGENT ? BLOCK_URGENT : BLOCK_CHANGED;

    while (from < bm->nr_blocks &&
           ((bm->blocks[from].flags & BLOCK_GOING) ||
            !(bm->blocks[from].flags & wanted))) {
        from++;
    }
    return from < bm->nr_blocks ? from : bm->nr_blocks;
}

uint32_t md_bitmap_block_bytes(const MdBitmap *bm, uint32_t block)
{
    uint64_t left = md_bitmap_file_sectors(bm->nr_bits) * RAID_SECTOR_BYTES -
                    (uint64_t)block * MD_BITMAP_BLOCK_BYTES;

    assert(block < bm->nr_blocks);
    return left < MD_BITMAP_BLOCK_BYTES ? left : MD_BITMAP_BLOCK_BYTES;
}

void md_bitmap_block_begin(MdBitmap *bm, uint32_t block, void *buf)
{
    uint8_t *bytes = bm->image + (size_t)block * MD_BITMAP_BLOCK_BYTES;
    MdBitmapBlock *b = &bm->blocks[block];

    assert(block < bm->nr_blocks && !(b->flags & BLOCK_GOING));
    if (block == 0) {
        md_bitmap_super_encode(&bm->super, bytes);
        bm->cleared_going = bm->super.events_cleared;
    }
    if (b->flags & BLOCK_URGENT) {
        FOREACH_SET(bm, block, bit) {
            if (bm->words[bit] & BIT_SETTING) {
                bm->words[bit] += BIT_GOING - BIT_SETTING;
            }
        }
    }
    memcpy(buf, bytes, MD_BITMAP_BLOCK_BYTES);
    b->flags = BLOCK_GOING;
}

void md_bitmap_block_end(MdBitmap *bm, uint32_t block, bool durable)
{
    MdBitmapBlock *b = &bm->blocks[block];

    assert(block < bm->nr_blocks && (b->flags & BLOCK_GOING));
    b->flags &= ~BLOCK_GOING;
    if (!durable) {
        b->flags |= BLOCK_CHANGED;
    } else if (block == 0) {
        bm->cleared_durable = bm->cleared_going;
    }
    FOREACH_SET(bm, block, bit) {
        if (bm->words[bit] & BIT_GOING) {
            bm->words[bit] &= ~BIT_GOING;
            if (!durable) {
                bm->words[bit] |= BIT_SETTING;
                b->flags |= BLOCK_URGENT;
            }
        }
    }
}

bool md_bitmap_block_is_going(const MdBitmap *bm, uint32_t block)
{
    return bm->blocks[block].flags & BLOCK_GOING;
}

void md_bitmap_set_events(MdBitmap *bm, uint64_t events)
{
    bm->super.events = events;
    if (bm->super.events_cleared > events) {
        bm->super.events_cleared = events;
    }
    bm->blocks[0].flags |= BLOCK_CHANGED;
}

/*
 * Clearing
 */

/*
 * A write that ends just before a sweep leaves its bit alone in that one and
 * makes it idle; so between the end of the last write and the clearing there
 * is always a whole interval. A bit that is kept forgets marks of sweeps
 * before: one of those may have marked it and not come to an end.
 */
static bool sweep_bit(uint32_t *word, bool keep)
{
    if (keep || (*word & (NOT_DURABLE | BIT_NEEDED | WRITES_MASK))) {
        *word &= ~(BIT_IDLE | BIT_CLEARING);
        return false;
    }
    if (*word & BIT_IDLE) {
        *word |= BIT_CLEARING;
        return true;
    }
    *word |= BIT_IDLE;
    return false;
}

uint64_t md_bitmap_clear_begin(MdBitmap *bm, uint64_t events, bool degraded)
{
    uint64_t n = 0;

    for (uint32_t block = 0; block < bm->nr_blocks; block++) {
        if (!bm->blocks[block].nr_set) {
            continue;
        }
        FOREACH_SET(bm, block, bit) {
            n += sweep_bit(&bm->words[bit], degraded);
        }
    }
    if (n && bm->super.events_cleared < events) {
        bm->super.events_cleared = events;
        bm->blocks[0].flags |= BLOCK_CHANGED;
    }
    return n;
}

/*
 * A member that comes back is measured by events_cleared, so that must be
 * there before any bit is missing.
 */
uint64_t md_bitmap_clear_commit(MdBitmap *bm, bool keep)
{
    uint64_t n = 0;

    keep |= bm->cleared_durable != bm->super.events_cleared;
    for (uint32_t block = 0; block < bm->nr_blocks; block++) {
        uint64_t end = first_bit(bm, block + 1);
        uint64_t bit = bm->blocks[block].nr_set
                       ? next_set(bm, first_bit(bm, block)) : end;

        for (; bit < end; bit = next_set(bm, bit + 1)) {
            if (!(bm->words[bit] & BIT_CLEARING)) {
                continue;
            }
            if (keep) {
                bm->words[bit] &= ~BIT_CLEARING;
            } else {
                clear_bit(bm, bit);
                n++;
            }
        }
    }
    return n;
}

/*
 * Resync
 */

static bool is_wanted(const MdBitmap *bm, uint64_t bit, MdBitmapKind kind)
{
    return is_set(bm, bit) &&
           (kind == MD_BITMAP_SET || (bm->words[bit] & BIT_NEEDED));
}

bool md_bitmap_next_range(const MdBitmap *bm, uint64_t from, MdBitmapKind kind,
                          uint64_t *start, uint64_t *end)
{
    uint64_t bit = next_set(bm, from >> bm->chunk_shift);

    while (bit < bm->nr_bits && !is_wanted(bm, bit, kind)) {
        bit = next_set(bm, bit + 1);
    }
    if (bit == bm->nr_bits || from >= bm->sync_sectors) {
        return false;
    }
    *start = bit << bm->chunk_shift;
    while (bit < bm->nr_bits && is_wanted(bm, bit, kind)) {
        bit++;
    }
    *end = bit << bm->chunk_shift;
    if (*start < from) {
        *start = from;
    }
    if (*end > bm->sync_sectors) {
        *end = bm->sync_sectors;
    }
    return true;
}

void md_bitmap_resynced(MdBitmap *bm, uint64_t start, uint64_t end)
{
    uint64_t mask = ((uint64_t)1 << bm->chunk_shift) - 1;
    uint64_t bit = (start >> bm->chunk_shift) + !!(start & mask);
    uint64_t stop = end >= bm->sync_sectors ? bm->nr_bits
                                            : end >> bm->chunk_shift;

    for (; bit < stop; bit++) {
        bm->words[bit] &= ~BIT_NEEDED;
    }
}
