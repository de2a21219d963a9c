/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver opus-ram: a disk in memory
 *
 * Owns: a memfd that holds the data, and its mapping.
 * Must not know: who its parents are.
 * Threads: any; requests that overlap mix as they do on a real disk.
 *
 * A request takes its copy and, with latency-ns, that much time on top: it
 * then completes by a timer of the context that submitted it. All memory is
 * there from the start, so that no request pays for a page's first use.
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include <sys/mman.h>

#define OPT_LATENCY_NS  "latency-ns"

typedef struct OpusRam {
    int64_t size_bytes;
    int64_t latency_ns;
    int fd;
    uint8_t *data;
} OpusRam;

static QemuOptsList ram_opts = {
    .name = "opus-ram",
    .head = QTAILQ_HEAD_INITIALIZER(ram_opts.head),
    .desc = {
        {
            .name = BLOCK_OPT_SIZE,
            .type = QEMU_OPT_SIZE,
            .help = "size of the disk (default: 64 MiB)",
        },
        {
            .name = OPT_LATENCY_NS,
            .type = QEMU_OPT_NUMBER,
            .help = "time that a request takes (default: 0)",
        },
        { /* end of list */ }
    },
};

static const char *const ram_strong_opts[] = { BLOCK_OPT_SIZE, NULL };

static bool ram_map(OpusRam *s, Error **errp)
{
    s->fd = memfd_create("opus-ram", MFD_CLOEXEC);
    if (s->fd < 0) {
        error_setg_errno(errp, errno, "Cannot create a memfd");
        return false;
    }
    if (ftruncate(s->fd, s->size_bytes) == 0) {
        s->data = mmap(NULL, s->size_bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_POPULATE, s->fd, 0);
        if (s->data != MAP_FAILED) {
            return true;
        }
    }
    error_setg_errno(errp, errno, "Cannot get %" PRId64 " bytes of memory",
                     s->size_bytes);
    close(s->fd);
    return false;
}

static int opus_ram_open(BlockDriverState *bs, QDict *options, int flags,
                         Error **errp)
{
    OpusRam *s = bs->opaque;
    QemuOpts *opts = qemu_opts_create(&ram_opts, NULL, 0, &error_abort);
    bool ok = qemu_opts_absorb_qdict(opts, options, errp);

    s->size_bytes = qemu_opt_get_size(opts, BLOCK_OPT_SIZE, 64 * MiB);
    s->latency_ns = qemu_opt_get_number(opts, OPT_LATENCY_NS, 0);
    qemu_opts_del(opts);
    if (!ok || !ram_map(s, errp)) {
        return -EINVAL;
    }
    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return 0;
}

static void opus_ram_close(BlockDriverState *bs)
{
    OpusRam *s = bs->opaque;

    munmap(s->data, s->size_bytes);
    close(s->fd);
}

static inline void coroutine_fn ram_wait(const OpusRam *s)
{
    if (s->latency_ns) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, s->latency_ns);
    }
}

static int coroutine_fn GRAPH_RDLOCK
opus_ram_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                   QEMUIOVector *qiov, size_t qiov_offset,
                   BdrvRequestFlags flags)
{
    OpusRam *s = bs->opaque;

    ram_wait(s);
    qemu_iovec_from_buf(qiov, qiov_offset, s->data + offset, bytes);
    return 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_ram_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                    QEMUIOVector *qiov, size_t qiov_offset,
                    BdrvRequestFlags flags)
{
    OpusRam *s = bs->opaque;

    qemu_iovec_to_buf(qiov, qiov_offset, s->data + offset, bytes);
    ram_wait(s);
    return 0;
}

/* A hole in the memfd reads as zeroes, and gives its memory back. */
static int ram_punch(OpusRam *s, int64_t offset, int64_t bytes)
{
    if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                  bytes) < 0) {
        return -errno;
    }
    return 0;
}

static int coroutine_fn GRAPH_RDLOCK
opus_ram_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                          BdrvRequestFlags flags)
{
    OpusRam *s = bs->opaque;
    int ret = 0;

    if (flags & BDRV_REQ_MAY_UNMAP) {
        ret = ram_punch(s, offset, bytes);
    } else {
        memset(s->data + offset, 0, bytes);
    }
    ram_wait(s);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
opus_ram_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    OpusRam *s = bs->opaque;
    int ret = ram_punch(s, offset, bytes);

    ram_wait(s);
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK opus_ram_co_flush(BlockDriverState *bs)
{
    ram_wait(bs->opaque);
    return 0;
}

static int64_t coroutine_fn GRAPH_RDLOCK
opus_ram_co_getlength(BlockDriverState *bs)
{
    OpusRam *s = bs->opaque;

    return s->size_bytes;
}

static BlockDriver bdrv_opus_ram = {
    .format_name            = "opus-ram",
    .protocol_name          = "opus-ram",
    .instance_size          = sizeof(OpusRam),
    .strong_runtime_opts    = ram_strong_opts,

    .bdrv_open              = opus_ram_open,
    .bdrv_close             = opus_ram_close,

    .bdrv_co_preadv_part    = opus_ram_co_preadv,
    .bdrv_co_pwritev_part   = opus_ram_co_pwritev,
    .bdrv_co_pwrite_zeroes  = opus_ram_co_pwrite_zeroes,
    .bdrv_co_pdiscard       = opus_ram_co_pdiscard,
    .bdrv_co_flush_to_disk  = opus_ram_co_flush,
    .bdrv_co_getlength      = opus_ram_co_getlength,
};

static void opus_ram_init(void)
{
    bdrv_register(&bdrv_opus_ram);
}

block_init(opus_ram_init);
