/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stripe-journal: what is going to be written to stripes, logged before
 *
 * Owns: the bytes of a unit, who gets one, what a replay writes.
 * Must not know: when units are written.
 * Threads: any; pure.
 * Keeps: I12 together with its caller; I13 (a replay stays inside the data).
 */
#include "crc32c.h"
#include "le-bytes.h"
#include "stripe-journal.h"

#define MAGIC           UINT64_C(0x4c4e524a5253504f)    /* "OPSRJRNL" */
#define VERSION         1

#define AT_MAGIC        0
#define AT_VERSION      8
#define AT_CHECKSUM     12
#define AT_SET_UUID     16
#define AT_GENERATION   32
#define AT_NR_ENTRIES   40
#define AT_CONTENT      44
#define AT_CONTENT_CRC  48
#define AT_ENTRIES      64

/* Of an entry. */
#define ENTRY_BYTES     32
#define AT_STRIPE       0
#define AT_ROLES        8
#define AT_LO           16
#define AT_HI           20
#define AT_ZERO         24

#define UUID_BYTES      16

/* No journal lives that long; and sums can't overflow. */
#define MAX_GENERATION  (UINT64_C(1) << 62)

uint32_t raid_journal_half_bytes(uint64_t journal_sectors)
{
    uint64_t blocks = journal_sectors * RAID_SECTOR_BYTES / 2 /
                      RAID_JOURNAL_HEADER_BYTES;
    uint32_t max_blocks = RAID_JOURNAL_MAX_HALF_BYTES /
                          RAID_JOURNAL_HEADER_BYTES;

    return (blocks < max_blocks ? blocks : max_blocks) *
           RAID_JOURNAL_HEADER_BYTES;
}

/*
 * Rows of a write that is not longer than a chunk are no more than its bytes.
 * Each takes parity, and as many roles again that are written back because
 * they could not be read.
 */
uint64_t raid_journal_max_write(const RaidGeometry *geom, uint32_t half_bytes)
{
    uint64_t room = half_bytes - RAID_JOURNAL_HEADER_BYTES;
    uint64_t more = 2 * geom->nr_parity;
    uint64_t bytes = room / (1 + more);

    if (room > more * geom->chunk_bytes &&
        room - more * geom->chunk_bytes > bytes) {
        bytes = room - more * geom->chunk_bytes;
    }
    return bytes / RAID_JOURNAL_HEADER_BYTES * RAID_JOURNAL_HEADER_BYTES;
}

bool raid_journal_add(RaidJournalUnit *unit, uint32_t half_bytes,
                      const RaidJournalEntry *entry)
{
    uint64_t bytes = raid_journal_entry_bytes(entry);
    uint32_t room = half_bytes - RAID_JOURNAL_HEADER_BYTES;

    if (unit->nr_entries == RAID_JOURNAL_MAX_ENTRIES ||
        bytes > room - unit->content_bytes) {
        return false;
    }
    unit->entries[unit->nr_entries++] = *entry;
    unit->content_bytes += bytes;
    return true;
}

/* With the field itself taken as zero. */
static uint32_t checksum(const uint8_t *image)
{
    static const uint8_t zero[4];
    uint32_t crc = raid_crc32c(0, image, AT_CHECKSUM);

    crc = raid_crc32c(crc, zero, sizeof(zero));
    return raid_crc32c(crc, image + AT_CHECKSUM + sizeof(zero),
                       RAID_JOURNAL_HEADER_BYTES - AT_CHECKSUM -
                       sizeof(zero));
}

void raid_journal_encode(const RaidJournalUnit *unit, const uint8_t *set_uuid,
                         void *buf)
{
    uint8_t *image = buf;

    memset(image, 0, RAID_JOURNAL_HEADER_BYTES);
    le_put_u64(image, AT_MAGIC, MAGIC);
    le_put_u32(image, AT_VERSION, VERSION);
    memcpy(image + AT_SET_UUID, set_uuid, UUID_BYTES);
    le_put_u64(image, AT_GENERATION, unit->generation);
    le_put_u32(image, AT_NR_ENTRIES, unit->nr_entries);
    le_put_u32(image, AT_CONTENT, unit->content_bytes);
    le_put_u32(image, AT_CONTENT_CRC, unit->content_crc);
    for (unsigned i = 0; i < unit->nr_entries; i++) {
        const RaidJournalEntry *entry = &unit->entries[i];
        uint8_t *to = image + AT_ENTRIES + i * ENTRY_BYTES;

        le_put_u64(to, AT_STRIPE, entry->stripe);
        le_put_u64(to, AT_ROLES, entry->roles);
        le_put_u32(to, AT_LO, entry->lo);
        le_put_u32(to, AT_HI, entry->hi);
        le_put_u32(to, AT_ZERO, entry->zero_stripes);
    }
    le_put_u32(image, AT_CHECKSUM, checksum(image));
}

static uint64_t nr_stripes(const RaidGeometry *geom)
{
    return geom->member_bytes >> geom->chunk_shift;
}

/* Of what an array was about to grow by: nothing of the array lies there. */
static bool is_outside(const RaidGeometry *geom, const RaidJournalEntry *entry)
{
    return entry->stripe >= nr_stripes(geom);
}

static bool entry_is_valid(const RaidGeometry *geom,
                           const RaidJournalEntry *entry)
{
    if (entry->zero_stripes) {
        return (is_outside(geom, entry) ||
                entry->zero_stripes <= nr_stripes(geom) - entry->stripe) &&
               !entry->roles && !entry->lo && !entry->hi;
    }
    return entry->roles && !(entry->roles & ~raid_mask_first(geom->nr_slots)) &&
           entry->lo < entry->hi && entry->hi <= geom->chunk_bytes &&
           entry->lo % RAID_SECTOR_BYTES == 0 &&
           entry->hi % RAID_SECTOR_BYTES == 0;
}

static bool decode_entries(const uint8_t *image, const RaidGeometry *geom,
                           RaidJournalUnit *unit)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < unit->nr_entries; i++) {
        const uint8_t *from = image + AT_ENTRIES + i * ENTRY_BYTES;
        RaidJournalEntry *entry = &unit->entries[i];

        entry->stripe = le_get_u64(from, AT_STRIPE);
        entry->roles = le_get_u64(from, AT_ROLES);
        entry->lo = le_get_u32(from, AT_LO);
        entry->hi = le_get_u32(from, AT_HI);
        entry->zero_stripes = le_get_u32(from, AT_ZERO);
        if (!entry_is_valid(geom, entry)) {
            return false;
        }
        bytes += raid_journal_entry_bytes(entry);
    }
    return bytes == unit->content_bytes;
}

RaidJournalError raid_journal_decode(const void *buf, const RaidGeometry *geom,
                                     const uint8_t *set_uuid, unsigned half,
                                     uint32_t half_bytes,
                                     RaidJournalUnit *unit)
{
    const uint8_t *image = buf;

    if (le_get_u64(image, AT_MAGIC) != MAGIC) {
        return RAID_JOURNAL_NONE;
    }
    if (le_get_u32(image, AT_VERSION) != VERSION) {
        return RAID_JOURNAL_BAD_VERSION;
    }
    if (le_get_u32(image, AT_CHECKSUM) != checksum(image)) {
        return RAID_JOURNAL_BAD_CHECKSUM;
    }
    memset(unit, 0, sizeof(*unit));
    unit->generation = le_get_u64(image, AT_GENERATION);
    unit->nr_entries = le_get_u32(image, AT_NR_ENTRIES);
    unit->content_bytes = le_get_u32(image, AT_CONTENT);
    unit->content_crc = le_get_u32(image, AT_CONTENT_CRC);
    if (memcmp(image + AT_SET_UUID, set_uuid, UUID_BYTES) ||
        (unit->generation & 1) != half) {
        return RAID_JOURNAL_FOREIGN;
    }
    if (unit->generation > MAX_GENERATION ||
        unit->nr_entries > RAID_JOURNAL_MAX_ENTRIES ||
        unit->content_bytes > half_bytes - RAID_JOURNAL_HEADER_BYTES ||
        !decode_entries(image, geom, unit)) {
        return RAID_JOURNAL_BAD_ENTRY;
    }
    return RAID_JOURNAL_OK;
}

/* The @nr-th write of an entry; false when it has fewer. */
static bool entry_write(const RaidGeometry *geom,
                        const RaidJournalEntry *entry, unsigned nr,
                        RaidJournalWrite *write)
{
    RaidMask roles = entry->roles;

    write->member_off = raid_stripe_member_off(geom, entry->stripe) +
                        entry->lo;
    write->zero = entry->zero_stripes;
    if (write->zero) {
        write->slot = nr;
        write->bytes = (uint64_t)entry->zero_stripes << geom->chunk_shift;
        return nr < geom->nr_slots;
    }
    for (unsigned i = 0; i < nr; i++) {
        roles &= roles - 1;
    }
    if (!roles) {
        return false;
    }
    write->slot = raid_stripe_slot(geom, entry->stripe,
                                   raid_mask_lowest(roles));
    write->bytes = entry->hi - entry->lo;
    return true;
}

bool raid_journal_next(const RaidGeometry *geom, const RaidJournalUnit *unit,
                       RaidJournalCursor *cursor, RaidJournalWrite *write)
{
    for (; cursor->entry < unit->nr_entries; cursor->entry++) {
        const RaidJournalEntry *entry = &unit->entries[cursor->entry];

        if (is_outside(geom, entry)) {
            cursor->content_off += raid_journal_entry_bytes(entry);
            continue;
        }
        if (entry_write(geom, entry, cursor->nr, write)) {
            write->content_off = cursor->content_off;
            cursor->content_off += write->zero ? 0 : write->bytes;
            cursor->nr++;
            return true;
        }
        cursor->nr = 0;
    }
    return false;
}

RaidMask raid_journal_copies(const RaidGeometry *geom, RaidMask use_slots,
                             uint64_t generation)
{
    unsigned wanted = geom->nr_parity + 1;
    unsigned first = generation * wanted % geom->nr_slots;
    RaidMask slots = 0;

    for (unsigned i = 0; i < geom->nr_slots && wanted; i++) {
        RaidMask slot = RAID_BIT((first + i) % geom->nr_slots);

        if (use_slots & slot) {
            slots |= slot;
            wanted--;
        }
    }
    return slots;
}
