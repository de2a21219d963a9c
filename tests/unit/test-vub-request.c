/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-request: what each chain means, however it is cut into
 * buffers, and what is refused.
 */
#include <glib.h>
#include <string.h>

#include "export/vub-request.h"

#define MIB (1 << 20)
#define MAX_BUFS 64
#define S_UNSET 0xee

/* A disk of 64 MiB, and one chain whose bytes lie where the test wants them */
typedef struct Case {
    VubDisk disk;
    uint8_t out[8192], in[8192];
    struct iovec iov[MAX_BUFS];
    VubChain chain;
    VubRequest req;
} Case;

static Case *case_new(void)
{
    Case *c = g_new0(Case, 1);

    c->disk = (VubDisk) {
        .capacity_bytes = 64 * MIB,
        .block_bytes = 512,
        .max_bytes = MIB,
        .max_discard_sectors = 1000,
        .max_zeroes_sectors = 2000,
        .writable = true,
        .serial = "serial",
    };
    memset(c->in, S_UNSET, sizeof(c->in));
    return c;
}

/* Cuts @bytes at @at into buffers of up to @cut bytes. */
static unsigned cut_up(struct iovec *iov, uint8_t *at, unsigned bytes,
                       unsigned cut)
{
    unsigned nr = 0;

    for (; bytes; nr++) {
        unsigned part = MIN(bytes, cut);

        g_assert_cmpuint(nr, <, MAX_BUFS);
        iov[nr] = (struct iovec) { at, part };
        at += part;
        bytes -= part;
    }
    return nr;
}

static void set_header(Case *c, uint32_t type, uint64_t sector)
{
    struct virtio_blk_outhdr header = {
        .type = GUINT32_TO_LE(type),
        .sector = GUINT64_TO_LE(sector),
    };

    memcpy(c->out, &header, sizeof(header));
}

static bool decode(Case *c, unsigned out_bytes, unsigned out_cut,
                   unsigned in_bytes, unsigned in_cut)
{
    unsigned nr_out = cut_up(c->iov, c->out, out_bytes, out_cut);

    c->chain = (VubChain) {
        .iov = c->iov,
        .nr_out = nr_out,
        .nr_in = cut_up(c->iov + nr_out, c->in, in_bytes, in_cut),
        .out_bytes = out_bytes,
        .in_bytes = in_bytes,
    };
    if (!vub_request_decode(&c->req, &c->chain, &c->disk)) {
        return false;
    }
    g_assert_true(c->req.status == c->in + in_bytes - 1);
    return true;
}

static void assert_answer(const Case *c, uint8_t status)
{
    g_assert_cmpint(c->req.op, ==, VUB_OP_DONE);
    g_assert_cmpint(c->req.answer, ==, status);
}

/* The vectors are @bytes from @at on. */
static void assert_data(const Case *c, const uint8_t *at, uint64_t bytes)
{
    g_assert_cmpuint(c->req.bytes, ==, bytes);
    for (unsigned i = 0; i < c->req.nr_iov; i++) {
        g_assert_true(c->req.iov[i].iov_base == at);
        g_assert_cmpuint(c->req.iov[i].iov_len, >, 0);
        at += c->req.iov[i].iov_len;
        bytes -= c->req.iov[i].iov_len;
    }
    g_assert_cmpuint(bytes, ==, 0);
}

/* The header and the status in buffers of any size. */
static void test_cuts(void)
{
    g_autofree Case *c = case_new();

    for (unsigned cut = 2; cut <= 600; cut++) {
        unsigned data_bytes = cut < 20 ? 0 : 1024;

        set_header(c, VIRTIO_BLK_T_OUT, 7);
        g_assert_true(decode(c, 16 + data_bytes, cut, 1, cut));
        if (!data_bytes) {
            assert_answer(c, VIRTIO_BLK_S_OK);
        } else {
            g_assert_cmpint(c->req.op, ==, VUB_OP_WRITE);
            g_assert_cmpuint(c->req.off_bytes, ==, 7 * 512);
            assert_data(c, c->out + 16, 1024);
        }
        if (!data_bytes) {
            continue;
        }
        set_header(c, VIRTIO_BLK_T_IN, 9);
        g_assert_true(decode(c, 16, cut, 1024 + 1, cut));
        g_assert_cmpint(c->req.op, ==, VUB_OP_READ);
        g_assert_cmpuint(c->req.off_bytes, ==, 9 * 512);
        assert_data(c, c->in, 1024);
    }
    /* The status alone in its buffer. */
    g_assert_true(decode(c, 16, 16, 1025, 1024));
    g_assert_cmpuint(c->req.nr_iov, ==, 1);
    assert_data(c, c->in, 1024);
}

static void test_no_status(void)
{
    g_autofree Case *c = case_new();

    set_header(c, VIRTIO_BLK_T_OUT, 0);
    g_assert_false(decode(c, 16 + 512, 64, 0, 1));
    g_assert_false(decode(c, 0, 1, 0, 1));
}

static void test_short_header(void)
{
    g_autofree Case *c = case_new();

    for (unsigned bytes = 0; bytes < 16; bytes++) {
        set_header(c, VIRTIO_BLK_T_IN, 0);
        g_assert_true(decode(c, bytes, 5, 513, 600));
        assert_answer(c, VIRTIO_BLK_S_IOERR);
    }
}

/* Every type there is, and those that there aren't. */
static void test_types(void)
{
    g_autofree Case *c = case_new();

    for (unsigned type = 0; type < 64; type++) {
        memset(c->out, 0, sizeof(c->out));
        set_header(c, type, 0);
        c->out[16 + 8] = 1;     /* a range's number of sectors */
        g_assert_true(decode(c, type == VIRTIO_BLK_T_OUT ? 528 :
                             type == VIRTIO_BLK_T_IN ? 16 : 32, 8192, 513,
                             8192));
        switch (type) {
        case VIRTIO_BLK_T_IN:
            g_assert_cmpint(c->req.op, ==, VUB_OP_READ);
            break;
        case VIRTIO_BLK_T_OUT:
            g_assert_cmpint(c->req.op, ==, VUB_OP_WRITE);
            break;
        case VIRTIO_BLK_T_FLUSH:
            g_assert_cmpint(c->req.op, ==, VUB_OP_FLUSH);
            break;
        case VIRTIO_BLK_T_DISCARD:
            g_assert_cmpint(c->req.op, ==, VUB_OP_DISCARD);
            break;
        case VIRTIO_BLK_T_WRITE_ZEROES:
            g_assert_cmpint(c->req.op, ==, VUB_OP_ZEROES);
            break;
        case VIRTIO_BLK_T_GET_ID:
            assert_answer(c, VIRTIO_BLK_S_OK);
            break;
        default:
            assert_answer(c, VIRTIO_BLK_S_UNSUPP);
        }
    }
    for (unsigned bit = 6; bit < 31; bit++) {
        set_header(c, 1u << bit, 0);
        g_assert_true(decode(c, 16, 16, 513, 8192));
        assert_answer(c, VIRTIO_BLK_S_UNSUPP);
    }
}

static void test_old_barrier(void)
{
    g_autofree Case *c = case_new();

    set_header(c, VIRTIO_BLK_T_OUT | VIRTIO_BLK_T_BARRIER, 3);
    g_assert_true(decode(c, 528, 8192, 1, 1));
    g_assert_cmpint(c->req.op, ==, VUB_OP_WRITE);
    set_header(c, VIRTIO_BLK_T_BARRIER, 3);
    g_assert_true(decode(c, 16, 8192, 513, 8192));
    g_assert_cmpint(c->req.op, ==, VUB_OP_READ);
}

/* Reads and writes around the disk's end, and where numbers wrap around. */
static void test_bounds(void)
{
    g_autofree Case *c = case_new();
    const uint64_t end = 64 * MIB / 512;
    const struct {
        uint64_t sector;
        unsigned sectors;
        bool good;
    } bounds[] = {
        { 0, 1, true }, { end - 1, 1, true }, { end - 2, 2, true },
        { end - 1, 2, false }, { end, 1, false }, { end + 1, 1, false },
        { UINT64_MAX, 1, false }, { UINT64_MAX / 512, 1, false },
        { UINT64_MAX / 512 + 1, 1, false }, { 1ull << 55, 1, false },
        { 1ull << 54, 1, false }, { (1ull << 55) + 1, 2, false },
        { INT64_MAX / 512, 1, false }, { INT64_MAX / 512 + 1, 1, false },
        { end, 0, true }, { end + 1, 0, false }, { 0, 0, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bounds); i++) {
        unsigned bytes = bounds[i].sectors * 512;

        for (unsigned write = 0; write < 2; write++) {
            set_header(c, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
                       bounds[i].sector);
            g_assert_true(decode(c, 16 + write * bytes, 8192,
                                 1 + !write * bytes, 8192));
            if (!bounds[i].good) {
                assert_answer(c, VIRTIO_BLK_S_IOERR);
            } else if (bytes == 0) {
                assert_answer(c, VIRTIO_BLK_S_OK);
            } else {
                g_assert_cmpint(c->req.op, ==,
                                write ? VUB_OP_WRITE : VUB_OP_READ);
            }
        }
    }
}

/* Odd numbers of bytes, and blocks larger than a sector. */
static void test_alignment(void)
{
    g_autofree Case *c = case_new();

    for (unsigned block = 512; block <= 4096; block *= 2) {
        c->disk.block_bytes = block;
        for (unsigned bytes = 1; bytes <= 4096; bytes += bytes % 512 == 511 ||
             bytes % 512 == 0 ? 1 : 255) {
            for (unsigned sector = 0; sector < 9; sector++) {
                bool good = bytes % block == 0 && sector * 512 % block == 0;

                set_header(c, VIRTIO_BLK_T_IN, sector);
                g_assert_true(decode(c, 16, 16, bytes + 1, 8192));
                if (good) {
                    g_assert_cmpint(c->req.op, ==, VUB_OP_READ);
                } else {
                    assert_answer(c, VIRTIO_BLK_S_IOERR);
                }
            }
        }
    }
}

static void test_max_bytes(void)
{
    g_autofree Case *c = case_new();

    c->disk.max_bytes = 2048;
    for (unsigned write = 0; write < 2; write++) {
        for (unsigned bytes = 2048; bytes <= 2560; bytes += 512) {
            set_header(c, write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, 0);
            g_assert_true(decode(c, 16 + write * bytes, 8192,
                                 1 + !write * bytes, 8192));
            g_assert_cmpint(c->req.op == VUB_OP_DONE, ==, bytes > 2048);
        }
    }
}

static void test_read_only(void)
{
    g_autofree Case *c = case_new();
    const uint32_t writes[] = {
        VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES
    };

    c->disk.writable = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        memset(c->out, 0, sizeof(c->out));
        set_header(c, writes[i], 0);
        c->out[24] = 1;
        g_assert_true(decode(c, i ? 32 : 528, 8192, 1, 1));
        assert_answer(c, VIRTIO_BLK_S_IOERR);
    }
    set_header(c, VIRTIO_BLK_T_IN, 0);
    g_assert_true(decode(c, 16, 16, 513, 8192));
    g_assert_cmpint(c->req.op, ==, VUB_OP_READ);
    set_header(c, VIRTIO_BLK_T_FLUSH, 0);
    g_assert_true(decode(c, 16, 16, 1, 1));
    g_assert_cmpint(c->req.op, ==, VUB_OP_FLUSH);
}

/* --- ranges --- */

static void decode_one_range(Case *c, uint32_t type, uint64_t sector,
                             uint32_t sectors, uint32_t flags)
{
    struct virtio_blk_discard_write_zeroes range = {
        .sector = GUINT64_TO_LE(sector),
        .num_sectors = GUINT32_TO_LE(sectors),
        .flags = GUINT32_TO_LE(flags),
    };

    set_header(c, type, 12345);
    memcpy(c->out + 16, &range, sizeof(range));
    g_assert_true(decode(c, 32, 11, 1, 1));
}

static void test_ranges(void)
{
    g_autofree Case *c = case_new();
    const uint64_t end = 64 * MIB / 512;

    for (unsigned zeroes = 0; zeroes < 2; zeroes++) {
        uint32_t type = zeroes ? VIRTIO_BLK_T_WRITE_ZEROES
                               : VIRTIO_BLK_T_DISCARD;
        uint32_t max = zeroes ? 2000 : 1000;

        decode_one_range(c, type, 5, max, 0);
        g_assert_cmpint(c->req.op, ==, zeroes ? VUB_OP_ZEROES
                                              : VUB_OP_DISCARD);
        g_assert_cmpuint(c->req.off_bytes, ==, 5 * 512);
        g_assert_cmpuint(c->req.bytes, ==, max * 512);
        g_assert_false(c->req.unmap);
        decode_one_range(c, type, end - 3, 3, 0);
        g_assert_cmpint(c->req.op, !=, VUB_OP_DONE);
        decode_one_range(c, type, end, 0, 0);
        assert_answer(c, VIRTIO_BLK_S_OK);

        decode_one_range(c, type, 5, max + 1, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        decode_one_range(c, type, end - 3, 4, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        decode_one_range(c, type, UINT64_MAX / 512 + 1, 1, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        decode_one_range(c, type, end + 1, 0, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        decode_one_range(c, type, 0, UINT32_MAX, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        c->disk.block_bytes = 4096;
        decode_one_range(c, type, 8, 9, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        decode_one_range(c, type, 9, 8, 0);
        assert_answer(c, VIRTIO_BLK_S_IOERR);
        c->disk.block_bytes = 512;
    }
}

static void test_range_flags(void)
{
    g_autofree Case *c = case_new();

    decode_one_range(c, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8,
                     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    g_assert_cmpint(c->req.op, ==, VUB_OP_ZEROES);
    g_assert_true(c->req.unmap);
    decode_one_range(c, VIRTIO_BLK_T_DISCARD, 0, 8,
                     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
    assert_answer(c, VIRTIO_BLK_S_UNSUPP);
    for (unsigned bit = 1; bit < 32; bit++) {
        decode_one_range(c, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1u << bit);
        assert_answer(c, VIRTIO_BLK_S_UNSUPP);
        decode_one_range(c, VIRTIO_BLK_T_DISCARD, 0, 8, 1u << bit);
        assert_answer(c, VIRTIO_BLK_S_UNSUPP);
    }
}

/* One range is what the configuration space allows. */
static void test_range_sizes(void)
{
    g_autofree Case *c = case_new();

    for (unsigned bytes = 0; bytes <= 48; bytes++) {
        set_header(c, VIRTIO_BLK_T_DISCARD, 0);
        memset(c->out + 16, 0, 48);
        c->out[24] = 1;
        g_assert_true(decode(c, 16 + bytes, 8192, 1, 1));
        if (bytes < 16) {
            assert_answer(c, VIRTIO_BLK_S_IOERR);
        } else if (bytes == 16) {
            g_assert_cmpint(c->req.op, ==, VUB_OP_DISCARD);
        } else {
            assert_answer(c, VIRTIO_BLK_S_UNSUPP);
        }
    }
}

/* Buffers of any length, in pieces of any length, and not a byte more. */
static void test_get_id(void)
{
    g_autofree Case *c = case_new();

    memcpy(c->disk.serial, "abcdefghijklmnopqrst", 20);
    for (unsigned bytes = 0; bytes <= 40; bytes++) {
        for (unsigned cut = 1; cut <= 41; cut++) {
            memset(c->in, S_UNSET, sizeof(c->in));
            set_header(c, VIRTIO_BLK_T_GET_ID, 0);
            g_assert_true(decode(c, 16, 16, bytes + 1, cut));
            assert_answer(c, VIRTIO_BLK_S_OK);
            g_assert_cmpmem(c->in, MIN(bytes, 20), c->disk.serial,
                            MIN(bytes, 20));
            for (unsigned i = MIN(bytes, 20); i < 64; i++) {
                g_assert_cmphex(c->in[i], ==, S_UNSET);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-request/cuts", test_cuts);
    g_test_add_func("/export/vub-request/no-status", test_no_status);
    g_test_add_func("/export/vub-request/short-header", test_short_header);
    g_test_add_func("/export/vub-request/types", test_types);
    g_test_add_func("/export/vub-request/old-barrier", test_old_barrier);
    g_test_add_func("/export/vub-request/bounds", test_bounds);
    g_test_add_func("/export/vub-request/alignment", test_alignment);
    g_test_add_func("/export/vub-request/max-bytes", test_max_bytes);
    g_test_add_func("/export/vub-request/read-only", test_read_only);
    g_test_add_func("/export/vub-request/ranges", test_ranges);
    g_test_add_func("/export/vub-request/range-flags", test_range_flags);
    g_test_add_func("/export/vub-request/range-sizes", test_range_sizes);
    g_test_add_func("/export/vub-request/get-id", test_get_id);
    return g_test_run();
}
