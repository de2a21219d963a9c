/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vhost-user protocol as bytes on a socket, from its specification
 * (docs/interop/vhost-user.rst of QEMU): only what a block device is asked.
 *
 * Written anew for the tests, so that a wrong layout in the export is not
 * repeated here. All numbers are in the byte order of the machine.
 */
#ifndef TESTS_VUB_WIRE_H
#define TESTS_VUB_WIRE_H

#include <linux/vhost_types.h>
#include <stdint.h>

/* Not a virtio feature, but it travels with them. */
#define WIRE_F_PROTOCOL_FEATURES    30

enum {
    WIRE_P_MQ = 0,
    WIRE_P_LOG_SHMFD = 1,
    WIRE_P_REPLY_ACK = 3,
    WIRE_P_BACKEND_REQ = 5,
    WIRE_P_PAGEFAULT = 8,
    WIRE_P_CONFIG = 9,
    WIRE_P_INFLIGHT_SHMFD = 12,
    WIRE_P_INBAND_NOTIFICATIONS = 14,
    WIRE_P_CONFIGURE_MEM_SLOTS = 15,
    WIRE_P_XEN_MMAP = 17,
    WIRE_P_DEVICE_STATE = 19,
};

enum {
    WIRE_GET_FEATURES = 1,
    WIRE_SET_FEATURES = 2,
    WIRE_SET_OWNER = 3,
    WIRE_RESET_OWNER = 4,
    WIRE_SET_MEM_TABLE = 5,
    WIRE_SET_LOG_BASE = 6,
    WIRE_SET_LOG_FD = 7,
    WIRE_SET_VRING_NUM = 8,
    WIRE_SET_VRING_ADDR = 9,
    WIRE_SET_VRING_BASE = 10,
    WIRE_GET_VRING_BASE = 11,
    WIRE_SET_VRING_KICK = 12,
    WIRE_SET_VRING_CALL = 13,
    WIRE_SET_VRING_ERR = 14,
    WIRE_GET_PROTOCOL_FEATURES = 15,
    WIRE_SET_PROTOCOL_FEATURES = 16,
    WIRE_GET_QUEUE_NUM = 17,
    WIRE_SET_VRING_ENABLE = 18,
    WIRE_SEND_RARP = 19,
    WIRE_SET_BACKEND_REQ_FD = 21,
    WIRE_IOTLB_MSG = 22,
    WIRE_GET_CONFIG = 24,
    WIRE_SET_CONFIG = 25,
    WIRE_POSTCOPY_ADVISE = 28,
    WIRE_GET_INFLIGHT_FD = 31,
    WIRE_SET_INFLIGHT_FD = 32,
    WIRE_RESET_DEVICE = 34,
    WIRE_VRING_KICK = 35,
    WIRE_GET_MAX_MEM_SLOTS = 36,
    WIRE_ADD_MEM_REG = 37,
    WIRE_REM_MEM_REG = 38,
    WIRE_SET_DEVICE_STATE_FD = 42,
    WIRE_CHECK_DEVICE_STATE = 43,
    WIRE_UNKNOWN = 200,         /* no version of the protocol has it */
};

/* From the back-end, on the channel of SET_BACKEND_REQ_FD. */
#define WIRE_BACKEND_CONFIG_CHANGE  2

/* WireHeader.flags */
#define WIRE_VERSION        0x1
#define WIRE_REPLY          0x4
#define WIRE_NEED_REPLY     0x8

/* In the number that goes with SET_VRING_KICK, _CALL and _ERR. */
#define WIRE_NO_FD          0x100

#define WIRE_MAX_FDS        8
#define WIRE_MAX_REGIONS    8
#define WIRE_MAX_CONFIG     256
#define WIRE_LOG_PAGE       4096

typedef struct WireHeader {
    uint32_t request;
    uint32_t flags;
    uint32_t size;              /* bytes of payload that follow */
} WireHeader;

typedef struct WireRegion {
    uint64_t guest_addr;
    uint64_t bytes;
    uint64_t user_addr;
    uint64_t mmap_off;
} WireRegion;

typedef struct WireMemTable {
    uint32_t nr;
    uint32_t padding;
    WireRegion region[WIRE_MAX_REGIONS];
} WireMemTable;

typedef struct WireMemReg {
    uint64_t padding;
    WireRegion region;
} WireMemReg;

typedef struct WireLog {
    uint64_t bytes;
    uint64_t off;
} WireLog;

typedef struct WireConfig {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t region[WIRE_MAX_CONFIG];
} WireConfig;

#define WIRE_CONFIG_HEADER  12

typedef struct WireInflight {
    uint64_t mmap_bytes;
    uint64_t mmap_off;
    uint16_t num_queues;
    uint16_t queue_size;
} WireInflight;

typedef struct WireTransfer {
    uint32_t direction;         /* 0: from the back-end, 1: to it */
    uint32_t phase;
} WireTransfer;

/* In the reply: it brings no file. */
#define WIRE_TRANSFER_NO_FD 0x100

typedef struct WireMsg {
    WireHeader header;
    union {
        uint64_t u64;
        struct vhost_vring_state state;
        struct vhost_vring_addr addr;
        WireMemTable table;
        WireMemReg reg;
        WireLog log;
        WireConfig config;
        WireInflight inflight;
        uint8_t bytes[512];
    };
    int fd;                     /* that came with it, or -1 */
} WireMsg;

/* --- the buffer that outlives the back-end (Inflight I/O tracking) ------- */

typedef struct WireSplitState {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next;
    uint64_t counter;
} WireSplitState;

typedef struct WireSplitRegion {
    uint64_t features;
    uint16_t version;
    uint16_t desc_num;
    uint16_t last_batch_head;
    uint16_t used_idx;
    WireSplitState desc[];
} WireSplitRegion;

typedef struct WirePackedState {
    uint8_t inflight;
    uint8_t padding;
    uint16_t next;
    uint16_t last;
    uint16_t num;
    uint64_t counter;
    uint16_t id;
    uint16_t flags;
    uint32_t len;
    uint64_t addr;
} WirePackedState;

typedef struct WirePackedRegion {
    uint64_t features;
    uint16_t version;
    uint16_t desc_num;
    uint16_t free_head;
    uint16_t old_free_head;
    uint16_t used_idx;
    uint16_t old_used_idx;
    uint8_t used_wrap_counter;
    uint8_t old_used_wrap_counter;
    uint8_t padding[7];
    WirePackedState desc[];
} WirePackedRegion;

#endif /* TESTS_VUB_WIRE_H */
