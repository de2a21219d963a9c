/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: the device's side of one virtqueue, split or packed
 *
 * Takes chains from the guest and gives them back. What is pushed is seen by
 * the guest only after vub_ring_publish(), so that a batch costs one update.
 *
 * Nothing that the guest wrote is believed: whatever can't be right stops the
 * ring for good (@broken says why) and touches nothing outside of the guest's
 * own memory. Only one thread at a time may use a ring.
 */

#ifndef OPUS_VUB_RING_H
#define OPUS_VUB_RING_H

#include <glib.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "vub-chain.h"
#include "vub-guard.h"
#include "vub-inflight.h"
#include "vub-log.h"
#include "vub-memory.h"

#define VUB_RING_MAX_SIZE 1024

/* Where a ring is, and what kind it is. */
typedef struct VubRingConfig {
    unsigned num;               /* descriptors; 1..VUB_RING_MAX_SIZE */
    bool packed;
    bool event_idx;             /* VIRTIO_RING_F_EVENT_IDX was negotiated */
    /* Where the front-end sees the three parts */
    uint64_t desc_user_addr;
    uint64_t avail_user_addr;   /* packed: the driver's event suppression */
    uint64_t used_user_addr;    /* packed: the device's */
    /*
     * As SET_VRING_BASE has it. Split: the next index of the avail ring.
     * Packed: bits 0-14 the next place to take from, 15 its wrap counter,
     * 16-30 and 31 the same of the next place to give back to.
     */
    uint32_t base;
    VubInflight *inflight;      /* NULL: not tracked */
    unsigned index;             /* of the queue, in @inflight */
} VubRingConfig;

/* What a ring is to work with. It takes references to what it keeps. */
typedef struct VubRingSetup {
    VubRingConfig config;
    VubMemory *mem;
    VubLog *log;                /* NULL: what is written isn't logged */
    bool log_used;              /* the used ring is to be logged too, */
    uint64_t log_used_addr;     /* where the guest has it */
} VubRingSetup;

/* The parts of a split ring; see linux/virtio_ring.h */
typedef struct VubSplitRing {
    const struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    VubInflightSplit *track;
} VubSplitRing;

typedef struct VubPackedRing {
    struct vring_packed_desc *desc;
    const struct vring_packed_desc_event *driver;
    struct vring_packed_desc_event *device;
    uint16_t nr_free;           /* places that the guest may fill */
    bool avail_wrap;
    bool used_wrap;
    bool signalled_wrap;
    /* The first of a batch goes out last, and with it all of them */
    uint16_t batch_place;
    uint16_t batch_flags;
    uint16_t batch_descs;       /* places that the batch gives back */

    VubInflightPacked *track;
    /* Of @track, as we know it: what is shared could lie. @num each */
    uint16_t *next;             /* the list of free entries */
    uint16_t *last;             /* heads: the chain's last entry */
    uint16_t *pushed;           /* heads of the batch, nr_pushed of them */
    uint16_t free_head;         /* num: none is free */
} VubPackedRing;

typedef struct VubRing {
    /* Fixed by vub_ring_init() */
    uint16_t num;
    bool packed;
    bool event_idx;
    union {
        VubSplitRing split;
        VubPackedRing in_pack;
    };
    VubInflight *inflight;

    /* As VubRingSetup has them */
    VubMemory *mem;
    VubLog *log;
    bool log_used;
    uint64_t log_used_addr;

    unsigned hint;              /* for vub_memory_at() */
    uint16_t last_avail;        /* the next to take */
    uint16_t shadow_avail;      /* split: the guest's index, last seen */
    uint16_t used_idx;          /* the next to give back */
    uint16_t nr_pushed;         /* pushed, not yet published */
    uint16_t signalled_used;    /* used_idx when the guest was told last, */
    bool signalled_valid;       /* ...if it ever was */
    bool notify;                /* the guest was asked to kick */
    uint16_t nr_taken;          /* chains that the guest waits to see again */

    uint64_t counter;           /* order of taking, for in-flight tracking */
    uint16_t *resubmit;         /* what a predecessor had taken, in order */
    uint16_t nr_resubmit;
    uint16_t next_resubmit;

    bool lost;                  /* see vub_ring_lost() */
    unsigned losses_seen;       /* vub_guard_losses() when we looked last */
    const char *broken;         /* why the ring is not to be used any more */
} VubRing;

/*
 * Finds the ring in @setup->mem and goes on where the config's base or, if
 * there is one, the in-flight region says. Fails if a part isn't in memory or
 * not aligned, or if the in-flight region makes no sense; nothing is to be
 * freed then.
 */
bool vub_ring_init(VubRing *ring, const VubRingSetup *setup, GError **errp);
void vub_ring_destroy(VubRing *ring);

/*
 * Goes on with another setup of the same size, kind and in-flight region; its
 * base doesn't count. Fails as init does, and goes on with the old one.
 */
bool vub_ring_change(VubRing *ring, const VubRingSetup *setup, GError **errp);

/* What SET_VRING_BASE must be given to go on from here. */
uint32_t vub_ring_base(const VubRing *ring);

/*
 * Takes the next chain: true, or false if there is none or if the ring broke
 * while looking. @chain: its vectors are the caller's, the rest is set.
 */
bool vub_ring_pop(VubRing *ring, VubChain *chain);

/*
 * Gives a chain back, with @written_bytes of it written from its first "in"
 * byte on. Its memory is the guest's again once that is published.
 */
void vub_ring_push(VubRing *ring, const VubChain *chain,
                   uint32_t written_bytes);

/* Shows the guest what was pushed. True if it wants to be told now. */
bool vub_ring_publish(VubRing *ring);

/* True if vub_ring_pop() would find a chain. Cheap: this is polled. */
bool vub_ring_empty(VubRing *ring);

/*
 * Asks the guest to kick when it queues something, or not to. If asked to,
 * look again afterwards: what came in between may not have kicked.
 */
void vub_ring_set_notify(VubRing *ring, bool notify);

/*
 * True once any memory that the ring works with vanished under us, see
 * vub-guard.h, and for ever: what was taken may be wrong, and so may what it
 * led to. Nothing is given back any more; what was taken stays in flight for a
 * successor. To be asked after the memory was used, and before what was
 * read there is relied on.
 */
bool vub_ring_look_lost(VubRing *ring);
static inline bool vub_ring_lost(VubRing *ring)
{
    return G_UNLIKELY(ring->losses_seen != vub_guard_losses())
           ? vub_ring_look_lost(ring) : ring->lost;
}

/*
 * If writes are logged: marks the first @bytes of @chain's "in" buffers. To be
 * called before the chain is pushed.
 */
void vub_ring_log_chain(VubRing *ring, const VubChain *chain, uint64_t bytes);

/* --- between vub-ring*.c --- */

/* Stops the ring; the first reason stays. */
void vub_ring_break(VubRing *ring, const char *why);

/* Reads the table of an indirect descriptor into @chain. */
bool vub_ring_read_indirect(VubRing *ring, VubChain *chain,
                            uint64_t guest_addr, uint32_t bytes);

/* Marks @bytes at @offset of the used ring, if writes to it are logged. */
static inline void vub_ring_log_used(VubRing *ring, uint64_t offset,
                                     uint64_t bytes)
{
    if (ring->log && ring->log_used) {
        vub_log_mark(ring->log, ring->log_used_addr + offset, bytes);
    }
}

/* Marks the @bytes at @host, which are the guest's, as written. */
void vub_ring_log(VubRing *ring, const void *host, uint64_t bytes);

/* Sorts the @nr entries of @resubmit by their counters in @key[entry]. */
void vub_ring_sort_resubmit(VubRing *ring, const uint64_t *key);

bool vub_split_map(VubRing *ring, const VubRingConfig *config, GError **errp);
bool vub_split_start(VubRing *ring, const VubRingConfig *config,
                     GError **errp);
bool vub_split_pop(VubRing *ring, VubChain *chain);
void vub_split_push(VubRing *ring, const VubChain *chain, uint32_t bytes);
bool vub_split_publish(VubRing *ring);
bool vub_split_empty(VubRing *ring);
void vub_split_set_notify(VubRing *ring, bool notify);

bool vub_packed_map(VubRing *ring, const VubRingConfig *config, GError **errp);
bool vub_packed_start(VubRing *ring, const VubRingConfig *config,
                      GError **errp);
bool vub_packed_pop(VubRing *ring, VubChain *chain);
void vub_packed_push(VubRing *ring, const VubChain *chain, uint32_t bytes);
bool vub_packed_publish(VubRing *ring);
bool vub_packed_empty(VubRing *ring);
void vub_packed_set_notify(VubRing *ring, bool notify);
uint32_t vub_packed_base(const VubRing *ring);

#endif /* OPUS_VUB_RING_H */
