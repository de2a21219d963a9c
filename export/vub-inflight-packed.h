/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-flight region of a packed ring
 *
 * The places of a packed ring are written over while chains are in flight, so
 * the region keeps a copy of each descriptor taken. Its entries are given out
 * from a list; both follow vhost-user's description step by step.
 */

#ifndef OPUS_VUB_INFLIGHT_PACKED_H
#define OPUS_VUB_INFLIGHT_PACKED_H

#include "vub-ring.h"

/* A descriptor as it was read, in our byte order. */
typedef struct VubPackedDesc {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
    uint16_t flags;
} VubPackedDesc;

/*
 * Reads the region: where the ring goes on, what is free, and ring->resubmit,
 * the heads in flight in the order they were taken. A new region is set up.
 */
bool vub_inflight_packed_recover(VubRing *ring, GError **errp);

/*
 * Stores @desc in the free entry @entry; @head: it starts a chain. Returns the
 * next free entry. Nothing is taken until vub_inflight_packed_take().
 */
uint16_t vub_inflight_packed_put(VubRing *ring, uint16_t entry,
                                 const VubPackedDesc *desc, bool head);
/* Takes the @nr entries from the free list's head on; @rest is what remains. */
void vub_inflight_packed_take(VubRing *ring, unsigned nr, uint16_t rest);

/* How many entries the chain has that starts at @entry. */
unsigned vub_inflight_packed_chain(const VubRing *ring, uint16_t entry);
/* Reads one; returns the next of its chain. */
uint16_t vub_inflight_packed_get(const VubRing *ring, uint16_t entry,
                                 VubPackedDesc *desc);

/* Around the store that shows the guest the batch pack->pushed. */
void vub_inflight_packed_before_publish(VubRing *ring);
void vub_inflight_packed_after_publish(VubRing *ring);

#endif /* OPUS_VUB_INFLIGHT_PACKED_H */
