/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring driver: the guest's side of one virtqueue, split or packed
 *
 * Lays a ring out in a file in memory, as a guest's memory, queues chains and
 * collects what was given back. It checks what it collects: each chain comes
 * back once. The fields can be reached for those who want to break them.
 */
#ifndef TESTS_UNIT_RING_DRIVER_H
#define TESTS_UNIT_RING_DRIVER_H

#include "export/vub-ring.h"

#define DRIVER_GUEST_ADDR 0x100000u
#define DRIVER_USER_ADDR 0x7f0000000000u
#define DRIVER_MAX_BUFS 8
#define DRIVER_BUF_BYTES 32
#define DRIVER_SLOT_BYTES (DRIVER_MAX_BUFS * DRIVER_BUF_BYTES)

typedef struct DriverBuf {
    uint64_t guest_addr;
    uint32_t bytes;
    bool in;                    /* the device writes it */
} DriverBuf;

/* A chain that is out; index: the head's descriptor, or the buffer id. */
typedef struct DriverSlot {
    bool busy;
    bool indirect;
    uint16_t nr_descs;          /* that it takes in the ring */
    unsigned nr_bufs;
    uint64_t serial;            /* chains are counted as they are queued */
} DriverSlot;

typedef struct RingDriver {
    unsigned num;
    bool packed;
    bool event_idx;

    /* The guest's memory, and what is around it in the file */
    int fd;
    uint8_t *file;
    size_t file_bytes;
    uint8_t *ram;
    size_t ram_bytes;
    size_t ram_off;             /* in the file */
    size_t avail_off, used_off, table_off, data_off;   /* in @ram */
    VubMemory *mem;

    /* What only the driver knows */
    uint16_t avail_idx;         /* packed: the place to fill next */
    uint16_t used_idx;          /* packed: the place to look at next */
    bool avail_wrap, used_wrap;
    uint16_t free_ids[VUB_RING_MAX_SIZE];
    unsigned nr_free_ids;
    unsigned nr_free;           /* packed: places */
    unsigned nr_out;
    uint64_t next_serial;
    DriverSlot slots[VUB_RING_MAX_SIZE];
} RingDriver;

/* A ring of @num descriptors in memory of its own. */
void driver_init(RingDriver *drv, unsigned num, bool packed, bool event_idx);
/* Checks that nobody wrote beside the memory, and frees it. */
void driver_destroy(RingDriver *drv);
void driver_check_guards(const RingDriver *drv);

/* What a device needs to be told; its base is that of a new ring. */
VubRingSetup driver_setup(const RingDriver *drv);

/* True if there is room for a chain of so many buffers. */
bool driver_has_room(const RingDriver *drv, unsigned nr_bufs, bool indirect);
/* Queues a chain; returns its id. */
unsigned driver_queue(RingDriver *drv, const DriverBuf *bufs, unsigned nr,
                      bool indirect);
/* The same with buffers of the slot's own, some "out" and then some "in". */
unsigned driver_queue_plain(RingDriver *drv, unsigned nr_out, unsigned nr_in,
                            bool indirect);
/* Takes one that was given back; false: there is none. */
bool driver_collect(RingDriver *drv, unsigned *id, uint32_t *bytes);
/* All there are; returns how many. */
unsigned driver_collect_all(RingDriver *drv);

/* Where a slot's own buffer is. */
uint64_t driver_buf_addr(const RingDriver *drv, unsigned id, unsigned buf);

/* Tells the device when to notify: when place @idx of that lap is used. */
void driver_set_used_event(RingDriver *drv, uint16_t idx, bool wrap);
/* Tells it by flags: always or never. */
void driver_set_interrupts(RingDriver *drv, bool wanted);
/*
 * True if the device wants a kick for what was queued since avail_idx and
 * avail_wrap were @old_idx and @old_wrap.
 */
bool driver_must_kick(const RingDriver *drv, uint16_t old_idx, bool old_wrap);

/* The ring's parts. */
static inline struct vring_desc *driver_desc(RingDriver *drv, unsigned i)
{
    return (struct vring_desc *)drv->ram + i;
}

static inline struct vring_avail *driver_avail(const RingDriver *drv)
{
    return (struct vring_avail *)(drv->ram + drv->avail_off);
}

static inline struct vring_used *driver_used(const RingDriver *drv)
{
    return (struct vring_used *)(drv->ram + drv->used_off);
}

static inline struct vring_packed_desc *driver_packed(const RingDriver *drv,
                                                      unsigned i)
{
    return (struct vring_packed_desc *)drv->ram + i;
}

/* The indirect table of a slot, DRIVER_MAX_BUFS long. */
static inline struct vring_desc *driver_table(const RingDriver *drv,
                                              unsigned id)
{
    return (struct vring_desc *)(drv->ram + drv->table_off) +
           id * DRIVER_MAX_BUFS;
}

/* The guest's address of something in @ram. */
static inline uint64_t driver_guest_addr(const RingDriver *drv,
                                         const void *where)
{
    return DRIVER_GUEST_ADDR + ((const uint8_t *)where - drv->ram);
}

/* --- the device's side, for tests that only want chains to move --- */

/* A chain and room for its vectors. */
typedef struct DriverChain {
    VubChain chain;
    struct iovec short_iov[4];
    struct iovec long_iov[VUB_CHAIN_MAX_IOV];
} DriverChain;

DriverChain *driver_chain_new(void);

/* Starts @ring as @drv has laid it out; that must work. */
void driver_start(const RingDriver *drv, VubRing *ring);

#endif /* TESTS_UNIT_RING_DRIVER_H */
