/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/stripe-journal: whatever lies where a unit should be, what is
 * accepted can be written back, its content stays inside the half, and its
 * replay inside the members' data.
 *
 * Input: what to repair, slots, chunk and level, half, then the header.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"
#include "util/raid/crc32c.h"
#include "util/raid/stripe-journal.h"

#define REPAIR_MAGIC    1
#define REPAIR_UUID     2
#define REPAIR_CHECKSUM 4
#define REPAIR_COUNT    8

#define INPUT_BYTES     4
#define HALF_BYTES      (128u * 1024)
#define STRIPES         100
#define AT_CHECKSUM     12
#define AT_UUID         16
#define AT_COUNT        40

static const uint8_t uuid[16] = { 1, 2, 3 };

static void store32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void repair(uint8_t *image, unsigned what)
{
    if (what & REPAIR_MAGIC) {
        memcpy(image, "OPSRJRNL\1\0\0", 12);
    }
    if (what & REPAIR_UUID) {
        memcpy(image + AT_UUID, uuid, sizeof(uuid));
    }
    if (what & REPAIR_COUNT) {
        store32(image + AT_COUNT, image[AT_COUNT] % 5);
    }
    if (what & REPAIR_CHECKSUM) {
        store32(image + AT_CHECKSUM, 0);
        store32(image + AT_CHECKSUM,
                raid_crc32c(0, image, RAID_JOURNAL_HEADER_BYTES));
    }
}

static bool make_geometry(RaidGeometry *geom, const uint8_t *data)
{
    RaidGeometryParams params = {
        .level = data[2] & 64 ? RAID_LEVEL_5 : RAID_LEVEL_6,
        .layout = RAID_LAYOUT_LEFT_SYMMETRIC,
        .nr_slots = 3 + data[1] % 6, .chunk_bytes = 4096u << data[2] % 6,
    };

    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = STRIPES * (uint64_t)params.chunk_bytes;
    }
    return raid_geometry_init(geom, &params) == RAID_GEOMETRY_OK;
}

static void check_unit(const RaidGeometry *geom, const RaidJournalUnit *unit,
                       unsigned half)
{
    uint8_t *image = malloc(RAID_JOURNAL_HEADER_BYTES);
    RaidJournalUnit *again = malloc(sizeof(*again));
    RaidJournalCursor cursor = { 0 };
    RaidJournalWrite w;
    uint64_t content = 0;
    uint64_t inside = 0;

    for (unsigned i = 0; i < unit->nr_entries; i++) {
        const RaidJournalEntry *entry = &unit->entries[i];

        if (entry->stripe < geom->member_bytes / geom->chunk_bytes) {
            inside += raid_journal_entry_bytes(entry);
        }
    }
    raid_journal_encode(unit, uuid, image);
    rule(raid_journal_decode(image, geom, uuid, half, HALF_BYTES, again) ==
         RAID_JOURNAL_OK, "again");
    rule(!memcmp(unit, again, sizeof(*unit)), "decoded to the same");
    rule(unit->content_bytes <= HALF_BYTES - RAID_JOURNAL_HEADER_BYTES,
         "inside the half");
    while (raid_journal_next(geom, unit, &cursor, &w)) {
        rule(w.slot < geom->nr_slots, "slot");
        rule(w.bytes && w.member_off <= geom->member_bytes &&
             w.bytes <= geom->member_bytes - w.member_off, "inside the data");
        if (!w.zero) {
            rule(w.content_off <= unit->content_bytes &&
                 w.bytes <= unit->content_bytes - w.content_off,
                 "inside the content");
            rule(w.content_off >= content, "content in order");
            content = w.content_off + w.bytes;
            inside -= w.bytes;
        }
    }
    rule(inside == 0, "all of the content");
    free(again);
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    RaidGeometry *geom = malloc(sizeof(*geom));
    uint8_t *image = calloc(1, RAID_JOURNAL_HEADER_BYTES);
    RaidJournalUnit *unit = malloc(sizeof(*unit));

    if (bytes >= INPUT_BYTES && make_geometry(geom, data)) {
        unsigned half = data[3] & 1;

        bytes -= INPUT_BYTES;
        memcpy(image, data + INPUT_BYTES, bytes < RAID_JOURNAL_HEADER_BYTES
                                          ? bytes : RAID_JOURNAL_HEADER_BYTES);
        repair(image, data[0]);
        if (raid_journal_decode(image, geom, uuid, half, HALF_BYTES, unit) ==
            RAID_JOURNAL_OK) {
            check_unit(geom, unit, half);
        }
    }
    free(unit);
    free(image);
    free(geom);
    return 0;
}
