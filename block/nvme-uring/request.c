/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request: what a block driver is asked for, by an NVMe drive
 *
 * Owns: which commands a request becomes, and how often they are tried.
 * Must not know: nodes, rings.
 * Threads: any AioContext's; nothing here is shared.
 *
 * The kernel tries a command of ours once, so it is here that it is tried
 * again. When a drive is reset, all that it had is given up with -EINTR, be it
 * slow itself or not. Those that are lost for good end with an errno that tells
 * an array that the drive is gone.
 */

#include "qemu/osdep.h"
#include "qemu/coroutine.h"
#include "qemu/memalign.h"
#include "block/nvme-uring/request.h"
#include "block/nvme-uring/trace.h"
#include "util/nvme/command.h"
#include "util/nvme/status.h"

/* Together about three seconds. */
#define TRIES           6
#define FIRST_PAUSE_NS  (100 * SCALE_MS)

/* A command that takes too long is given up after 30 seconds. */
#define CANCELLED_TRIES 3

#define AGAIN_NS        SCALE_MS

static struct nvme_uring_cmd make_cmd(NvCommand c, const void *data,
                                      uint32_t len)
{
    return (struct nvme_uring_cmd) {
        .opcode = c.opcode,
        .nsid = c.nsid,
        .addr = (uintptr_t)data,
        .data_len = len,
        .cdw10 = c.cdw10,
        .cdw11 = c.cdw11,
        .cdw12 = c.cdw12,
        .cdw13 = c.cdw13,
        .cdw14 = c.cdw14,
        .cdw15 = c.cdw15,
    };
}

static uint64_t lba_of(const struct nvme_uring_cmd *cmd)
{
    return (uint64_t)cmd->cdw11 << 32 | cmd->cdw10;
}

static int final_errno(int res)
{
    if (res > 0) {
        return nv_status_errno(res);
    }
    return res == -EINTR ? -ETIMEDOUT : res;
}

static bool is_worth_a_retry(int res, unsigned attempt)
{
    if (res > 0) {
        return attempt < TRIES && nv_status_may_retry(res);
    }
    return res == -EINTR && attempt < CANCELLED_TRIES;
}

static int coroutine_fn run(NvmeUring *n, const struct nvme_uring_cmd *cmd,
                            bool vector)
{
    int64_t pause = FIRST_PAUSE_NS;
    unsigned attempt = 0;

    for (;;) {
        int res = nvme_rings_co_run(n->rings, cmd, vector);
        bool again;

        trace_nvme_uring_done(n, cmd->opcode, lba_of(cmd), cmd->cdw12, res);
        if (likely(res == 0)) {
            return 0;
        }
        if (res == -EAGAIN) {
            /* It was not sent: the kernel had no room for it. */
            qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, AGAIN_NS);
            continue;
        }
        again = is_worth_a_retry(res, ++attempt);
        trace_nvme_uring_failed(n, cmd->opcode, lba_of(cmd), res,
                                res > 0 ? nv_status_name(res) : strerror(-res),
                                attempt, again);
        if (!again) {
            return final_errno(res);
        }
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, pause);
        pause *= 2;
    }
}

/* The most pages that its buffer may touch. */
static unsigned count_pages(const QEMUIOVector *qiov)
{
    unsigned pages = 0;

    for (int i = 0; i < qiov->niov; i++) {
        uintptr_t start = (uintptr_t)qiov->iov[i].iov_base;
        uintptr_t end = start + qiov->iov[i].iov_len;

        pages += DIV_ROUND_UP(end, NV_PAGE_BYTES) - start / NV_PAGE_BYTES;
    }
    return pages;
}

static int coroutine_fn run_bounced(NvmeUring *n, NvCommand c, int64_t bytes,
                                    QEMUIOVector *qiov, bool is_write)
{
    void *buf = qemu_try_memalign(NV_PAGE_BYTES, bytes);
    struct nvme_uring_cmd cmd = make_cmd(c, buf, bytes);
    int ret;

    trace_nvme_uring_bounce(n, bytes, qiov->niov, count_pages(qiov));
    if (!buf) {
        return -ENOMEM;
    }
    if (is_write) {
        qemu_iovec_to_buf(qiov, 0, buf, bytes);
    }
    ret = run(n, &cmd, false);
    if (!is_write && ret == 0) {
        qemu_iovec_from_buf(qiov, 0, buf, bytes);
    }
    qemu_vfree(buf);
    return ret;
}

int coroutine_fn nvme_request_rw(NvmeUring *n, int64_t offset, int64_t bytes,
                                 QEMUIOVector *qiov, bool is_write, bool fua)
{
    uint32_t block = n->limits.block_bytes;
    uint64_t lba = offset / block;
    uint32_t blocks = bytes / block;
    NvCommand c = is_write
        ? nv_write(n->nsid, lba, blocks, fua && n->limits.volatile_cache)
        : nv_read(n->nsid, lba, blocks);
    struct nvme_uring_cmd cmd;
    bool vector = qiov->niov != 1;

    if (unlikely(count_pages(qiov) > n->max_pages)) {
        return run_bounced(n, c, bytes, qiov, is_write);
    }
    cmd = vector ? make_cmd(c, qiov->iov, qiov->niov)
                 : make_cmd(c, qiov->iov[0].iov_base, bytes);
    return run(n, &cmd, vector);
}

int coroutine_fn nvme_request_flush(NvmeUring *n)
{
    struct nvme_uring_cmd cmd = make_cmd(nv_flush(n->nsid), NULL, 0);

    return n->limits.volatile_cache ? run(n, &cmd, false) : 0;
}

int coroutine_fn nvme_request_zero(NvmeUring *n, int64_t offset, int64_t bytes,
                                   bool deallocate, bool fua)
{
    uint32_t block = n->limits.block_bytes;
    struct nvme_uring_cmd cmd;

    if (!n->limits.zero_blocks) {
        return -ENOTSUP;
    }
    cmd = make_cmd(nv_write_zeroes(n->nsid, offset / block, bytes / block,
                                   deallocate && n->limits.zero_deallocates,
                                   fua && n->limits.volatile_cache), NULL, 0);
    return run(n, &cmd, false);
}

int coroutine_fn nvme_request_discard(NvmeUring *n, int64_t offset,
                                      int64_t bytes)
{
    uint32_t block = n->limits.block_bytes;
    QEMU_ALIGNED(NV_DISCARD_RANGE_BYTES) uint8_t range[NV_DISCARD_RANGE_BYTES];
    struct nvme_uring_cmd cmd;

    if (!n->limits.discard_blocks) {
        return -ENOTSUP;
    }
    nv_discard_range(range, offset / block, bytes / block);
    cmd = make_cmd(nv_discard(n->nsid, 1), range, sizeof(range));
    return run(n, &cmd, false);
}
