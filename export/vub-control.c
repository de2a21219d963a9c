/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: what a front-end's messages do to queues and to the node
 *
 * Owns: the hop of a client's coroutine into a queue's thread and back, what
 * goes there with a client's turn, the registration of guest memory, the write
 * cache's state.
 * Must not know: messages' formats, the socket.
 * Threads: the clients' coroutines; in the main loop but for the hops.
 * Invariants: no drained section ends its wait while a coroutine is away, so
 * that a queue's context doesn't change under it. A client that isn't the
 * current one changes nothing but itself.
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/sockets.h"

#include <linux/virtio_config.h>
#include "vub-error.h"
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

static bool is_current(const VubClient *c)
{
    return c->server->current == c;
}

void vub_control_send_config_change(VubClient *c)
{
    const VubMsgHeader msg = {
        .request = VUB_BACKEND_CONFIG_CHANGE,
        .flags = VUB_MSG_VERSION,
    };
    VubServer *s = c->server;

    /* A device that doesn't run says nothing; it reads the space anyway. */
    if (!vub_client_is_running(c) || c->backend_fd < 0 ||
        !vub_device_has_protocol(&c->dev, VUB_PROTOCOL_F_CONFIG)) {
        return;
    }
    c->config_changed = false;
    trace_vub_control_config_change(s->exp->id, s->config.capacity_bytes);
    /* If it's full, there is an unread message of that kind in it. */
    if (send(c->backend_fd, &msg, sizeof(msg),
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
    VubClient *c = opaque;
    VubServer *s = c->server;
    bool good;

    /* See set_kick(). */
    if (!is_current(c)) {
        vub_error_set(errp, "ring %u can't have its turn any more", index);
        return false;
    }
    if (c->dev.inflight && !setup->config.inflight &&
        vub_server_may_report(s)) {
        warn_report("export '%s': queue %u has %u descriptors, but the "
                    "client's in-flight region only %u: if this daemon dies, "
                    "its requests under way are lost", s->exp->id, index,
                    setup->config.num,
                    vub_inflight_queue_size(c->dev.inflight));
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
    VubClient *c = opaque;
    VubServer *s = c->server;
    uint32_t base = vub_queue_stop(go_to_queue(s, index));

    c->lost |= vub_queue_take_lost(&s->queues[index]);
    come_back(s);
    qemu_coroutine_dec_pool_size(pool_share(c->dev.vrings[index].num));
    return base;
}

static bool change(void *opaque, unsigned index, const VubRingSetup *setup,
                   bool settled, GError **errp)
{
    VubClient *c = opaque;
    VubServer *s = c->server;
    bool good = vub_queue_change(go_to_queue(s, index), setup, settled, errp);

    c->lost |= vub_queue_take_lost(&s->queues[index]);
    come_back(s);
    return good;
}

/* Rings start with a kick, so that here is where a client needs its turn. */
static void set_kick(void *opaque, unsigned index, int fd)
{
    VubClient *c = opaque;
    VubServer *s = c->server;

    if (is_current(c) || (fd >= 0 && vub_client_take_turn(c))) {
        vub_queue_set_kick(go_to_queue(s, index), fd);
        come_back(s);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void hold_fd(int *held, int fd)
{
    if (*held >= 0) {
        close(*held);
    }
    *held = fd;
}

static void set_call(void *opaque, unsigned index, int fd)
{
    VubClient *c = opaque;
    VubServer *s = c->server;

    if (is_current(c)) {
        vub_queue_set_call(go_to_queue(s, index), fd);
        come_back(s);
    } else {
        hold_fd(&c->held[index].call, fd);
    }
}

static void set_err(void *opaque, unsigned index, int fd)
{
    VubClient *c = opaque;
    VubServer *s = c->server;

    if (is_current(c)) {
        vub_queue_set_err(go_to_queue(s, index), fd);
        come_back(s);
    } else {
        hold_fd(&c->held[index].err, fd);
    }
}

static void set_enabled(void *opaque, unsigned index, bool enabled)
{
    VubClient *c = opaque;
    VubServer *s = c->server;

    /* The device remembers it. */
    if (!is_current(c)) {
        return;
    }
    vub_queue_set_enabled(go_to_queue(s, index), enabled);
    come_back(s);
}

static void set_backend_fd(void *opaque, int fd)
{
    VubClient *c = opaque;

    if (c->backend_fd >= 0) {
        close(c->backend_fd);
    }
    c->backend_fd = fd;
    if (fd >= 0 && !fd_is_socket(fd)) {
        if (vub_server_may_report(c->server)) {
            warn_report("export '%s': what the client wants to be told on is "
                        "no socket", c->server->exp->id);
        }
        close(fd);
        c->backend_fd = -1;
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
    VubClient *c = opaque;
    VubServer *s = c->server;

    if (!is_current(c)) {
        return;
    }
    if (old->nr_regions == 0 && s->register_memory) {
        qatomic_set(&s->backend.io_flags, BDRV_REQ_REGISTERED_BUF);
    }
    change_registration(s, register_bh, old, new);
}

static void memory_gone(void *opaque, const VubMemory *old,
                        const VubMemory *new)
{
    VubClient *c = opaque;

    if (is_current(c)) {
        change_registration(c->server, unregister_bh, old, new);
    }
}

/*
 * The write cache. A driver that took CONFIG_WCE relies on what "wce" said, or
 * on what it wrote there itself; for a guest that came from elsewhere, only
 * the in-flight region or the device's state tells. A driver that didn't take
 * it flushes, if it took FLUSH; if not, it must not be given a cache.
 */
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
    VubClient *c = opaque;

    return c->wce && (c->server->config.config_wce || c->wce_known);
}

static void negotiated(void *opaque, uint64_t features)
{
    VubClient *c = opaque;
    VubServer *s = c->server;
    bool on = get_cache(c);

    if (!is_current(c)) {
        return;
    }
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
    VubClient *c = opaque;

    if (!c->server->config.config_wce &&
        !(c->dev.features & 1ull << VIRTIO_BLK_F_CONFIG_WCE)) {
        return;
    }
    c->wce_known = true;
    c->wce = on && c->server->config.volatile_cache;
    negotiated(c, c->dev.features);
}

static void get_config(void *opaque, uint8_t *space)
{
    VubClient *c = opaque;
    VubConfig config = c->server->config;

    config.wce = c->wce;
    vub_config_fill(&config, space, VUB_CONFIG_MAX_BYTES);
}

static bool set_config(void *opaque, uint32_t offset, const uint8_t *data,
                       uint32_t bytes)
{
    VubClient *c = opaque;

    if (offset != vub_config_wce_offset() || bytes != 1 ||
        !(c->dev.features & 1ull << VIRTIO_BLK_F_CONFIG_WCE) ||
        !vub_client_take_turn(c)) {
        return false;
    }
    c->wce_known = true;
    c->wce = *data && c->server->config.volatile_cache;
    return set_write_cache(c->server, c->wce);
}

/* --- which client has the queues --- */

void coroutine_fn vub_control_step_up(VubClient *c)
{
    VubServer *s = c->server;
    VubMemory *none = vub_memory_new();

    /* Nothing is cached until it is known what its driver expects. */
    s->cache_set = false;
    blk_set_enable_write_cache(s->exp->blk, false);
    negotiated(c, c->dev.features);
    memory_coming(c, none, c->dev.mem);
    vub_memory_unref(none);
    for (unsigned i = 0; i < s->num_queues; i++) {
        VubQueue *q;

        if (!c->dev.vrings[i].touched) {
            continue;
        }
        q = go_to_queue(s, i);
        vub_queue_set_call(q, c->held[i].call);
        vub_queue_set_err(q, c->held[i].err);
        vub_queue_set_enabled(q, c->dev.vrings[i].enabled);
        come_back(s);
        c->held[i] = (VubHeldFds) { -1, -1 };
    }
}

void coroutine_fn vub_control_step_down(VubClient *c)
{
    VubServer *s = c->server;
    VubMemory *none = vub_memory_new();

    for (unsigned i = 0; i < s->num_queues; i++) {
        VubQueue *q;

        if (!c->dev.vrings[i].touched) {
            continue;
        }
        q = go_to_queue(s, i);
        vub_queue_set_enabled(q, false);
        vub_queue_set_kick(q, -1);
        c->held[i].call = vub_queue_take_call(q);
        c->held[i].err = vub_queue_take_err(q);
        come_back(s);
    }
    memory_gone(c, c->dev.mem, none);
    vub_memory_unref(none);
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
