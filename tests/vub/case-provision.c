/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: discard and write-zeroes, their limits and their flags.
 */
#include <glib.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

#define UNMAP   VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP

typedef struct virtio_blk_discard_write_zeroes Range;

static uint8_t run(Rig *rig, const Way *way, uint32_t type, Range range)
{
    Request r = request_make(rig->ring, type, 0, sizeof(range));

    memcpy(r.data, &range, sizeof(range));
    return request_run(&r, way->indirect);
}

static void fill(Rig *rig, uint8_t byte)
{
    uint8_t data[65536];

    memset(data, byte, sizeof(data));
    daemon_poke(rig->daemon, data, sizeof(data), 0);
}

static bool disk_is(Rig *rig, uint64_t sector, unsigned sectors, uint8_t byte)
{
    g_autofree uint8_t *data = g_malloc(sectors * 512);

    daemon_peek(rig->daemon, data, sectors * 512, sector * 512);
    return filled_with(data, sectors * 512, byte);
}

static void zeroes(const void *arg)
{
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    for (unsigned unmap = 0; unmap < 2; unmap++) {
        fill(&rig, 0xab);
        g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_WRITE_ZEROES,
                             (Range) { 8, 16, unmap ? UNMAP : 0 }),
                         ==, VIRTIO_BLK_S_OK);
        g_assert_true(disk_is(&rig, 0, 8, 0xab));
        g_assert_true(disk_is(&rig, 8, 16, 0));
        g_assert_true(disk_is(&rig, 24, 16, 0xab));
    }
    rig_close(&rig);
}

/* What was discarded may read as anything; what was not must be as it was. */
static void discard(const void *arg)
{
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    fill(&rig, 0xab);
    g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_DISCARD,
                         (Range) { 8, 16, 0 }), ==, VIRTIO_BLK_S_OK);
    g_assert_true(disk_is(&rig, 0, 8, 0xab));
    g_assert_true(disk_is(&rig, 24, 16, 0xab));
    rig_close(&rig);
}

static void flags(const void *arg)
{
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    fill(&rig, 0xab);
    g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_DISCARD,
                         (Range) { 8, 16, UNMAP }), ==, VIRTIO_BLK_S_UNSUPP);
    for (unsigned bit = 1; bit < 32; bit += 6) {
        uint32_t unknown = 1u << bit;

        g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_DISCARD,
                             (Range) { 8, 16, unknown }),
                         ==, VIRTIO_BLK_S_UNSUPP);
        g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_WRITE_ZEROES,
                             (Range) { 8, 16, unknown | UNMAP }),
                         ==, VIRTIO_BLK_S_UNSUPP);
    }
    g_assert_true(disk_is(&rig, 0, 128, 0xab));
    rig_close(&rig);
}

static void expect_both_fail(Rig *rig, const Way *way, Range range)
{
    g_assert_cmpuint(run(rig, way, VIRTIO_BLK_T_DISCARD, range), ==,
                     VIRTIO_BLK_S_IOERR);
    g_assert_cmpuint(run(rig, way, VIRTIO_BLK_T_WRITE_ZEROES, range), ==,
                     VIRTIO_BLK_S_IOERR);
}

static void ranges(const void *arg)
{
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    expect_both_fail(&rig, way, (Range) { DISK_SECTORS - 1, 2, 0 });
    expect_both_fail(&rig, way, (Range) { DISK_SECTORS, 1, 0 });
    expect_both_fail(&rig, way, (Range) { UINT64_MAX, 2, 0 });
    expect_both_fail(&rig, way, (Range) { 1ull << 55, 1, 0 });
    expect_both_fail(&rig, way, (Range) { 0, UINT32_MAX, 0 });
    /* In bytes that would be 512, in 32 bits. */
    expect_both_fail(&rig, way, (Range) { 0, 0x00800001, 0 });
    expect_works(rig.ring);
    rig_close(&rig);
}

static void alignment(const void *arg)
{
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on,logical-block-size=4096",
             way->without);
    expect_both_fail(&rig, way, (Range) { 1, 8, 0 });
    g_assert_cmpuint(run(&rig, way, VIRTIO_BLK_T_WRITE_ZEROES,
                         (Range) { 8, 8, 0 }), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/* The configuration space allows one segment. */
static void two_segments(const void *arg)
{
    static const uint32_t types[] = {
        VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
    };
    struct virtio_blk_config config;
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    fill(&rig, 0xab);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.max_discard_seg, ==, 1);
    g_assert_cmpuint(config.max_write_zeroes_seg, ==, 1);
    for (unsigned i = 0; i < 2; i++) {
        Request r = request_make(rig.ring, types[i], 0, 2 * sizeof(Range));
        Range two[2] = { { 8, 8, 0 }, { 32, 8, 0 } };

        memcpy(r.data, two, sizeof(two));
        g_assert_cmpuint(request_run(&r, way->indirect), ==,
                         VIRTIO_BLK_S_UNSUPP);
    }
    g_assert_true(disk_is(&rig, 0, 128, 0xab));
    rig_close(&rig);
}

static void short_segment(const void *arg)
{
    static const uint32_t sizes[] = { 0, 1, 8, 15 };
    const Way *way = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        Request r = request_make(rig.ring, VIRTIO_BLK_T_DISCARD, 0, sizes[i]);
        Request z = request_make(rig.ring, VIRTIO_BLK_T_WRITE_ZEROES, 0,
                                 sizes[i]);

        g_assert_cmpuint(request_run(&r, way->indirect), ==,
                         VIRTIO_BLK_S_IOERR);
        g_assert_cmpuint(request_run(&z, way->indirect), ==,
                         VIRTIO_BLK_S_IOERR);
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

static void read_only(const void *arg)
{
    const Way *way = arg;
    uint8_t status;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", way->without);
    fill(&rig, 0xab);
    /* Neither is offered, so "not supported" is as good an answer. */
    status = run(&rig, way, VIRTIO_BLK_T_DISCARD, (Range) { 8, 16, 0 });
    g_assert_cmpuint(status, !=, VIRTIO_BLK_S_OK);
    status = run(&rig, way, VIRTIO_BLK_T_WRITE_ZEROES, (Range) { 8, 16, 0 });
    g_assert_cmpuint(status, !=, VIRTIO_BLK_S_OK);
    g_assert_true(disk_is(&rig, 0, 128, 0xab));
    expect_works(rig.ring);
    rig_close(&rig);
}

void add_provision_cases(void)
{
    case_add_in_each_way(zeroes, "zeroes: written, with and without unmap");
    case_add_in_each_way(discard, "discard: leaves what is beside it");
    case_add_in_each_way(flags,
                         "discard, zeroes: unknown flags are not supported");
    case_add_in_each_way(ranges,
                         "discard, zeroes: beyond a limit or the end fail");
    case_add_in_each_way(alignment,
                         "discard, zeroes: not aligned to a block fail");
    case_add_in_each_way(two_segments,
                         "discard, zeroes: two segments are not supported");
    case_add_in_each_way(short_segment,
                         "discard, zeroes: a short segment fails");
    case_add_in_each_way(read_only,
                         "discard, zeroes: a read-only disk is not changed");
}
