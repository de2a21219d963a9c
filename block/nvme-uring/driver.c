/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nvme-uring: an NVMe namespace through the kernel, without its block layer
 *
 * Owns: what QEMU's block layer calls.
 * Must not know: rings, how commands look.
 * Threads: requests come from any AioContext; the rest is the main loop's.
 *
 * The kernel keeps what a driver of one's own would have to do again: time
 * limits, resets, hot removal, and that several programs use one drive. What is
 * saved is its block layer's work for each request.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qemu/cutils.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "block/nvme-uring/device.h"
#include "block/nvme-uring/request.h"

#define DRIVER      "nvme-uring"
#define WRITES      (BLK_PERM_WRITE | BLK_PERM_WRITE_UNCHANGED | \
                     BLK_PERM_RESIZE)

static void nvme_uring_parse_filename(const char *filename, QDict *options,
                                      Error **errp)
{
    bdrv_parse_filename_strip_prefix(filename, DRIVER ":", options);
}

/* Writes are asked for; can they be? */
static int check_writable(BlockDriverState *bs, const NvmeUring *n,
                          Error **errp)
{
    if (n->limits.write_protected) {
        error_setg(errp, "'%s' is write protected by the drive", n->filename);
        return -EROFS;
    }
    if (!n->writable) {
        error_setg(errp, "No permission to write to '%s'", n->filename);
        return -EACCES;
    }
    return 0;
}

static int nvme_uring_open(BlockDriverState *bs, QDict *options, int flags,
                           Error **errp)
{
    NvmeUring *n = bs->opaque;
    const char *filename = qdict_get_try_str(options, "filename");
    g_autoptr(Error) local_err = NULL;
    int ret;

    if (!filename) {
        error_setg(errp, DRIVER " needs the option 'filename'");
        return -EINVAL;
    }
    n->filename = g_strdup(filename);
    qdict_del(options, "filename");
    ret = nvme_device_open(n, errp);
    if (ret < 0) {
        g_free(n->filename);
        return ret;
    }
    if ((flags & BDRV_O_RDWR) && check_writable(bs, n, &local_err) < 0) {
        ret = bdrv_apply_auto_read_only(bs, error_get_pretty(local_err), errp);
        if (ret < 0) {
            nvme_device_close(n);
            g_free(n->filename);
            return ret;
        }
    }
    if (n->block_fd >= 0) {
        device_beside_set(bs, n->block_fd);
    }
    bs->supported_write_flags = BDRV_REQ_FUA;
    bs->supported_zero_flags = BDRV_REQ_FUA | BDRV_REQ_MAY_UNMAP |
                               BDRV_REQ_NO_FALLBACK;
    return 0;
}

static void nvme_uring_close(BlockDriverState *bs)
{
    NvmeUring *n = bs->opaque;

    device_beside_set(bs, -1);
    device_claim_release(n->claim);
    nvme_device_close(n);
    g_free(n->filename);
}

static int nvme_uring_reopen_prepare(BDRVReopenState *state,
                                     BlockReopenQueue *queue, Error **errp)
{
    return state->flags & BDRV_O_RDWR
           ? check_writable(state->bs, state->bs->opaque, errp) : 0;
}

static void nvme_uring_refresh_filename(BlockDriverState *bs)
{
    NvmeUring *n = bs->opaque;

    pstrcpy(bs->exact_filename, sizeof(bs->exact_filename), DRIVER ":");
    pstrcat(bs->exact_filename, sizeof(bs->exact_filename), n->filename);
}

/* --- who else may use the drive ------------------------------------------ */

static int GRAPH_RDLOCK nvme_uring_check_perm(BlockDriverState *bs,
                                              uint64_t perm, uint64_t shared,
                                              Error **errp)
{
    NvmeUring *n = bs->opaque;
    g_autofree char *user = g_strdup_printf("node '%s'", bs->node_name);

    if (!(perm & WRITES) || n->claim || n->block_fd < 0) {
        return 0;
    }
    n->claim = device_claim_take(n->block_fd, bs, user, errp);
    n->claim_is_new = n->claim;
    return n->claim ? 0 : -EBUSY;
}

static void drop_claim(NvmeUring *n)
{
    device_claim_release(n->claim);
    n->claim = NULL;
}

static void GRAPH_RDLOCK nvme_uring_set_perm(BlockDriverState *bs,
                                             uint64_t perm, uint64_t shared)
{
    NvmeUring *n = bs->opaque;

    n->claim_is_new = false;
    if (!(perm & WRITES)) {
        drop_claim(n);
    }
}

static void GRAPH_RDLOCK nvme_uring_abort_perm_update(BlockDriverState *bs)
{
    NvmeUring *n = bs->opaque;

    if (n->claim_is_new) {
        n->claim_is_new = false;
        drop_claim(n);
    }
}

/* --- sizes ---------------------------------------------------------------- */

static int64_t coroutine_fn nvme_uring_co_getlength(BlockDriverState *bs)
{
    return nvme_device_bytes(bs->opaque);
}

static int coroutine_fn nvme_uring_co_truncate(BlockDriverState *bs,
                                               int64_t offset, bool exact,
                                               PreallocMode prealloc,
                                               BdrvRequestFlags flags,
                                               Error **errp)
{
    int64_t length = nvme_device_bytes(bs->opaque);

    if (prealloc != PREALLOC_MODE_OFF) {
        error_setg(errp, "Preallocation mode '%s' unsupported for drives",
                   PreallocMode_str(prealloc));
        return -ENOTSUP;
    }
    if (length < 0) {
        error_setg_errno(errp, -length, "Cannot tell the size of the drive");
        return length;
    }
    if (offset > length) {
        error_setg(errp, "Cannot grow a drive: it has %" PRId64 " bytes",
                   length);
        return -EINVAL;
    }
    if (exact && offset != length) {
        error_setg(errp, "Cannot resize a drive: it has %" PRId64 " bytes",
                   length);
        return -ENOTSUP;
    }
    return 0;
}

static int coroutine_fn nvme_uring_co_get_info(BlockDriverState *bs,
                                               BlockDriverInfo *bdi)
{
    return 0;                   /* there is nothing like a cluster */
}

static void nvme_uring_refresh_limits(BlockDriverState *bs, Error **errp)
{
    const NvmeUring *n = bs->opaque;
    const NvLimits *l = &n->limits;
    uint64_t most = QEMU_ALIGN_DOWN(INT64_MAX, l->block_bytes);
    uint64_t optimal = (uint64_t)l->optimal_blocks * l->block_bytes;
    uint64_t granularity = (uint64_t)l->discard_granularity * l->block_bytes;

    bs->bl.request_alignment = l->block_bytes;
    bs->bl.max_transfer = n->max_transfer;
    bs->bl.opt_transfer = optimal <= n->max_transfer ? optimal : 0;
    bs->bl.max_pwrite_zeroes = l->zero_blocks * l->block_bytes;
    bs->bl.max_pdiscard = l->discard_blocks >= most / l->block_bytes ? most :
                          l->discard_blocks * l->block_bytes;
    bs->bl.pdiscard_alignment = granularity;
    if (granularity > 1 * GiB || bs->bl.max_pdiscard < granularity) {
        bs->bl.pdiscard_alignment = l->block_bytes;
    } else {
        bs->bl.max_pdiscard = QEMU_ALIGN_DOWN(bs->bl.max_pdiscard,
                                              granularity);
    }
    bs->bl.min_mem_alignment = sizeof(uint32_t);
    bs->bl.opt_mem_alignment = MAX(NV_PAGE_BYTES, qemu_real_host_page_size());
}

static int nvme_uring_probe_blocksizes(BlockDriverState *bs, BlockSizes *bsz)
{
    const NvmeUring *n = bs->opaque;
    uint64_t best = (uint64_t)n->limits.write_blocks * n->limits.block_bytes;

    bsz->log = n->limits.block_bytes;
    bsz->phys = is_power_of_2(best) && best <= 2 * MiB ? best : bsz->log;
    return 0;
}

/* --- requests ------------------------------------------------------------- */

static int coroutine_fn GRAPH_RDLOCK
nvme_uring_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     QEMUIOVector *qiov, BdrvRequestFlags flags)
{
    return nvme_request_rw(bs->opaque, offset, bytes, qiov, false, false);
}

static int coroutine_fn GRAPH_RDLOCK
nvme_uring_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
                      QEMUIOVector *qiov, BdrvRequestFlags flags)
{
    return nvme_request_rw(bs->opaque, offset, bytes, qiov, true,
                           flags & BDRV_REQ_FUA);
}

static int coroutine_fn GRAPH_RDLOCK
nvme_uring_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset,
                            int64_t bytes, BdrvRequestFlags flags)
{
    return nvme_request_zero(bs->opaque, offset, bytes,
                             flags & BDRV_REQ_MAY_UNMAP, flags & BDRV_REQ_FUA);
}

static int coroutine_fn GRAPH_RDLOCK
nvme_uring_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    return nvme_request_discard(bs->opaque, offset, bytes);
}

static int coroutine_fn GRAPH_RDLOCK
nvme_uring_co_flush_to_disk(BlockDriverState *bs)
{
    return nvme_request_flush(bs->opaque);
}

static const char *const strong_options[] = { "filename", NULL };

static BlockDriver bdrv_nvme_uring = {
    .format_name            = DRIVER,
    .protocol_name          = DRIVER,
    .instance_size          = sizeof(NvmeUring),
    .bdrv_needs_filename    = true,
    .strong_runtime_opts    = strong_options,
    .bdrv_parse_filename    = nvme_uring_parse_filename,
    .bdrv_open              = nvme_uring_open,
    .bdrv_close             = nvme_uring_close,
    .bdrv_reopen_prepare    = nvme_uring_reopen_prepare,
    .bdrv_refresh_filename  = nvme_uring_refresh_filename,

    .bdrv_check_perm        = nvme_uring_check_perm,
    .bdrv_set_perm          = nvme_uring_set_perm,
    .bdrv_abort_perm_update = nvme_uring_abort_perm_update,

    .bdrv_co_getlength      = nvme_uring_co_getlength,
    .bdrv_co_truncate       = nvme_uring_co_truncate,
    .bdrv_co_get_info       = nvme_uring_co_get_info,
    .bdrv_refresh_limits    = nvme_uring_refresh_limits,
    .bdrv_probe_blocksizes  = nvme_uring_probe_blocksizes,

    .bdrv_co_preadv         = nvme_uring_co_preadv,
    .bdrv_co_pwritev        = nvme_uring_co_pwritev,
    .bdrv_co_pwrite_zeroes  = nvme_uring_co_pwrite_zeroes,
    .bdrv_co_pdiscard       = nvme_uring_co_pdiscard,
    .bdrv_co_flush_to_disk  = nvme_uring_co_flush_to_disk,
};

static void nvme_uring_init(void)
{
    bdrv_register(&bdrv_nvme_uring);
}

block_init(nvme_uring_init);
