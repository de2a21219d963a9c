/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver opus-null: a disk that does nothing, but can be a member
 *
 * Owns: the two ends of the disk, in memory.
 * Must not know: who its parents are.
 * Threads: any; there is one writer to the ends at a time.
 *
 * A benchmark of a driver's own cost wants a disk that costs nothing, which is
 * QEMU's null-co. But an array finds its members by their superblocks, and
 * null-co remembers none. So this one keeps what is written to the two ends,
 * where superblocks and logs are; in between it completes at once and touches
 * no data, as null-co does.
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/units.h"

#define END_BYTES   (2 * MiB)

typedef struct NullEnd {
    int64_t start;
    uint8_t *data;              /* END_BYTES of them */
} NullEnd;

typedef struct OpusNull {
    int64_t size_bytes;
    NullEnd ends[2];
} OpusNull;

static QemuOptsList null_opts = {
    .name = "opus-null",
    .head = QTAILQ_HEAD_INITIALIZER(null_opts.head),
    .desc = {
        {
            .name = BLOCK_OPT_SIZE,
            .type = QEMU_OPT_SIZE,
            .help = "size of the disk (default: 1 GiB)",
        },
        { /* end of list */ }
    },
};

static const char *const null_strong_opts[] = { BLOCK_OPT_SIZE, NULL };

static int opus_null_open(BlockDriverState *bs, QDict *options, int flags,
                          Error **errp)
{
    OpusNull *s = bs->opaque;
    QemuOpts *opts = qemu_opts_create(&null_opts, NULL, 0, &error_abort);
    bool ok = qemu_opts_absorb_qdict(opts, options, errp);

    s->size_bytes = qemu_opt_get_size(opts, BLOCK_OPT_SIZE, 1 * GiB);
    qemu_opts_del(opts);
    if (!ok) {
        return -EINVAL;
    }
    if (s->size_bytes < 2 * END_BYTES) {
        error_setg(errp, "'size' must be at least 4 MiB");
        return -EINVAL;
    }
    s->ends[1].start = s->size_bytes - END_BYTES;
    for (unsigned i = 0; i < ARRAY_SIZE(s->ends); i++) {
        s->ends[i].data = g_malloc0(END_BYTES);
    }
    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return 0;
}

static void opus_null_close(BlockDriverState *bs)
{
    OpusNull *s = bs->opaque;

    for (unsigned i = 0; i < ARRAY_SIZE(s->ends); i++) {
        g_free(s->ends[i].data);
    }
}

static inline bool in_between(const OpusNull *s, int64_t offset, int64_t bytes)
{
    return offset >= END_BYTES && offset + bytes <= s->ends[1].start;
}

/* The part of a request that lies in one end; false if there is none. */
static bool end_part(const NullEnd *end, int64_t offset, int64_t bytes,
                     int64_t *part_off, int64_t *part_bytes)
{
    int64_t last = MIN(offset + bytes, end->start + END_BYTES);

    *part_off = MAX(offset, end->start);
    *part_bytes = last - *part_off;
    return *part_bytes > 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_null_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags)
{
    OpusNull *s = bs->opaque;

    if (likely(in_between(s, offset, bytes))) {
        return 0;
    }
    qemu_iovec_memset(qiov, qiov_offset, 0, bytes);
    for (unsigned i = 0; i < ARRAY_SIZE(s->ends); i++) {
        NullEnd *end = &s->ends[i];
        int64_t off, len;

        if (end_part(end, offset, bytes, &off, &len)) {
            qemu_iovec_from_buf(qiov, qiov_offset + (off - offset),
                                end->data + (off - end->start), len);
        }
    }
    return 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_null_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     QEMUIOVector *qiov, size_t qiov_offset,
                     BdrvRequestFlags flags)
{
    OpusNull *s = bs->opaque;

    if (likely(in_between(s, offset, bytes))) {
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(s->ends); i++) {
        NullEnd *end = &s->ends[i];
        int64_t off, len;

        if (end_part(end, offset, bytes, &off, &len)) {
            qemu_iovec_to_buf(qiov, qiov_offset + (off - offset),
                              end->data + (off - end->start), len);
        }
    }
    return 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_null_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                           BdrvRequestFlags flags)
{
    OpusNull *s = bs->opaque;

    for (unsigned i = 0; i < ARRAY_SIZE(s->ends); i++) {
        NullEnd *end = &s->ends[i];
        int64_t off, len;

        if (end_part(end, offset, bytes, &off, &len)) {
            memset(end->data + (off - end->start), 0, len);
        }
    }
    return 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_null_co_flush(BlockDriverState *bs)
{
    return 0;
}

static int64_t coroutine_fn GRAPH_RDLOCK
opus_null_co_getlength(BlockDriverState *bs)
{
    OpusNull *s = bs->opaque;

    return s->size_bytes;
}

static BlockDriver bdrv_opus_null = {
    .format_name            = "opus-null",
    .protocol_name          = "opus-null",
    .instance_size          = sizeof(OpusNull),
    .strong_runtime_opts    = null_strong_opts,

    .bdrv_open              = opus_null_open,
    .bdrv_close             = opus_null_close,

    .bdrv_co_preadv_part    = opus_null_co_preadv,
    .bdrv_co_pwritev_part   = opus_null_co_pwritev,
    .bdrv_co_pwrite_zeroes  = opus_null_co_pwrite_zeroes,
    .bdrv_co_flush_to_disk  = opus_null_co_flush,
    .bdrv_co_getlength      = opus_null_co_getlength,
};

static void opus_null_init(void)
{
    bdrv_register(&bdrv_opus_null);
}

block_init(opus_null_init);
