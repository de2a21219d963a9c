/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: what one connected front-end has told us, and what follows from it
 *
 * The state behind vhost-user's messages, from the first to the disconnect.
 * It checks each message and calls back to have rings started, changed and
 * stopped. It does no I/O and knows no threads: the callbacks may wait.
 */

#ifndef OPUS_VUB_DEVICE_H
#define OPUS_VUB_DEVICE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vub-inflight.h"
#include "vub-log.h"
#include "vub-memory.h"
#include "vub-message.h"
#include "vub-ring.h"

/* vhost-user's integers have 8 bits for a queue's index. */
#define VUB_MAX_QUEUES 256

/* All are called with the @opaque of vub_device_init(). */
typedef struct VubDeviceOps {
    /*
     * Starts a stopped ring. False and @errp: it stays stopped.
     */
    bool (*start)(void *opaque, unsigned index, const VubRingSetup *setup,
                  GError **errp);
    /*
     * Stops a ring, waits until all that it took is given back, and returns
     * its base. @index is a started ring's.
     */
    uint32_t (*stop)(void *opaque, unsigned index);
    /*
     * Gives a started ring another setup of the same size and kind. @settle:
     * what was taken under the old one is given back before.
     */
    bool (*change)(void *opaque, unsigned index, const VubRingSetup *setup,
                   bool settle, GError **errp);
    /* These take @fd over; -1: none. At any time. */
    void (*set_kick)(void *opaque, unsigned index, int fd);
    void (*set_call)(void *opaque, unsigned index, int fd);
    void (*set_err)(void *opaque, unsigned index, int fd);
    void (*set_backend_fd)(void *opaque, int fd);
    void (*set_enabled)(void *opaque, unsigned index, bool enabled);
    /*
     * Around a change of the table: @new will be used / @old is no longer.
     * Either may have regions of the other.
     */
    void (*memory_coming)(void *opaque, const VubMemory *old,
                          const VubMemory *new);
    void (*memory_gone)(void *opaque, const VubMemory *old,
                        const VubMemory *new);
    /*
     * The guest's driver has taken these of the offered virtio features; the
     * same ones perhaps, but by another driver.
     */
    void (*features)(void *opaque, uint64_t features);
    /*
     * The driver's choice of a write cache: what it is now, and what it was
     * under our predecessor or on another host.
     */
    bool (*get_cache)(void *opaque);
    void (*restore_cache)(void *opaque, bool on);
    /* Fills the VUB_CONFIG_MAX_BYTES of virtio-blk's configuration space. */
    void (*get_config)(void *opaque, uint8_t *config);
    /* The driver's write to it; false: not there. */
    bool (*set_config)(void *opaque, uint32_t offset, const uint8_t *data,
                       uint32_t bytes);
} VubDeviceOps;

typedef struct VubVring {
    unsigned num;
    struct vhost_vring_addr addr;
    bool has_addr;
    bool enabled;
    bool started;
    bool touched;               /* or the callbacks know nothing of it */
    uint32_t base;
} VubVring;

typedef struct VubDevice {
    const VubDeviceOps *ops;
    void *opaque;
    unsigned num_queues;
    unsigned max_ring_size;
    uint64_t offered_features;
    uint64_t features;
    uint64_t protocol_features;
    VubMemory *mem;             /* never NULL */
    VubLog *log;
    VubInflight *inflight;
    VubVring *vrings;           /* num_queues */
    int state_fd;               /* state is to be loaded from it; -1: none */
    bool state_saved;           /* and it has not been asked if that was good */
} VubDevice;

/*
 * A device that offers @features (virtio's and vhost-user's) and @num_queues
 * queues of up to @max_ring_size descriptors to a new front-end.
 */
void vub_device_init(VubDevice *dev, const VubDeviceOps *ops, void *opaque,
                     uint64_t features, unsigned num_queues,
                     unsigned max_ring_size);

/* Stops what is started, and forgets all. The device can be init'ed again. */
void vub_device_destroy(VubDevice *dev);

/*
 * Handles @msg, whose frame vub_message_check() found well. *@has_reply: @msg
 * has become the reply. False and @errp: the message can't be followed and
 * has changed nothing, or has stopped the rings that it was about.
 */
bool vub_device_handle(VubDevice *dev, VubMessage *msg, bool *has_reply,
                       GError **errp);

/* True once any of the client's memory vanished, see vub-guard.h. */
bool vub_device_lost(const VubDevice *dev);

static inline bool vub_device_has_protocol(const VubDevice *dev, unsigned bit)
{
    return dev->protocol_features & 1ull << bit;
}

/* --- between vub-device*.c --- */

/* What a ring works with, given all that was said so far. */
void vub_device_ring_setup(const VubDevice *dev, unsigned index,
                           VubRingSetup *setup);
bool vub_device_handle_vring(VubDevice *dev, VubMessage *msg, bool *has_reply,
                             GError **errp);
bool vub_device_handle_memory(VubDevice *dev, VubMessage *msg, GError **errp);
/* Makes the reply. */
void vub_device_handle_state(VubDevice *dev, VubMessage *msg);
void vub_device_forget_state(VubDevice *dev);

#endif /* OPUS_VUB_DEVICE_H */
