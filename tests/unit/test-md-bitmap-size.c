/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/md-bitmap: a bitmap that comes to cover another length,
 * by bits that stand for as much as before or for more
 */
#include <glib.h>
#include <string.h>

#include "util/raid/md-bitmap.h"

#define MAX_BITS    (UINT64_C(1) << 26)

static MdBitmap *make(uint32_t chunk_bytes, uint64_t sync_sectors)
{
    const MdBitmapSuper super = {
        .chunk_bytes = chunk_bytes,
        .daemon_sleep_seconds = 5,
        .events = 10,
    };
    MdBitmap *bm = g_new(MdBitmap, 1);
    uint64_t nr_bits = md_bitmap_nr_bits(sync_sectors, chunk_bytes);

    md_bitmap_init(bm, &super, sync_sectors,
                   g_malloc(md_bitmap_memory_bytes(nr_bits)));
    return bm;
}

static void drop(MdBitmap *bm)
{
    g_free(bm->image);
    g_free(bm);
}

static bool names(const MdBitmap *bm, MdBitmapKind kind, uint64_t sector)
{
    uint64_t start, end;

    return md_bitmap_next_range(bm, sector, kind, &start, &end) &&
           start == sector;
}

static void write_blocks(MdBitmap *bm)
{
    uint8_t buf[MD_BITMAP_BLOCK_BYTES];
    uint32_t block;

    while ((block = md_bitmap_next_block(bm, 0, MD_BITMAP_ANY)) <
           bm->nr_blocks) {
        md_bitmap_block_begin(bm, block, buf);
        md_bitmap_block_end(bm, block, true);
    }
}

/* The room of the smallest decides, and how many bits there may be. */
static void test_fitting_chunk(void)
{
    g_autofree MdSuper *a = g_new0(MdSuper, 1);
    g_autofree MdSuper *b = g_new0(MdSuper, 1);
    const MdSuper *supers[] = { a, b };
    const uint64_t sizes[] = { UINT64_C(1) << 40, UINT64_C(1) << 40 };
    const uint64_t bits = 8 * (4096 - 256);     /* that 8 sectors hold */

    a->super_offset_sectors = 8;
    a->max_dev = 128;
    a->data_offset_sectors = 2048;
    a->data_size_sectors = 1 << 20;
    a->bitmap_offset_sectors = 8;
    *b = *a;
    b->bblog_offset_sectors = 16;
    b->bblog_size_sectors = 8;
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 2, 8 * bits, 4096,
                                             MAX_BITS), ==, 4096);
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 2, 8 * bits + 1,
                                             4096, MAX_BITS), ==, 8192);
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 2, 64 * bits, 4096,
                                             MAX_BITS), ==, 32768);
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 1, 64 * bits, 4096,
                                             MAX_BITS), ==, 4096);
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 1, 64 * 1024, 4096,
                                             64), ==, 512 * 1024);
    b->bblog_offset_sectors = 8;
    g_assert_cmpuint(md_bitmap_fitting_chunk(supers, sizes, 2, 8 * bits, 4096,
                                             MAX_BITS), ==, 0);
}

/*
 * Each sector that had a bit has one, and is to be resynced if it was; none
 * else but those that share a larger bit. Nothing is durable yet.
 */
static void check_inherited(const MdBitmap *old, MdBitmap *new)
{
    uint64_t both = MIN(old->sync_sectors, new->sync_sectors);
    uint64_t old_chunk = UINT64_C(1) << old->chunk_shift;
    uint64_t new_chunk = UINT64_C(1) << new->chunk_shift;

    for (uint64_t at = 0; at < new->sync_sectors; at++) {
        for (int kind = 0; kind < 2; kind++) {
            uint64_t first = at / new_chunk * new_chunk;
            bool want = false;

            for (uint64_t s = first; s < MIN(first + new_chunk, both); s++) {
                want |= names(old, kind, s);
            }
            g_assert_true(names(new, kind, at) == want);
        }
    }
    g_assert_cmpuint(new_chunk % old_chunk, ==, 0);
    for (uint64_t bit = 0; bit < new->nr_bits; bit++) {
        uint64_t start = bit * new_chunk;

        g_assert_false(md_bitmap_is_durable(new, start, start + 1));
    }
    write_blocks(new);
    for (uint64_t bit = 0; bit < new->nr_bits; bit++) {
        uint64_t start = bit * new_chunk;

        g_assert_true(md_bitmap_is_durable(new, start, start + 1) ==
                      names(new, MD_BITMAP_SET, start));
    }
}

static void test_inherit(void)
{
    for (unsigned i = 0; i < 200; i++) {
        uint64_t old_sectors = g_test_rand_int_range(1, 300);
        uint64_t new_sectors = g_test_rand_int_range(1, 300);
        MdBitmap *old = make(4096, old_sectors);
        MdBitmap *new = make(4096u << g_test_rand_int_range(0, 4),
                             new_sectors);

        for (unsigned n = g_test_rand_int_range(0, 6); n; n--) {
            uint64_t at = g_test_rand_int_range(0, old_sectors);
            MdBitmapWait wait;

            md_bitmap_start_write(old, at, at + 1, &wait);
            write_blocks(old);
            md_bitmap_end_write(old, at, at + 1, g_test_rand_bit());
        }
        md_bitmap_inherit(new, old);
        check_inherited(old, new);
        drop(new);
        drop(old);
    }
}

/* What all say who have every bit set reads the same by any measure. */
static void test_all_set(void)
{
    for (uint64_t sectors = 1; sectors < 40000; sectors += 997) {
        MdBitmap *small = make(4096, sectors);
        MdBitmap *large = make(16384, sectors);
        size_t bytes;

        md_bitmap_set_all(small, false);
        md_bitmap_set_all(large, false);
        bytes = MD_BITMAP_SUPER_BYTES + large->nr_bits / 8;
        g_assert_cmpmem(small->image + MD_BITMAP_SUPER_BYTES,
                        bytes - MD_BITMAP_SUPER_BYTES,
                        large->image + MD_BITMAP_SUPER_BYTES,
                        bytes - MD_BITMAP_SUPER_BYTES);
        drop(large);
        drop(small);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-bitmap/fitting-chunk", test_fitting_chunk);
    g_test_add_func("/raid/md-bitmap/inherit", test_inherit);
    g_test_add_func("/raid/md-bitmap/all-set", test_all_set);
    return g_test_run();
}
