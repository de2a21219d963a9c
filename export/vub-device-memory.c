/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: the guest's memory table
 *
 * Owns: when a new snapshot of the memory takes the place of the old one.
 * Must not know: as vub-device.c.
 * Threads: one at a time.
 * Invariants: I14: a region that goes is let go only when no ring uses it.
 */

#include "vub-device.h"

#include "vub-error.h"


static VubMemory *add_region(const VubMemory *mem, const VubMsgRegion *region,
                             int fd, GError **errp)
{
    return vub_memory_add(mem, region->guest_addr, region->user_addr,
                          region->size_bytes, region->file_off, fd, errp);
}

static VubMemory *read_table(const VubMessage *msg, GError **errp)
{
    const VubMsgMemTable *table = &msg->payload.mem;
    VubMemory *mem;

    if (table->nr_regions > VUB_MESSAGE_MAX_FDS ||
        table->nr_regions != msg->nr_fds ||
        msg->header.payload_bytes <
        offsetof(VubMsgMemTable, regions[table->nr_regions])) {
        vub_error_set(errp, "a memory table of %u regions with %u descriptors",
                      table->nr_regions, msg->nr_fds);
        return NULL;
    }
    mem = vub_memory_new();
    for (unsigned i = 0; mem && i < table->nr_regions; i++) {
        VubMemory *more = add_region(mem, &table->regions[i], msg->fds[i],
                                     errp);

        vub_memory_unref(mem);
        mem = more;
    }
    return mem;
}

/*
 * A ring that isn't found in the new memory is stopped: it can't go on, and
 * must not hold on to what was taken away.
 */
static bool move_rings(VubDevice *dev, bool settle, GError **errp)
{
    bool good = true;

    for (unsigned i = 0; i < dev->num_queues; i++) {
        VubVring *vring = &dev->vrings[i];
        VubRingSetup setup;

        if (!vring->started) {
            continue;
        }
        vub_device_ring_setup(dev, i, &setup);
        if (!dev->ops->change(dev->opaque, i, &setup, settle,
                              good ? errp : NULL)) {
            vring->started = false;
            vring->base = dev->ops->stop(dev->opaque, i);
            good = false;
        }
    }
    return good;
}

/* False: a running ring would lose its memory. */
static bool rings_fit(const VubDevice *dev, const VubMemory *mem,
                      GError **errp)
{
    for (unsigned i = 0; i < dev->num_queues; i++) {
        const VubVring *vring = &dev->vrings[i];

        if (vring->started &&
            (!vub_memory_at_user(mem, vring->addr.desc_user_addr, 1) ||
             !vub_memory_at_user(mem, vring->addr.avail_user_addr, 1) ||
             !vub_memory_at_user(mem, vring->addr.used_user_addr, 1))) {
            vub_error_set(errp, "ring %u is running in memory that would go",
                          i);
            return false;
        }
    }
    return true;
}

bool vub_device_handle_memory(VubDevice *dev, VubMessage *msg, GError **errp)
{
    const VubMsgRegion *region = &msg->payload.mem_region.region;
    VubMemory *old = dev->mem;
    VubMemory *new;
    bool good;

    switch (msg->header.request) {
    case VUB_ADD_MEM_REG:
        new = add_region(old, region, msg->fds[0], errp);
        break;
    case VUB_REM_MEM_REG:
        new = vub_memory_remove(old, region->guest_addr, region->user_addr,
                                region->size_bytes, errp);
        break;
    default:
        new = read_table(msg, errp);
    }
    if (!new) {
        return false;
    }
    if (!rings_fit(dev, new, errp)) {
        vub_memory_unref(new);
        return false;
    }
    dev->mem = new;
    dev->ops->memory_coming(dev->opaque, old, new);
    /* Nothing that is in flight uses a region that comes. */
    good = move_rings(dev, msg->header.request != VUB_ADD_MEM_REG, errp);
    dev->ops->memory_gone(dev->opaque, old, new);
    vub_memory_unref(old);
    return good;
}
