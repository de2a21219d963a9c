/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message: vhost-user's messages as they travel
 *
 * Layouts and numbers are those of QEMU's docs/interop/vhost-user.rst; fields
 * are in the machine's byte order.
 */

#ifndef OPUS_VUB_MESSAGE_H
#define OPUS_VUB_MESSAGE_H

#include <linux/vhost_types.h>
#include <stdbool.h>
#include <stdint.h>

#define VUB_MESSAGE_MAX_FDS 8           /* a memory table's */
#define VUB_CONFIG_MAX_BYTES 256

enum {
    VUB_MSG_VERSION = 0x1,
    VUB_MSG_VERSION_MASK = 0x3,
    VUB_MSG_REPLY = 0x4,
    VUB_MSG_NEED_REPLY = 0x8,
};

typedef enum VubRequestType {
    VUB_GET_FEATURES = 1,
    VUB_SET_FEATURES = 2,
    VUB_SET_OWNER = 3,
    VUB_RESET_OWNER = 4,
    VUB_SET_MEM_TABLE = 5,
    VUB_SET_LOG_BASE = 6,
    VUB_SET_LOG_FD = 7,
    VUB_SET_VRING_NUM = 8,
    VUB_SET_VRING_ADDR = 9,
    VUB_SET_VRING_BASE = 10,
    VUB_GET_VRING_BASE = 11,
    VUB_SET_VRING_KICK = 12,
    VUB_SET_VRING_CALL = 13,
    VUB_SET_VRING_ERR = 14,
    VUB_GET_PROTOCOL_FEATURES = 15,
    VUB_SET_PROTOCOL_FEATURES = 16,
    VUB_GET_QUEUE_NUM = 17,
    VUB_SET_VRING_ENABLE = 18,
    VUB_SET_BACKEND_REQ_FD = 21,
    VUB_GET_CONFIG = 24,
    VUB_SET_CONFIG = 25,
    VUB_GET_INFLIGHT_FD = 31,
    VUB_SET_INFLIGHT_FD = 32,
    VUB_GET_MAX_MEM_SLOTS = 36,
    VUB_ADD_MEM_REG = 37,
    VUB_REM_MEM_REG = 38,
    VUB_SET_DEVICE_STATE_FD = 42,
    VUB_CHECK_DEVICE_STATE = 43,
} VubRequestType;

/* From us to the front-end, on the socket that SET_BACKEND_REQ_FD brought */
#define VUB_BACKEND_CONFIG_CHANGE 2

/* Bits of SET_PROTOCOL_FEATURES */
enum {
    VUB_PROTOCOL_F_MQ = 0,
    VUB_PROTOCOL_F_LOG_SHMFD = 1,
    VUB_PROTOCOL_F_REPLY_ACK = 3,
    VUB_PROTOCOL_F_BACKEND_REQ = 5,
    VUB_PROTOCOL_F_CONFIG = 9,
    VUB_PROTOCOL_F_INFLIGHT_SHMFD = 12,
    VUB_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
    VUB_PROTOCOL_F_DEVICE_STATE = 19,
};

/* Bit of SET_FEATURES: there are protocol features */
#define VUB_F_PROTOCOL_FEATURES 30

/* Of the integer of SET_VRING_KICK, _CALL and _ERR */
#define VUB_VRING_INDEX_MASK 0xff
#define VUB_VRING_NO_FD 0x100

typedef struct VubMsgRegion {
    uint64_t guest_addr;
    uint64_t size_bytes;
    uint64_t user_addr;
    uint64_t file_off;
} VubMsgRegion;

typedef struct VubMsgMemTable {
    uint32_t nr_regions;
    uint32_t padding;
    VubMsgRegion regions[VUB_MESSAGE_MAX_FDS];
} VubMsgMemTable;

typedef struct VubMsgMemRegion {
    uint64_t padding;
    VubMsgRegion region;
} VubMsgMemRegion;

typedef struct VubMsgLog {
    uint64_t size_bytes;
    uint64_t file_off;
} VubMsgLog;

typedef struct VubMsgConfig {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t region[VUB_CONFIG_MAX_BYTES];
} VubMsgConfig;

#define VUB_MSG_CONFIG_HEAD_BYTES 12

typedef struct VubMsgInflight {
    uint64_t size_bytes;
    uint64_t file_off;
    uint16_t num_queues;
    uint16_t queue_size;
} VubMsgInflight;

typedef struct VubMsgTransfer {
    uint32_t direction;
    uint32_t phase;             /* 0: everything is stopped */
} VubMsgTransfer;

enum {
    VUB_TRANSFER_SAVE = 0,      /* to the front-end */
    VUB_TRANSFER_LOAD = 1,
};

/* Of the reply to SET_DEVICE_STATE_FD: there is no descriptor with it */
#define VUB_TRANSFER_NO_FD 0x100

typedef struct VubMsgHeader {
    uint32_t request;           /* VubRequestType, or one unknown to us */
    uint32_t flags;
    uint32_t payload_bytes;
} VubMsgHeader;

/* One message; a reply is made in the same place. */
typedef struct VubMessage {
    VubMsgHeader header;
    union {
        uint64_t u64;
        struct vhost_vring_state state;
        struct vhost_vring_addr addr;
        VubMsgMemTable mem;
        VubMsgMemRegion mem_region;
        VubMsgLog log;
        VubMsgConfig config;
        VubMsgInflight inflight;
        VubMsgTransfer transfer;
        uint8_t bytes[sizeof(VubMsgMemTable)];
    } payload;
    /* Open, or -1; to take one is to put -1 in its place */
    int fds[VUB_MESSAGE_MAX_FDS];
    unsigned nr_fds;
} VubMessage;

/*
 * What is wrong with a message's frame, a constant text: its version, its
 * payload's size for what it asks, or the number of descriptors with it. NULL:
 * nothing. A request that is unknown may have any payload that fits.
 */
const char *vub_message_check(const VubMessage *msg);

/* The name of a request, for people. */
const char *vub_message_name(uint32_t request);

/* False: nothing is known of such a request. */
bool vub_message_is_known(uint32_t request);

/* Closes those that were not taken. */
void vub_message_close_fds(VubMessage *msg);

#endif /* OPUS_VUB_MESSAGE_H */
