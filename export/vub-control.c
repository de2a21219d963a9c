/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: what a front-end's messages do to queues and to the node
 *
 * Owns: the hop of the server's coroutine into a queue's thread and back, the
 * registration of guest memory, the write cache's state.
 * Must not know: messages' formats, the socket.
 * Threads: the server's coroutine; in the main loop but for the hops.
 * Invariants: no drained section ends its wait while the coroutine is away, so
 * that a queue's context doesn't change under it.
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/sockets.h"

#include <linux/virtio_config.h>
#include "vub-server.h"
#include "trace.h"

/* From one memory table to another: what the block layer may pin. */
typedef struct MemoryChange {
    VubServer *s;
    const VubMemory *from;
    const VubMemory *to;
    Coroutine *co;
} MemoryChange;

static VubQueue *coroutine_fn go_to_queue(VubServer *s, unsigned index)
{
    VubQueue *q = &s->queues[index];

    q->used = true;
    s->away++;
    aio_co_reschedule_self(q->ctx);
    return q;
}

static void coroutine_fn come_back(VubServer *s)
{
    aio_co_reschedule_self(qemu_get_aio_context());
    s->away--;
}

void vub_control_send_config_change(VubServer *s)
{
    const VubMsgHeader msg = {
        .request = VUB_BACKEND_CONFIG_CHANGE,
        .flags = VUB_MSG_VERSION,
    };
    bool running = false;

    for (unsigned i = 0; s->client && i < s->num_queues; i++) {
        running |= s->dev.vrings[i].started;
    }
    /* A device that doesn't run says nothing; it reads the space anyway. */
    if (!running || s->backend_fd < 0 ||
        !vub_device_has_protocol(&s->dev, VUB_PROTOCOL_F_CONFIG)) {
        return;
    }
    s->config_changed = false;
    trace_vub_control_config_change(s->exp->id, s->config.capacity_bytes);
    /* If it's full, there is such a message in it that nobody has read. */
    if (send(s->backend_fd, &msg, sizeof(msg),
             MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        int saved_errno = errno;

        if (vub_server_may_report(s)) {
            warn_report("export '%s': the client can't be told that the "
                        "disk's size changed: %s", s->exp->id,
                        strerror(saved_errno));
        }
    }
}

/* For nodes that run parts of a request side by side; ours we keep. */
static unsigned pool_share(unsigned ring_size)
{
    return ring_size / 2;
}

static bool start(void *opaque, unsigned index, const VubRingSetup *setup,
                  GError **errp)
{
    VubServer *s = opaque;
    bool good;

    if (s->dev.inflight && !setup->config.inflight &&
        vub_server_may_report(s)) {
        warn_report("export '%s': queue %u has %u descriptors, but the "
                    "client's in-flight region only %u: if this daemon dies, "
                    "its requests under way are lost", s->exp->id, index,
                    setup->config.num,
                    vub_inflight_queue_size(s->dev.inflight));
    }
    good = vub_queue_start(go_to_queue(s, index), setup, errp);
    come_back(s);
    if (good) {
        qemu_coroutine_inc_pool_size(pool_share(setup->config.num));
    }
    return good;
}

static uint32_t stop(void *opaque, unsigned index)
{
    VubServer *s = opaque;
    uint32_t base = vub_queue_stop(go_to_queue(s, index));

    s->lost |= vub_queue_take_lost(&s->queues[index]);
    come_back(s);
    qemu_coroutine_dec_pool_size(pool_share(s->dev.vrings[index].num));
    return base;
}

static bool change(void *opaque, unsigned index, const VubRingSetup *setup,
                   bool settled, GError **errp)
{
    VubServer *s = opaque;
    bool good = vub_queue_change(go_to_queue(s, index), setup, settled, errp);

    s->lost |= vub_queue_take_lost(&s->queues[index]);
    come_back(s);
    return good;
}

static void set_kick(void *opaque, unsigned index, int fd)
{
    vub_queue_set_kick(go_to_queue(opaque, index), fd);
    come_back(opaque);
}

static void set_call(void *opaque, unsigned index, int fd)
{
    vub_queue_set_call(go_to_queue(opaque, index), fd);
    come_back(opaque);
}

static void set_err(void *opaque, unsigned index, int fd)
{
    vub_queue_set_err(go_to_queue(opaque, index), fd);
    come_back(opaque);
}

static void set_enabled(void *opaque, unsigned index, bool enabled)
{
    VubServer *s = opaque;

    vub_queue_set_enabled(go_to_queue(s, index), enabled);
    come_back(s);
    if (s->config_changed) {
        vub_control_send_config_change(s);
    }
}

static void set_backend_fd(void *opaque, int fd)
{
    VubServer *s = opaque;

    if (s->backend_fd >= 0) {
        close(s->backend_fd);
    }
    s->backend_fd = fd;
    if (fd >= 0 && !fd_is_socket(fd)) {
        if (vub_server_may_report(s)) {
            warn_report("export '%s': what the client wants to be told on is "
                        "no socket", s->exp->id);
        }
        close(fd);
        s->backend_fd = -1;
    }
}

static bool has_region(const VubMemory *mem, const VubRegion *region)
{
    for (unsigned i = 0; i < mem->nr_regions; i++) {
        if (mem->regions[i].host == region->host &&
            mem->regions[i].size_bytes == region->size_bytes) {
            return true;
        }
    }
    return false;
}

static void register_bh(void *opaque)
{
    MemoryChange *change = opaque;
    VubServer *s = change->s;
    bool all = true;

    for (unsigned i = 0; i < change->to->nr_regions; i++) {
        const VubRegion *region = &change->to->regions[i];
        Error *err = NULL;

        if (!has_region(change->from, region) &&
            !blk_register_buf(s->exp->blk, region->host, region->size_bytes,
                              &err)) {
            if (vub_server_may_report(s)) {
                warn_reportf_err(err, "export '%s': guest memory can't be "
                                 "registered, requests will be slower: ",
                                 s->exp->id);
            } else {
                error_free(err);
            }
            all = false;
        }
    }
    /* Once off it stays off for this front-end: some region is missing. */
    if (!all) {
        qatomic_set(&s->backend.io_flags, 0);
    }
    aio_co_wake(change->co);
}

static void unregister_bh(void *opaque)
{
    MemoryChange *change = opaque;

    for (unsigned i = 0; i < change->from->nr_regions; i++) {
        const VubRegion *region = &change->from->regions[i];

        if (!has_region(change->to, region)) {
            blk_unregister_buf(change->s->exp->blk, region->host,
                               region->size_bytes);
        }
    }
    aio_co_wake(change->co);
}

/* The block layer wants this outside of coroutines. */
static void coroutine_fn change_registration(VubServer *s, QEMUBHFunc *bh,
                                             const VubMemory *from,
                                             const VubMemory *to)
{
    MemoryChange change = { s, from, to, qemu_coroutine_self() };

    if (s->register_memory) {
        s->away++;
        aio_bh_schedule_oneshot(qemu_get_aio_context(), bh, &change);
        qemu_coroutine_yield();
        s->away--;
    }
}

static void memory_coming(void *opaque, const VubMemory *old,
                          const VubMemory *new)
{
    VubServer *s = opaque;

    if (old->nr_regions == 0 && s->register_memory) {
        qatomic_set(&s->backend.io_flags, BDRV_REQ_REGISTERED_BUF);
    }
    change_registration(s, register_bh, old, new);
}

static void memory_gone(void *opaque, const VubMemory *old,
                        const VubMemory *new)
{
    change_registration(opaque, unregister_bh, old, new);
}

/*
 * The write cache. A driver that took CONFIG_WCE relies on what "wce" said, or
 * on what it wrote there itself; for a guest that came from elsewhere, only
 * the in-flight region or the device's state tells. A driver that didn't take
 * it flushes, if it took FLUSH; if not, it must not be given a cache.
 */
void vub_control_forget_cache(VubServer *s)
{
    s->config.wce = s->config.volatile_cache;
    s->wce_known = s->cache_set = false;
    blk_set_enable_write_cache(s->exp->blk, false);
}

/* Without a write cache all that was acknowledged is safe, as of now. */
static bool coroutine_fn set_write_cache(VubServer *s, bool on)
{
    /* An earlier client's, or it's not known what that one had. */
    bool was_on = blk_enable_write_cache(s->exp->blk) ||
                  (s->config.volatile_cache && !s->cache_set);
    int ret = 0;

    s->cache_set = true;
    blk_set_enable_write_cache(s->exp->blk, on);
    if (was_on && !on && s->config.writable) {
        s->away++;
        ret = blk_co_flush(s->exp->blk);
        s->away--;
    }
    trace_vub_control_write_cache(s->exp->id, on, ret);
    return ret == 0;
}

static bool get_cache(void *opaque)
{
    VubServer *s = opaque;

    return s->config.wce && (s->config.config_wce || s->wce_known);
}

static void negotiated(void *opaque, uint64_t features)
{
    VubServer *s = opaque;
    bool on = get_cache(s);

    if (!(features & 1ull << VIRTIO_BLK_F_CONFIG_WCE)) {
        on = s->config.volatile_cache && features & 1ull << VIRTIO_BLK_F_FLUSH;
    }
    if (!set_write_cache(s, on) && vub_server_may_report(s)) {
        warn_report("export '%s': the driver knows no flush, and what was "
                    "written before could not be flushed now", s->exp->id);
    }
}

static void restore_cache(void *opaque, bool on)
{
    VubServer *s = opaque;

    if (!s->config.config_wce &&
        !(s->dev.features & 1ull << VIRTIO_BLK_F_CONFIG_WCE)) {
        return;
    }
    s->wce_known = true;
    s->config.wce = on && s->config.volatile_cache;
    negotiated(s, s->dev.features);
}

static void get_config(void *opaque, uint8_t *space)
{
    VubServer *s = opaque;

    vub_config_fill(&s->config, space, VUB_CONFIG_MAX_BYTES);
}

static bool set_config(void *opaque, uint32_t offset, const uint8_t *data,
                       uint32_t bytes)
{
    VubServer *s = opaque;

    if (offset != vub_config_wce_offset() || bytes != 1 ||
        !(s->dev.features & 1ull << VIRTIO_BLK_F_CONFIG_WCE)) {
        return false;
    }
    s->wce_known = true;
    s->config.wce = *data && s->config.volatile_cache;
    return set_write_cache(s, s->config.wce);
}

const VubDeviceOps vub_control_ops = {
    .start = start,
    .stop = stop,
    .change = change,
    .set_kick = set_kick,
    .set_call = set_call,
    .set_err = set_err,
    .set_backend_fd = set_backend_fd,
    .set_enabled = set_enabled,
    .memory_coming = memory_coming,
    .memory_gone = memory_gone,
    .features = negotiated,
    .get_cache = get_cache,
    .restore_cache = restore_cache,
    .get_config = get_config,
    .set_config = set_config,
};
