/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Export: vhost-user-blk as the block layer's exports know it
 *
 * Owns: the options, creation and removal, drained sections, and where the
 * queues run.
 * Must not know: messages, rings, requests.
 * Threads: main loop only.
 * Invariants: in a drained section no queue takes requests, and its wait ends
 * only when none is under way; I/O is never queued by the BlockBackend, which
 * would make that wait for ever.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block.h"
#include "block/block_int.h"
#include "block/export/vhost-user-blk-server.h"
#include "qapi/error.h"
#include "system/iothread.h"
#include "util/block-helpers.h"

#include "queue-map.h"
#include "vub-server.h"

/*
 * Without queue-size a front-end may make rings of any size, so that the
 * segments in a request must fit into a small one: 128 is the usual size, and
 * two buffers are the header and the status.
 */
#define DEFAULT_SEG_MAX 126

/* Larger ones would keep a drive busy for long with one request. */
#define MAX_DISCARD_BYTES (1 * GiB)
#define MAX_ZEROES_BYTES (64 * MiB)

typedef struct VubExport {
    BlockExport common;
    VubServer server;
    /* Without iothreads: the queues run where the node does */
    bool follow_node;
    IOThread **iothreads;       /* referenced; NULL-terminated */
} VubExport;

static void attached_aio_context(AioContext *ctx, void *opaque)
{
    VubExport *vexp = opaque;

    vexp->common.ctx = ctx;
    for (unsigned i = 0; vexp->follow_node && i < vexp->server.num_queues;
         i++) {
        /* The node is drained: the queue is idle, and no thread is in it. */
        vexp->server.queues[i].ctx = ctx;
    }
}

static void detach_aio_context(void *opaque)
{
}

static void drained_begin(void *opaque)
{
    VubExport *vexp = opaque;

    for (unsigned i = 0; i < vexp->server.num_queues; i++) {
        vub_queue_pause(&vexp->server.queues[i]);
    }
}

static void drained_end(void *opaque)
{
    VubExport *vexp = opaque;

    for (unsigned i = 0; i < vexp->server.num_queues; i++) {
        vub_queue_resume(&vexp->server.queues[i]);
    }
}

static bool drained_poll(void *opaque)
{
    VubExport *vexp = opaque;

    for (unsigned i = 0; i < vexp->server.num_queues; i++) {
        if (vub_queue_busy(&vexp->server.queues[i])) {
            return true;
        }
    }
    return vexp->server.away > 0;
}

static void resized(void *opaque)
{
    VubExport *vexp = opaque;

    vub_server_resized(&vexp->server);
}

static const BlockDevOps vub_dev_ops = {
    .drained_begin = drained_begin,
    .drained_end = drained_end,
    .drained_poll = drained_poll,
    .resize_cb = resized,
};

/* --- where the queues run --- */

static unsigned read_mapping(VhostUserBlkIothreadVqsList *list,
                             QueueMapEntry **entries)
{
    unsigned nr = 0;

    *entries = NULL;
    for (; list; list = list->next) {
        VhostUserBlkIothreadVqs *element = list->value;
        QueueMapEntry *entry;
        uint16_t *vqs = NULL;
        uint16List *vq;

        *entries = g_renew(QueueMapEntry, *entries, nr + 1);
        entry = &(*entries)[nr++];
        *entry = (QueueMapEntry) { .iothread = element->iothread };
        if (element->has_vqs) {
            /* Given, but empty, is not the same as not given. */
            vqs = g_new0(uint16_t, QAPI_LIST_LENGTH(element->vqs) + 1);
        }
        for (vq = element->vqs; vq; vq = vq->next) {
            vqs[entry->nr_vqs++] = vq->value;
        }
        entry->vqs = vqs;
    }
    return nr;
}

static void free_mapping(QueueMapEntry *entries, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        g_free((void *)entries[i].vqs);
    }
    g_free(entries);
}

static bool hold_iothreads(VubExport *vexp, const QueueMapEntry *entries,
                           unsigned nr, Error **errp)
{
    vexp->iothreads = g_new0(IOThread *, nr + 1);
    for (unsigned i = 0; i < nr; i++) {
        IOThread *iothread = iothread_by_id(entries[i].iothread);

        if (!iothread) {
            error_setg(errp, "iothread-vq-mapping: there is no iothread '%s'",
                       entries[i].iothread);
            return false;
        }
        vexp->iothreads[i] = iothread;
        object_ref(OBJECT(iothread));
    }
    return true;
}

static void release_iothreads(VubExport *vexp)
{
    for (unsigned i = 0; vexp->iothreads && vexp->iothreads[i]; i++) {
        object_unref(OBJECT(vexp->iothreads[i]));
    }
    g_free(vexp->iothreads);
}

static bool resolve_mapping(VubExport *vexp, BlockExportOptions *opts,
                            const QueueMapEntry *entries, unsigned nr,
                            unsigned *entry_of, Error **errp)
{
    g_autoptr(GError) err = NULL;

    if (opts->iothread && opts->u.vhost_user_blk.has_iothread_vq_mapping) {
        error_setg(errp, "iothread and iothread-vq-mapping can't both be "
                   "given: the mapping says which iothreads are used");
        return false;
    }
    if (!queue_map_resolve(entries, nr, vexp->server.num_queues, entry_of,
                           &err)) {
        error_setg(errp, "%s", err->message);
        return false;
    }
    return hold_iothreads(vexp, entries, nr, errp);
}

static bool make_queues(VubExport *vexp, BlockExportOptions *opts,
                        Error **errp)
{
    BlockExportOptionsVhostUserBlk *vopts = &opts->u.vhost_user_blk;
    VubServer *s = &vexp->server;
    g_autofree unsigned *entry_of = NULL;
    QueueMapEntry *entries;
    unsigned nr = read_mapping(vopts->iothread_vq_mapping, &entries);
    bool good = false;

    if (opts->iothread && !vopts->has_iothread_vq_mapping) {
        entries = g_new0(QueueMapEntry, 1);
        entries[0].iothread = opts->iothread;
        nr = 1;
    }
    vexp->follow_node = !opts->iothread && !vopts->has_iothread_vq_mapping;
    s->num_queues = queue_map_default_queues(entries, nr, VUB_MAX_QUEUES);
    if (vopts->has_num_queues) {
        s->num_queues = vopts->num_queues;
    }
    if (s->num_queues == 0 || s->num_queues > VUB_MAX_QUEUES) {
        error_setg(errp, "num-queues must be 1 to %d, not %u", VUB_MAX_QUEUES,
                   s->num_queues);
        goto out;
    }
    entry_of = g_new0(unsigned, s->num_queues);
    if (!vexp->follow_node &&
        !resolve_mapping(vexp, opts, entries, nr, entry_of, errp)) {
        goto out;
    }
    s->queues = g_new0(VubQueue, s->num_queues);
    for (unsigned i = 0; i < s->num_queues; i++) {
        vub_queue_init(&s->queues[i], &s->backend, i, vexp->follow_node ?
                       vexp->common.ctx :
                       iothread_get_aio_context(vexp->iothreads[entry_of[i]]));
    }
    good = true;
out:
    free_mapping(entries, nr);
    return good;
}

/* --- what the guest sees --- */

/*
 * What an array's superblocks call its logical block, as other programs that
 * run it show it to their users. Nodes that show the array as it is, or a part
 * of it, are looked through. VUB_SECTOR_BYTES: it is no array, or they don't
 * say.
 */
static uint64_t default_block_bytes(BlockDriverState *bs)
{
    ImageInfoSpecific *info;
    uint64_t bytes = 0;

    GRAPH_RDLOCK_GUARD_MAINLOOP();
    bs = bdrv_skip_filters(bs);
    while (bs && bs->drv == &bdrv_raw && bs->file) {
        bs = bdrv_skip_filters(bs->file->bs);
    }
    info = bs ? bdrv_get_specific_info(bs, NULL) : NULL;
    if (info && info->type == IMAGE_INFO_SPECIFIC_KIND_OPUS_RAID) {
        bytes = info->u.opus_raid.data->logical_block_size;
    }
    qapi_free_ImageInfoSpecific(info);
    return MAX(bytes, VUB_SECTOR_BYTES);
}

static bool set_limits(VubExport *vexp, BlockExportOptions *opts, Error **errp)
{
    BlockExportOptionsVhostUserBlk *vopts = &opts->u.vhost_user_blk;
    VubServer *s = &vexp->server;
    uint64_t block_bytes = vopts->has_logical_block_size ?
                           vopts->logical_block_size :
                           default_block_bytes(blk_bs(vexp->common.blk));
    const char *serial = vopts->serial ?: "vhost_user_blk";

    if (!check_block_size("logical-block-size", block_bytes, errp)) {
        return false;
    }
    if (vopts->has_queue_size &&
        (!is_power_of_2(vopts->queue_size) || vopts->queue_size < 4 ||
         vopts->queue_size > VUB_RING_MAX_SIZE)) {
        error_setg(errp, "queue-size must be a power of two from 4 to %d, not "
                   "%u", VUB_RING_MAX_SIZE, vopts->queue_size);
        return false;
    }
    if (strlen(serial) > VIRTIO_BLK_ID_BYTES) {
        error_setg(errp, "serial '%s' is longer than %d bytes", serial,
                   VIRTIO_BLK_ID_BYTES);
        return false;
    }
    s->max_ring_size = VUB_RING_MAX_SIZE;
    s->config.seg_max = DEFAULT_SEG_MAX;
    if (vopts->has_queue_size) {
        s->max_ring_size = vopts->queue_size;
        s->config.seg_max = vopts->queue_size - 2;
    }
    s->config.block_bytes = block_bytes;
    memcpy(s->backend.disk.serial, serial, strlen(serial));
    return true;
}

static bool describe_disk(VubExport *vexp, BlockExportOptions *opts,
                          Error **errp)
{
    VubServer *s = &vexp->server;
    VubConfig *config = &s->config;
    BlockDriverState *bs = blk_bs(vexp->common.blk);
    int64_t length = blk_getlength(vexp->common.blk);
    uint32_t align_bytes = MAX(bs->bl.pdiscard_alignment, config->block_bytes);

    if (length < 0) {
        error_setg_errno(errp, -length, "The size of node '%s' is unknown",
                         bdrv_get_node_name(bs));
        return false;
    }
    config->capacity_bytes = length;
    config->physical_bytes = MAX(config->block_bytes,
                                 bs->bl.request_alignment);
    /* A stripe: what is less may cost reads, so it's the least as well. */
    if (bs->bl.opt_transfer > config->physical_bytes) {
        config->opt_io_bytes = bs->bl.opt_transfer;
        config->min_io_bytes = bs->bl.opt_transfer;
    }
    config->max_discard_sectors = ROUND_DOWN(MAX_DISCARD_BYTES, align_bytes) /
                                  VUB_SECTOR_BYTES;
    config->max_zeroes_sectors = MAX_ZEROES_BYTES / VUB_SECTOR_BYTES;
    config->discard_align_bytes = align_bytes;
    config->num_queues = s->num_queues;
    config->writable = opts->writable;
    config->volatile_cache = opts->writable && !opts->writethrough;
    config->config_wce = opts->u.vhost_user_blk.config_wce;

    s->backend.name = vexp->common.id;
    s->backend.blk = vexp->common.blk;
    s->backend.disk.capacity_bytes = length;
    s->backend.disk.block_bytes = config->block_bytes;
    s->backend.disk.max_bytes = BDRV_REQUEST_MAX_BYTES;
    s->backend.disk.max_discard_sectors = config->max_discard_sectors;
    s->backend.disk.max_zeroes_sectors = config->max_zeroes_sectors;
    s->backend.disk.writable = opts->writable;
    return true;
}

/* --- life --- */

static int vub_export_create(BlockExport *exp, BlockExportOptions *opts,
                             Error **errp)
{
    VubExport *vexp = container_of(exp, VubExport, common);
    BlockExportOptionsVhostUserBlk *vopts = &opts->u.vhost_user_blk;
    VubServer *s = &vexp->server;

    s->exp = exp;
    s->register_memory = vopts->has_register_memory && vopts->register_memory;
    if (!set_limits(vexp, opts, errp) || !make_queues(vexp, opts, errp) ||
        !describe_disk(vexp, opts, errp)) {
        goto fail;
    }
    if (vopts->has_iothread_vq_mapping) {
        AioContext *ctx = s->queues[0].ctx;

        /*
         * The node is best where most requests come from, and stays there: it
         * works from anywhere, but a user that lets go of it, a job at its end
         * or another export, would move it to the main loop.
         */
        if (blk_set_aio_context(exp->blk, ctx, NULL) == 0) {
            exp->ctx = ctx;
        }
        blk_set_allow_aio_context_change(exp->blk, false);
    }
    if (!vub_server_start(s, vopts->addr, errp)) {
        goto fail;
    }
    blk_set_disable_request_queuing(exp->blk, true);
    blk_add_aio_context_notifier(exp->blk, attached_aio_context,
                                 detach_aio_context, vexp);
    blk_set_dev_ops(exp->blk, &vub_dev_ops, vexp);
    return 0;

fail:
    release_iothreads(vexp);
    g_free(vexp->server.queues);
    return -EINVAL;
}

static void vub_export_request_shutdown(BlockExport *exp)
{
    VubExport *vexp = container_of(exp, VubExport, common);

    vub_server_stop(&vexp->server);
}

static void vub_export_delete(BlockExport *exp)
{
    VubExport *vexp = container_of(exp, VubExport, common);
    VubServer *s = &vexp->server;

    blk_remove_aio_context_notifier(exp->blk, attached_aio_context,
                                    detach_aio_context, vexp);
    /* No drained section tells the queues any more what to do. */
    blk_set_dev_ops(exp->blk, NULL, NULL);
    for (unsigned i = 0; i < s->num_queues; i++) {
        vub_queue_destroy(&vexp->server.queues[i]);
    }
    release_iothreads(vexp);
    g_free(vexp->server.queues);
}

const BlockExportDriver blk_exp_vhost_user_blk = {
    .type = BLOCK_EXPORT_TYPE_VHOST_USER_BLK,
    .instance_size = sizeof(VubExport),
    .create = vub_export_create,
    .delete = vub_export_delete,
    .request_shutdown = vub_export_request_shutdown,
};
