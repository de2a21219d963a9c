/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring: a pair of queues that a drive and we share
 *
 * Owns: heads, tails, the phase, and which commands the drive has.
 * Must not know: what commands mean, who wakes whom, how a drive is reset.
 * Threads: one. The drive, which is another, writes the completion queue only.
 *
 * Nothing that a drive writes is relied upon. Where an answer lies is ours to
 * know; its identifier is an index that is checked and a generation, so that an
 * answer that comes twice, or late, is for nobody; how far the drive says that
 * it has read the submission queue is not looked at at all: a drive reads
 * commands in their order, and fewer trackers than entries are in flight, so an
 * entry is only used again when it was read.
 *
 * Those who wait are woken when the ring is in order again: they may submit and
 * gather themselves.
 */
#include <assert.h>
#include <endian.h>
#include <glib.h>
#include <string.h>

#include "util/nvme/ring.h"

#define NOBODY          UINT16_MAX
#define CID_BITS        16

/* Offsets in an answer */
#define CQE_RESULT      0
#define CQE_CID         12
#define CQE_STATUS      14
#define STATUS_PHASE    1u

/* What was stored before is there when the drive sees the doorbell. */
static void ring_doorbell(uint32_t *doorbell, uint32_t value)
{
    __atomic_store_n(doorbell, htole32(value), __ATOMIC_RELEASE);
}

static const uint8_t *cqe(const NvRing *ring)
{
    return (const uint8_t *)ring->mem.cq +
           (size_t)ring->cq_head * NV_COMPLETION_BYTES;
}

/* All else of an answer was written before this, and is read after it. */
static uint16_t read_status(const NvRing *ring)
{
    return le16toh(__atomic_load_n(
        (const uint16_t *)(cqe(ring) + CQE_STATUS), __ATOMIC_ACQUIRE));
}

void nv_ring_init(NvRing *ring, const NvRingSetup *setup)
{
    assert(setup->entries >= NV_RING_MIN_ENTRIES &&
           setup->entries <= NV_RING_MAX_ENTRIES);
    *ring = (NvRing) {
        .mem = *setup,
        .nr_trackers = setup->entries - 1,
        .trackers = g_new0(NvTracker, setup->entries - 1),
        .oldest = NOBODY,
        .newest = NOBODY,
        .first_free = NOBODY,
    };
    /* No index is all ones: the identifier 0xffff means "none" to drives. */
    while (ring->nr_trackers >= 1u << ring->index_bits) {
        ring->index_bits++;
    }
    for (unsigned i = ring->nr_trackers; i > 0; i--) {
        ring->trackers[i - 1].cid = i - 1;
        ring->trackers[i - 1].newer = ring->first_free;
        ring->first_free = i - 1;
    }
    nv_ring_reset(ring);
}

void nv_ring_destroy(NvRing *ring)
{
    assert(ring->nr_busy == 0);
    g_free(ring->trackers);
    ring->trackers = NULL;
}

void nv_ring_reset(NvRing *ring)
{
    assert(ring->nr_busy == 0);
    memset(ring->mem.cq, 0, (size_t)ring->mem.entries * NV_COMPLETION_BYTES);
    ring->sq_tail = 0;
    ring->sq_told = 0;
    ring->cq_head = 0;
    ring->phase = STATUS_PHASE;
}

int nv_ring_take(NvRing *ring)
{
    uint16_t index = ring->first_free;

    if (index == NOBODY) {
        return -1;
    }
    ring->first_free = ring->trackers[index].newer;
    return index;
}

void nv_ring_put(NvRing *ring, int index)
{
    assert(!ring->trackers[index].busy);
    ring->trackers[index].newer = ring->first_free;
    ring->first_free = index;
}

void nv_ring_submit(NvRing *ring, int index, const NvCommand *command,
                    uint64_t prp1, uint64_t prp2, void *opaque, int64_t now_ns)
{
    NvTracker *tracker = &ring->trackers[index];

    assert(!tracker->busy && opaque);
    tracker->opaque = opaque;
    tracker->since_ns = now_ns;
    tracker->busy = true;
    tracker->aborting = false;
    tracker->older = ring->newest;
    tracker->newer = NOBODY;
    if (ring->newest == NOBODY) {
        ring->oldest = index;
    } else {
        ring->trackers[ring->newest].newer = index;
    }
    ring->newest = index;
    ring->nr_busy++;

    nv_command_encode(command, tracker->cid, prp1, prp2,
                      (uint8_t *)ring->mem.sq +
                      (size_t)ring->sq_tail * NV_COMMAND_BYTES);
    ring->sq_tail++;
    if (ring->sq_tail == ring->mem.entries) {
        ring->sq_tail = 0;
    }
}

void nv_ring_kick(NvRing *ring)
{
    if (ring->sq_told != ring->sq_tail) {
        ring->sq_told = ring->sq_tail;
        ring_doorbell(ring->mem.sq_doorbell, ring->sq_tail);
    }
}

bool nv_ring_ready(const NvRing *ring)
{
    return (read_status(ring) & STATUS_PHASE) == ring->phase;
}

/* The drive has it no more. */
static void release(NvRing *ring, unsigned index)
{
    NvTracker *tracker = &ring->trackers[index];

    if (tracker->older == NOBODY) {
        ring->oldest = tracker->newer;
    } else {
        ring->trackers[tracker->older].newer = tracker->newer;
    }
    if (tracker->newer == NOBODY) {
        ring->newest = tracker->older;
    } else {
        ring->trackers[tracker->newer].older = tracker->older;
    }
    ring->nr_busy--;
    tracker->busy = false;
    /* The next generation: an answer to this one is late from now on. */
    tracker->cid += 1u << ring->index_bits;
    nv_ring_put(ring, index);
}

unsigned nv_ring_gather(NvRing *ring, NvCompletion *out, unsigned max)
{
    unsigned nr = 0, seen;

    for (seen = 0; seen < max; seen++) {
        const uint8_t *entry = cqe(ring);
        uint16_t status = read_status(ring);
        uint32_t result;
        uint16_t cid;
        unsigned index;

        if ((status & STATUS_PHASE) != ring->phase) {
            break;
        }
        /* Each is read once: the drive may write them again. */
        cid = le16toh(__atomic_load_n(
            (const uint16_t *)(entry + CQE_CID), __ATOMIC_RELAXED));
        result = le32toh(__atomic_load_n(
            (const uint32_t *)(entry + CQE_RESULT), __ATOMIC_RELAXED));
        index = cid & ((1u << ring->index_bits) - 1);
        ring->cq_head++;
        if (ring->cq_head == ring->mem.entries) {
            ring->cq_head = 0;
            ring->phase ^= STATUS_PHASE;
        }
        if (index >= ring->nr_trackers || !ring->trackers[index].busy ||
            ring->trackers[index].cid != cid) {
            ring->nr_strange++;
            continue;
        }
        out[nr++] = (NvCompletion) {
            .opaque = ring->trackers[index].opaque,
            .result = result,
            .status = status >> 1,
            .index = index,
        };
        release(ring, index);
    }
    if (seen) {
        ring_doorbell(ring->mem.cq_doorbell, ring->cq_head);
    }
    return nr;
}

unsigned nv_ring_abandon(NvRing *ring, NvCompletion *out, unsigned max)
{
    unsigned nr;

    for (nr = 0; nr < max && ring->oldest != NOBODY; nr++) {
        out[nr] = (NvCompletion) {
            .opaque = ring->trackers[ring->oldest].opaque,
            .index = ring->oldest,
        };
        release(ring, ring->oldest);
    }
    return nr;
}

NvTracker *nv_ring_oldest(const NvRing *ring)
{
    return ring->oldest == NOBODY ? NULL : &ring->trackers[ring->oldest];
}
