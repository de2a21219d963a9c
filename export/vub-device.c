/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: what one connected front-end has told us, and what follows from it
 *
 * Owns: features, configuration space, in-flight region, dirty log. Memory is
 * in vub-device-memory.c, rings are in vub-device-vring.c, what travels in
 * vub-device-state.c.
 * Must not know: sockets, threads, the block layer.
 * Threads: one at a time.
 */

#include "vub-device.h"

#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "vub-error.h"

static const uint64_t protocol_features =
    1ull << VUB_PROTOCOL_F_MQ | 1ull << VUB_PROTOCOL_F_LOG_SHMFD |
    1ull << VUB_PROTOCOL_F_REPLY_ACK | 1ull << VUB_PROTOCOL_F_BACKEND_REQ |
    1ull << VUB_PROTOCOL_F_CONFIG | 1ull << VUB_PROTOCOL_F_INFLIGHT_SHMFD |
    1ull << VUB_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
    1ull << VUB_PROTOCOL_F_DEVICE_STATE;

void vub_device_init(VubDevice *dev, const VubDeviceOps *ops, void *opaque,
                     uint64_t features, unsigned num_queues,
                     unsigned max_ring_size)
{
    *dev = (VubDevice) {
        .ops = ops,
        .opaque = opaque,
        .num_queues = num_queues,
        .max_ring_size = max_ring_size,
        .offered_features = features | 1ull << VUB_F_PROTOCOL_FEATURES |
                            1ull << VHOST_F_LOG_ALL,
        .mem = vub_memory_new(),
        .vrings = g_new0(VubVring, num_queues),
        .state_fd = -1,
    };
}

void vub_device_destroy(VubDevice *dev)
{
    for (unsigned i = 0; i < dev->num_queues; i++) {
        if (!dev->vrings[i].touched) {
            continue;
        }
        if (dev->vrings[i].started) {
            dev->vrings[i].started = false;
            dev->ops->stop(dev->opaque, i);
        }
        dev->ops->set_enabled(dev->opaque, i, false);
        dev->ops->set_kick(dev->opaque, i, -1);
        dev->ops->set_call(dev->opaque, i, -1);
        dev->ops->set_err(dev->opaque, i, -1);
    }
    if (dev->mem->nr_regions) {
        VubMemory *none = vub_memory_new();

        dev->ops->memory_gone(dev->opaque, dev->mem, none);
        vub_memory_unref(none);
    }
    dev->ops->set_backend_fd(dev->opaque, -1);
    vub_device_forget_state(dev);
    vub_memory_unref(dev->mem);
    vub_log_unref(dev->log);
    vub_inflight_unref(dev->inflight);
    g_free(dev->vrings);
    memset(dev, 0, sizeof(*dev));
}

void vub_device_ring_setup(const VubDevice *dev, unsigned index,
                           VubRingSetup *setup)
{
    const VubVring *vring = &dev->vrings[index];
    bool tracked = dev->inflight &&
                   vring->num <= vub_inflight_queue_size(dev->inflight);
    bool logged = dev->features & 1ull << VHOST_F_LOG_ALL;

    *setup = (VubRingSetup) {
        .config = {
            .num = vring->num,
            .packed = dev->features & 1ull << VIRTIO_F_RING_PACKED,
            .event_idx = dev->features & 1ull << VIRTIO_RING_F_EVENT_IDX,
            .desc_user_addr = vring->addr.desc_user_addr,
            .avail_user_addr = vring->addr.avail_user_addr,
            .used_user_addr = vring->addr.used_user_addr,
            .base = vring->base,
            .inflight = tracked ? dev->inflight : NULL,
            .index = index,
        },
        .mem = dev->mem,
        .log = logged ? dev->log : NULL,
        .log_used = vring->addr.flags & 1 << VHOST_VRING_F_LOG,
        .log_used_addr = vring->addr.log_guest_addr,
    };
}

bool vub_device_lost(const VubDevice *dev)
{
    return (dev->mem && vub_memory_lost(dev->mem)) ||
           (dev->log && vub_log_lost(dev->log)) ||
           (dev->inflight && vub_inflight_lost(dev->inflight));
}

/* All started rings get what has changed for all of them. */
static bool change_rings(VubDevice *dev, GError **errp)
{
    bool good = true;

    for (unsigned i = 0; i < dev->num_queues && good; i++) {
        VubRingSetup setup;

        if (dev->vrings[i].started) {
            vub_device_ring_setup(dev, i, &setup);
            good = dev->ops->change(dev->opaque, i, &setup, false, errp);
        }
    }
    return good;
}

static bool refuse_bits(const char *what, uint64_t bits, uint64_t known,
                        GError **errp)
{
    if (bits & ~known) {
        vub_error_set(errp,
                      "%s 0x%" PRIx64 " were not offered", what, bits & ~known);
        return true;
    }
    return false;
}

static bool set_features(VubDevice *dev, uint64_t features, GError **errp)
{
    uint64_t changed = features ^ dev->features;
    uint64_t known = dev->offered_features;

    /* A guest may run on that was offered it by our predecessor. */
    if (known & 1ull << VIRTIO_BLK_F_FLUSH) {
        known |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    }
    if (refuse_bits("features", features, known, errp)) {
        return false;
    }
    dev->features = features;
    if (!(features & 1ull << VUB_F_PROTOCOL_FEATURES)) {
        /* Such a front-end doesn't know how to enable a ring. */
        for (unsigned i = 0; i < dev->num_queues; i++) {
            if (!dev->vrings[i].enabled) {
                dev->vrings[i].touched = true;
                dev->vrings[i].enabled = true;
                dev->ops->set_enabled(dev->opaque, i, true);
            }
        }
    }
    dev->ops->features(dev->opaque, features & ~(1ull << VHOST_F_LOG_ALL));
    /* Only logging changes under running rings; the rest, when they start. */
    return !(changed & 1ull << VHOST_F_LOG_ALL) || change_rings(dev, errp);
}

static bool set_log_base(VubDevice *dev, VubMessage *msg, bool *has_reply,
                         GError **errp)
{
    VubLog *log = vub_log_map(msg->fds[0], msg->payload.log.size_bytes,
                              msg->payload.log.file_off, errp);
    VubLog *old = dev->log;
    bool good;

    if (!log) {
        return false;
    }
    dev->log = log;
    good = change_rings(dev, errp);
    vub_log_unref(old);
    if (vub_device_has_protocol(dev, VUB_PROTOCOL_F_LOG_SHMFD)) {
        msg->payload.u64 = 0;
        msg->header.payload_bytes = sizeof(msg->payload.u64);
        *has_reply = good;
    }
    return good;
}

static bool get_config(VubDevice *dev, VubMessage *msg, bool *has_reply)
{
    VubMsgConfig *wanted = &msg->payload.config;
    uint8_t config[VUB_CONFIG_MAX_BYTES];

    *has_reply = true;
    /* An empty reply is the way to say no. */
    if (wanted->offset > VUB_CONFIG_MAX_BYTES ||
        wanted->size > VUB_CONFIG_MAX_BYTES - wanted->offset) {
        msg->header.payload_bytes = 0;
        return true;
    }
    dev->ops->get_config(dev->opaque, config);
    memcpy(wanted->region, config + wanted->offset, wanted->size);
    msg->header.payload_bytes = VUB_MSG_CONFIG_HEAD_BYTES + wanted->size;
    return true;
}

static bool set_config(VubDevice *dev, const VubMessage *msg, GError **errp)
{
    const VubMsgConfig *config = &msg->payload.config;

    if (config->size > msg->header.payload_bytes - VUB_MSG_CONFIG_HEAD_BYTES ||
        !dev->ops->set_config(dev->opaque, config->offset, config->region,
                              config->size)) {
        vub_error_set(errp,
                      "%" PRIu32 " bytes at %" PRIu32 " of the configuration "
                      "space can't be written", config->size, config->offset);
        return false;
    }
    if (dev->inflight) {
        vub_inflight_note_cache(dev->inflight,
                                dev->ops->get_cache(dev->opaque));
    }
    return true;
}

static bool inflight_suits(const VubDevice *dev, const VubMsgInflight *wanted,
                           GError **errp)
{
    if (wanted->num_queues == 0 || wanted->num_queues > dev->num_queues ||
        wanted->queue_size == 0 ||
        wanted->queue_size > dev->max_ring_size) {
        vub_error_set(errp,
                      "an in-flight region for %u queues of %u descriptors; "
                      "there are %u of up to %u", wanted->num_queues,
                      wanted->queue_size, dev->num_queues, dev->max_ring_size);
        return false;
    }
    for (unsigned i = 0; i < dev->num_queues; i++) {
        if (dev->vrings[i].started) {
            vub_error_set(errp,
                          "in-flight tracking can't change: ring %u is running",
                          i);
            return false;
        }
    }
    return true;
}

static bool handle_inflight(VubDevice *dev, VubMessage *msg, bool *has_reply,
                            GError **errp)
{
    VubMsgInflight *wanted = &msg->payload.inflight;
    bool packed = dev->features & 1ull << VIRTIO_F_RING_PACKED;
    VubInflight *inflight;
    bool cache_on;
    int fd;

    if (!inflight_suits(dev, wanted, errp)) {
        return false;
    }
    if (msg->header.request == VUB_SET_INFLIGHT_FD) {
        inflight = vub_inflight_map(msg->fds[0], wanted->size_bytes,
                                    wanted->file_off, wanted->num_queues,
                                    wanted->queue_size, packed, errp);
    } else {
        /* QEMU asks for its default size, whatever the driver will take. */
        inflight = vub_inflight_create(wanted->num_queues, dev->max_ring_size,
                                       packed, &fd, errp);
    }
    if (!inflight) {
        return false;
    }
    if (msg->header.request == VUB_GET_INFLIGHT_FD) {
        vub_inflight_note_cache(inflight, dev->ops->get_cache(dev->opaque));
        /* It becomes ours only when the front-end sends it back. */
        vub_inflight_unref(inflight);
        wanted->size_bytes = vub_inflight_bytes(wanted->num_queues,
                                                dev->max_ring_size, packed);
        wanted->file_off = 0;
        msg->header.payload_bytes = sizeof(*wanted);
        msg->fds[0] = fd;
        msg->nr_fds = 1;
        *has_reply = true;
        return true;
    }
    vub_inflight_unref(dev->inflight);
    dev->inflight = inflight;
    /* Not ours: the guest may believe what it writes to be safe. */
    cache_on = false;
    vub_inflight_read_cache(inflight, &cache_on);
    dev->ops->restore_cache(dev->opaque, cache_on);
    vub_inflight_note_cache(inflight, dev->ops->get_cache(dev->opaque));
    return true;
}

static bool reply_u64(VubMessage *msg, uint64_t value, bool *has_reply)
{
    msg->payload.u64 = value;
    msg->header.payload_bytes = sizeof(msg->payload.u64);
    *has_reply = true;
    return true;
}

static int take_fd(VubMessage *msg)
{
    int fd = msg->fds[0];

    msg->fds[0] = -1;
    return fd;
}

bool vub_device_handle(VubDevice *dev, VubMessage *msg, bool *has_reply,
                       GError **errp)
{
    *has_reply = false;
    switch (msg->header.request) {
    case VUB_GET_FEATURES:
        return reply_u64(msg, dev->offered_features, has_reply);
    case VUB_SET_FEATURES:
        return set_features(dev, msg->payload.u64, errp);
    case VUB_SET_OWNER:
    case VUB_RESET_OWNER:
    case VUB_SET_LOG_FD:
        /* There is no owner, and the log's descriptor is not used. */
        return true;
    case VUB_GET_PROTOCOL_FEATURES:
        return reply_u64(msg, protocol_features, has_reply);
    case VUB_SET_PROTOCOL_FEATURES:
        if (refuse_bits("protocol features", msg->payload.u64,
                        protocol_features, errp)) {
            return false;
        }
        dev->protocol_features = msg->payload.u64;
        return true;
    case VUB_GET_QUEUE_NUM:
        return reply_u64(msg, dev->num_queues, has_reply);
    case VUB_GET_MAX_MEM_SLOTS:
        return reply_u64(msg, VUB_MEMORY_MAX_REGIONS, has_reply);
    case VUB_SET_MEM_TABLE:
    case VUB_ADD_MEM_REG:
    case VUB_REM_MEM_REG:
        return vub_device_handle_memory(dev, msg, errp);
    case VUB_SET_LOG_BASE:
        return set_log_base(dev, msg, has_reply, errp);
    case VUB_SET_BACKEND_REQ_FD:
        dev->ops->set_backend_fd(dev->opaque, take_fd(msg));
        return true;
    case VUB_GET_CONFIG:
        return get_config(dev, msg, has_reply);
    case VUB_SET_CONFIG:
        return set_config(dev, msg, errp);
    case VUB_GET_INFLIGHT_FD:
    case VUB_SET_INFLIGHT_FD:
        return handle_inflight(dev, msg, has_reply, errp);
    case VUB_SET_DEVICE_STATE_FD:
    case VUB_CHECK_DEVICE_STATE:
        vub_device_handle_state(dev, msg);
        *has_reply = true;
        return true;
    default:
        return vub_device_handle_vring(dev, msg, has_reply, errp);
    }
}
