/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of a virtqueue, split or packed.
 *
 * The memory of the ring is open to the cases, so that they can break it.
 */
#ifndef TESTS_VUB_FRONT_RING_H
#define TESTS_VUB_FRONT_RING_H

#include <linux/virtio_ring.h>

#include "front.h"

#define RING_MOST           1024
#define RING_TABLE          32      /* descriptors of an indirect table */
#define RING_DEFAULT        128

typedef struct RingBuf {
    uint64_t gpa;
    uint32_t bytes;
    bool writable;                  /* by the device */
} RingBuf;

typedef struct FrontRing {
    Front *front;
    unsigned index;
    unsigned num;
    bool packed;
    int kick, call, err;

    /* split */
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    /* packed; driver: what we tell, device: what the back-end tells */
    struct vring_packed_desc *pdesc;
    struct vring_packed_desc_event *driver, *device;

    struct vring_desc *tables;      /* indirect: RING_TABLE for each id */
    uint16_t next_avail, next_used; /* split: free-running; packed: < num */
    bool avail_wrap, used_wrap;     /* packed */
    unsigned nr_free;               /* descriptors */
    unsigned nr_ids;                /* in free_ids */
    uint16_t free_ids[RING_MOST];
    uint16_t link[RING_MOST];       /* split: our copy of "next" */
    uint16_t length[RING_MOST];     /* of the chain with that id; 0: not out */
    bool done[RING_MOST];
    uint32_t written[RING_MOST];    /* what the used entry says, if done */
    unsigned nr_out;                /* chains the device has */
} FrontRing;

/*
 * Lay out a ring in guest memory and tell the back-end, but the kick: the
 * ring is not started. Packed if that feature was negotiated.
 */
FrontRing *ring_new(Front *front, unsigned index, unsigned num);

/* Tell a back-end about a ring that is already in memory. */
void ring_describe(FrontRing *ring, uint32_t base);
void ring_address(const FrontRing *ring, struct vhost_vring_addr *address);

void ring_start(FrontRing *ring);           /* SET_VRING_KICK */
void ring_enable(FrontRing *ring, bool enable);

/* All of it: a ring that is started and enabled. */
FrontRing *ring_open(Front *front, unsigned index);
void ring_free(FrontRing *ring);

/* Add a chain, direct or by an indirect table; the device may see it. */
uint16_t ring_add(FrontRing *ring, const RingBuf *buf, unsigned nr,
                  bool indirect);
/* Split only: make that head available, whatever it is. */
void ring_publish(FrontRing *ring, uint16_t head);
/* Packed only: put a descriptor as it is and go on to the next. */
void ring_put_packed(FrontRing *ring, uint64_t addr, uint32_t len,
                     uint16_t id, uint16_t flags);
void ring_kick(FrontRing *ring);

/*
 * Take what the device gave back. Each chain that comes must be out: one that
 * comes twice fails the case. Returns how many came.
 */
unsigned ring_reap(FrontRing *ring);

/* Wait for one chain, or for all that are out. */
uint32_t ring_wait(FrontRing *ring, uint16_t id);
void ring_wait_all(FrontRing *ring);
/* Wait for any chain, or for the ring to break. True: a chain came. */
bool ring_wait_any(FrontRing *ring);

/* How often an eventfd was signalled since the last look; does not wait. */
uint64_t event_count(int fd);

/* Wait until it is signalled. The case fails if that takes for ever. */
void event_wait(int fd, const char *what);

/*
 * Give the back-end time to do what it must not do. A case that judges by it
 * can miss a fault on a slow machine, but cannot find one that is not there.
 */
void let_it_be(void);

#endif /* TESTS_VUB_FRONT_RING_H */
