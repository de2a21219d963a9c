/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/raid/md-badblocks: the format, the limits, and that a log does
 * what a plain map of sectors does, also when a write of it is cut
 */

#include <glib.h>
#include <string.h>

#include "util/raid/md-badblocks.h"

#define LOG_BYTES       4096
#define LOG_SECTORS     (LOG_BYTES / RAID_SECTOR_BYTES)
#define MAP_SECTORS     16384

/*
 * What Linux 6.1 wrote when told by sysfs that 8 sectors at 4096 and 1500 at
 * 9000 are bad; and what is written here.
 */
static const uint64_t from_md[] = {
    4096 << 10 | 8, 10024 << 10 | 476, 9512 << 10 | 512, 9000 << 10 | 512,
};
static const uint64_t ours[] = {
    4096 << 10 | 8, 9000 << 10 | 512, 9512 << 10 | 512, 10024 << 10 | 476,
};

static void put(uint8_t *log, unsigned at, uint64_t word)
{
    word = GUINT64_TO_LE(word);
    memcpy(log + 8 * at, &word, 8);
}

static void put_all(uint8_t *log, const uint64_t *words)
{
    memset(log, 0xff, LOG_BYTES);
    for (unsigned i = 0; i < G_N_ELEMENTS(from_md); i++) {
        put(log, i, words[i]);
    }
}

static void assert_find(const MdBadBlocks *bb, uint64_t start,
                        uint64_t sectors, uint64_t hit, uint64_t hit_end)
{
    MdBadRange range;

    g_assert_true(md_bad_blocks_find(bb, start, sectors, &range));
    g_assert_cmpuint(range.start, ==, hit);
    g_assert_cmpuint(range.end, ==, hit_end);
}

static void test_decode(void)
{
    uint8_t log[LOG_BYTES];
    MdBadBlocks bb;

    put_all(log, from_md);
    put(log, 10, 1 << 10 | 1);      /* behind the end */
    g_assert_true(md_bad_blocks_decode(log, sizeof(log), 0, &bb));
    g_assert_cmpuint(bb.nr, ==, 4);
    g_assert_cmpuint(bb.max, ==, 512);
    g_assert_cmpuint(md_bad_blocks_sectors(&bb), ==, 1508);
    assert_find(&bb, 0, 1 << 20, 4096, 4104);
    assert_find(&bb, 4103, 8, 4103, 4104);
    assert_find(&bb, 9600, 1, 9600, 9601);
    g_assert_false(md_bad_blocks_find(&bb, 4104, 9000 - 4104, NULL));
    g_assert_false(md_bad_blocks_find(&bb, 10500, 1, NULL));
    g_assert_true(md_bad_blocks_find(&bb, 10499, 1, NULL));
    g_assert_false(md_bad_blocks_find(&bb, 4096, 0, NULL));

    g_assert_true(md_bad_blocks_decode(log, sizeof(log), 3, &bb));
    assert_find(&bb, 0, 1 << 20, 4096 << 3, 4104 << 3);
    g_assert_true(md_bad_blocks_decode(log, 16, 0, &bb));
    g_assert_cmpuint(bb.nr, ==, 2);
    g_assert_cmpuint(bb.max, ==, 2);
}

static void test_encode(void)
{
    uint8_t log[LOG_BYTES], want[LOG_BYTES];
    MdBadBlocks bb;

    md_bad_blocks_init(&bb, 0, LOG_BYTES);
    g_assert_true(md_bad_blocks_add(&bb, 4096, 8));
    g_assert_true(md_bad_blocks_add(&bb, 9000, 1500));
    md_bad_blocks_encode(&bb, log, sizeof(log));
    put_all(want, ours);
    g_assert_cmpmem(log, sizeof(log), want, sizeof(want));
}

static void test_strange_logs(void)
{
    uint8_t log[LOG_BYTES];
    MdBadBlocks bb;

    /* No end, no lengths: nothing is bad. */
    memset(log, 0, sizeof(log));
    g_assert_true(md_bad_blocks_decode(log, sizeof(log), 0, &bb));
    g_assert_cmpuint(bb.nr, ==, 0);

    /* The last place of all; nothing wraps around. */
    put(log, 0, ((UINT64_MAX >> 10) - 99) << 10 | 100);
    g_assert_true(md_bad_blocks_decode(log, 8, MD_BAD_BLOCKS_MAX_SHIFT, &bb));
    g_assert_cmpuint(md_bad_blocks_sectors(&bb), ==, 100 << 9);
    put(log, 0, UINT64_MAX - 1);
    g_assert_false(md_bad_blocks_decode(log, 8, 0, &bb));
    put(log, 0, 0);
    g_assert_false(md_bad_blocks_decode(log, 8, MD_BAD_BLOCKS_MAX_SHIFT + 1,
                                        &bb));
    g_assert_false(md_bad_blocks_decode(log, LOG_BYTES + 512, 0, &bb));

    /* What overlaps counts once. */
    memset(log, 0xff, sizeof(log));
    put(log, 0, 100 << 10 | 10);
    put(log, 1, 100 << 10 | 10);
    put(log, 2, 95 << 10 | 20);
    g_assert_true(md_bad_blocks_decode(log, sizeof(log), 0, &bb));
    g_assert_cmpuint(md_bad_blocks_sectors(&bb), ==, 20);
    g_assert_cmpuint(bb.nr, ==, 3);

    /* So much that it takes more entries than there is room for. */
    for (unsigned i = 0; i < 511; i++) {
        put(log, i, (uint64_t)(2 * i) << 10 | 1);
    }
    put(log, 511, 0 << 10 | 1000);
    g_assert_false(md_bad_blocks_decode(log, sizeof(log), 0, &bb));
}

static void test_full(void)
{
    MdBadBlocks bb, copy;

    md_bad_blocks_init(&bb, 0, LOG_BYTES);
    for (unsigned i = 0; i < 512; i++) {
        g_assert_true(md_bad_blocks_add(&bb, 4 * i, 3));
    }
    copy = bb;
    g_assert_false(md_bad_blocks_add(&copy, 1 << 20, 1));
    copy = bb;
    g_assert_true(md_bad_blocks_add(&copy, 4, 3));      /* known already */
    g_assert_true(md_bad_blocks_add(&copy, 3, 1));      /* joins */
    copy = bb;
    g_assert_false(md_bad_blocks_clear(&copy, 1, 1));   /* needs one more */
    g_assert_cmpmem(&copy, sizeof(bb), &bb, sizeof(bb));
    g_assert_true(md_bad_blocks_clear(&copy, 0, 3));
    g_assert_true(md_bad_blocks_clear(&copy, 5, 1));
    g_assert_cmpuint(copy.nr, ==, 512);

    md_bad_blocks_init(&bb, 0, 0);
    g_assert_false(md_bad_blocks_add(&bb, 0, 1));
    g_assert_true(md_bad_blocks_clear(&bb, 0, 1));
}

/* The units of a log: additions take all that they touch, clearing does not. */
static void test_units(void)
{
    MdBadBlocks bb;

    md_bad_blocks_init(&bb, 3, LOG_BYTES);
    g_assert_true(md_bad_blocks_add(&bb, 15, 2));
    assert_find(&bb, 0, 100, 8, 24);
    g_assert_true(md_bad_blocks_clear(&bb, 9, 14));
    assert_find(&bb, 0, 100, 8, 24);
    g_assert_true(md_bad_blocks_clear(&bb, 9, 15));
    assert_find(&bb, 0, 100, 8, 16);
    g_assert_true(md_bad_blocks_clear(&bb, 8, 7));
    g_assert_true(md_bad_blocks_find(&bb, 0, 100, NULL));
    g_assert_true(md_bad_blocks_clear(&bb, 8, 8));
    g_assert_cmpuint(bb.nr, ==, 0);
}

static bool all_entries_fit(const MdBadBlocks *bb)
{
    for (unsigned i = 0; i < bb->nr; i++) {
        uint64_t sectors = bb->entries[i].end - bb->entries[i].start;

        if (sectors == 0 || sectors > (uint64_t)512 << bb->shift) {
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            if (bb->entries[i].start < bb->entries[j].end &&
                bb->entries[j].start < bb->entries[i].end) {
                return false;
            }
        }
    }
    return bb->nr <= bb->max;
}

/* One byte for each sector. */
static void draw(const MdBadBlocks *bb, uint8_t *map)
{
    memset(map, 0, MAP_SECTORS);
    for (unsigned i = 0; i < bb->nr; i++) {
        g_assert_cmpuint(bb->entries[i].end, <=, MAP_SECTORS);
        memset(map + bb->entries[i].start, 1,
               bb->entries[i].end - bb->entries[i].start);
    }
}

static void assert_like(const MdBadBlocks *bb, const uint8_t *map)
{
    uint8_t *drawn = g_malloc(MAP_SECTORS);
    uint64_t sum = 0;

    draw(bb, drawn);
    g_assert_cmpmem(drawn, MAP_SECTORS, map, MAP_SECTORS);
    for (uint64_t sector = 0; sector < MAP_SECTORS; sector++) {
        g_assert_cmpint(md_bad_blocks_find(bb, sector, 1, NULL), ==,
                        map[sector]);
        sum += map[sector];
    }
    g_assert_cmpuint(md_bad_blocks_sectors(bb), ==, sum);
    g_assert_true(all_entries_fit(bb));
    g_free(drawn);
}

/* A write of the log is cut after each of its sectors. */
static void assert_cut(const MdBadBlocks *before, const MdBadBlocks *after)
{
    bool down = after->nr > before->nr;
    uint8_t disk[LOG_BYTES], image[LOG_BYTES];
    uint8_t *maps = g_malloc(3 * MAP_SECTORS);
    uint8_t *old = maps, *new = maps + MAP_SECTORS, *found = new + MAP_SECTORS;
    MdBadBlocks bb;

    draw(before, old);
    draw(after, new);
    md_bad_blocks_encode(before, disk, sizeof(disk));
    md_bad_blocks_encode(after, image, sizeof(image));
    for (unsigned n = 0; n < LOG_SECTORS; n++) {
        unsigned at = 512 * (down ? LOG_SECTORS - 1 - n : n);

        memcpy(disk + at, image + at, 512);
        g_assert_true(md_bad_blocks_decode(disk, sizeof(disk), before->shift,
                                           &bb));
        draw(&bb, found);
        for (unsigned sector = 0; sector < MAP_SECTORS; sector++) {
            g_assert_true(found[sector] || !(old[sector] && new[sector]));
        }
    }
    g_free(maps);
}

/* Dense at first, so that several sectors of the log are in use. */
static void fill(MdBadBlocks *bb, uint8_t *map)
{
    for (unsigned i = 0; i < 300; i++) {
        uint64_t start = g_test_rand_int_range(0, MAP_SECTORS - 4);

        g_assert_true(md_bad_blocks_add(bb, start, 2));
        memset(map + start, 1, 2);
    }
}

static void random_step(MdBadBlocks *bb, uint8_t *map)
{
    uint64_t start = g_test_rand_int_range(0, MAP_SECTORS);
    uint64_t longest = g_test_rand_bit() ? 8 : 2000;
    uint64_t sectors = g_test_rand_int_range(1, longest);
    bool add = g_test_rand_bit();
    MdBadBlocks before = *bb;

    sectors = MIN(sectors, MAP_SECTORS - start);
    if (!(add ? md_bad_blocks_add(bb, start, sectors)
              : md_bad_blocks_clear(bb, start, sectors))) {
        g_assert_cmpuint(before.nr, >, 256);
        *bb = before;
        return;
    }
    memset(map + start, add, sectors);
    assert_cut(&before, bb);
}

static void test_random(void)
{
    uint8_t *map = g_malloc0(MAP_SECTORS);
    uint8_t log[LOG_BYTES];
    MdBadBlocks bb, again;

    for (unsigned round = 0; round < 10; round++) {
        memset(map, 0, MAP_SECTORS);
        md_bad_blocks_init(&bb, 0, LOG_BYTES);
        fill(&bb, map);
        for (unsigned n = 0; n < 30; n++) {
            random_step(&bb, map);
        }
        assert_like(&bb, map);
        md_bad_blocks_encode(&bb, log, sizeof(log));
        g_assert_true(md_bad_blocks_decode(log, sizeof(log), 0, &again));
        assert_like(&again, map);
    }
    g_free(map);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/md-badblocks/decode", test_decode);
    g_test_add_func("/raid/md-badblocks/encode", test_encode);
    g_test_add_func("/raid/md-badblocks/strange-logs", test_strange_logs);
    g_test_add_func("/raid/md-badblocks/full", test_full);
    g_test_add_func("/raid/md-badblocks/units", test_units);
    g_test_add_func("/raid/md-badblocks/random", test_random);
    return g_test_run();
}
