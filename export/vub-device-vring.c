/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: the state of its rings, as the front-end sets it up
 *
 * Owns: which ring is started, enabled, and with what.
 * Must not know: as vub-device.c.
 * Threads: one at a time.
 */

#include "vub-device.h"

#include "vub-error.h"
#include "vub-notify.h"

static bool refuse(GError **errp, unsigned index, const char *why)
{
    vub_error_set(errp, "ring %u %s", index, why);
    return false;
}

static VubVring *find_vring(VubDevice *dev, uint32_t index, GError **errp)
{
    if (index >= dev->num_queues) {
        vub_error_set(errp, "there is no ring %" PRIu32 ", but %u", index,
                      dev->num_queues);
        return NULL;
    }
    return &dev->vrings[index];
}

static bool set_num(VubDevice *dev, const VubMessage *msg, GError **errp)
{
    uint32_t index = msg->payload.state.index, num = msg->payload.state.num;
    VubVring *vring = find_vring(dev, index, errp);

    if (!vring) {
        return false;
    }
    if (vring->started) {
        return refuse(errp, index, "is running, and can't change its size");
    }
    /* Whether it must be a power of two depends on features yet to come. */
    if (num == 0 || num > dev->max_ring_size) {
        vub_error_set(errp,
                      "ring %" PRIu32 " can't have %" PRIu32 " descriptors: "
                      "1 to %u", index, num, dev->max_ring_size);
        return false;
    }
    vring->num = num;
    return true;
}

static bool set_base(VubDevice *dev, const VubMessage *msg, GError **errp)
{
    VubVring *vring = find_vring(dev, msg->payload.state.index, errp);

    if (!vring) {
        return false;
    }
    if (vring->started) {
        return refuse(errp, msg->payload.state.index,
                      "is running, and can't change its base");
    }
    vring->base = msg->payload.state.num;
    return true;
}

/* Legal on a running ring: that is how logging of the used ring is set. */
static bool set_addr(VubDevice *dev, const VubMessage *msg, GError **errp)
{
    const struct vhost_vring_addr *addr = &msg->payload.addr;
    VubVring *vring = find_vring(dev, addr->index, errp);
    struct vhost_vring_addr old;
    VubRingSetup setup;

    if (!vring) {
        return false;
    }
    if (addr->flags & ~(1u << VHOST_VRING_F_LOG)) {
        return refuse(errp, addr->index, "has unknown flags");
    }
    if (!vub_memory_at_user(dev->mem, addr->desc_user_addr, 1) ||
        !vub_memory_at_user(dev->mem, addr->avail_user_addr, 1) ||
        !vub_memory_at_user(dev->mem, addr->used_user_addr, 1)) {
        return refuse(errp, addr->index, "is not in the guest's memory");
    }
    old = vring->addr;
    vring->addr = *addr;
    if (vring->started) {
        vub_device_ring_setup(dev, addr->index, &setup);
        if (!dev->ops->change(dev->opaque, addr->index, &setup, false, errp)) {
            vring->addr = old;
            return false;
        }
    }
    vring->has_addr = true;
    return true;
}

static bool get_base(VubDevice *dev, VubMessage *msg, bool *has_reply,
                     GError **errp)
{
    uint32_t index = msg->payload.state.index;
    VubVring *vring = find_vring(dev, index, errp);

    if (!vring) {
        return false;
    }
    vring->touched = true;
    if (vring->started) {
        vring->started = false;
        vring->base = dev->ops->stop(dev->opaque, index);
    }
    dev->ops->set_kick(dev->opaque, index, -1);
    dev->ops->set_call(dev->opaque, index, -1);
    msg->payload.state.num = vring->base;
    *has_reply = true;
    return true;
}

static bool start(VubDevice *dev, unsigned index, GError **errp)
{
    VubVring *vring = &dev->vrings[index];
    VubRingSetup setup;

    if (vring->num == 0 || !vring->has_addr) {
        return refuse(errp, index, "has no size or no address yet");
    }
    if (!(dev->features & 1ull << VUB_F_PROTOCOL_FEATURES)) {
        vring->enabled = true;
        dev->ops->set_enabled(dev->opaque, index, true);
    }
    vub_device_ring_setup(dev, index, &setup);
    vring->started = dev->ops->start(dev->opaque, index, &setup, errp);
    return vring->started;
}

static bool set_fd(VubDevice *dev, VubMessage *msg, GError **errp)
{
    uint32_t index = msg->payload.u64 & VUB_VRING_INDEX_MASK;
    bool none = msg->payload.u64 & VUB_VRING_NO_FD;
    VubVring *vring = find_vring(dev, index, errp);
    int fd = -1;

    if (!vring) {
        return false;
    }
    if (none == (msg->nr_fds == 1)) {
        return refuse(errp, index, none ? "is to have no descriptor, but "
                      "there is one" : "needs a descriptor with this message");
    }
    if (!none && !vub_notify_can(msg->fds[0])) {
        return refuse(errp, index, "can't be notified through a file or a "
                      "device: it takes an eventfd, a pipe or a socket");
    }
    if (none && msg->header.request == VUB_SET_VRING_KICK) {
        return refuse(errp, index, "can't do without kicks");
    }
    vring->touched = true;
    if (!none) {
        fd = msg->fds[0];
        msg->fds[0] = -1;
    }
    switch (msg->header.request) {
    case VUB_SET_VRING_CALL:
        dev->ops->set_call(dev->opaque, index, fd);
        return true;
    case VUB_SET_VRING_ERR:
        dev->ops->set_err(dev->opaque, index, fd);
        return true;
    default:
        dev->ops->set_kick(dev->opaque, index, fd);
        /*
         * A front-end that connects again doesn't kick for what it queued
         * before, so that a ring starts here already.
         */
        return vring->started || start(dev, index, errp);
    }
}

static bool set_enable(VubDevice *dev, const VubMessage *msg, GError **errp)
{
    uint32_t index = msg->payload.state.index;
    VubVring *vring = find_vring(dev, index, errp);

    if (!vring) {
        return false;
    }
    if (msg->payload.state.num > 1) {
        return refuse(errp, index, "can be enabled by 1 or disabled by 0");
    }
    vring->touched = true;
    vring->enabled = msg->payload.state.num;
    dev->ops->set_enabled(dev->opaque, index, vring->enabled);
    return true;
}

bool vub_device_handle_vring(VubDevice *dev, VubMessage *msg, bool *has_reply,
                             GError **errp)
{
    switch (msg->header.request) {
    case VUB_SET_VRING_NUM:
        return set_num(dev, msg, errp);
    case VUB_SET_VRING_ADDR:
        return set_addr(dev, msg, errp);
    case VUB_SET_VRING_BASE:
        return set_base(dev, msg, errp);
    case VUB_GET_VRING_BASE:
        return get_base(dev, msg, has_reply, errp);
    case VUB_SET_VRING_KICK:
    case VUB_SET_VRING_CALL:
    case VUB_SET_VRING_ERR:
        return set_fd(dev, msg, errp);
    case VUB_SET_VRING_ENABLE:
        return set_enable(dev, msg, errp);
    default:
        vub_error_set(errp, "request %" PRIu32 " is not supported",
                      msg->header.request);
        return false;
    }
}
