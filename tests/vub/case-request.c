/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: requests of the disk, right and wrong, in well-formed chains.
 */
#include <glib.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

static const Way *open_way(Rig *rig, const void *way, const char *options)
{
    rig_open(rig, DISK_FILE, options, ((const Way *)way)->without);
    return way;
}

/* The case's only request; its status must be the one given. */
static void expect_status(Rig *rig, const Way *way, uint32_t type,
                          uint64_t sector, uint32_t bytes, uint8_t status)
{
    Request r = request_make(rig->ring, type, sector, bytes);

    g_assert_cmpuint(request_run(&r, way->indirect), ==, status);
}

static void write_and_read(const void *arg)
{
    uint8_t disk[8192], *expected;
    Request w, r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 24, sizeof(disk));
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 24, sizeof(disk));
    expected = w.data;
    for (unsigned i = 0; i < sizeof(disk); i++) {
        expected[i] = i * 7 + i / 512;
    }
    g_assert_cmpuint(request_run(&w, way->indirect), ==, VIRTIO_BLK_S_OK);
    daemon_peek(rig.daemon, disk, sizeof(disk), 24 * 512);
    g_assert_cmpmem(disk, sizeof(disk), expected, sizeof(disk));
    g_assert_cmpuint(request_run(&r, way->indirect), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpmem(r.data, sizeof(disk), expected, sizeof(disk));
    rig_close(&rig);
}

static void many_segments(const void *arg)
{
    RingBuf buf[22];
    Request w, r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 0, 20 * 512);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 20 * 512);
    for (unsigned pass = 0; pass < 2; pass++) {
        Request *q = pass ? &r : &w;

        buf[0] = buf_of(rig.front, q->header, 16, false);
        for (unsigned i = 0; i < 20; i++) {
            memset(w.data + i * 512, i + 1, 512);
            buf[1 + i] = buf_of(rig.front, q->data + i * 512, 512, pass);
        }
        buf[21] = buf_of(rig.front, q->status, 1, true);
        request_send_as(q, buf, 22, way->indirect);
        g_assert_cmpuint(request_wait(q), ==, VIRTIO_BLK_S_OK);
    }
    g_assert_cmpmem(w.data, 20 * 512, r.data, 20 * 512);
    rig_close(&rig);
}

/* Nothing says that a buffer begins where header, data or status does. */
static void odd_segments(const void *arg)
{
    static const unsigned cuts[] = { 1, 6, 9, 600, 3, 421 };
    uint8_t disk[1024];
    RingBuf buf[7];
    Request w;
    uint8_t *at;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 3, 0);
    at = front_alloc(rig.front, 16 + 1024, 1);
    memcpy(at, w.header, 16);
    memset(at + 16, 0x5a, 1024);
    for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++) {
        buf[i] = buf_of(rig.front, at, cuts[i], false);
        at += cuts[i];
    }
    buf[6] = buf_of(rig.front, w.status, 1, true);
    request_send_as(&w, buf, 7, way->indirect);
    g_assert_cmpuint(request_wait(&w), ==, VIRTIO_BLK_S_OK);
    daemon_peek(rig.daemon, disk, 1024, 3 * 512);
    g_assert_true(filled_with(disk, 1024, 0x5a));
    rig_close(&rig);
}

static void status_behind_data(const void *arg)
{
    RingBuf buf[2];
    uint8_t byte[512];
    Request r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    memset(byte, 0x3c, 512);
    daemon_poke(rig.daemon, byte, 512, 512);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 1, 513);
    r.status = r.data + 512;
    *r.status = STATUS_NONE;
    r.bytes = 512;
    buf[0] = buf_of(rig.front, r.header, 16, false);
    buf[1] = buf_of(rig.front, r.data, 513, true);
    request_send_as(&r, buf, 2, way->indirect);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_true(filled_with(r.data, 512, 0x3c));
    rig_close(&rig);
}

static void read_only_write(const void *arg)
{
    uint8_t disk[512];
    Request w;
    Rig rig;
    const Way *way = open_way(&rig, arg, "");

    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 0, 512);
    memset(w.data, 0x77, 512);
    g_assert_cmpuint(request_run(&w, way->indirect), ==, VIRTIO_BLK_S_IOERR);
    daemon_peek(rig.daemon, disk, 512, 0);
    g_assert_true(filled_with(disk, 512, 0));
    expect_works(rig.ring);
    rig_close(&rig);
}

static void out_of_range(const void *arg)
{
    static const uint64_t sectors[] = {
        DISK_SECTORS - 1, DISK_SECTORS, 1ull << 40, (1ull << 55) - 1,
        1ull << 55, 1ull << 63, UINT64_MAX,
    };
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned i = 0; i < G_N_ELEMENTS(sectors); i++) {
        expect_status(&rig, way, VIRTIO_BLK_T_IN, sectors[i], 1024,
                      VIRTIO_BLK_S_IOERR);
        expect_status(&rig, way, VIRTIO_BLK_T_OUT, sectors[i], 1024,
                      VIRTIO_BLK_S_IOERR);
    }
    expect_status(&rig, way, VIRTIO_BLK_T_IN, DISK_SECTORS - 2, 1024,
                  VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void odd_length(const void *arg)
{
    static const uint32_t lengths[] = { 1, 511, 513, 4095 };
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        expect_status(&rig, way, VIRTIO_BLK_T_IN, 0, lengths[i],
                      VIRTIO_BLK_S_IOERR);
        expect_status(&rig, way, VIRTIO_BLK_T_OUT, 0, lengths[i],
                      VIRTIO_BLK_S_IOERR);
    }
    rig_close(&rig);
}

static void large_blocks(const void *arg)
{
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on,logical-block-size=4096");

    expect_status(&rig, way, VIRTIO_BLK_T_OUT, 8, 4096, VIRTIO_BLK_S_OK);
    expect_status(&rig, way, VIRTIO_BLK_T_OUT, 7, 4096, VIRTIO_BLK_S_IOERR);
    expect_status(&rig, way, VIRTIO_BLK_T_IN, 9, 4096, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

/* No sector is asked for: either answer is one, none at all is not. */
static void zero_length(const void *arg)
{
    static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT };
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        Request r = request_make(rig.ring, types[i], 0, 0);
        uint8_t status = request_run(&r, way->indirect);

        g_assert_true(status == VIRTIO_BLK_S_OK ||
                      status == VIRTIO_BLK_S_IOERR);
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

static void unknown_type(const void *arg)
{
    static const uint32_t types[] = {
        2, 3, 9, 10, 12, 14, 0x100, 0x7fffffff,
    };
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        expect_status(&rig, way, types[i], 0, 0, VIRTIO_BLK_S_UNSUPP);
    }
    rig_close(&rig);
}

static void flush(const void *arg)
{
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    expect_write_and_read(rig.ring, 0, 0x11);
    expect_status(&rig, way, VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void flush_read_only(const void *arg)
{
    Rig rig;
    const Way *way = open_way(&rig, arg, "");

    expect_status(&rig, way, VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/* The name may be shorter than the field, and the buffer shorter than both. */
static void get_id(const void *arg)
{
    static const uint32_t sizes[] = { 0, 1, 5, 19, 20, 21, 100 };
    char name[VIRTIO_BLK_ID_BYTES];
    Request r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    r = request_make(rig.ring, VIRTIO_BLK_T_GET_ID, 0, sizeof(name));
    g_assert_cmpuint(request_run(&r, way->indirect), ==, VIRTIO_BLK_S_OK);
    memcpy(name, r.data, sizeof(name));
    g_assert_true(g_ascii_isgraph(name[0]));
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        uint32_t wanted = MIN(sizes[i], strnlen(name, sizeof(name)));

        r = request_make(rig.ring, VIRTIO_BLK_T_GET_ID, 0, sizes[i]);
        memset(r.data, 0xee, sizes[i]);
        g_assert_cmpuint(request_run(&r, way->indirect), ==, VIRTIO_BLK_S_OK);
        g_assert_cmpmem(r.data, wanted, name, wanted);
        if (sizes[i] > sizeof(name)) {
            g_assert_true(filled_with(r.data + sizeof(name),
                                      sizes[i] - sizeof(name), 0xee));
        }
    }
    rig_close(&rig);
}

static void short_header(const void *arg)
{
    RingBuf buf[2];
    Request r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned bytes = 1; bytes < 16; bytes += 7) {
        r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 0);
        buf[0] = buf_of(rig.front, r.header, bytes, false);
        buf[1] = buf_of(rig.front, r.status, 1, true);
        request_send_as(&r, buf, 2, way->indirect);
        g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_IOERR);
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

static void no_header(const void *arg)
{
    RingBuf buf;
    Request r;
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 0);
    buf = buf_of(rig.front, r.status, 1, true);
    request_send_as(&r, &buf, 1, way->indirect);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_IOERR);
    expect_works(rig.ring);
    rig_close(&rig);
}

/* A guest can send as many bad requests as it likes; a log is of some size. */
static void log_is_bounded(const void *arg)
{
    Rig rig;
    const Way *way = open_way(&rig, arg, "writable=on");

    for (unsigned i = 0; i < 3000; i++) {
        size_t mem = rig.front->mem_used;

        expect_status(&rig, way, VIRTIO_BLK_T_DISCARD, 0, 3,
                      VIRTIO_BLK_S_IOERR);
        expect_status(&rig, way, VIRTIO_BLK_T_OUT, UINT64_MAX, 512,
                      VIRTIO_BLK_S_IOERR);
        rig.front->mem_used = mem;
    }
    g_assert_cmpuint(daemon_log_bytes(rig.daemon), <, 16384);
    rig_close(&rig);
}

void add_request_cases(void)
{
    case_add_in_each_way(write_and_read, "requests: what is written is read");
    case_add_in_each_way(many_segments, "requests: of twenty segments");
    case_add_in_each_way(odd_segments,
                         "requests: header and data split at odd places");
    case_add_in_each_way(status_behind_data,
                         "requests: data and status in one buffer");
    case_add_in_each_way(read_only_write,
                         "requests: a write to a read-only disk fails");
    case_add_in_each_way(out_of_range,
                         "requests: beyond the end of the disk fail");
    case_add_in_each_way(odd_length, "requests: of part of a sector fail");
    case_add_in_each_way(large_blocks,
                         "requests: not aligned to a block fail");
    case_add_in_each_way(zero_length, "requests: of length 0 are answered");
    case_add_in_each_way(unknown_type,
                         "requests: of unknown type are not supported");
    case_add_in_each_way(flush, "requests: flush");
    case_add_in_each_way(flush_read_only,
                         "requests: flush of a read-only disk");
    case_add_in_each_way(get_id, "requests: get-id, into buffers of all sizes");
    case_add_in_each_way(short_header,
                         "requests: with a short header fail, and come back");
    case_add_in_each_way(no_header,
                         "requests: without a header fail, and come back");
    case_add(log_is_bounded, WAY_SPLIT,
             "requests: bad ones do not fill the log");
}
