/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/md-ppl: whatever lies where a log should be, what is accepted
 * can be written back, stays inside the array, and never has a missing member
 * read.
 *
 * Input: what to repair, slots, chunk and layout, missing slot, sectors of the
 * log (2 bytes, little-endian), then the bytes of a header from its signature
 * on; those before are 0xff.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"
#include "util/raid/crc32c.h"
#include "util/raid/md-ppl.h"

#define REPAIR_SIGNATURE    1
#define REPAIR_CHECKSUM     2
#define REPAIR_COUNT        4

#define INPUT_BYTES     6
#define SIGNATURE       0x00112233u
#define AT_SIGNATURE    512
#define AT_COUNT        528
#define AT_CHECKSUM     532
#define STRIPES         100

static void store32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void repair(uint8_t *image, unsigned what)
{
    if (what & REPAIR_SIGNATURE) {
        store32(image + AT_SIGNATURE, SIGNATURE);
    }
    if (what & REPAIR_COUNT) {
        store32(image + AT_COUNT, image[AT_COUNT] % 5);
    }
    if (what & REPAIR_CHECKSUM) {
        store32(image + AT_CHECKSUM, 0);
        store32(image + AT_CHECKSUM,
                raid_crc32c(0, image, MD_PPL_HEADER_BYTES));
    }
}

static bool make_geometry(RaidGeometry *geom, const uint8_t *data)
{
    static const RaidLayout layouts[] = {
        RAID_LAYOUT_LEFT_ASYMMETRIC, RAID_LAYOUT_RIGHT_ASYMMETRIC,
        RAID_LAYOUT_LEFT_SYMMETRIC, RAID_LAYOUT_RIGHT_SYMMETRIC,
    };
    RaidGeometryParams params = {
        .level = RAID_LEVEL_5, .layout = layouts[data[2] / 8 % 4],
        .nr_slots = 2 + data[1] % 6, .chunk_bytes = 4096u << data[2] % 6,
    };

    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = STRIPES * (uint64_t)params.chunk_bytes;
    }
    return raid_geometry_init(geom, &params) == RAID_GEOMETRY_OK;
}

static void check_band(const RaidGeometry *geom, const MdPplEntry *entry,
                       const MdPplBand *band, bool whole, RaidMask missing)
{
    RaidMask all = raid_mask_first(geom->nr_data);
    RaidMask lost = raid_stripe_roles(geom, band->stripe, missing);

    rule(band->stripe < STRIPES, "stripe");
    rule(band->lo < band->hi && band->hi <= geom->chunk_bytes, "rows");
    rule(band->roles && !(band->roles & ~all), "roles");
    rule(!(band->read & lost), "missing member read");
    rule(!(band->undefined & ~lost), "undefined, but there");
    rule(!missing || !band->read || !(band->roles & lost), "lost data used");
    switch (band->action) {
    case MD_PPL_FROM_DATA:
        rule(band->read == all, "all data");
        break;
    case MD_PPL_FROM_LOG:
        rule(whole && band->read == band->roles, "written data");
        rule(band->pp_off + (band->hi - band->lo) <= entry->pp_bytes,
             "partial parity");
        break;
    case MD_PPL_LEAVE:
        rule(missing && !band->read, "left alone");
        break;
    }
}

static void check_entry(const RaidGeometry *geom, const MdPplEntry *entry,
                        bool whole, RaidMask missing)
{
    MdPplBand bands[MD_PPL_MAX_BANDS];
    unsigned nr = md_ppl_replay(geom, entry, whole, missing, bands);
    uint64_t data = 0;

    if (entry->data_sector >= geom->array_bytes / RAID_SECTOR_BYTES) {
        rule(nr == 0, "nothing behind the end of the array");
        return;
    }
    rule(nr >= 1 && nr <= MD_PPL_MAX_BANDS, "bands");
    for (unsigned i = 0; i < nr; i++) {
        check_band(geom, entry, &bands[i], whole, missing);
        rule(i == 0 || bands[i - 1].hi <= bands[i].lo, "bands in order");
        data += (uint64_t)raid_mask_count(bands[i].roles) *
                (bands[i].hi - bands[i].lo);
    }
    rule(data == entry->data_bytes, "all of the data");
}

static void check_header(const RaidGeometry *geom, const MdPplHeader *header,
                         unsigned lost)
{
    uint8_t *again = malloc(MD_PPL_HEADER_BYTES);
    MdPplHeader *second = malloc(sizeof(*second));

    md_ppl_encode(header, again);
    rule(md_ppl_decode(again, SIGNATURE, second) == MD_PPL_OK, "again");
    rule(!memcmp(header, second, sizeof(*header)), "decoded to the same");
    free(second);
    free(again);
    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        RaidMask missing = lost < geom->nr_slots && lost != slot
                           ? RAID_BIT(lost) : 0;

        if (md_ppl_check(geom, slot, header, 1 << 20) != MD_PPL_OK) {
            continue;
        }
        for (unsigned i = 0; i < header->nr_entries; i++) {
            check_entry(geom, &header->entries[i], true, missing);
            check_entry(geom, &header->entries[i], false, missing);
        }
    }
}

/* The same header wherever one is looked for. */
static void check_scan(const uint8_t *image, uint16_t sectors)
{
    MdPplScan *scan = malloc(sizeof(*scan));
    unsigned steps = 0;
    uint32_t at;

    md_ppl_scan_start(scan, sectors, SIGNATURE);
    while (md_ppl_scan_next(scan, &at)) {
        rule(at + MD_PPL_HEADER_BYTES <= sectors * 512u, "inside the log");
        rule(++steps <= sectors / 8u, "the walk ends");
        md_ppl_scan_feed(scan, image);
    }
    rule(!scan->found || scan->newest_at < sectors * 512u, "newest");
    free(scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    RaidGeometry *geom = malloc(sizeof(*geom));
    uint8_t *image = malloc(MD_PPL_HEADER_BYTES);
    MdPplHeader *header = malloc(sizeof(*header));
    size_t room = MD_PPL_HEADER_BYTES - AT_SIGNATURE;

    if (bytes >= INPUT_BYTES && make_geometry(geom, data)) {
        bytes -= INPUT_BYTES;
        memset(image, 0xff, AT_SIGNATURE);
        memset(image + AT_SIGNATURE, 0, room);
        memcpy(image + AT_SIGNATURE, data + INPUT_BYTES,
               bytes < room ? bytes : room);
        repair(image, data[0]);
        if (md_ppl_decode(image, SIGNATURE, header) == MD_PPL_OK) {
            check_header(geom, header, data[3] % 8);
        }
        check_scan(image, data[4] + 256 * data[5]);
    }
    free(header);
    free(image);
    free(geom);
    return 0;
}
