/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring: a pair of queues that a drive and we share
 *
 * Commands go into the submission queue, answers come out of the completion
 * queue. A tracker stands for a command while the drive has it; its index tells
 * which memory for PRP lists, or which request, belongs to it.
 *
 *     index = nv_ring_take(ring);         -1: none is free, wait for answers
 *     nv_ring_submit(ring, index, ...);   or nv_ring_put(ring, index);
 *     nv_ring_kick(ring);                 once for all that were submitted
 *     ...
 *     if (nv_ring_ready(ring)) {
 *         n = nv_ring_gather(ring, out, NV_RING_BATCH);
 *         and only then wake those who wait
 *     }
 *
 * A ring belongs to one thread. Nothing is allocated once it is made.
 */
#ifndef UTIL_NVME_RING_H
#define UTIL_NVME_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "util/nvme/command.h"

#define NV_COMPLETION_BYTES     16
#define NV_RING_BATCH           32u
#define NV_RING_MIN_ENTRIES     2u
#define NV_RING_MAX_ENTRIES     4096u

typedef struct NvRingSetup {
    void *sq;                   /* @entries of NV_COMMAND_BYTES */
    void *cq;                   /* @entries of NV_COMPLETION_BYTES */
    uint32_t *sq_doorbell;
    uint32_t *cq_doorbell;
    unsigned entries;           /* of each queue */
} NvRingSetup;

/* Who waits for a command; the drive has it as long as there is one. */
typedef struct NvTracker {
    void *opaque;
    int64_t since_ns;           /* when it was submitted */
    uint16_t cid;
    uint16_t older;             /* among those that the drive has */
    uint16_t newer;             /* the same, or the next that is free */
    bool busy;                  /* the drive has it */
    bool aborting;              /* the drive was asked to give it back */
} NvTracker;

typedef struct NvRing {
    /* Constant */
    NvRingSetup mem;
    unsigned nr_trackers;       /* entries - 1 */
    unsigned index_bits;        /* of a command identifier */
    NvTracker *trackers;

    /* Its thread */
    unsigned sq_tail;
    unsigned sq_told;           /* the tail that the drive knows */
    unsigned cq_head;
    uint16_t phase;             /* of entries that are new */
    uint16_t first_free;
    uint16_t oldest;            /* of those that the drive has */
    uint16_t newest;
    unsigned nr_busy;
    uint64_t nr_strange;        /* answers to what was not asked */
} NvRing;

typedef struct NvCompletion {
    void *opaque;
    uint32_t result;            /* DW0 of the answer */
    uint16_t status;            /* as in util/nvme/status.h */
    uint16_t index;             /* of its tracker, which is free again */
} NvCompletion;

/* The completion queue is cleared; the drive must not have it yet. */
void nv_ring_init(NvRing *ring, const NvRingSetup *setup);
void nv_ring_destroy(NvRing *ring);

/* As at first, for a drive that was reset. Nothing is in flight. */
void nv_ring_reset(NvRing *ring);

int nv_ring_take(NvRing *ring);
void nv_ring_put(NvRing *ring, int index);

/* @opaque, which is not NULL, comes back exactly once. */
void nv_ring_submit(NvRing *ring, int index, const NvCommand *command,
                    uint64_t prp1, uint64_t prp2, void *opaque, int64_t now_ns);
void nv_ring_kick(NvRing *ring);

/* Is there an answer? Costs one load. */
bool nv_ring_ready(const NvRing *ring);

/*
 * Takes answers, at most @max, and gives their entries back to the drive. What
 * it returns may be less than there was although nothing is left: an answer to
 * nothing is only counted.
 */
unsigned nv_ring_gather(NvRing *ring, NvCompletion *out, unsigned max);

/*
 * Takes what the drive has away from it, the oldest first, at most @max; status
 * and result are 0. Only when the drive can't reach memory any more.
 */
unsigned nv_ring_abandon(NvRing *ring, NvCompletion *out, unsigned max);

/* What the drive has had for the longest time, or NULL. */
NvTracker *nv_ring_oldest(const NvRing *ring);

#endif /* UTIL_NVME_RING_H */
