/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device rig: a VubDevice whose rings really run, but in the caller's hands
 *
 * Its callbacks check what the device promises them: a ring is started once
 * and stopped once, and no ring uses memory that is gone.
 */
#ifndef TESTS_UNIT_DEVICE_RIG_H
#define TESTS_UNIT_DEVICE_RIG_H

#include "export/vub-device.h"

#define RIG_QUEUES 3
#define RIG_RING_SIZE 64

/* The guest's memory that device_rig_guest() makes. */
#define RIG_RAM_BYTES 0x10000u
#define RIG_GUEST_ADDR 0x200000u
#define RIG_USER_ADDR 0x7e0000000000u

typedef struct DeviceRig {
    VubDevice dev;
    VubRing rings[RIG_QUEUES];
    bool started[RIG_QUEUES];
    bool enabled[RIG_QUEUES];
    int kick[RIG_QUEUES], call[RIG_QUEUES], err[RIG_QUEUES];
    int backend_fd;
    uint64_t features;          /* as the callback had them */
    bool cache_on;
    uint8_t config[VUB_CONFIG_MAX_BYTES];

    unsigned nr_calls;          /* of all callbacks but the get_ ones */
    unsigned nr_changes;
    bool settled;               /* by the last change */
    bool fail_start;
    bool fail_change;
    unsigned nr_fds;            /* open when the rig was made */

    /* The last answer */
    VubMessage reply;
    bool has_reply;
    char *error;                /* NULL: none */
} DeviceRig;

DeviceRig *device_rig_new(void);
/* Disconnects; checks that no file descriptor was left open. */
void device_rig_free(DeviceRig *rig);

/*
 * Handles one message, whose frame must be good. True: no error. Its
 * descriptors are closed but for those of a reply, which are the caller's.
 */
bool device_rig_handle(DeviceRig *rig, VubMessage *msg);
/*
 * Sends one message, whose frame must be good, with the @nr_fds of @fds, which
 * go with it. As device_rig_handle().
 */
bool device_rig_send(DeviceRig *rig, VubRequestType request,
                     const void *payload, unsigned bytes, const int *fds,
                     unsigned nr_fds);
/* The same, for those that have an integer or a state. */
bool device_rig_send_u64(DeviceRig *rig, VubRequestType request,
                         uint64_t value);
bool device_rig_send_state(DeviceRig *rig, VubRequestType request,
                           uint32_t index, uint32_t num);
/* For vrings' descriptors; @fd < 0: none. */
bool device_rig_send_fd(DeviceRig *rig, VubRequestType request,
                        uint32_t index, int fd);
/* The address of ring @index, in the memory of device_rig_guest(). */
struct vhost_vring_addr device_rig_addr(uint32_t index);

/* A file in memory of that many zeroes. */
int device_rig_file(size_t bytes);
/* Something that can be notified through. */
int device_rig_event(void);
/* How many descriptors this process has open. */
unsigned device_rig_count_fds(void);

/* Negotiates @features and sends a memory table of one region. */
void device_rig_guest(DeviceRig *rig, uint64_t features);
/* Sets ring @index up and kicks. */
bool device_rig_start(DeviceRig *rig, uint32_t index);

#endif /* TESTS_UNIT_DEVICE_RIG_H */
