/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/md-bitmap: whatever lies where a bitmap should be, what is
 * accepted can be written back; and in whatever order a running array uses its
 * bitmap, the bit of data that may be lost is on disk (I1, I3).
 *
 * Input: what to repair, sectors of the array (2 bytes, little-endian), the
 * bytes of the superblock, then steps of two bytes each: what, and where.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"
#include "util/raid/md-bitmap.h"

#define REPAIR_MAGIC    1
#define REPAIR_CHUNK    2
#define REPAIR_ZEROS    4

#define HEADER_BYTES    3
#define MAX_BITS        65536
#define MAX_WRITERS     4
#define BLOCK           MD_BITMAP_BLOCK_BYTES

typedef struct Writer {
    bool active;
    bool started;                   /* its data is on the way */
    uint64_t start;
    uint64_t end;
} Writer;

typedef struct Model {
    MdBitmap bm;
    uint8_t *disk;                  /* all blocks */
    uint8_t *going;                 /* all blocks, those that are */
    uint8_t *cached;                /* bits with data not past the caches */
    Writer writers[MAX_WRITERS];
    bool marked;
    bool flushed;
} Model;

static void repair(uint8_t *image, unsigned what)
{
    static const uint8_t start[8] = { 'b', 'i', 't', 'm', 4 };

    if (what & REPAIR_MAGIC) {
        memcpy(image, start, sizeof(start));
    }
    if (what & REPAIR_CHUNK) {
        memset(image + 52, 0, 4);
        image[53] = 1u << image[53] % 8 & 0xfe;
        image[54] = !image[53];
        memset(image + 57, 0, 3);
    }
    if (what & REPAIR_ZEROS) {
        memset(image + 48, 0, 4);
        memset(image + 61, 0, 3);
        memset(image + 68, 0, MD_BITMAP_SUPER_BYTES - 68);
    }
}

static void check_accepted(const MdBitmapSuper *sb, const uint8_t *image)
{
    uint8_t again[MD_BITMAP_SUPER_BYTES];

    md_bitmap_super_encode(sb, again);
    rule(!memcmp(again, image, sizeof(again)), "encoded as it was");
    rule(sb->chunk_bytes >= 512 && !(sb->chunk_bytes & (sb->chunk_bytes - 1)),
         "chunk");
    rule(md_bitmap_judge(sb, sb->uuid, sb->sync_size_sectors, sb->events) ==
         (sb->state ? MD_BITMAP_STALE : MD_BITMAP_OK), "judged");
}

static bool bit_in(const uint8_t *image, uint64_t bit)
{
    return image[MD_BITMAP_SUPER_BYTES + bit / 8] >> (bit % 8) & 1;
}

static void mark_cached(Model *model, const Writer *w)
{
    if (w->active && w->started) {
        for (uint64_t bit = w->start >> model->bm.chunk_shift;
             bit <= (w->end - 1) >> model->bm.chunk_shift; bit++) {
            model->cached[bit] = 1;
        }
    }
}

static void step_writer(Model *model, Writer *w, uint8_t where)
{
    uint64_t sync = model->bm.sync_sectors;
    MdBitmapWait wait = { 0 };

    if (!w->active) {
        w->start = where * sync / 256;
        w->end = w->start + 1 + where % 16 * sync / 64;
        w->end = w->end < sync ? w->end : sync;
        w->active = true;
        w->started = md_bitmap_start_write(&model->bm, w->start, w->end,
                                           &wait);
        rule(w->started == md_bitmap_is_durable(&model->bm, w->start, w->end),
             "started when durable");
        rule(wait.last_block < model->bm.nr_blocks, "blocks to wait for");
    } else if (w->started) {
        md_bitmap_end_write(&model->bm, w->start, w->end, where & 1);
        w->active = false;
    } else {
        w->started = md_bitmap_is_durable(&model->bm, w->start, w->end);
    }
    mark_cached(model, w);
}

static void step_block(Model *model, uint8_t where)
{
    uint32_t block = where % model->bm.nr_blocks;
    uint8_t *going = model->going + (size_t)block * BLOCK;

    if (md_bitmap_block_is_going(&model->bm, block)) {
        if (where & 64) {
            memcpy(model->disk + (size_t)block * BLOCK, going, BLOCK);
        }
        md_bitmap_block_end(&model->bm, block, where & 64);
        return;
    }
    block = md_bitmap_next_block(&model->bm, block, where & 64 ?
                                 MD_BITMAP_URGENT : MD_BITMAP_ANY);
    if (block < model->bm.nr_blocks) {
        md_bitmap_block_begin(&model->bm, block,
                              model->going + (size_t)block * BLOCK);
    }
}

static void step_clear(Model *model, uint8_t where)
{
    if (!model->marked) {
        model->marked = md_bitmap_clear_begin(&model->bm, where, where & 1);
        model->flushed = false;
    } else if (model->flushed) {
        md_bitmap_clear_commit(&model->bm, where & 1);
        model->marked = false;
    }
}

static void step_flush(Model *model)
{
    memset(model->cached, 0, model->bm.nr_bits);
    for (unsigned i = 0; i < MAX_WRITERS; i++) {
        mark_cached(model, &model->writers[i]);
    }
    model->flushed = true;
}

static void step_ranges(Model *model, uint8_t where)
{
    MdBitmapKind kind = where & 1 ? MD_BITMAP_NEEDED : MD_BITMAP_SET;
    uint64_t at = 0;
    uint64_t start;
    uint64_t end;

    while (md_bitmap_next_range(&model->bm, at, kind, &start, &end)) {
        rule(start >= at && start < end && end <= model->bm.sync_sectors,
             "ranges in order");
        if (where & 2) {
            md_bitmap_resynced(&model->bm, start, end);
        }
        at = end;
    }
}

static void check_disk(const Model *model)
{
    for (uint64_t bit = 0; bit < model->bm.nr_bits; bit++) {
        uint32_t block = (8 * MD_BITMAP_SUPER_BYTES + bit) / (8 * BLOCK);

        if (model->cached[bit]) {
            rule(bit_in(model->disk, bit), "on disk");
            rule(!md_bitmap_block_is_going(&model->bm, block) ||
                 bit_in(model->going, bit), "in what is going there");
        }
    }
}

static void run(Model *model, const uint8_t *steps, size_t bytes)
{
    for (size_t at = 0; at + 2 <= bytes; at += 2) {
        switch (steps[at] % 8) {
        case 0:
        case 1:
        case 2:
            step_writer(model, &model->writers[steps[at] / 8 % MAX_WRITERS],
                        steps[at + 1]);
            break;
        case 3:
        case 4:
            step_block(model, steps[at + 1]);
            break;
        case 5:
            step_clear(model, steps[at + 1]);
            break;
        case 6:
            step_flush(model);
            break;
        case 7:
            step_ranges(model, steps[at + 1]);
            break;
        }
        check_disk(model);
    }
}

static void run_model(const MdBitmapSuper *sb, uint64_t sectors,
                      const uint8_t *steps, size_t bytes)
{
    uint64_t nr_bits = md_bitmap_nr_bits(sectors, sb->chunk_bytes);
    Model *model = calloc(1, sizeof(*model));
    void *memory = aligned_alloc(8, md_bitmap_memory_bytes(nr_bits));

    md_bitmap_init(&model->bm, sb, sectors, memory);
    rule(model->bm.nr_bits == nr_bits, "bits");
    model->disk = calloc(model->bm.nr_blocks, BLOCK);
    model->going = calloc(model->bm.nr_blocks, BLOCK);
    model->cached = calloc(nr_bits, 1);
    run(model, steps, bytes);
    free(model->cached);
    free(model->going);
    free(model->disk);
    free(memory);
    free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t sectors;
    uint8_t *image;
    MdBitmapSuper sb;

    if (bytes < HEADER_BYTES + MD_BITMAP_SUPER_BYTES) {
        return 0;
    }
    sectors = 1 + data[1] + data[2] * UINT64_C(256);
    image = malloc(MD_BITMAP_SUPER_BYTES);
    memcpy(image, data + HEADER_BYTES, MD_BITMAP_SUPER_BYTES);
    repair(image, data[0]);
    if (md_bitmap_super_decode(image, &sb) == MD_BITMAP_OK) {
        check_accepted(&sb, image);
        if (md_bitmap_nr_bits(sectors, sb.chunk_bytes) <= MAX_BITS) {
            run_model(&sb, sectors,
                      data + HEADER_BYTES + MD_BITMAP_SUPER_BYTES,
                      bytes - HEADER_BYTES - MD_BITMAP_SUPER_BYTES);
        }
    }
    free(image);
    return 0;
}
