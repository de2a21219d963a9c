/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-ppl: encode, place and find units of the log, and decide what to replay
 *
 * Owns: the byte layout of struct ppl_header, the ring of units, which rows of
 * which stripe an entry stands for.
 * Must not know: members, how bytes get read or written, how parity is
 * computed.
 * Threads: any; a ring and a scan belong to their caller.
 *
 * The buffers are hostile: a number counts only after md_ppl_check().
 *
 * An entry has no list of rows and chunks; they follow from three numbers. With
 * less partial parity than a chunk, the same rows of chunks side by side:
 *
 *     data_sector ->  |xx|  |xx|  |  |    pp_bytes = rows,
 *                     |xx|  |xx|  |  |    data_bytes / pp_bytes chunks
 *
 * without any, the same rows of all chunks. With as much as a chunk, one run
 * of array bytes inside a stripe, and partial parity that begins at the row of
 * data_sector and goes on from the first row behind the last:
 *
 *                     |  |  |xx|  |xx|    pp from here to the end of the chunk
 *     data_sector ->  |xx|  |xx|  |  |    pp starts here
 */
#include <assert.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "crc32c.h"
#include "le-bytes.h"
#include "md-ppl.h"

#define AT_SIGNATURE    offsetof(struct ppl_header, signature)
#define AT_GENERATION   offsetof(struct ppl_header, generation)
#define AT_COUNT        offsetof(struct ppl_header, entries_count)
#define AT_CHECKSUM     offsetof(struct ppl_header, checksum)
#define AT_ENTRIES      offsetof(struct ppl_header, entries)
#define ENTRY_BYTES     sizeof(struct ppl_header_entry)

_Static_assert(MD_PPL_HEADER_BYTES == PPL_HEADER_SIZE, "header size");
_Static_assert(MD_PPL_MAX_ENTRIES == PPL_HDR_MAX_ENTRIES, "entries");
_Static_assert(AT_SIGNATURE == 512, "signature moved");
_Static_assert(AT_ENTRIES == 536, "entries moved");
_Static_assert(ENTRY_BYTES == 24, "entry size");

/* The kernel takes whole pages of partial parity only. */
#define SPACE_UNIT      4096

const char *md_ppl_error_text(MdPplError err)
{
    static const char *const texts[MD_PPL__MAX] = {
        [MD_PPL_OK] = "log is valid",
        [MD_PPL_BAD_CHECKSUM] = "log checksum is wrong",
        [MD_PPL_BAD_SIGNATURE] = "log belongs to another array",
        [MD_PPL_BAD_ENTRY] = "log entry is nonsensical",
    };

    if ((unsigned)err >= MD_PPL__MAX) {
        return "unknown log error";
    }
    return texts[err];
}

uint32_t md_ppl_signature(const uint8_t uuid[16])
{
    return raid_crc32c(0, uuid, 16);
}

int16_t md_ppl_default_offset(unsigned minor, uint16_t sectors)
{
    return minor ? 8 : -(int16_t)(sectors + 8);
}

/*
 * Headers
 */

/* With its own field taken as zero. */
static uint32_t header_checksum(const uint8_t *image)
{
    static const uint8_t zeros[4];
    size_t behind = AT_CHECKSUM + sizeof(zeros);
    uint32_t crc = raid_crc32c(0, image, AT_CHECKSUM);

    crc = raid_crc32c(crc, zeros, sizeof(zeros));
    return raid_crc32c(crc, image + behind, MD_PPL_HEADER_BYTES - behind);
}

MdPplError md_ppl_decode(const void *buf, uint32_t signature,
                         MdPplHeader *header)
{
    const uint8_t *image = buf;

    if (le_get_u32(image, AT_CHECKSUM) != header_checksum(image)) {
        return MD_PPL_BAD_CHECKSUM;
    }
    memset(header, 0, sizeof(*header));
    header->signature = le_get_u32(image, AT_SIGNATURE);
    header->generation = le_get_u64(image, AT_GENERATION);
    header->nr_entries = le_get_u32(image, AT_COUNT);
    if (header->signature != signature) {
        return MD_PPL_BAD_SIGNATURE;
    }
    if (header->nr_entries > MD_PPL_MAX_ENTRIES) {
        return MD_PPL_BAD_ENTRY;
    }
    for (unsigned i = 0; i < header->nr_entries; i++) {
        const uint8_t *at = image + AT_ENTRIES + i * ENTRY_BYTES;
        MdPplEntry *entry = &header->entries[i];

        entry->data_sector = le_get_u64(at, 0);
        entry->pp_bytes = le_get_u32(at, 8);
        entry->data_bytes = le_get_u32(at, 12);
        entry->parity_slot = le_get_u32(at, 16);
        entry->checksum = le_get_u32(at, 20);
    }
    return MD_PPL_OK;
}

void md_ppl_encode(const MdPplHeader *header, void *buf)
{
    uint8_t *image = buf;

    assert(header->nr_entries <= MD_PPL_MAX_ENTRIES);
    memset(image, 0xff, PPL_HDR_RESERVED);
    memset(image + PPL_HDR_RESERVED, 0,
           MD_PPL_HEADER_BYTES - PPL_HDR_RESERVED);
    le_put_u32(image, AT_SIGNATURE, header->signature);
    le_put_u64(image, AT_GENERATION, header->generation);
    le_put_u32(image, AT_COUNT, header->nr_entries);
    for (unsigned i = 0; i < header->nr_entries; i++) {
        uint8_t *at = image + AT_ENTRIES + i * ENTRY_BYTES;
        const MdPplEntry *entry = &header->entries[i];

        le_put_u64(at, 0, entry->data_sector);
        le_put_u32(at, 8, entry->pp_bytes);
        le_put_u32(at, 12, entry->data_bytes);
        le_put_u32(at, 16, entry->parity_slot);
        le_put_u32(at, 20, entry->checksum);
    }
    le_put_u32(image, AT_CHECKSUM, header_checksum(image));
}

uint64_t md_ppl_unit_bytes(const MdPplHeader *header)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < header->nr_entries; i++) {
        bytes += header->entries[i].pp_bytes;
    }
    return bytes;
}

/*
 * What an entry stands for
 */

/* Where the data of an entry lies in its stripe. */
typedef struct Place {
    uint64_t stripe;
    unsigned role;                  /* of the first chunk */
    uint32_t row;                   /* chunk-relative */
    unsigned nr_roles;              /* same rows of so many chunks ... */
    uint32_t rows;                  /* ... so many bytes of each */
} Place;

static bool is_run(const RaidGeometry *geom, const MdPplEntry *entry)
{
    return entry->pp_bytes == geom->chunk_bytes;
}

/* For a run, nr_roles and rows are 0. */
static Place place_of(const RaidGeometry *geom, const MdPplEntry *entry)
{
    uint64_t array_off = entry->data_sector * RAID_SECTOR_BYTES;
    Place place = {
        .stripe = raid_stripe_of(geom, array_off),
        .role = (array_off >> geom->chunk_shift) % geom->nr_data,
        .row = array_off & (geom->chunk_bytes - 1),
    };

    if (!entry->pp_bytes) {
        place.nr_roles = geom->nr_data;
        place.rows = entry->data_bytes / geom->nr_data;
    } else if (!is_run(geom, entry)) {
        place.nr_roles = entry->data_bytes / entry->pp_bytes;
        place.rows = entry->pp_bytes;
    }
    return place;
}

static bool whole_sectors(uint32_t bytes)
{
    return bytes % RAID_SECTOR_BYTES == 0;
}

/* Of what an array was about to grow by: nothing of the array lies there. */
static bool is_outside(const RaidGeometry *geom, const MdPplEntry *entry)
{
    return entry->data_sector >= geom->array_bytes / RAID_SECTOR_BYTES;
}

static bool entry_is_sound(const RaidGeometry *geom, unsigned slot,
                           const MdPplEntry *entry)
{
    Place place;

    if (entry->parity_slot != slot || !entry->data_bytes ||
        !whole_sectors(entry->data_bytes) || !whole_sectors(entry->pp_bytes) ||
        entry->pp_bytes > geom->chunk_bytes) {
        return false;
    }
    if (is_outside(geom, entry)) {
        return true;
    }
    place = place_of(geom, entry);
    if (raid_stripe_slot(geom, place.stripe, geom->nr_data) != slot) {
        return false;
    }
    if (is_run(geom, entry)) {
        uint64_t start = ((uint64_t)place.role << geom->chunk_shift) +
                         place.row;

        return start + entry->data_bytes <= raid_stripe_bytes(geom);
    }
    return (uint64_t)place.rows * place.nr_roles == entry->data_bytes &&
           place.role + (uint64_t)place.nr_roles <= geom->nr_data &&
           place.row + (uint64_t)place.rows <= geom->chunk_bytes &&
           whole_sectors(place.rows);
}

MdPplError md_ppl_check(const RaidGeometry *geom, unsigned slot,
                        const MdPplHeader *header, uint32_t room)
{
    if (md_ppl_unit_bytes(header) > room) {
        return MD_PPL_BAD_ENTRY;
    }
    for (unsigned i = 0; i < header->nr_entries; i++) {
        if (!entry_is_sound(geom, slot, &header->entries[i])) {
            return MD_PPL_BAD_ENTRY;
        }
    }
    return MD_PPL_OK;
}

/*
 * Writing
 */

bool md_ppl_ring_init(MdPplRing *ring, uint16_t space_sectors,
                      uint32_t signature, uint64_t newest, void *anchor)
{
    MdPplHeader header;

    memset(&header, 0, sizeof(header));
    ring->signature = signature;
    ring->space_bytes = (uint32_t)space_sectors * RAID_SECTOR_BYTES /
                        SPACE_UNIT * SPACE_UNIT;
    ring->next = MD_PPL_HEADER_BYTES;
    ring->generation = newest + 1;
    header.signature = signature;
    header.generation = ring->generation;
    md_ppl_encode(&header, anchor);
    return ring->space_bytes >= 2 * MD_PPL_HEADER_BYTES + SPACE_UNIT;
}

uint32_t md_ppl_ring_capacity(const MdPplRing *ring)
{
    uint32_t bytes = ring->space_bytes - 2 * MD_PPL_HEADER_BYTES;

    return bytes < MD_PPL_UNIT_BYTES ? bytes : MD_PPL_UNIT_BYTES;
}

void md_ppl_begin(const MdPplRing *ring, MdPplHeader *header)
{
    memset(header, 0, sizeof(*header));
    header->signature = ring->signature;
}

static RaidMask all_roles(const RaidGeometry *geom)
{
    return raid_mask_first(geom->nr_data);
}

uint32_t md_ppl_write_bytes(const RaidGeometry *geom, const MdPplWrite *write)
{
    return write->roles == all_roles(geom) ? 0 : write->hi - write->lo;
}

bool md_ppl_add(const MdPplRing *ring, const RaidGeometry *geom,
                MdPplHeader *header, const MdPplWrite *write, const void *pp)
{
    unsigned role = raid_mask_lowest(write->roles);
    unsigned nr_roles = raid_mask_count(write->roles);
    uint32_t rows = write->hi - write->lo;
    uint32_t pp_bytes = md_ppl_write_bytes(geom, write);
    uint64_t array_off = write->stripe * raid_stripe_bytes(geom) +
                         ((uint64_t)role << geom->chunk_shift) + write->lo;

    assert(write->lo < write->hi && write->hi <= geom->chunk_bytes);
    assert(whole_sectors(write->lo) && whole_sectors(write->hi));
    assert(write->roles == raid_mask_first(nr_roles) << role);
    if (header->nr_entries == MD_PPL_MAX_ENTRIES ||
        md_ppl_unit_bytes(header) + pp_bytes > md_ppl_ring_capacity(ring)) {
        return false;
    }
    header->entries[header->nr_entries++] = (MdPplEntry) {
        .data_sector = array_off / RAID_SECTOR_BYTES,
        .pp_bytes = pp_bytes,
        .data_bytes = rows * nr_roles,
        .parity_slot = raid_stripe_slot(geom, write->stripe, geom->nr_data),
        .checksum = raid_crc32c(0, pp, pp_bytes),
    };
    return true;
}

/*
 * md looks for a header as long as more than one fits the rest. So behind the
 * unit come zeros for one, or nothing.
 */
uint32_t md_ppl_place(MdPplRing *ring, MdPplHeader *header,
                      uint32_t *zero_bytes)
{
    uint32_t bytes = MD_PPL_HEADER_BYTES + md_ppl_unit_bytes(header);
    uint32_t at = ring->next;

    assert(bytes - MD_PPL_HEADER_BYTES <= md_ppl_ring_capacity(ring));
    if (bytes > ring->space_bytes - at) {
        at = MD_PPL_HEADER_BYTES;
    }
    ring->next = at + bytes;
    *zero_bytes = ring->space_bytes - ring->next > MD_PPL_HEADER_BYTES
                  ? MD_PPL_HEADER_BYTES : 0;
    header->generation = ++ring->generation;
    return at;
}

/*
 * Reading
 */

void md_ppl_scan_start(MdPplScan *scan, uint16_t space_sectors,
                       uint32_t signature)
{
    memset(scan, 0, sizeof(*scan));
    scan->signature = signature;
    scan->space_bytes = (uint32_t)space_sectors * RAID_SECTOR_BYTES /
                        SPACE_UNIT * SPACE_UNIT;
}

/* As md does: a header that ends where the space does is not looked for. */
bool md_ppl_scan_next(const MdPplScan *scan, uint32_t *at)
{
    *at = scan->at;
    return !scan->done && scan->space_bytes > MD_PPL_HEADER_BYTES &&
           scan->at < scan->space_bytes - MD_PPL_HEADER_BYTES;
}

/* What can't be read may have been the newest: then nothing is known. */
void md_ppl_scan_feed(MdPplScan *scan, const void *buf)
{
    MdPplHeader header;
    uint64_t next;

    if (!buf) {
        scan->found = false;
        scan->done = true;
        return;
    }
    if (md_ppl_decode(buf, scan->signature, &header) != MD_PPL_OK ||
        (scan->found && scan->newest.generation > header.generation)) {
        scan->done = true;
        return;
    }
    next = scan->at + MD_PPL_HEADER_BYTES + md_ppl_unit_bytes(&header);
    scan->found = true;
    scan->newest = header;
    scan->newest_at = scan->at;
    scan->done = next >= scan->space_bytes;
    scan->at = scan->done ? 0 : next;
}

bool md_ppl_pp_is_whole(const MdPplEntry *entry, const void *pp)
{
    return raid_crc32c(0, pp, entry->pp_bytes) == entry->checksum;
}

/*
 * Replay
 */

/* Rows lo .. hi of a run, between which no chunk begins or ends. */
static void add_run_band(const RaidGeometry *geom, const MdPplEntry *entry,
                         const Place *place, uint32_t lo, uint32_t hi,
                         MdPplBand *bands, unsigned *nr)
{
    uint64_t start = ((uint64_t)place->role << geom->chunk_shift) + place->row;
    uint64_t end = start + entry->data_bytes;
    RaidMask roles = 0;

    for (unsigned role = 0; role < geom->nr_data; role++) {
        uint64_t at = ((uint64_t)role << geom->chunk_shift) + lo;

        if (at >= start && at < end) {
            roles |= RAID_BIT(role);
        }
    }
    if (lo < hi && roles) {
        bands[(*nr)++] = (MdPplBand) {
            .stripe = place->stripe, .lo = lo, .hi = hi, .roles = roles,
            .pp_off = (lo - place->row) & (geom->chunk_bytes - 1),
        };
    }
}

static unsigned find_bands(const RaidGeometry *geom, const MdPplEntry *entry,
                           MdPplBand *bands)
{
    Place place = place_of(geom, entry);
    uint32_t end_row = (place.row + entry->data_bytes) &
                       (geom->chunk_bytes - 1);
    uint32_t first = place.row < end_row ? place.row : end_row;
    uint32_t second = place.row < end_row ? end_row : place.row;
    unsigned nr = 0;

    if (is_run(geom, entry)) {
        add_run_band(geom, entry, &place, 0, first, bands, &nr);
        add_run_band(geom, entry, &place, first, second, bands, &nr);
        add_run_band(geom, entry, &place, second, geom->chunk_bytes, bands,
                     &nr);
        return nr;
    }
    bands[0] = (MdPplBand) {
        .stripe = place.stripe, .lo = place.row, .hi = place.row + place.rows,
        .roles = raid_mask_first(place.nr_roles) << place.role,
    };
    return 1;
}

static void decide(const RaidGeometry *geom, bool pp_is_whole,
                   RaidMask missing_slots, MdPplBand *band)
{
    RaidMask missing = raid_stripe_roles(geom, band->stripe, missing_slots);
    RaidMask all = all_roles(geom);

    band->action = MD_PPL_LEAVE;
    if (missing & RAID_BIT(geom->nr_data)) {
        return;                     /* there is no parity to be right */
    }
    if (!missing && (!pp_is_whole || band->roles == all)) {
        band->action = MD_PPL_FROM_DATA;
        band->read = all;
    } else if (pp_is_whole && !(missing & band->roles)) {
        band->action = MD_PPL_FROM_LOG;
        band->read = band->roles;
    } else if (pp_is_whole && raid_mask_count(band->roles) > 1) {
        band->undefined = missing & band->roles;
    }
}

unsigned md_ppl_replay(const RaidGeometry *geom, const MdPplEntry *entry,
                       bool pp_is_whole, RaidMask missing_slots,
                       MdPplBand bands[MD_PPL_MAX_BANDS])
{
    unsigned nr = is_outside(geom, entry) ? 0 : find_bands(geom, entry, bands);

    for (unsigned i = 0; i < nr; i++) {
        decide(geom, pp_is_whole, missing_slots, &bands[i]);
    }
    return nr;
}
