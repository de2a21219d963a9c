/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-bitmap: the bits of a running array. I1: data is
 * written only when its bit is on disk. I3: a bit goes only when its data is
 * past all caches, and never while a member is missing.
 */
#include <glib.h>
#include <string.h>

#include "util/raid/md-bitmap.h"

#define CHUNK_SECTORS   128
#define BLOCK           MD_BITMAP_BLOCK_BYTES
#define EVENTS          10

/* Bits of block 0, and of each block behind it. */
#define FIRST_BITS      (8 * (BLOCK - MD_BITMAP_SUPER_BYTES))
#define OTHER_BITS      (8 * BLOCK)

static const MdBitmapSuper super = {
    .chunk_bytes = CHUNK_SECTORS * 512,
    .daemon_sleep_seconds = 5,
    .events = EVENTS,
    .events_cleared = EVENTS - 3,
};

static MdBitmap *make(uint64_t sync_sectors)
{
    MdBitmap *bm = g_new(MdBitmap, 1);
    uint64_t nr_bits = md_bitmap_nr_bits(sync_sectors, super.chunk_bytes);

    md_bitmap_init(bm, &super, sync_sectors,
                   g_malloc(md_bitmap_memory_bytes(nr_bits)));
    return bm;
}

static void drop(MdBitmap *bm)
{
    g_free(bm->image);
    g_free(bm);
}

static bool bit_in(const uint8_t *image, uint64_t bit)
{
    return image[MD_BITMAP_SUPER_BYTES + bit / 8] >> (bit % 8) & 1;
}

/* Write all blocks there are to write; returns how many. */
static unsigned write_blocks(MdBitmap *bm, MdBitmapHurry hurry)
{
    uint8_t buf[BLOCK];
    unsigned n = 0;
    uint32_t block;

    while ((block = md_bitmap_next_block(bm, 0, hurry)) < bm->nr_blocks) {
        md_bitmap_block_begin(bm, block, buf);
        md_bitmap_block_end(bm, block, true);
        n++;
    }
    return n;
}

/* A write from start to end, with all that belongs to it. */
static void whole_write(MdBitmap *bm, uint64_t start, uint64_t end)
{
    MdBitmapWait wait;

    if (!md_bitmap_start_write(bm, start, end, &wait)) {
        write_blocks(bm, MD_BITMAP_URGENT);
    }
    md_bitmap_end_write(bm, start, end, true);
}

/* One sweep with everything that it asks for; returns how many went. */
static uint64_t sweep(MdBitmap *bm)
{
    md_bitmap_clear_begin(bm, EVENTS, false);
    write_blocks(bm, MD_BITMAP_ANY);
    return md_bitmap_clear_commit(bm, false);
}

static void assert_range(const MdBitmap *bm, MdBitmapKind kind, uint64_t from,
                         uint64_t want_start, uint64_t want_end)
{
    uint64_t start;
    uint64_t end;

    g_assert_true(md_bitmap_next_range(bm, from, kind, &start, &end));
    g_assert_cmpuint(start, ==, want_start);
    g_assert_cmpuint(end, ==, want_end);
}

static bool has_range(const MdBitmap *bm, MdBitmapKind kind, uint64_t from)
{
    uint64_t start;
    uint64_t end;

    return md_bitmap_next_range(bm, from, kind, &start, &end);
}

/*
 * Setting
 */

static void test_first_write_waits(void)
{
    MdBitmap *bm = make(1000);
    uint8_t buf[BLOCK];
    MdBitmapWait wait;

    g_assert_cmpuint(bm->nr_bits, ==, 8);
    g_assert_cmpuint(bm->nr_blocks, ==, 1);
    g_assert_cmpuint(md_bitmap_block_bytes(bm, 0), ==, 512);
    write_blocks(bm, MD_BITMAP_ANY);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 1);

    g_assert_false(md_bitmap_start_write(bm, 127, 129, &wait));
    g_assert_true(wait.new_bits);
    g_assert_cmpuint(wait.first_block, ==, 0);
    g_assert_cmpuint(wait.last_block, ==, 0);
    /* Another one to the same region waits too, though the bit is old. */
    g_assert_false(md_bitmap_start_write(bm, 0, 8, &wait));
    g_assert_false(wait.new_bits);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_URGENT), ==, 0);
    md_bitmap_block_begin(bm, 0, buf);
    g_assert_cmpmem(buf, 4, "bitm", 4);
    g_assert_cmpuint(buf[MD_BITMAP_SUPER_BYTES], ==, 3);
    g_assert_true(md_bitmap_block_is_going(bm, 0));
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 1);
    g_assert_false(md_bitmap_is_durable(bm, 0, 8));
    g_assert_false(md_bitmap_start_write(bm, 0, 1, &wait));

    /* This bit comes too late for the write under way. */
    g_assert_false(md_bitmap_start_write(bm, 999, 1000, &wait));
    g_assert_cmpuint(buf[MD_BITMAP_SUPER_BYTES], ==, 3);
    md_bitmap_block_end(bm, 0, true);
    g_assert_true(md_bitmap_is_durable(bm, 0, 256));
    g_assert_false(md_bitmap_is_durable(bm, 999, 1000));
    g_assert_false(md_bitmap_is_durable(bm, 0, 1000));
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 1);
    g_assert_true(md_bitmap_is_durable(bm, 999, 1000));

    /* From now on it costs nothing. */
    g_assert_true(md_bitmap_start_write(bm, 0, 200, &wait));
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 1);
    drop(bm);
}

static void test_block_fails(void)
{
    MdBitmap *bm = make(1000);
    uint8_t buf[BLOCK];
    MdBitmapWait wait;

    g_assert_false(md_bitmap_start_write(bm, 0, 1, &wait));
    md_bitmap_block_begin(bm, 0, buf);
    md_bitmap_block_end(bm, 0, false);
    g_assert_false(md_bitmap_is_durable(bm, 0, 1));
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_URGENT), ==, 0);
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 1);
    g_assert_true(md_bitmap_is_durable(bm, 0, 1));
    drop(bm);
}

/* The superblock takes 2048 bits of block 0. */
static void test_blocks(void)
{
    uint64_t nr_bits = FIRST_BITS + OTHER_BITS + 1;
    MdBitmap *bm = make((nr_bits - 1) * CHUNK_SECTORS + 1);
    uint64_t edge = (uint64_t)FIRST_BITS * CHUNK_SECTORS;
    uint8_t buf[BLOCK];
    MdBitmapWait wait;

    g_assert_cmpuint(bm->nr_bits, ==, nr_bits);
    g_assert_cmpuint(bm->nr_blocks, ==, 3);
    g_assert_cmpuint(md_bitmap_block_bytes(bm, 1), ==, BLOCK);
    g_assert_cmpuint(md_bitmap_block_bytes(bm, 2), ==, 512);
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_ANY), ==, 3);

    g_assert_false(md_bitmap_start_write(bm, edge - 1, edge + 1, &wait));
    g_assert_cmpuint(wait.first_block, ==, 0);
    g_assert_cmpuint(wait.last_block, ==, 1);
    md_bitmap_block_begin(bm, 1, buf);
    g_assert_cmpuint(buf[0], ==, 1);
    g_assert_cmpuint(md_bitmap_next_block(bm, 1, MD_BITMAP_URGENT), ==, 3);
    md_bitmap_block_end(bm, 1, true);
    g_assert_true(md_bitmap_is_durable(bm, edge, edge + 1));
    g_assert_false(md_bitmap_is_durable(bm, edge - 1, edge + 1));
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 1);

    g_assert_false(md_bitmap_start_write(bm, 0, bm->sync_sectors, &wait));
    g_assert_cmpuint(wait.last_block, ==, 2);
    g_assert_cmpuint(bm->nr_set, ==, nr_bits);
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 3);
    assert_range(bm, MD_BITMAP_SET, 0, 0, bm->sync_sectors);
    drop(bm);
}

/*
 * Clearing
 */

static void test_lazy_clear(void)
{
    MdBitmap *bm = make(1000);
    uint8_t buf[BLOCK];
    MdBitmapWait wait;

    write_blocks(bm, MD_BITMAP_ANY);
    g_assert_false(md_bitmap_start_write(bm, 0, 1, &wait));
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 1);
    /* Under way: no sweep touches it. */
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 0);
    }
    md_bitmap_end_write(bm, 0, 1, true);
    g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 0);
    g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 1);

    g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 1);
    g_assert_cmpuint(bm->super.events_cleared, ==, EVENTS);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 0);
    /* Without events_cleared on disk there is no clearing. */
    g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
    g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 1);
    md_bitmap_block_begin(bm, 0, buf);
    g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
    md_bitmap_block_end(bm, 0, true);
    g_assert_cmpuint(buf[32], ==, EVENTS);
    g_assert_true(bit_in(buf, 0));

    g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 1);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 1);
    g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 1);
    g_assert_cmpuint(bm->nr_set, ==, 0);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_URGENT), ==, 1);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 0);
    md_bitmap_block_begin(bm, 0, buf);
    md_bitmap_block_end(bm, 0, true);
    g_assert_false(bit_in(buf, 0));
    drop(bm);
}

/* A write between the two steps keeps the bit, whether it ended or not. */
static void test_write_beats_clear(void)
{
    for (unsigned ended = 0; ended < 2; ended++) {
        MdBitmap *bm = make(1000);
        MdBitmapWait wait;

        write_blocks(bm, MD_BITMAP_ANY);
        whole_write(bm, 0, 1);
        g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 0);
        g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 1);
        write_blocks(bm, MD_BITMAP_ANY);
        g_assert_true(md_bitmap_start_write(bm, 0, 1, &wait));
        if (ended) {
            md_bitmap_end_write(bm, 0, 1, true);
        }
        g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
        g_assert_true(md_bitmap_is_durable(bm, 0, 1));
        drop(bm);
    }
}

/* A busy region is not written again and again. */
static void test_busy_region(void)
{
    MdBitmap *bm = make(1000);
    MdBitmapWait wait;

    write_blocks(bm, MD_BITMAP_ANY);
    whole_write(bm, 0, 1);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_true(md_bitmap_start_write(bm, 0, 1, &wait));
        md_bitmap_end_write(bm, 0, 1, true);
        g_assert_cmpuint(sweep(bm), ==, 0);
    }
    g_assert_cmpuint(sweep(bm), ==, 1);
    drop(bm);
}

static void test_degraded_never_clears(void)
{
    MdBitmap *bm = make(1000);

    write_blocks(bm, MD_BITMAP_ANY);
    whole_write(bm, 0, 1);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, true), ==, 0);
        g_assert_cmpuint(md_bitmap_clear_commit(bm, true), ==, 0);
    }
    g_assert_cmpuint(bm->super.events_cleared, ==, EVENTS - 3);
    g_assert_cmpuint(sweep(bm), ==, 0);
    /* A member fails between the two steps. */
    g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 1);
    write_blocks(bm, MD_BITMAP_ANY);
    g_assert_cmpuint(md_bitmap_clear_commit(bm, true), ==, 0);
    g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
    g_assert_cmpuint(bm->nr_set, ==, 1);
    g_assert_cmpuint(sweep(bm), ==, 1);
    drop(bm);
}

/*
 * A sweep could not flush a member, so that one failed. What was marked must
 * not be cleared by the sweeps that come next, nor as soon as it is back.
 */
static void test_sweep_not_over(void)
{
    for (unsigned told = 0; told <= 1; told++) {
        MdBitmap *bm = make(1000);

        whole_write(bm, 0, 1);
        whole_write(bm, 500, 501);
        g_assert_cmpuint(sweep(bm), ==, 0);
        g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, false), ==, 2);
        if (told) {
            g_assert_cmpuint(md_bitmap_clear_commit(bm, true), ==, 0);
        }
        for (unsigned i = 0; i < 3; i++) {
            g_assert_cmpuint(md_bitmap_clear_begin(bm, EVENTS, true), ==, 0);
            write_blocks(bm, MD_BITMAP_ANY);
            g_assert_cmpuint(md_bitmap_clear_commit(bm, false), ==, 0);
        }
        g_assert_cmpuint(bm->nr_set, ==, 2);
        g_assert_cmpuint(sweep(bm), ==, 0);
        g_assert_cmpuint(sweep(bm), ==, 2);
        drop(bm);
    }
}

/*
 * Loading and resync
 */

static void test_load(void)
{
    uint8_t image[BLOCK];
    MdBitmap *bm = make(1000);

    memset(image, 0xff, sizeof(image));
    image[MD_BITMAP_SUPER_BYTES] = 0xd6;    /* 1, 2, 4, 6, 7 */
    md_bitmap_load(bm, image, true, true);
    g_assert_cmpuint(bm->nr_set, ==, 5);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_URGENT), ==, 1);
    g_assert_true(md_bitmap_is_durable(bm, 128, 384));
    g_assert_false(md_bitmap_is_durable(bm, 0, 1));
    assert_range(bm, MD_BITMAP_NEEDED, 0, 128, 384);
    assert_range(bm, MD_BITMAP_NEEDED, 200, 200, 384);
    assert_range(bm, MD_BITMAP_NEEDED, 384, 512, 640);
    assert_range(bm, MD_BITMAP_NEEDED, 640, 768, 1000);
    g_assert_false(has_range(bm, MD_BITMAP_NEEDED, 1000));

    /* Only what was resynced as a whole may be cleared. */
    md_bitmap_resynced(bm, 130, 640);
    assert_range(bm, MD_BITMAP_NEEDED, 0, 128, 256);
    assert_range(bm, MD_BITMAP_NEEDED, 256, 768, 1000);
    assert_range(bm, MD_BITMAP_SET, 0, 128, 384);
    g_assert_cmpuint(sweep(bm), ==, 0);
    g_assert_cmpuint(sweep(bm), ==, 2);
    assert_range(bm, MD_BITMAP_SET, 0, 128, 256);
    assert_range(bm, MD_BITMAP_SET, 256, 768, 1000);
    md_bitmap_resynced(bm, 0, 1000);
    g_assert_false(has_range(bm, MD_BITMAP_NEEDED, 0));
    g_assert_cmpuint(sweep(bm), ==, 0);
    g_assert_cmpuint(sweep(bm), ==, 3);
    g_assert_false(has_range(bm, MD_BITMAP_SET, 0));
    drop(bm);
}

/* Where the members' copies differ, no bit counts until it is written. */
static void test_load_not_durable(void)
{
    uint8_t image[BLOCK] = { 0 };
    MdBitmap *bm = make(1000);
    MdBitmapWait wait;

    image[MD_BITMAP_SUPER_BYTES] = 1;
    md_bitmap_load(bm, image, false, false);
    g_assert_false(md_bitmap_start_write(bm, 0, 1, &wait));
    g_assert_false(wait.new_bits);
    g_assert_cmpuint(write_blocks(bm, MD_BITMAP_URGENT), ==, 1);
    g_assert_true(md_bitmap_is_durable(bm, 0, 1));
    md_bitmap_end_write(bm, 0, 1, true);
    g_assert_false(has_range(bm, MD_BITMAP_NEEDED, 0));
    g_assert_cmpuint(sweep(bm), ==, 0);
    g_assert_cmpuint(sweep(bm), ==, 1);
    drop(bm);
}

static void test_set_all(void)
{
    MdBitmap *bm = make(1000);

    whole_write(bm, 0, 1);
    md_bitmap_set_all(bm, false);
    assert_range(bm, MD_BITMAP_SET, 0, 0, 1000);
    g_assert_false(has_range(bm, MD_BITMAP_NEEDED, 0));
    md_bitmap_set_all(bm, true);
    assert_range(bm, MD_BITMAP_NEEDED, 0, 0, 1000);
    g_assert_cmpuint(bm->nr_set, ==, bm->nr_bits);
    g_assert_false(md_bitmap_is_durable(bm, 0, 1000));
    write_blocks(bm, MD_BITMAP_URGENT);
    g_assert_true(md_bitmap_is_durable(bm, 0, 1000));
    drop(bm);
}

/* The guest got an error, members hold different data: to be resynced. */
static void test_failed_write(void)
{
    MdBitmap *bm = make(1000);
    MdBitmapWait wait;

    g_assert_false(md_bitmap_start_write(bm, 100, 200, &wait));
    write_blocks(bm, MD_BITMAP_ANY);
    md_bitmap_end_write(bm, 100, 200, false);
    assert_range(bm, MD_BITMAP_NEEDED, 0, 0, 256);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(sweep(bm), ==, 0);
    }
    md_bitmap_resynced(bm, 0, 256);
    g_assert_cmpuint(sweep(bm), ==, 0);
    g_assert_cmpuint(sweep(bm), ==, 2);
    drop(bm);
}

static void test_set_events(void)
{
    MdBitmap *bm = make(1000);
    uint8_t buf[BLOCK];

    write_blocks(bm, MD_BITMAP_ANY);
    md_bitmap_set_events(bm, 200);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_URGENT), ==, 1);
    g_assert_cmpuint(md_bitmap_next_block(bm, 0, MD_BITMAP_ANY), ==, 0);
    md_bitmap_block_begin(bm, 0, buf);
    g_assert_cmpuint(buf[24], ==, 200);
    g_assert_cmpuint(buf[32], ==, EVENTS - 3);
    md_bitmap_block_end(bm, 0, true);
    md_bitmap_set_events(bm, 5);
    md_bitmap_block_begin(bm, 0, buf);
    g_assert_cmpuint(buf[24], ==, 5);
    g_assert_cmpuint(buf[32], ==, 5);
    md_bitmap_block_end(bm, 0, true);
    drop(bm);
}

/*
 * Everything at once: random steps of many writers, against a disk. At each
 * step the power may go: then the bit of each region with data that is not
 * past the caches must be on disk, in the old version of its block and in the
 * one under way.
 */

#define MODEL_BITS      40
#define MODEL_WRITERS   6
#define MODEL_STEPS     200000

typedef struct Writer {
    bool active;
    bool started;                   /* its data is on the way */
    uint64_t start;
    uint64_t end;
} Writer;

typedef struct Model {
    MdBitmap *bm;
    GRand *rand;
    uint8_t disk[BLOCK];
    uint8_t going[BLOCK];
    bool cached[MODEL_BITS];        /* data not past the caches */
    Writer writers[MODEL_WRITERS];
    bool marked;                    /* between the two steps of clearing */
    bool flushed;                   /* since the first of them */
    unsigned nr_cleared;
    unsigned nr_immediate;
} Model;

static void model_check(const Model *model)
{
    bool going = md_bitmap_block_is_going(model->bm, 0);

    for (unsigned bit = 0; bit < MODEL_BITS; bit++) {
        if (model->cached[bit]) {
            g_assert_true(bit_in(model->disk, bit));
            g_assert_true(!going || bit_in(model->going, bit));
        }
    }
}

static void model_writer(Model *model)
{
    Writer *w = &model->writers[g_rand_int_range(model->rand, 0,
                                                 MODEL_WRITERS)];
    MdBitmapWait wait;

    if (!w->active) {
        w->start = g_rand_int_range(model->rand, 0, MODEL_BITS *
                                    CHUNK_SECTORS);
        w->end = w->start + g_rand_int_range(model->rand, 1, 300);
        w->end = MIN(w->end, model->bm->sync_sectors);
        w->active = true;
        w->started = md_bitmap_start_write(model->bm, w->start, w->end, &wait);
        model->nr_immediate += w->started;
    } else if (w->started) {
        md_bitmap_end_write(model->bm, w->start, w->end, true);
        w->active = false;
    } else {
        w->started = md_bitmap_is_durable(model->bm, w->start, w->end);
    }
    for (uint64_t bit = w->start / CHUNK_SECTORS;
         w->active && w->started && bit <= (w->end - 1) / CHUNK_SECTORS;
         bit++) {
        model->cached[bit] = true;
    }
}

static void model_block(Model *model)
{
    if (!md_bitmap_block_is_going(model->bm, 0)) {
        if (md_bitmap_next_block(model->bm, 0, MD_BITMAP_ANY) == 0) {
            md_bitmap_block_begin(model->bm, 0, model->going);
        }
    } else if (g_rand_boolean(model->rand)) {
        memcpy(model->disk, model->going, BLOCK);
        md_bitmap_block_end(model->bm, 0, true);
    } else {
        /* Failed, but who knows: some of it may be there. */
        if (g_rand_boolean(model->rand)) {
            memcpy(model->disk, model->going, BLOCK);
        }
        md_bitmap_block_end(model->bm, 0, false);
    }
}

/* Data of writes that are not over may come into the cache again later. */
static void model_flush(Model *model)
{
    memset(model->cached, 0, sizeof(model->cached));
    for (unsigned i = 0; i < MODEL_WRITERS; i++) {
        Writer *w = &model->writers[i];

        for (uint64_t bit = w->start / CHUNK_SECTORS; w->active && w->started
             && bit <= (w->end - 1) / CHUNK_SECTORS; bit++) {
            model->cached[bit] = true;
        }
    }
    model->flushed = true;
}

static void model_sweep(Model *model)
{
    if (!model->marked) {
        model->marked = md_bitmap_clear_begin(
            model->bm, EVENTS + g_rand_int_range(model->rand, 0, 2), false);
        model->flushed = false;
    } else if (model->flushed) {
        model->nr_cleared += md_bitmap_clear_commit(model->bm, false);
        model->marked = false;
    }
}

static void test_model(void)
{
    Model *model = g_new0(Model, 1);

    model->rand = g_rand_new_with_seed(g_test_rand_int());
    model->bm = make(MODEL_BITS * CHUNK_SECTORS);
    for (unsigned i = 0; i < MODEL_STEPS; i++) {
        unsigned dice = g_rand_int_range(model->rand, 0, 20);

        if (dice < 6) {
            model_writer(model);
        } else if (dice < 12) {
            model_block(model);
        } else if (dice < 15) {
            model_flush(model);
        } else {
            model_sweep(model);
        }
        model_check(model);
    }
    g_test_message("%u bits cleared, %u writes without waiting",
                   model->nr_cleared, model->nr_immediate);
    g_assert_cmpuint(model->nr_cleared, >, 1000);
    g_assert_cmpuint(model->nr_immediate, >, 1000);
    g_rand_free(model->rand);
    drop(model->bm);
    g_free(model);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-bitmap/first-write-waits",
                    test_first_write_waits);
    g_test_add_func("/raid/md-bitmap/block-fails", test_block_fails);
    g_test_add_func("/raid/md-bitmap/blocks", test_blocks);
    g_test_add_func("/raid/md-bitmap/lazy-clear", test_lazy_clear);
    g_test_add_func("/raid/md-bitmap/write-beats-clear",
                    test_write_beats_clear);
    g_test_add_func("/raid/md-bitmap/busy-region", test_busy_region);
    g_test_add_func("/raid/md-bitmap/degraded-never-clears",
                    test_degraded_never_clears);
    g_test_add_func("/raid/md-bitmap/sweep-not-over", test_sweep_not_over);
    g_test_add_func("/raid/md-bitmap/load", test_load);
    g_test_add_func("/raid/md-bitmap/load-not-durable",
                    test_load_not_durable);
    g_test_add_func("/raid/md-bitmap/set-all", test_set_all);
    g_test_add_func("/raid/md-bitmap/failed-write", test_failed_write);
    g_test_add_func("/raid/md-bitmap/set-events", test_set_events);
    g_test_add_func("/raid/md-bitmap/model", test_model);
    return g_test_run();
}
