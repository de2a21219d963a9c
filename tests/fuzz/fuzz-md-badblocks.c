/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/md-badblocks: whatever lies where a log should be, what is
 * accepted can be written back; and whatever is added and cleared, also by
 * writes that are cut, no bad sector is forgotten.
 *
 * Input: shift, sectors of the log, how many entries it has (2 bytes), these
 * entries, then steps of five bytes each: what, where (2), how long (2).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"
#include "util/raid/md-badblocks.h"

#define HEADER_BYTES    4
#define STEP_BYTES      5

static void check_sane(const MdBadBlocks *bb)
{
    rule(bb->nr <= bb->max, "room");
    for (unsigned i = 0; i < bb->nr; i++) {
        MdBadRange a = bb->entries[i];

        rule(a.start < a.end, "no entry is empty");
        rule(a.end - a.start <= (uint64_t)1023 << bb->shift, "length");
        for (unsigned j = 0; j < i; j++) {
            rule(a.end <= bb->entries[j].start ||
                 bb->entries[j].end <= a.start, "no entries overlap");
        }
    }
}

/* Is all that is bad in both, too, in @found? */
static void check_kept(const MdBadBlocks *a, const MdBadBlocks *b,
                       const MdBadBlocks *found)
{
    for (unsigned i = 0; i < a->nr; i++) {
        MdBadRange left = a->entries[i];
        MdBadRange both;

        while (left.start < left.end &&
               md_bad_blocks_find(b, left.start, left.end - left.start,
                                  &both)) {
            for (uint64_t at = both.start; at < both.end; ) {
                MdBadRange hit;

                rule(md_bad_blocks_find(found, at, both.end - at, &hit) &&
                     hit.start == at, "bad before and after, and found");
                at = hit.end;
            }
            left.start = both.end;
        }
    }
}

static void check_cut(const MdBadBlocks *before, const MdBadBlocks *after,
                      size_t bytes)
{
    uint8_t *disk = malloc(bytes);
    uint8_t *image = malloc(bytes);
    MdBadBlocks found;

    md_bad_blocks_encode(before, disk, bytes);
    md_bad_blocks_encode(after, image, bytes);
    for (size_t n = 0; n < bytes; n += 512) {
        size_t at = after->nr > before->nr ? bytes - 512 - n : n;

        memcpy(disk + at, image + at, 512);
        rule(md_bad_blocks_decode(disk, bytes, before->shift, &found),
             "a cut log can be read");
        check_kept(before, after, &found);
    }
    free(image);
    free(disk);
}

static void step(MdBadBlocks *bb, size_t bytes, const uint8_t *data)
{
    uint64_t start = data[1] | data[2] << 8;
    uint64_t sectors = (data[3] | data[4] << 8) % 3000;
    uint64_t unit = (uint64_t)1 << bb->shift;
    MdBadBlocks before = *bb;
    bool add = data[0] & 1;

    if (!(add ? md_bad_blocks_add(bb, start, sectors)
              : md_bad_blocks_clear(bb, start, sectors))) {
        rule(add || !memcmp(bb, &before, sizeof(before)), "as it was");
        *bb = before;
        return;
    }
    check_sane(bb);
    if (add) {
        for (uint64_t at = start; at < start + sectors; ) {
            MdBadRange hit;

            rule(md_bad_blocks_find(bb, at, start + sectors - at, &hit) &&
                 hit.start == at, "added");
            at = hit.end;
        }
    } else if (sectors >= 2 * unit) {
        uint64_t first = (start + unit - 1) / unit * unit;
        uint64_t end = (start + sectors) / unit * unit;

        rule(!md_bad_blocks_find(bb, first, end - first, NULL), "cleared");
    }
    check_cut(&before, bb, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    MdBadBlocks bb, again;
    size_t log_bytes, used;
    uint8_t *log;

    if (bytes < HEADER_BYTES) {
        return 0;
    }
    log_bytes = (size_t)(1 + data[1] % 8) * 512;
    used = (data[2] | data[3] << 8) % (log_bytes / 8 + 1) * 8;
    used = used < bytes - HEADER_BYTES ? used : bytes - HEADER_BYTES;
    log = malloc(log_bytes);
    memset(log, 0xff, log_bytes);
    memcpy(log, data + HEADER_BYTES, used);
    if (md_bad_blocks_decode(log, log_bytes, data[0] % 12, &bb)) {
        check_sane(&bb);
        md_bad_blocks_encode(&bb, log, log_bytes);
        rule(md_bad_blocks_decode(log, log_bytes, bb.shift, &again),
             "decoded again");
        rule(again.nr == bb.nr && !memcmp(again.entries, bb.entries,
                                          bb.nr * sizeof(bb.entries[0])),
             "decoded to the same");
        for (size_t at = HEADER_BYTES + used; at + STEP_BYTES <= bytes;
             at += STEP_BYTES) {
            step(&bb, log_bytes, data + at);
        }
    }
    free(log);
    return 0;
}
